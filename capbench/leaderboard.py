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
from capbench.tables import safe
from capbench.types import GroupScore, Rows, Summary

LEGEND = (
    "Brackets: 95% bootstrap interval over images, or over galleries for retrieval ([-]: fewer than 10 galleries). "
    "A shared rank: the paired difference is not significant at 95%, uncorrected."
)
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
    chosen = [e for e in entries if benchmark in ("", e.record.identity.benchmark) and e.summaries]
    if not chosen:
        what = f" of {benchmark}" if benchmark else ""
        raise BadData(
            f"no finished run{what} below {', '.join(map(str, roots))}",
            cure="capbench run CAPTIONER -b BENCHMARK",
        )
    if sort and not any(named(entry, sort) for entry in chosen):
        names = dict.fromkeys(s.column for entry in chosen for s in entry.summaries)
        raise UsageError(f"no column is called {sort!r}", f"there are: {', '.join(names)}")
    groups: dict[tuple[Any, ...], list[Entry]] = {}
    for entry in chosen:
        groups.setdefault(group_of(entry, sort), []).append(entry)
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


def group_of(entry: Entry, sort: str) -> tuple[Any, ...]:
    """Runs share a table when they share a benchmark, its version, and the signature that they are sorted by."""
    identity = entry.record.identity
    head = headline(entry, sort)
    return identity.benchmark, identity.version, head.mark if head else "", head.signature if head else ""


def headline(entry: Entry, sort: str = "") -> Summary | None:
    """The number that a run is sorted by: the column asked for, else the stated headline, else the first."""
    if sort and named(entry, sort):
        return named(entry, sort)
    stated = [m.short for m in entry.record.metrics if m.headline]
    return next((s for s in entry.summaries if s.short in stated), entry.summaries[0] if entry.summaries else None)


def named(entry: Entry, name: str) -> Summary | None:
    """The first number whose column or label this is."""
    return next((s for s in entry.summaries if name in (s.column, s.label)), None)


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
        raise UsageError("the runs have no number", "capbench run with a metric")
    sign = -1 if known[0].better == "low" else 1
    ordered = sorted(heads, key=lambda pair: (place_of(pair[1], sign), pair[0].record.label, pair[0].folder.name))
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


def place_of(head: Summary | None, sign: int) -> float:
    """For sorting, the best first; a run without the number comes last."""
    return float("inf") if head is None or head.value is None else -sign * head.value


def cell(entry: Entry, column: tuple[str, str, str]) -> Summary | None:
    """A run's number for a column, only if the signature is that column's."""
    return next((s for s in entry.summaries if (s.label, s.column, s.signature) == column), None)


def shared_ranks(entries: Sequence[Entry], heads: Sequence[Summary | None], sign: int) -> list[int]:
    """1 + how many are better beyond chance. Runs without the number come after all that have it."""
    rows = [None if h is None or h.value is None else headline_rows(e, h) for e, h in zip(entries, heads, strict=True)]
    ranks = []
    for i, mine in enumerate(rows):
        better = sum(
            theirs is not None and (mine is None or is_better(theirs, mine, sign, heads[i]))
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


def interval(summary: Summary | GroupScore | None) -> str:
    """0.912 [0.901, 0.923], with the count of unscored rows beside it where there are any."""
    if summary is None:
        return "-"
    if summary.value is None:
        return f"unscored ({summary.unscored})"
    bounds = "-" if summary.low is None or summary.high is None else f"{show(summary.low)}, {show(summary.high)}"
    text = f"{show(summary.value)} [{bounds}]"
    return text + (f" ({summary.unscored} unscored)" if summary.unscored else "")


def escape(text: str) -> str:
    """A name that cannot break a Markdown table or become markup."""
    plain = "".join(ch if ch.isprintable() else " " for ch in text)
    for mark in "\\|<>`*[]":
        plain = (
            plain.replace(mark, "\\" + mark)
            if mark not in "<>"
            else plain.replace(mark, {"<": "&lt;", ">": "&gt;"}[mark])
        )
    return plain


def in_code(text: str) -> str:
    """A signature that cannot end the code span it stands in: such characters are percent-escaped."""
    return "".join(
        ch
        if ch.isprintable() and ch != "`"
        else "".join(f"%{byte:02X}" for byte in ch.encode("utf-8", "surrogatepass"))
        for ch in text
    )


def markdown(boards: Sequence[Board]) -> str:
    """The tables with their signatures as footnotes."""
    return "\n".join(one_markdown(board) for board in boards)


def one_markdown(board: Board) -> str:
    """One table."""
    arrows = {"high": " ↑", "low": " ↓", "none": ""}
    notes = {signature: i for i, signature in enumerate(dict.fromkeys(c[2] for c in board.columns), 1)}
    heads = [
        f"{escape(label)}{arrows[better_of(board, i)]} [{notes[signature]}]"
        for i, (label, _, signature) in enumerate(board.columns)
    ]
    empties = any(c is not None and c.empty for line in board.lines for c in line.cells)
    extra = ["empty"] if empties else []
    rows = [["rank", "captioner", *heads, *extra], ["---:", "---", *["---:"] * (len(heads) + len(extra))]]
    for line in board.lines:
        numbers = [interval(c) for c in line.cells]
        count = [str(max((c.empty for c in line.cells if c is not None), default=0))] if empties else []
        rows.append([str(line.rank), escape(line.label), *numbers, *count])
    mark = f", {board.mark}: not comparable with the others" if board.mark else ""
    by = f"by {escape(board.sorted_by)}{mark}"
    title = f"**{escape(board.benchmark)}** version {board.version}, {board.items} images, {by}"
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    footnotes = "  \n".join(f"[{i}] `{in_code(signature)}`" for signature, i in notes.items())
    return f"{title}\n\n{table}\n\n{LEGEND}\n\n{footnotes}\n"


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
                    writer.writerow([safe(quoted(v)) if isinstance(v, str) else v for v in values])
    return out.getvalue()


def quoted(text: str) -> str:
    """A text that no spreadsheet takes for a formula, in one field: a lone CR would not be quoted."""
    plain = text.replace("\r", "\n")
    return f"'{plain}" if plain.startswith(("=", "+", "-", "@", "\t", "\n")) else plain


def json_text(boards: Sequence[Board]) -> str:
    """The tables as one JSON list."""
    return codec.to_json([asdict(b) for b in boards]) + "\n"


def write_board(boards: Sequence[Board], entries: Sequence[Path], target: Path, command: str) -> None:
    """Write README.md, table.csv and the entries (run folders without captions) below ``target``."""
    for source in entries:
        kept = target / "entries" / source.name
        kept.mkdir(parents=True, exist_ok=True)
        for name in (*ENTRY_FILES, *([store.TAGS] if (source / store.TAGS).exists() else [])):
            if kept.resolve() != source.resolve():
                shutil.copyfile(source / name, kept / name)
    store.write_file(target / "README.md", page(boards, command).encode())
    store.write_file(target / "table.csv", csv_text(boards).encode())


def page(boards: Sequence[Board], command: str) -> str:
    """README.md of a leaderboard: generated, never edited."""
    title = escape(boards[0].benchmark)
    made = f"Made by:\n\n```\n{command}\n```\n"
    return f"# {title}\n\nGenerated; do not edit.\n\n{markdown(boards)}\n{made}"


def made_by(target: Path) -> str:
    """The commands that a written table names."""
    readme = target / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.exists() else ""
    return text.rpartition("Made by:\n\n```\n")[2].partition("\n```")[0]


def rewrite_board(target: Path) -> None:
    """Write a table again from its own entries."""
    write_board(gather([target / "entries"]), [], target, made_by(target))


def check_board(target: Path) -> None:
    """Refuse a written table that differs from what its entries give.

    Raises:
        CheckFailed: README.md or table.csv is stale.
    """
    boards = gather([target / "entries"])
    wanted = {"README.md": page(boards, made_by(target)), "table.csv": csv_text(boards)}
    stale = [name for name, text in wanted.items() if not same_file(target / name, text)]
    if stale:
        what = f"{target} is stale: {' and '.join(stale)} are not what its entries give"
        raise CheckFailed(what, f"capbench leaderboard --rewrite {target}")


def same_file(path: Path, text: str) -> bool:
    """Whether a file is there and holds this text."""
    return path.exists() and path.read_bytes() == text.encode()
