"""Tables as Markdown: the numbers, a rank in every column, which pairs differ, and what was only reported."""

from __future__ import annotations

from collections.abc import Sequence

from capbench.leaderboard.boards import Board, Line, common_n, disagreements, out_of_order
from capbench.leaderboard.text import escape, in_code, interval, seconds_text, show
from capbench.types import Summary

ARROWS = {"high": " ↑", "low": " ↓", "none": ""}
LEGEND = (
    "Brackets: 95% bootstrap interval over images, or over galleries for retrieval ([-]: fewer than 10 galleries). "
    "Rank: one more than the number of systems that are better beyond chance (paired difference, 95%, uncorrected); "
    "= is shared."
)


def markdown(boards: Sequence[Board]) -> str:
    """The tables with their signatures as footnotes."""
    return "\n".join(one_markdown(board) for board in boards)


def one_markdown(board: Board) -> str:
    """One table and what follows from it."""
    mark = f", {board.mark}: not comparable with the others" if board.mark else ""
    title = f"**{escape(board.benchmark)}** version {board.version}, {board.items} images, by {escape(board.sorted_by)}"
    notes = {signature: i for i, signature in enumerate(dict.fromkeys(c.signature for c in board.columns), 1)}
    footnotes = "  \n".join(f"[{i}] `{in_code(signature)}`" for signature, i in notes.items())
    parts = [
        title + mark,
        numbers(board, notes),
        f"{LEGEND} {counted(board)}".strip(),
        out_of_order_lines(board),
        ranks(board),
        pairs(board),
        disagreement_lines(board),
        reported(board),
        footnotes,
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def table(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    """Rows as a Markdown table; the first is the head."""
    rule = ["---:" if to_right else "---" for to_right in right]
    return "\n".join("| " + " | ".join(row) + " |" for row in [rows[0], rule, *rows[1:]])


def numbers(board: Board, notes: dict[str, int]) -> str:
    """The main table."""
    common = common_n(board)
    heads = [
        f"{escape(c.label)}{marks_of(board, i)}{ARROWS[c.better]} [{notes[c.signature]}]"
        for i, c in enumerate(board.columns)
    ]
    extra = extra_columns(board)
    rows = [["rank", "captioner", *heads, *(name for name, _ in extra)]]
    for i, line in enumerate(board.lines):
        cells = [interval(c) + other_n(c, common) for c in line.cells]
        more = [values[i] for _, values in extra]
        rows.append([rank_text(board, [x.rank for x in board.lines], i), escape(line.label), *cells, *more])
    return table(rows, [True, False, *[True] * (len(heads) + len(extra))])


def marks_of(board: Board, i: int) -> str:
    """What is to be known of a column, in brackets, if the title does not say it."""
    marks = dict.fromkeys(cell.mark for cell in (line.cells[i] for line in board.lines) if cell is not None)
    return "".join(f" ({escape(mark)})" for mark in marks if mark not in ("", board.mark))


def extra_columns(board: Board) -> list[tuple[str, list[str]]]:
    """Columns that only some tables need: empty and truncated captions, seconds, the date."""
    found = []
    for name, field in (("empty", "empty"), ("truncated", "cut")):
        counts = [max((getattr(c, field) for c in line.cells if c is not None), default=0) for line in board.lines]
        if any(counts):
            found.append((name, [str(count) for count in counts]))
    if any(line.seconds is not None for line in board.lines):
        found.append(("s/caption", [seconds_text(line.seconds) for line in board.lines]))
    if any(line.date for line in board.lines):
        found.append(("run on", [escape(line.date) or "-" for line in board.lines]))
    return found


def other_n(found: Summary | None, common: int) -> str:
    """How many rows a number is made of, where it is not as in most cells."""
    return "" if found is None or found.n + found.unscored == common else f" (n {found.n})"


def counted(board: Board) -> str:
    """What n is."""
    return f"n is {common_n(board)} unless a cell says otherwise."


def rank_text(board: Board, all_ranks: Sequence[int | None], i: int) -> str:
    """1, or 1= where it is shared."""
    mine = all_ranks[i]
    if mine is None:
        return "-"
    shared = any(other == mine for j, other in enumerate(all_ranks) if j != i and has_line(board.lines[j]))
    return f"{mine}=" if shared else str(mine)


def has_line(line: Line) -> bool:
    """Whether a line has any number, and so a place that can be shared."""
    return any(c is not None and c.value is not None for c in line.cells)


def out_of_order_lines(board: Board) -> str:
    """Which ranks do not rise down the table, and why."""
    names, ranks = [escape(line.label) for line in board.lines], [line.rank for line in board.lines]
    lines = [f"- {found.told(names, ranks)}" for found in out_of_order(board)]
    return f"Ranks that are not in the order of {escape(board.sorted_by)}:\n\n" + "\n".join(lines) if lines else ""


def ranked_columns(board: Board) -> list[int]:
    """The columns that have ranks."""
    return [k for k, column in enumerate(board.columns) if column.better_pairs is not None]


def ranks(board: Board) -> str:
    """The rank in every column."""
    ranked = ranked_columns(board)
    if len(ranked) < 2 or len(board.lines) < 2:
        return ""
    rows = [["rank by", *(escape(board.columns[k].label) for k in ranked)]]
    by_column = {k: [line.ranks[k] for line in board.lines] for k in ranked}
    for i, line in enumerate(board.lines):
        rows.append([escape(line.label), *(rank_text(board, by_column[k], i) for k in ranked)])
    return table(rows, [False, *[True] * len(ranked)])


def pairs(board: Board) -> str:
    """How many pairs each column tells apart, and the others by name."""
    rows = [["column", "pairs that differ", "pairs that it cannot tell apart"]]
    for k in ranked_columns(board):
        compared = board.compared(k)
        same = [(i, j) for i, j in compared if not board.told_apart(k, i, j)]
        names = [f"{escape(board.lines[i].label)} ~ {escape(board.lines[j].label)}" for i, j in same]
        count = f"{len(compared) - len(same)} of {len(compared)}"
        rows.append([escape(board.columns[k].label), count, ", ".join(names) or "none"])
    return table(rows, [False, True, False]) if len(board.lines) > 1 and len(rows) > 1 else ""


def disagreement_lines(board: Board) -> str:
    """Where a column contradicts the headline, with both sides' numbers."""
    lines = []
    for found in disagreements(board):
        above, below = board.lines[found.above], board.lines[found.below]
        sides, opposed = (
            ", ".join(f"{escape(board.columns[k].label)} ({both(below.cells[k], above.cells[k])})" for k in places)
            for places in (found.columns, ((0,) if found.certain else ()) + found.opposed)
        )
        said = [f"{opposed} {'says' if ', ' not in opposed else 'say'} the opposite"] if opposed else []
        if not found.certain:
            said.append(f"{escape(board.sorted_by)} ({both(below.cells[0], above.cells[0])}) cannot tell them apart")
        lines.append(f"- {escape(below.label)} is better than {escape(above.label)} by {sides}; {'; '.join(said)}.")
    return "Where the columns disagree:\n\n" + "\n".join(lines) if lines else ""


def both(first: Summary | None, second: Summary | None) -> str:
    """Two values side by side."""
    return " : ".join("-" if c is None or c.value is None else show(c.value) for c in (first, second))


def reported(board: Board) -> str:
    """Numbers that were only reported, as their sources print them."""
    if not board.reported:
        return ""
    names = list(dict.fromkeys(name for row in board.reported for name in row.values))
    rows = [["captioner", *map(escape, names), "source"]]
    for row in board.reported:
        link = f"{escape(row.source)} {web_address(row.url)}".strip()
        note = f" ({escape(row.note)})" if row.note else ""
        rows.append([escape(row.captioner), *(number(row.values.get(name)) for name in names), link + note])
    return "Reported, not run (other code, other data perhaps; no rank):\n\n" + table(
        rows, [False, *[True] * len(names), False]
    )


def number(value: float | None) -> str:
    """A number as its source prints it."""
    return "-" if value is None else repr(value)


def web_address(url: str) -> str:
    """An address that cannot leave its angle brackets or its cell."""
    return f"<{''.join(ch if ch.isalnum() or ch in ':/.-_~?#@!$&()+,;=%' else '%20' for ch in url)}>" if url else ""
