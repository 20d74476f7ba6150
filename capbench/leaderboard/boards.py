"""Tables: runs of one benchmark side by side, a rank in every column, and where the columns disagree."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from capbench.errors import UsageError
from capbench.leaderboard import ranking
from capbench.leaderboard.entries import Entry, chosen_entries, grouped, headline
from capbench.leaderboard.ranking import OutOfOrder, Pair
from capbench.leaderboard.reported import Reported
from capbench.types import Summary

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Head:
    """A column of a table.

    better_pairs: (better, worse) as places in ``Board.lines``, of those told apart; None where the column has no
    better side, or its metric is not installed here.
    """

    label: str
    metric: str
    column: str
    signature: str
    better: Literal["high", "low", "none"]
    better_pairs: tuple[Pair, ...] | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One system: its rank, and its numbers and ranks in the order of the table's columns (None: not there).

    label: the captioner's name, or where two have the same one that of the run's folder. data: the digest of ids,
    references and pictures. seconds: of captioning, a caption (None: not measured). date: when the run was finished.
    """

    rank: int
    label: str
    run: str
    cells: tuple[Summary | None, ...]
    ranks: tuple[int | None, ...] = ()
    data: str = ""
    captioner: str = ""
    seconds: float | None = None
    date: str = ""


@dataclass(frozen=True, slots=True)
class Board:
    """One table; its first column is the headline, by which the lines are sorted.

    sorted_by: the headline's label. reported: numbers from papers, which nobody ran here.
    """

    benchmark: str
    version: int
    items: int
    sorted_by: str
    columns: tuple[Head, ...]
    lines: tuple[Line, ...]
    mark: str = ""
    reported: tuple[Reported, ...] = ()

    def told_apart(self, k: int, i: int, j: int) -> bool:
        """Whether column k finds a difference between lines i and j, either way."""
        pairs = self.columns[k].better_pairs or ()
        return (i, j) in pairs or (j, i) in pairs

    def compared(self, k: int) -> list[Pair]:
        """The pairs of lines that both have a number in column k."""
        have = [i for i, line in enumerate(self.lines) if has_value(line.cells[k])]
        return list(itertools.combinations(have, 2))


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two systems that the headline and other columns order differently, as places in ``Board.lines``.

    above, below: as the headline orders them. columns: those that find ``below`` better, beyond chance; opposed:
    those besides the headline that find ``above`` better. certain: whether the headline's own order is beyond
    chance too.
    """

    above: int
    below: int
    columns: tuple[int, ...]
    certain: bool
    opposed: tuple[int, ...] = ()


def gather(roots: Sequence[Path], benchmark: str = "", sort: str = "") -> list[Board]:
    """The tables of all finished runs below ``roots``.

    Raises:
        BadData: no run, or damaged ones (all of them named).
        UsageError: no column is called ``sort``.
    """
    return [board(group, sort) for group in grouped(chosen_entries(roots, benchmark, sort), sort)]


def board(entries: Sequence[Entry], sort: str = "") -> Board:
    """One table of comparable runs."""
    ordered = in_order(entries, sort)
    lead = next(head for _, head in ordered if head is not None)
    systems = [entry for entry, _ in ordered]
    cells = {key: [cell(entry, key) for entry in systems] for key in column_keys(entries, lead)}
    columns = with_pairs(systems, cells, lead)
    by_column = [line_ranks(column, cells[key]) for column, key in zip(columns, cells, strict=True)]
    main_ranks = by_column[0] or [1] * len(systems)
    labels = Counter(entry.record.label for entry in systems)
    lines = tuple(
        Line(
            rank=main_ranks[i] or 1,
            label=entry.record.label if labels[entry.record.label] == 1 else entry.folder.name,
            run=entry.folder.name,
            cells=tuple(column[i] for column in cells.values()),
            ranks=tuple(None if found is None or not has_value(column[i]) else found[i]
                        for found, column in zip(by_column, cells.values(), strict=True)),
            data=entry.record.identity.data,
            captioner=entry.record.identity.captioner,
            seconds=seconds_of(entry),
            date=str(entry.record.circumstance.get("finished", ""))[:10],
        )
        for i, entry in enumerate(systems)
    )  # fmt: skip
    identity = entries[0].record.identity
    return Board(identity.benchmark, identity.version, identity.items, lead.label, columns, lines, lead.mark)


def in_order(entries: Sequence[Entry], sort: str = "") -> list[tuple[Entry, Summary | None]]:
    """The runs as a table orders them, each with the number it is sorted by.

    The headline is the one that most runs have; runs with another signature's number, or none, come last.

    Raises:
        UsageError: no run has a number.
    """
    heads = [(entry, headline(entry, sort)) for entry in entries]
    counts = Counter(key_of(head) for _, head in heads if head is not None)
    if not counts:
        raise UsageError("the runs have no number", "capbench run with a metric")
    lead = counts.most_common(1)[0][0]
    own = [(entry, head if head is not None and key_of(head) == lead else None) for entry, head in heads]
    sign = -1 if any(head is not None and head.better == "low" for _, head in own) else 1
    return sorted(own, key=lambda pair: (place_of(pair[1], sign), pair[0].record.label, pair[0].folder.name))


def column_keys(entries: Sequence[Entry], lead: Summary) -> list[Key]:
    """Every number worth a column: the headline, then the others as the runs first name them."""
    shown = [s for entry in entries for s in entry.summaries if s.better != "none" or s.column == "tied"]
    return list(dict.fromkeys(map(key_of, [lead, *shown])))


def key_of(summary: Summary) -> Key:
    """What makes two numbers comparable."""
    return summary.column, summary.signature


def with_pairs(systems: Sequence[Entry], cells: dict[Key, list[Summary | None]], lead: Summary) -> tuple[Head, ...]:
    """The columns with the pairs that each tells apart."""
    samples = {key: next(c for c in column if c is not None) for key, column in cells.items()}
    scores = ranking.Scores(systems)
    found: dict[tuple[str, str], dict[str, tuple[Pair, ...] | None]] = {}
    for s in samples.values():
        of_metric = [x for x in samples.values() if (x.metric, x.short) == (s.metric, s.short) and x.better != "none"]
        signs = {x.column: -1 if x.better == "low" else 1 for x in of_metric}
        if (s.metric, s.short) not in found:
            must = s.short == lead.short
            found[s.metric, s.short] = ranking.better_pairs(systems, s.metric, s.short, signs, scores, must=must)
    return tuple(
        Head(s.label, s.metric, s.column, s.signature, s.better, found[s.metric, s.short].get(s.column))
        for s in samples.values()
    )


def line_ranks(column: Head, cells: Sequence[Summary | None]) -> list[int] | None:
    """Everybody's rank in a column that has a better side."""
    if column.better_pairs is None:
        return None
    return ranking.ranks(len(cells), column.better_pairs, [has_value(c) for c in cells])


def has_value(found: Summary | None) -> bool:
    """Whether there is a number."""
    return found is not None and found.value is not None


def place_of(head: Summary | None, sign: int) -> float:
    """For sorting, the best first; a run without the number comes last."""
    return float("inf") if head is None or head.value is None else -sign * head.value


def cell(entry: Entry, key: Key) -> Summary | None:
    """A run's number for a column, only if the signature is that column's."""
    return next((s for s in entry.summaries if key_of(s) == key), None)


def seconds_of(entry: Entry) -> float | None:
    """Seconds a caption, where the captioner was timed."""
    found = entry.record.circumstance.get("seconds_a_caption")
    return float(found) if isinstance(found, int | float) else None


def disagreements(table: Board) -> list[Disagreement]:
    """Pairs that some column orders, beyond chance, against the headline's order."""
    if table.columns[0].better_pairs is None:
        return []
    found = []
    for i, j in table.compared(0):
        against, opposed = (
            tuple(k for k, c in enumerate(table.columns) if k and pair in (c.better_pairs or ()))
            for pair in ((j, i), (i, j))
        )
        if against:
            found.append(Disagreement(i, j, against, table.told_apart(0, i, j), opposed))
    return found


def out_of_order(table: Board) -> list[OutOfOrder]:
    """Every system whose rank is better than that of one above it, with the nearest of these."""
    return ranking.out_of_order([line.rank for line in table.lines], table.columns[0].better_pairs or ())


def common_n(board: Board) -> int:
    """How many rows most numbers are made of."""
    counts = Counter(c.n + c.unscored for line in board.lines for c in line.cells if c is not None)
    return counts.most_common(1)[0][0] if counts else 0
