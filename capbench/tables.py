"""The numbers of every item as one Arrow table in long form, and back.

Arrays are made from their buffers: pyarrow's own conversion of lists and numpy arrays imports pandas
first, which costs more than everything else that a small run does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from capbench.types import Rows

if TYPE_CHECKING:
    from capbench.types import Ints

COLUMNS = ("metric", "column", "item", "sample", "bag", "value", "reason")
TAG_COLUMNS = ("item", "tag", "value")


@dataclass(frozen=True, slots=True)
class Scored:
    """One metric's rows, with reasons for unscored ones. reasons: row -> why; samples: each row's sample.

    details: what the metric says of items beside its numbers, by their ids; of a run that is read from its folder
    they are read on their own (``capbench.details``).
    """

    key: str
    rows: Rows
    reasons: Mapping[int, str]
    samples: np.ndarray[Any, np.dtype[np.int64]]
    details: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def long_table(scored: Sequence[Scored], ids: Sequence[str]) -> Any:
    """Rows of all metrics as one Arrow table in long form; null is unscored."""
    import pyarrow as pa

    tables = [one_table(metric, ids) for metric in scored]
    if not tables:
        return pa.table({name: pa.nulls(0) for name in COLUMNS})
    return pa.concat_tables(tables).unify_dictionaries()


def one_table(metric: Scored, ids: Sequence[str]) -> Any:
    """One metric's rows in long form, column after column."""
    import pyarrow as pa

    rows = metric.rows
    names = list(rows.columns)
    n = len(metric.samples)
    repeat = len(names)
    item = np.arange(n) if rows.items is None else rows.items
    values = np.concatenate([rows.columns[name] for name in names])
    reasons = {why: code for code, why in enumerate(dict.fromkeys(metric.reasons.values()))}
    reason = np.full(n, -1)
    for row, why in metric.reasons.items():
        reason[row] = reasons[why]
    bags = pa.nulls(n * repeat, pa.int32()) if rows.bags is None else whole_numbers(np.tile(rows.bags, repeat))
    columns = {
        "metric": coded_texts(np.zeros(n * repeat), [metric.key]),
        "column": coded_texts(np.repeat(np.arange(repeat), n), names),
        "item": coded_texts(np.tile(item, repeat), ids),
        "sample": whole_numbers(np.tile(metric.samples, repeat)),
        "bag": bags,
        "value": with_holes(pa.float64(), values, ~np.isnan(values)),
        "reason": coded_texts(np.tile(reason, repeat), list(reasons)),
    }
    return pa.table(columns)


def with_holes(kind: Any, values: Any, valid: Any) -> Any:
    """An Arrow array of numbers with null where ``valid`` is false."""
    import pyarrow as pa

    mask = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(kind, len(values), [mask, pa.py_buffer(np.ascontiguousarray(values))])


def whole_numbers(values: Any) -> Any:
    """An int32 Arrow array."""
    import pyarrow as pa

    return with_holes(pa.int32(), values.astype(np.int32), np.ones(len(values), bool))


def coded_texts(codes: Any, texts: Sequence[str]) -> Any:
    """A dictionary-coded Arrow array; code -1 is null."""
    import pyarrow as pa

    data = [safe(text).encode() for text in texts]
    ends = np.concatenate([[0], np.cumsum([len(text) for text in data])]).astype(np.int32)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(data))]
    words = pa.Array.from_buffers(pa.string(), len(data), buffers)
    return pa.DictionaryArray.from_arrays(with_holes(pa.int32(), codes.astype(np.int32), codes >= 0), words)


def safe(text: str) -> str:
    """A text that any file can hold: lone surrogates are written out."""
    return text.encode("utf-8", "backslashreplace").decode()


def from_table(table: Any, ids: Sequence[str] | None = None) -> tuple[Scored, ...]:
    """The rows of each metric. ids: the items in order (default: as the table first names them)."""
    places = {name: i for i, name in enumerate(map(safe, ids) if ids is not None else item_names(table))}
    codes, names = coded(table, "item")
    item = np.array([places.get(name, -1) for name in names], np.int64)[codes]
    value = table.column("value").to_numpy()
    bag = table.column("bag").to_numpy() if table.column("bag").null_count < len(table) else None
    sample = table.column("sample").to_numpy().astype(np.int64)
    reason, reasons = coded(table, "reason")
    metric, metrics = coded(table, "metric")
    column, columns = coded(table, "column")
    scored = []
    for code in dict.fromkeys(metric.tolist()):
        mine = np.flatnonzero(metric == code)
        own = list(dict.fromkeys(column[mine].tolist()))
        first = mine[column[mine] == own[0]]
        bags = None if bag is None or np.isnan(bag[first[0]]) else bag[first].astype(np.int64)
        values = {columns[c]: value[mine[column[mine] == c]] for c in own}
        why = {int(k): reasons[reason[first[k]]] for k in np.flatnonzero(reason[first] >= 0)}
        scored.append(Scored(metrics[code], Rows(values, item[first], bags), why, sample[first]))
    return tuple(scored)


def tag_table(ids: Sequence[str], tags: Sequence[Mapping[str, str]]) -> Any:
    """The tags of the items as an Arrow table in long form: one row an item and tag."""
    import pyarrow as pa

    items = [ids[i] for i, own in enumerate(tags) for _ in own]
    names = [name for own in tags for name in own]
    values = [value for own in tags for value in own.values()]
    columns = {}
    for title, texts in zip(TAG_COLUMNS, (items, names, values), strict=True):
        places = {text: code for code, text in enumerate(dict.fromkeys(texts))}
        columns[title] = coded_texts(np.array([places[text] for text in texts]), list(places))
    return pa.table(columns)


def tags_from(table: Any) -> dict[str, dict[str, str]]:
    """Item -> tag -> value."""
    columns = []
    for title in TAG_COLUMNS:
        codes, texts = coded(table, title)
        columns.append([texts[code] for code in codes.tolist()])
    found: dict[str, dict[str, str]] = {}
    for item, name, value in zip(*columns, strict=True):
        found.setdefault(item, {})[name] = value
    return found


def coded(table: Any, name: str) -> tuple[Ints, list[str]]:
    """A text column as codes (-1: null) and the texts that they stand for."""
    column = table.column(name).combine_chunks()
    if not hasattr(column, "indices"):
        column = column.dictionary_encode()
    return column.indices.fill_null(-1).to_numpy().astype(np.int64), column.dictionary.to_pylist()


def item_names(table: Any) -> list[str]:
    """The ids of the rows, each once, in the order in which they first stand in the file."""
    codes, names = coded(table, "item")
    used, first = np.unique(codes, return_index=True)
    return [names[code] for code in used[np.argsort(first)]]
