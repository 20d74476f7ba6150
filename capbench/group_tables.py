"""Tables split by a tag, written: of one run, and of leaderboards. The numbers come from ``capbench.groups``."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from capbench import codec, groups, store
from capbench.errors import BadData, Fault, UsageError
from capbench.leaderboard import Board, Entry, Line, escape, in_code, interval, quoted, read_entries, show
from capbench.store import Run
from capbench.tables import safe
from capbench.types import Group, GroupScore

LEGEND = (
    "Each group's numbers are made from the same rows as the whole table's: what a metric takes from the whole set "
    "(CIDEr's document frequencies) is not made anew. Brackets: 95% bootstrap interval within the group."
)


@dataclass(frozen=True, slots=True)
class GroupLine:
    """One system: its groups, the last being all items."""

    rank: int
    label: str
    run: str
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class GroupBoard:
    """One table split by a tag. columns: (label, column, signature), as the whole table has them."""

    benchmark: str
    version: int
    by: str
    columns: tuple[tuple[str, str, str], ...]
    lines: tuple[GroupLine, ...]


def one_run(found: Sequence[Group]) -> str:
    """The groups of one run as a plain table that is also Markdown: measure by measure, group by group."""
    rows = [["measure", escape(found[0].tag), "value [95% interval]", "n", "unscored"]]
    for place, first in enumerate(found[0].scores):
        for group in found:
            score = group.scores[place]
            text = interval(score) if score.better != "none" or score.value is None else show(score.value)
            mark = f" ({first.mark})" if first.mark else ""
            counts = [str(score.n), str(score.unscored)]
            rows.append([escape(first.label) + mark, escape(group.name), text.partition(" (")[0], *counts])
    return plain_table(rows, left=(0, 1))


def plain_table(rows: Sequence[Sequence[str]], left: Sequence[int]) -> str:
    """Rows of cells, the first being the heads, as a table that is also Markdown; ``left``: columns not of numbers."""
    widths = [max(len("---" if i in left else "---:"), *(len(row[i]) for row in rows)) for i in range(len(rows[0]))]
    rule = ["-" * (w - 1) + ("-" if i in left else ":") for i, w in enumerate(widths)]
    cells = [
        [c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        for row in rows
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in [cells[0], rule, *cells[1:]])


def split_boards(boards: Sequence[Board], roots: Sequence[Path], tag: str) -> tuple[list[GroupBoard], list[str]]:
    """The boards split by a tag, and the names of benchmarks whose runs have no such tag.

    Raises:
        UsageError: no run has it.
        BadData: some runs of a board have it and others have not.
    """
    entries, _ = read_entries(roots)
    made, without = [], []
    for board in boards:
        lines, missing = [], []
        for line in board.lines:
            entry = entry_of(line, board, entries)
            try:
                lines.append(GroupLine(line.rank, line.label, line.run, groups.split(run_of(entry), tag)))
            except UsageError as error:
                missing.append((entry, error))
        if missing and not lines:
            without.append((board.benchmark, missing[0][1]))
        elif missing:
            cure = "run the same command again: nothing is computed anew, and tags are written"
            raise BadData("some runs have no such tag:", [Fault(str(e.folder), x.message) for e, x in missing], cure)
        else:
            columns = tuple((c.label, c.column, c.signature) for c in board.columns)
            made.append(GroupBoard(board.benchmark, board.version, tag, columns, tuple(lines)))
    if not made:
        raise without[0][1]
    return made, [name for name, _ in without]


def entry_of(line: Line, board: Board, entries: Sequence[Entry]) -> Entry:
    """The run that a line of a table was made of: its folder's name and all its numbers are the line's."""
    cells = {cell for cell in line.cells if cell is not None}
    return next(
        entry
        for entry in entries
        if entry.folder.name == line.run
        and entry.record.identity.benchmark == board.benchmark
        and cells <= set(entry.summaries)
    )


def run_of(entry: Entry) -> Run:
    """What ``groups.split`` needs of a run on disk; captions are not read."""
    ids = store.read_items(entry.folder)
    scored = store.read_scores(entry.folder, ids)
    tags = store.read_tags(entry.folder, ids)
    return Run(entry.record, entry.summaries, (), scored, tuple(ids), entry.folder, tags)


def cells_of(board: GroupBoard, group: Group) -> list[GroupScore | None]:
    """A group's numbers in the order of the table's columns."""
    known = {(score.label, score.column, score.signature): score for score in group.scores}
    return [known.get(column) for column in board.columns]


def markdown(boards: Sequence[GroupBoard]) -> str:
    """The tables: a line for each system and group."""
    return "\n".join(one_markdown(board) for board in boards)


def one_markdown(board: GroupBoard) -> str:
    """One table with its signatures as footnotes."""
    notes = {signature: i for i, signature in enumerate(dict.fromkeys(c[2] for c in board.columns), 1)}
    heads = [f"{escape(label)} [{notes[signature]}]" for label, _, signature in board.columns]
    rows = [["rank", "captioner", escape(board.by), "images", *heads]]
    rows.append(["---:", "---", "---", "---:", *["---:"] * len(heads)])
    for line in board.lines:
        for group in line.groups:
            numbers = [cell_text(cell, group) for cell in cells_of(board, group)]
            rows.append([str(line.rank), escape(line.label), escape(group.name), str(group.items), *numbers])
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    footnotes = "  \n".join(f"[{i}] `{in_code(signature)}`" for signature, i in notes.items())
    title = f"**{escape(board.benchmark)}** version {board.version}, split by {escape(board.by)}"
    return f"{title}\n\n{table}\n\nRanks are those of the whole table. {LEGEND}\n\n{footnotes}\n"


def cell_text(cell: GroupScore | None, group: Group) -> str:
    """The number, its interval, and n where it is not the number of images."""
    text = interval(cell)
    return text if cell is None or cell.n + cell.unscored == group.items else f"{text}, n {cell.n}"


def csv_text(boards: Sequence[GroupBoard]) -> str:
    """One line a number. Texts that a spreadsheet would run as a formula are quoted with '."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    fields = list(GroupScore.__dataclass_fields__)
    writer.writerow(["benchmark", "version", "rank", "captioner", "run", "tag", "group", "images", *fields])
    for board in boards:
        for line in board.lines:
            for group in line.groups:
                head = [board.benchmark, board.version, line.rank, line.label, line.run, group.tag, group.name]
                for score in filter(None, cells_of(board, group)):
                    values = [*head, group.items, *asdict(score).values()]
                    writer.writerow([safe(quoted(v)) if isinstance(v, str) else v for v in values])
    return out.getvalue()


def json_text(boards: Sequence[GroupBoard]) -> str:
    """The tables as one JSON list."""
    return codec.to_json([asdict(board) for board in boards]) + "\n"


FORMS = {"md": markdown, "csv": csv_text, "json": json_text}
