"""Pairwise verdicts, read from files in the forms in which arenas publish them, and written in our own.

    {"item": "1.jpg", "a": "blip", "b": "human", "winner": "b", "judge": "ann", "first": "a"}

One object a line, a JSON list of objects, or a table with these columns; gzip'ed or not. ``forms`` says which
other keys are understood. All that is wrong with a file is reported together, with its lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from capbench.errors import BadData, Fault
from capbench.records_raw import Parsed, Row, parse, quoted, text_of
from capbench.store import write_file

if TYPE_CHECKING:
    from capbench.arena.forms import Form

Winner = Literal["a", "b", "tie"]
Side = Literal["a", "b", ""]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judge's choice between two systems' captions of one item.

    judge: "" where the file names none. first: which of the two was shown first; "": not known. group: what the
    agreement of judges is split by. turn: which question about the item, where a judge is asked several. where: the
    file and line.
    """

    item: str
    a: str
    b: str
    winner: Winner
    judge: str = ""
    first: Side = ""
    group: str = ""
    turn: str = ""
    where: str = ""

    @property
    def choice(self) -> str:
        """The system that won; "": a tie."""
        return {"a": self.a, "b": self.b, "tie": ""}[self.winner]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What files hold. unread: replies of judges that say nothing that can be counted, by reason."""

    rows: tuple[Verdict, ...]
    unread: Mapping[str, int]

    @property
    def judges(self) -> tuple[str, ...]:
        """Every judge, in order of appearance."""
        return tuple(dict.fromkeys(v.judge for v in self.rows))


def read(paths: Sequence[str | Path]) -> Verdicts:
    """The verdicts of some files, together.

    Raises:
        MissingPart: one cannot be read.
        BadData: every fault of every file with its line.
    """
    rows: list[Verdict] = []
    faults: list[Fault] = []
    unread: dict[str, int] = {}
    for path in paths:
        own, reasons = read_rows(parse(text_of(Path(path)), str(path)), str(path), faults)
        rows += own
        for reason, count in reasons.items():
            unread[reason] = unread.get(reason, 0) + count
    if faults:
        raise BadData(f"{' and '.join(map(str, paths))} cannot be used, {len(faults)} fault(s):", faults)
    if not rows:
        raise BadData(
            f"{' and '.join(map(str, paths))} holds no verdicts", cure="one verdict a line: item, a, b, winner"
        )
    return Verdicts(tuple(rows), unread)


def read_rows(parsed: Parsed, name: str, faults: list[Fault]) -> tuple[list[Verdict], dict[str, int]]:
    """The verdicts of one file; what is wrong with it is added to ``faults``."""
    from capbench.arena.forms import form_of, verdicts_of

    faults += parsed.faults
    rows = rows_of(parsed, name, faults)
    form = form_of([row.value for row in rows])
    unread: dict[str, int] = {}
    if form is None:
        if rows:
            keys = ", ".join(map(quoted, rows[0].value)) or "no keys"
            faults.append(Fault(rows[0].where, f"no verdict; it has {keys}", "item, a, b and winner in every row"))
        return [], unread
    return [v for row in rows for v in verdicts_of(form, row, faults, unread)], unread


def rows_of(parsed: Parsed, name: str, faults: list[Fault]) -> list[Row]:
    """The objects of a file, each with its place."""
    if parsed.form != "json":
        return list(parsed.rows)
    if isinstance(parsed.value, dict):
        return [Row(f"{name} line 1", parsed.value)]
    if not isinstance(parsed.value, list):
        faults.append(Fault(name, f"not a list of verdicts: {quoted(repr(parsed.value))}", "one verdict a line"))
        return []
    bad = [i for i, row in enumerate(parsed.value) if not isinstance(row, dict)]
    faults += [Fault(f"{name} [{i}]", f"not a JSON object: {quoted(repr(parsed.value[i]))}") for i in bad]
    return [Row(f"{name} [{i}]", row) for i, row in enumerate(parsed.value) if isinstance(row, dict)]


def form_of_file(path: str | Path) -> Form | None:
    """In which form a file holds verdicts, by its first rows; None: it holds something else.

    Raises:
        MissingPart, BadData: it cannot be read.
    """
    from capbench.arena.forms import form_of

    name = str(path)
    parsed = parse(text_of(Path(path)), name)
    return form_of([row.value for row in rows_of(parsed, name, [])])


def write(verdicts: Iterable[Verdict], target: Path) -> None:
    """Verdicts as JSON lines, in the form that ``read`` takes."""
    lines = []
    for v in verdicts:
        row = {"item": v.item, "a": v.a, "b": v.b, "winner": v.winner, "judge": v.judge, "first": v.first}
        row |= {"group": v.group, "turn": v.turn}
        lines.append(json.dumps({k: value for k, value in row.items() if value or k == "item"}) + "\n")
    write_file(target, "".join(lines).encode())
