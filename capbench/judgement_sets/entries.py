"""Entries of a published file, one after the other: each becomes rows, or is left out, or is a fault."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from capbench.errors import Fault
from capbench.judgement_sets.captions import NO_CAPTIONS, Captions
from capbench.records_keys import kind_of
from capbench.records_raw import Doubled, Row, quoted

Rows = list[dict[str, Any]]


class Wrong(Exception):
    """This entry cannot be read; the others go on, and all faults are told together."""

    def __init__(self, what: str, cure: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.cure = cure


class LeftOut(Exception):
    """This entry is not judged, by the set's own recipe or for want of references; it is counted."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(slots=True)
class Work:
    """What a reader is given besides its files, and what it found besides rows.

    captions: what ``--captions`` named. references: how many of the references to keep (None: the set's own
    number, 0: all). seed: of what a set leaves to chance. left_out: reason -> how many entries.
    """

    captions: Captions = NO_CAPTIONS
    references: int | None = None
    seed: int = 0
    faults: list[Fault] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def each(self, entries: Iterable[Row], rows_of: Callable[[Any], Iterable[dict[str, Any]]]) -> Rows:
        """The rows of every entry that has some."""
        found: Rows = []
        for entry in entries:
            try:
                found += list(rows_of(entry.value))  # a list: all rows of an entry, or none
            except Wrong as wrong:
                self.faults.append(Fault(entry.where, wrong.what, wrong.cure))
            except LeftOut as left:
                self.left_out[left.why] += 1
        return found

    def below(self, entries: Iterable[Row], key: str) -> list[Row]:
        """The parts of the list that each entry has under a key, each as (entry, part)."""
        found = []
        for entry in entries:
            try:
                inner = enumerate(a_list(entry.value, key))
                found += [Row(f"{entry.where} {key}[{i}]", (entry.value, one)) for i, one in inner]
            except Wrong as wrong:
                self.faults.append(Fault(entry.where, wrong.what, wrong.cure))
        return found

    def kept(self, references: Sequence[str]) -> list[str]:
        """The first of the references, as many as are wanted.

        Raises:
            LeftOut: there is none.
        """
        if not references:
            raise LeftOut("no reference is left")
        return list(references[: self.references or None])


def listed(values: Sequence[Any], place: str) -> list[Row]:
    """The entries of a JSON list."""
    return [Row(f"{place}[{i}]", value) for i, value in enumerate(values)]


def keyed(value: Mapping[str, Any], name: str) -> list[Row]:
    """The entries of a JSON object; the key of each is its ``key``. A key may stand twice."""
    pairs = value.pairs if isinstance(value, Doubled) else list(value.items())
    return [Row(f"{name} entry {key!r}", inner, key) for key, inner in pairs]


def lines_of(text: str, name: str) -> list[Row]:
    """The lines of a text that are not blank, as their cells between tabs."""
    lines = enumerate(text.split("\n"), 1)
    return [
        Row(f"{name} line {n}", [c.strip() for c in line.strip("\r").split("\t")]) for n, line in lines if line.strip()
    ]


def part(value: Any, key: str) -> Any:
    """What an object has under a key.

    Raises:
        Wrong: it is no object, or has no such key, or has any key twice.
    """
    if isinstance(value, Doubled):
        raise Wrong(f"the key {value.twice[0]!r} stands twice")
    if not isinstance(value, dict):
        raise Wrong(f"an object is wanted, and this is {kind_of(value) if not isinstance(value, str) else 'a text'}")
    if key not in value:
        raise Wrong(f"no {key!r}", f"it has: {', '.join(map(quoted, value)) or 'nothing'}")
    return value[key]


def a_list(value: Any, key: str) -> list[Any]:
    """A list of whatever."""
    found = part(value, key)
    if not isinstance(found, list):
        raise Wrong(f"{key} is {kind_of(found) if not isinstance(found, str) else 'a text'}, not a list")
    return found


def text(value: Any, key: str) -> str:
    """A text."""
    found = part(value, key)
    if not isinstance(found, str):
        raise Wrong(f"{key} is {kind_of(found)}, not text")
    return found


def texts(value: Any, key: str, count: int = 0) -> list[str]:
    """A list of texts, of a certain length where that is known."""
    found = part(value, key)
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise Wrong(f"{key} is not a list of texts: {quoted(repr(found))}")
    if count and len(found) != count:
        raise Wrong(f"{key} has {len(found)} texts where {count} are wanted")
    return found


def number(found: Any, what: str) -> float:
    """A finite number or NaN, as JSON has it or as text.

    Raises:
        Wrong: anything else.
    """
    value = found
    if isinstance(found, str):
        try:
            value = float(found)
        except ValueError:
            raise Wrong(f"{what} is not a number: {quoted(found)}") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isinf(value):
        raise Wrong(f"{what} is not a number: {quoted(repr(found))}")
    return float(value)


def rating(found: Any, what: str) -> float:
    """A rating that somebody gave.

    Raises:
        LeftOut: it is NaN: nobody did.
        Wrong: it is not a number.
    """
    value = number(found, what)
    if math.isnan(value):
        raise LeftOut("the rating is NaN")
    return value


def choice(value: Any, key: str) -> int:
    """0 or 1: which of two captions."""
    found = part(value, key)
    if isinstance(found, bool) or found not in (0, 1):
        raise Wrong(f"{key} is {quoted(repr(found))}", "0 for the first caption, 1 for the second")
    return int(found)


__all__ = [
    "LeftOut", "Rows", "Work", "Wrong", "choice", "keyed", "lines_of", "listed", "number", "part", "rating", "text",
    "texts",
]  # fmt: skip
