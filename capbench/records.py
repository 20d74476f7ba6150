"""Captions and references from any file people keep them in, recognised by content, never by name.

COCO results and annotations, Karpathy splits, ``{id: caption}`` and ``{id: [captions]}``, JSON lines
(HF imagefolder's metadata.jsonl and lmms-eval's sample logs among them), CSV and TSV, each perhaps gzip'ed, and
Parquet. Ids are text: 1 and "1" are the same picture. Everything that is wrong with a file is reported together, with
its place.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from capbench.errors import BadData, Fault, UsageError
from capbench.records_coco import Found, checked_id, coco, is_coco, is_karpathy, karpathy, record
from capbench.records_keys import (
    ID_KEYS,
    MISSING,
    TEXT_KEYS,
    Keys,
    Record,
    Want,
    common_key,
    dig,
    id_text,
    names_in,
    numbered_keys,
    row_texts,
    text_paths,
    texts_of,
)
from capbench.records_parquet import is_parquet, parquet
from capbench.records_raw import SPACE, Doubled, Parsed, Row, parse, quoted, text_of
from capbench.records_samples import is_log, logged, task_in
from capbench.types import Failure

FIRST_LINE = ("id", "caption")
LISTED = 12
ONE_EACH = "one entry an image; --samples K if the file has K captions of each"
WRAPPERS = ("annotations", "results", "predictions", "captions", "outputs", "data", "items", "samples", "rows")


def read(
    path: str | Path, *, field: str | Sequence[str] = "", id_field: str = "", want: Want = "captions",
    repeats: bool = False, tags: Sequence[str] = (), without: Sequence[str] = (), asked: Sequence[str] = (),
) -> list[Record]:  # fmt: skip
    """The records of a file, in its order, one an id.

    field, id_field: where texts and ids stand, dotted for nested objects (``outputs.blip2``); several
    fields are several texts of an id.
    want: which of several known keys is taken first, a system's captions or people's references; or that
    there are none, as in a list of pictures to describe.
    repeats: rows of one id with a text each are joined into one record, as in Flickr's captions.txt.
    tags: keys of what items are grouped by. without: flags of COCO annotations, such as ``is_rejected``; one
    that is true takes the annotation out, and an image that has no other annotation goes with it.
    asked: keys whose values are kept as they are, in ``Record.asked``.

    Raises:
        MissingPart: no such file.
        UsageError: the file has no such field, tag or flag.
        BadData: every fault of the file: not UTF-8, broken JSON, rows without an id, ids that stand twice.
    """
    name = str(path)
    parsed = parquet(Path(path)) if is_parquet(Path(path)) else parse(text_of(Path(path)), name)
    fields = (field,) if isinstance(field, str) else tuple(field)
    keys = Keys(id_field, fields if any(fields) else (), tuple(tags), tuple(without), tuple(asked))
    return records_of(parsed, name, keys, want, repeats=repeats)


def records_of(
    parsed: Parsed, name: str, keys: Keys, want: Want, *, repeats: bool = False, twice: str = ONE_EACH
) -> list[Record]:
    """The records of what a file or several files of one data set hold, one an id; ``read`` says what is raised.

    twice: the cure where an id stands twice and rows are not joined.
    """
    found = interpret(parsed, name, keys, want)
    found.faults[:0] = parsed.faults
    refuse_unknown(found, name, keys)
    records = without_doubles(found, repeats=repeats or found.joined, twice=twice)
    if found.faults:
        raise BadData(f"{name} cannot be used, {len(found.faults)} fault(s):", found.faults)
    if not records:
        raise BadData(f"{name} holds no records")
    return records


def refuse_unknown(found: Found, name: str, keys: Keys) -> None:
    """Complain of a tag that no record has, and of a flag that no annotation has.

    Raises:
        UsageError: with the keys that there are.
    """
    for tag in keys.tags:
        if found.records and not any(tag in entry.tags for entry in found.records):
            raise no_key(name, "tag", tag, list(found.columns))
    for key in keys.asked:
        if found.records and not any(key in entry.asked for entry in found.records):
            raise no_key(name, "field", key, list(found.columns))
    absent = [flag for flag in keys.without if flag not in found.flags]
    if absent and any(entry.texts for entry in found.records):
        raise UsageError(f"no annotation of {name} has {' or '.join(absent)}", "leave it out of without=")


def interpret(parsed: Parsed, name: str, keys: Keys, want: Want) -> Found:
    """Records before doubles are looked for."""
    if parsed.form != "json":
        return from_rows(parsed.rows, name, keys, want)
    if isinstance(parsed.value, list):
        return from_rows(listed(parsed.value, name), name, keys, want)
    return from_object(parsed.value, name, keys, want)


def from_object(value: Mapping[str, Any], name: str, keys: Keys, want: Want) -> Found:
    """Records of a JSON document that is an object: COCO, Karpathy, a wrapped list, or ``{id: caption}``."""
    if isinstance(value, Doubled) and ("images" in value.twice or "annotations" in value.twice):
        return Found(faults=[Fault(name, f"the key {value.twice[0]!r} stands twice")])
    if is_karpathy(value):
        return karpathy(value, name, keys)
    if is_coco(value):
        return coco(value, name, keys)
    task, inner = task_in(value), wrapped(value)
    if task or inner:
        rows = value["samples"][task] if task else value[inner]
        found = from_rows(listed(rows, f"{name} {task or inner}"), name, keys, want)
        found.joined = inner == "annotations" and want == "references"
        return found
    if is_one_row(value, keys, want) or is_log([value]):
        return from_rows((Row(f"{name} line 1", value),), name, keys, want)
    return from_mapping(value, name, keys, want)


def listed(values: Sequence[Any], name: str) -> tuple[Row, ...]:
    """The entries of a JSON list with their places."""
    return tuple(Row(f"{name} [{i}]", value) for i, value in enumerate(values))


def wrapped(value: Mapping[str, Any]) -> str:
    """The key of the one list of rows inside an object, as in ``{"annotations": [...]}``, or "".

    Only under a name that such lists have: ``{id: [{"id": ..., "caption": ...}]}`` looks the same otherwise.
    """
    lists = [key for key in WRAPPERS if isinstance(value.get(key), list) and value[key]]
    first = value[lists[0]][0] if len(lists) == 1 else None
    return lists[0] if isinstance(first, dict) and not first.keys().isdisjoint(ID_KEYS) else ""


def is_one_row(value: Mapping[str, Any], keys: Keys, want: Want) -> bool:
    """Whether an object is a single line of JSON lines rather than ``{id: caption}``."""
    has_id = dig(value, keys.id) is not MISSING if keys.id else any(key in value for key in ID_KEYS)
    texts = keys.texts or TEXT_KEYS[want]
    return has_id and (any(dig(value, key) is not MISSING for key in texts) or any(map(is_nested, value.values())))


def is_nested(value: Any) -> bool:
    """Whether a value is an object, as ``outputs`` is."""
    return isinstance(value, dict)


def from_rows(rows: Sequence[Row], name: str, keys: Keys, want: Want) -> Found:
    """One record a row; rows that are no objects, or have no usable id, are faults."""
    found = Found()
    good: list[Row] = []
    for row in rows:
        if not isinstance(row.value, dict):
            found.faults.append(Fault(row.where, f"not an object: {quoted(repr(row.value))}"))
        elif isinstance(row.value, Doubled):
            found.faults.append(Fault(row.where, f"the key {row.value.twice[0]!r} stands twice"))
        else:
            good.append(row)
    if not good:
        return found
    values = [row.value for row in good]
    if is_log(values):
        told = logged(good, keys, want)
        told.faults[:0] = found.faults
        return told
    id_key = keys.id or common_key(values, ID_KEYS)
    if not id_key or all(dig(value, id_key) is MISSING for value in values):
        raise no_key(name, "id", keys.id, list(values[0]))
    texts = text_keys(values, name, keys, want) if want != "nothing" else ()
    for row in good:
        raw = dig(row.value, id_key)
        identity = checked_id(raw, row.where, repr(id_key), found)
        if identity is not None:
            own = row_texts(row.value, texts) if texts else ()
            found.records.append(record(identity, raw, own, row.where, row.value, keys, found))
    return found


def text_keys(values: Sequence[Mapping[str, Any]], name: str, keys: Keys, want: Want) -> tuple[str, ...]:
    """The keys that hold the texts: as stated, else a known one, else ``caption_1`` to ``caption_5``.

    Raises:
        UsageError: no row has the stated field.
        BadData: none was stated, and no row has a known key.
    """
    for key in keys.texts:
        if all(dig(value, key) is MISSING for value in values):
            raise no_key(name, "text", key, [path for value in values[:LISTED] for path in text_paths(value)])
    if keys.texts:
        return keys.texts
    known = common_key(values, TEXT_KEYS[want])
    found = (known,) if known else numbered_keys(values)
    if not found:
        raise no_key(name, "text", "", [path for value in values[:LISTED] for path in text_paths(value)])
    return found


def no_key(name: str, what: str, stated: str, there: Sequence[str]) -> UsageError | BadData:
    """The error for an id or text key that a file lacks: it lists what there is."""
    field = "id_field" if what == "id" else "field"
    options = list(dict.fromkeys(there))[:LISTED]
    if stated:
        near = difflib.get_close_matches(stated, options, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        kind = "tag" if what == "tag" else "field"
        return UsageError(f"{name} has no {kind} {stated!r}", f"{hint}it has: {', '.join(options) or 'none'}")
    cure = f"say which it is, as {field}={options[-1]!r}" if options else ""
    if what == "id" and options and len(options) <= len(FIRST_LINE) and " " in options[-1]:  # a caption, not a name
        cure = f"the first line of a table names its columns: write {','.join(FIRST_LINE)} above it"
    fault = Fault(name, f"no known {what} key; it has: {', '.join(options) or 'none'}", cure)
    return BadData(f"{name} cannot be used:", [fault])


def from_mapping(value: Mapping[str, Any], name: str, keys: Keys, want: Want) -> Found:
    """``{id: caption}``, ``{id: [captions]}`` or ``{id: {"caption": ...}}``; a key may stand twice here."""
    pairs = value.pairs if isinstance(value, Doubled) else list(value.items())
    found = Found()
    objects = [inner for _, inner in pairs if isinstance(inner, dict)]
    if not keys.texts and 2 * len(objects) <= len(pairs):
        objects = []  # stray objects among plain captions are bad captions, not another form of file
    texts = text_keys(objects, name, keys, want) if objects else ()
    if keys.texts and not objects:
        raise no_key(name, "text", keys.texts[0], [])
    for i, (key, inner) in enumerate(pairs):
        where = f"{name} entry {i + 1}"
        identity = checked_id(key, where, "id", found)
        if identity is None:
            continue
        if isinstance(inner, dict) and objects:
            found.records.append(record(identity, key, row_texts(inner, texts), where, inner, keys, found))
        else:
            found.records.append(Record(identity, texts_of(inner), where))
    return found


def about(entry: Record) -> tuple[Any, ...]:
    """What rows of one id have in common."""
    return entry.image, entry.split, entry.tags, entry.asked


def without_doubles(found: Found, *, repeats: bool, twice: str = ONE_EACH) -> list[Record]:
    """One record an id; ids that stand twice are joined where that is meant, else faults with both places."""
    first: dict[str, Record] = {}
    more: dict[str, list[str | Failure]] = {}
    for entry in found.records:
        known = first.setdefault(entry.id, entry)
        if known is entry:
            continue
        if entry.number != known.number:
            forms = f"{entry.id} and {entry.id!r}" if known.number else f"{entry.id!r} and {entry.id}"
            found.faults.append(Fault(entry.where, f"id {forms} are the same id; the other is at {known.where}"))
        elif repeats and not entry.texts and not known.texts and entry.tags == known.tags:
            continue  # a list of pictures may name one in several rows
        elif not repeats or len(entry.texts) != 1 or len(known.texts) != 1:
            cure = "either one list of texts or one text an entry" if repeats else twice
            found.faults.append(Fault(entry.where, f"id {entry.id!r} is already at {known.where}", cure))
        elif about(entry) != about(known):
            found.faults.append(
                Fault(
                    entry.where, f"id {entry.id!r} has another picture, split, tag or region here than at {known.where}"
                )
            )
        else:
            more.setdefault(entry.id, []).extend(entry.texts)
    return [
        replace(entry, texts=(*entry.texts, *more[entry.id])) if entry.id in more else entry for entry in first.values()
    ]


def read_ids(path: str | Path, *, id_field: str = "") -> list[Record]:
    """The ids a file names, in its order: one a line, a JSON list, or the ids of any file of records.

    Raises:
        MissingPart: no such file.
        BadData: as for ``read``; an id that stands twice is a fault.
    """
    name = str(path)
    text = text_of(Path(path))
    found = Found()
    if text.lstrip(SPACE)[:1] in ("[", "{") or has_header(text, id_field):
        parsed = parse(text, name)
        found = ids_of(parsed, name, id_field)
        found.faults[:0] = parsed.faults
    else:
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip(SPACE):
                found.records.append(Record(line.strip(SPACE), (), f"{name} line {number}"))
    records = without_doubles(found, repeats=False)
    if found.faults:
        raise BadData(f"{name} cannot be used, {len(found.faults)} fault(s):", found.faults)
    if not records:
        raise BadData(f"{name} names no ids")
    return records


def has_header(text: str, id_field: str) -> bool:
    """Whether the first line is a table's header with an id column."""
    head = text.lstrip(SPACE).partition("\n")[0]
    names = {cell.strip(' \t\r"') for mark in "\t,;|" for cell in head.split(mark)}
    return bool(names & {*ID_KEYS, id_field or "id"})


def ids_of(parsed: Parsed, name: str, id_field: str) -> Found:
    """The ids of a parsed file, whatever texts it holds."""
    value = parsed.value
    found = Found()
    if parsed.form == "json" and isinstance(value, dict) and (is_karpathy(value) or is_coco(value)):
        return (karpathy if is_karpathy(value) else coco)(value, name, Keys(id_field, ()))
    if parsed.form == "json" and isinstance(value, dict):
        one = {key: inner for key, inner in value.items() if isinstance(inner, list)}
        if len(value) == len(one) == 1:
            value = next(iter(one.values()))
        else:
            value = [key for key, _ in (value.pairs if isinstance(value, Doubled) else value.items())]
    rows = listed(value, name) if parsed.form == "json" else parsed.rows
    objects = [row.value for row in rows if isinstance(row.value, dict)]
    key = id_field or common_key(objects, ID_KEYS)
    if objects and not key:
        raise no_key(name, "id", "", list(objects[0]))
    for row in rows:
        raw = dig(row.value, key) if isinstance(row.value, dict) else row.value
        identity = checked_id(raw, row.where, repr(key), found)
        if identity is not None:
            found.records.append(Record(identity, (), row.where, not isinstance(raw, str)))
    return found


__all__ = ["Keys", "Parsed", "Record", "Row", "Want", "id_text", "names_in", "read", "read_ids", "records_of"]
