"""Tables from run folders: gathered, split by signature, ranked, written. Nothing is run here.

A rank is one more than the number of systems that are better beyond chance (the 95% interval of the
paired bootstrap difference in the headline column excludes 0), so systems that cannot be told apart
share one. Numbers whose signatures differ never share a column.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from capbench import codec, plugins, stats, store
from capbench.errors import BadData, CapbenchError, CheckFailed, Fault, UsageError
from capbench.store import Record
from capbench.types import Rows, Summary

ENTRY_FILES = (store.RUN, store.SUMMARY, store.SCORES)


@dataclass(frozen=True, slots=True)
class Entry:
    """One run as the table sees it."""

    folder: Path
    record: Record
    summaries: tuple[Summary, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One system: its rank, and its numbers in the order of the table's columns (None: not there)."""

    rank: int
    label: str
    run: str
    cells: tuple[Summary | None, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """One table. columns: (label, signature) of each column; sorted_by: the label of the headline."""

    benchmark: str
    version: int
    items: int
    sorted_by: str
    columns: tuple[tuple[str, str, str], ...]
    lines: tuple[Line, ...]
    mark: str = ""


def gather(roots: Sequence[Path], benchmark: str = "", sort: str = "") -> list[Board]:
    """The tables of all finished runs below ``roots``.

    Raises:
        BadData: no run, or damaged ones (all of them named).
        UsageError: no column is called ``sort``.
    """
    entries, faults = read_entries(roots)
    if faults:
        raise BadData("some runs cannot be read:", faults)
    chosen = [e for e in entries if benchmark in ("", e.record.identity.benchmark)]
    if not chosen:
        what = f" of {benchmark}" if benchmark else ""
        raise BadData(
            f"no finished run{what} below {', '.join(map(str, roots))}",
            cure="capbench run CAPTIONER -b BENCHMARK",
        )
    groups: dict[tuple[Any, ...], list[Entry]] = {}
    for entry in chosen:
        groups.setdefault(group_of(entry), []).append(entry)
    return [board(group, sort) for _, group in sorted(groups.items(), key=lambda pair: pair[0][:3])]


def read_entries(roots: Sequence[Path]) -> tuple[list[Entry], list[Fault]]:
    """Finished runs, and what is wrong with the others."""
    entries, faults = [], []
    for root in roots:
        for folder in store.find_runs(root):
            try:
                record = store.read_record(folder)
                if record.status == "finished":
                    entries.append(Entry(folder, record, store.read_summary(folder)))
            except (CapbenchError, OSError) as error:
                faults.append(Fault(str(folder), str(error).replace("\n", " ")))
    return entries, faults


def group_of(entry: Entry) -> tuple[Any, ...]:
    """Runs share a table when they share a benchmark, its version, and the signature that they are sorted by."""
    identity = entry.record.identity
    head = headline(entry)
    return identity.benchmark, identity.version, head.mark if head else "", head.signature if head else ""


def headline(entry: Entry, sort: str = "") -> Summary | None:
    """The number that a run is sorted by: the column asked for, the stated headline, else the first."""
    if sort:
        return next((s for s in entry.summaries if sort in (s.column, s.label)), None)
    stated = [m.short for m in entry.record.metrics if m.headline]
    return next((s for s in entry.summaries if s.short in stated), entry.summaries[0] if entry.summaries else None)


def board(entries: Sequence[Entry], sort: str) -> Board:
    """One table of comparable runs."""
    columns: dict[tuple[str, str, str], None] = {}
    for entry in entries:
        for s in entry.summaries:
            if s.better != "none" or s.column == "tied":
                columns.setdefault((s.label, s.column, s.signature))
    heads = [(entry, headline(entry, sort)) for entry in entries]
    known = [head for _, head in heads if head is not None]
    if not known:
        raise UsageError(f"no column is called {sort!r}", f"there are: {', '.join(c[0] for c in columns)}")
    sign = -1 if known[0].better == "low" else 1
    ordered = sorted(heads, key=lambda pair: (-sign * value_of(pair[1]), pair[0].record.label, pair[0].folder.name))
    ranks = shared_ranks([entry for entry, _ in ordered], [head for _, head in ordered], sign)
    lines = tuple(
        Line(rank, entry.record.label, entry.folder.name, tuple(cell(entry, column) for column in columns))
        for rank, (entry, _) in zip(ranks, ordered, strict=True)
    )
    identity = entries[0].record.identity
    return Board(
        identity.benchmark,
        identity.version,
        identity.items,
        known[0].label,
        tuple(columns),
        lines,
        known[0].mark,
    )


def value_of(head: Summary | None) -> float:
    """For sorting; a run without the number comes last."""
    return float("-inf") if head is None or head.value is None else head.value


def cell(entry: Entry, column: tuple[str, str, str]) -> Summary | None:
    """A run's number for a column, only if the signature is that column's."""
    return next((s for s in entry.summaries if (s.label, s.column, s.signature) == column), None)


def shared_ranks(entries: Sequence[Entry], heads: Sequence[Summary | None], sign: int) -> list[int]:
    """1 + how many are better beyond chance. A run without the number has the last rank."""
    rows = [None if h is None else headline_rows(e, h) for e, h in zip(entries, heads, strict=True)]
    ranks = []
    for i, mine in enumerate(rows):
        better = sum(
            mine is None or (theirs is not None and is_better(theirs, mine, sign, heads[i]))
            for theirs in rows[:i]
        )  # fmt: skip
        ranks.append(1 + better)
    return ranks


@dataclass(frozen=True, slots=True)
class HeadRows:
    """The rows behind a headline number, in the order of ``names``, and its metric's fold if it has one."""

    names: tuple[str, ...]
    rows: Rows
    reduce: Any


def headline_rows(entry: Entry, head: Summary) -> HeadRows:
    """Read the rows, and load the metric for its fold of sums."""
    scored = next(s for s in store.read_scores(entry.folder) if s.key == f"{head.metric}#{head.short}")
    spec = next(m.spec for m in entry.record.metrics if m.short == head.short)
    reduce = getattr(plugins.load("metrics", spec).value, "reduce", None)
    columns = dict(scored.rows.columns) if reduce else {head.column: scored.rows.columns[head.column]}
    names = np.array(store.read_items(entry.folder), object)[scored.rows.items]
    bags = np.zeros(len(names), np.int64) if scored.rows.bags is None else scored.rows.bags
    order = np.lexsort((bags, names, scored.samples))
    rows = Rows(
        {name: column[order] for name, column in columns.items()},
        None,
        None if scored.rows.bags is None else bags[order],
    )
    return HeadRows(tuple(names[order]), rows, reduce)


def is_better(first: HeadRows, second: HeadRows, sign: int, head: Summary | None) -> bool:
    """Whether first beats second beyond chance in the headline column."""
    if head is None or first.names != second.names:
        return False
    found = stats.paired_differences(first.rows, second.rows, first.reduce)[head.column]
    return (found.low > 0) if sign > 0 else (found.high < 0)


def show(value: float) -> str:
    """A number for tables: three or four digits that matter."""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def interval(summary: Summary | None) -> str:
    """0.912 [0.901, 0.923], with the count of unscored rows beside it where there are any."""
    if summary is None:
        return "-"
    if summary.value is None or summary.low is None or summary.high is None:
        return f"unscored ({summary.unscored})"
    text = f"{show(summary.value)} [{show(summary.low)}, {show(summary.high)}]"
    return text + (f" ({summary.unscored} unscored)" if summary.unscored else "")


def escape(text: str) -> str:
    """A name that cannot break a Markdown table or become markup."""
    plain = "".join(ch if ch.isprintable() else " " for ch in text)
    for mark in "\\|<>`*_[]":
        plain = (
            plain.replace(mark, "\\" + mark)
            if mark not in "<>"
            else plain.replace(mark, {"<": "&lt;", ">": "&gt;"}[mark])
        )
    return plain


def markdown(boards: Sequence[Board]) -> str:
    """The tables with their signatures as footnotes."""
    return "\n".join(one_markdown(board) for board in boards)


def one_markdown(board: Board) -> str:
    """One table."""
    arrows = {"high": " ↑", "low": " ↓", "none": ""}
    betters = [better_of(board, i) for i in range(len(board.columns))]
    heads = [
        f"{escape(label)}{arrows[b]} [{i}]"
        for i, ((label, _, _), b) in enumerate(zip(board.columns, betters, strict=True), 1)
    ]
    empties = any(c is not None and c.empty for line in board.lines for c in line.cells)
    extra = ["empty"] if empties else []
    rows = [["rank", "captioner", *heads, *extra], ["---:", "---", *["---:"] * (len(heads) + len(extra))]]
    for line in board.lines:
        numbers = [interval(c) for c in line.cells]
        count = [str(max((c.empty for c in line.cells if c is not None), default=0))] if empties else []
        rows.append([str(line.rank), escape(line.label), *numbers, *count])
    mark = f", {board.mark}: not comparable with the others" if board.mark else ""
    title = f"**{escape(board.benchmark)}** version {board.version}, {board.items} images, by {board.sorted_by}{mark}"
    notes = [f"[{i}] `{signature}`" for i, (_, _, signature) in enumerate(board.columns, 1)]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    legend = "Intervals: 95% bootstrap over images. Shared rank: the paired difference is not significant at 95%."
    return f"{title}\n\n{table}\n\n{legend}\n\n" + "  \n".join(notes) + "\n"


def better_of(board: Board, i: int) -> str:
    """Which way is better in a column."""
    return next((cell.better for cell in (line.cells[i] for line in board.lines) if cell is not None), "none")


def csv_text(boards: Sequence[Board]) -> str:
    """One line a number. Texts that a spreadsheet would run as a formula are quoted with '."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = ["benchmark", "version", "rank", "captioner", "run", *Summary.__dataclass_fields__]
    writer.writerow(names)
    for b in boards:
        for line in b.lines:
            for c in line.cells:
                if c is not None:
                    values = [b.benchmark, b.version, line.rank, line.label, line.run, *asdict(c).values()]
                    writer.writerow(
                        [f"'{v}" if isinstance(v, str) and v[:1] in "=+-@\t\r" and v else v for v in values]
                    )
    return out.getvalue()


def json_text(boards: Sequence[Board]) -> str:
    """The tables as one JSON list."""
    return codec.to_json([asdict(b) for b in boards]) + "\n"


def write_board(boards: Sequence[Board], entries: Sequence[Path], target: Path, command: str) -> None:
    """Write README.md, table.csv and the entries (run folders without captions) below ``target``."""
    for source in entries:
        kept = target / "entries" / source.name
        kept.mkdir(parents=True, exist_ok=True)
        for name in ENTRY_FILES:
            if kept.resolve() != source.resolve():
                shutil.copyfile(source / name, kept / name)
    store.write_file(target / "README.md", page(boards, command).encode())
    store.write_file(target / "table.csv", csv_text(boards).encode())


def page(boards: Sequence[Board], command: str) -> str:
    """README.md of a leaderboard: generated, never edited."""
    title = escape(boards[0].benchmark)
    made = f"Made by:\n\n```\n{command}\n```\n"
    return f"# {title}\n\nGenerated; do not edit.\n\n{markdown(boards)}\n{made}"


def check_board(target: Path) -> None:
    """Refuse a written table that differs from what its entries give.

    Raises:
        CheckFailed: README.md or table.csv is stale.
    """
    boards = gather([target / "entries"])
    committed = (target / "README.md").read_text(encoding="utf-8") if (target / "README.md").exists() else ""
    command = committed.rpartition("Made by:\n\n```\n")[2].partition("\n```")[0]
    table = (target / "table.csv").read_text(encoding="utf-8") if (target / "table.csv").exists() else ""
    if committed != page(boards, command) or table != csv_text(boards):
        raise CheckFailed(
            f"{target} is stale: its table is not what its entries give",
            f"capbench leaderboard --write {target}",
        )
