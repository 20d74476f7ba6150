"""Judges measured against people and against themselves, from their verdicts on pairs.

    people, people_decided   share of pairs on which judge and person say the same (a tie is an answer of its own);
                             the same where neither ties
    first                    share of choices for the caption that was shown first: 0.5 where no place is favoured
                             and both orders are asked, or the order is drawn
    swap_changes             share of pairs asked in both orders on which the two answers differ
    swap_to_first, _second   the part of these in which both answers choose, each time what stands there
    repeats                  share of pairs of answers to the same question, in the same order, that are the same

An answer in both orders is one verdict for ``people``, as in an arena. Each of several people is compared by
itself. Intervals: 95% bootstrap over items, all answers about one drawn together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np

from capbench import correlation
from capbench.arena import Contest, Verdict, contests_of, read
from capbench.arena.contests import Swap, shown_first
from capbench.comparison_text import pipes
from capbench.errors import UsageError
from capbench.judgements import ALL
from capbench.leaderboard import escape, show
from capbench.leaderboard.text import printable

PEOPLE = "human"
STATISTICS = ("people", "people_decided", "first", "swap_changes", "swap_to_first", "swap_to_second", "repeats")
Hit = tuple[str, float]  # an item, and whether the answer is counted (1 or 0)


@dataclass(frozen=True, slots=True)
class Rate:
    """One statistic of one judge. group: "all", or a group of the verdicts. low, high: None for fewer than 10 items."""

    judge: str
    statistic: str
    group: str
    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Judges:
    """Everything that one call found. people: the judges who are people; unread: replies that say nothing."""

    name: str
    people: tuple[str, ...]
    judges: tuple[str, ...]
    rates: tuple[Rate, ...]
    unread: dict[str, int]


def evaluate_judges(path: str | Path, people: str = PEOPLE) -> Judges:
    """Every judge in a file of verdicts.

    people: a pattern of the names of judges who are people, as in ``expert_*``.

    Raises:
        UsageError: people are asked for by another pattern than the default, and no judge has such a name.
        MissingPart, BadData: the file cannot be read.
    """
    verdicts = read([path])
    judges = verdicts.judges
    human = tuple(name for name in judges if fnmatchcase(name, people))
    if not human and people != PEOPLE:
        raise UsageError(f"no judge is called {people!r}", f"judges: {', '.join(judges)}")
    contests, swaps = contests_of(verdicts.rows)
    rates: list[Rate] = []
    for judge in judges:
        own = [v for v in verdicts.rows if v.judge == judge]
        found = {
            **position(own), **swapped([s for s in swaps if s.judge == judge]), "repeats": repeated(own)
        }  # fmt: skip
        rates += with_people(judge, human, contests)
        rates += [rate(judge, name, ALL, hits) for name, hits in found.items() if hits]
    return Judges(Path(path).name, human, judges, tuple(rates), dict(verdicts.unread))


def with_people(judge: str, human: Sequence[str], contests: Sequence[Contest]) -> list[Rate]:
    """How often a judge says what people say; of a person, what the other people say."""
    asked: dict[tuple[str, str, frozenset[str]], list[Contest]] = {}
    for c in contests:
        if c.judge in human and c.judge != judge:
            asked.setdefault((c.item, c.turn, frozenset((c.a, c.b))), []).append(c)
    pairs = [
        (mine, theirs)
        for mine in contests
        if mine.judge == judge
        for theirs in asked.get((mine.item, mine.turn, frozenset((mine.a, mine.b))), ())
    ]
    groups = (ALL, *sorted({mine.group for mine, _ in pairs if mine.group}))
    made = []
    for group in groups:
        inside = [(m, t) for m, t in pairs if group in (ALL, m.group)]
        for name, kept in (
            ("people", inside),
            ("people_decided", [(m, t) for m, t in inside if m.choice and t.choice]),
        ):
            if kept:
                made.append(rate(judge, name, group, [(m.item, float(m.choice == t.choice)) for m, t in kept]))
    return made


def position(verdicts: Sequence[Verdict]) -> dict[str, list[Hit]]:
    """Choices for what was shown first, where the order is known and the answer no tie."""
    known = [v for v in verdicts if v.choice and v.first]
    return {"first": [(v.item, float(v.choice == shown_first(v))) for v in known]}


def swapped(swaps: Sequence[Swap]) -> dict[str, list[Hit]]:
    """What the swap changed."""
    kinds: dict[str, Callable[[Swap], bool]] = {
        "swap_changes": lambda s: s.outcome != "same",
        "swap_to_first": lambda s: s.favours == "first",
        "swap_to_second": lambda s: s.favours == "second",
    }
    return {name: [(s.item, float(has(s))) for s in swaps] for name, has in kinds.items()}


def repeated(verdicts: Sequence[Verdict]) -> list[Hit]:
    """Every two answers to one question in one order, or in orders that are not known."""
    asked: dict[tuple[str, str, frozenset[str], str], list[str]] = {}
    for v in verdicts:
        asked.setdefault((v.item, v.turn, frozenset((v.a, v.b)), shown_first(v)), []).append(v.choice)
    return [(key[0], float(one == other)) for key, choices in asked.items() for one, other in combinations(choices, 2)]


def rate(judge: str, statistic: str, group: str, hits: Sequence[Hit]) -> Rate:
    """A share with its interval."""
    values = np.array([hit for _, hit in hits])
    items = np.unique([item for item, _ in hits], return_inverse=True)[1].astype(np.int64)

    def share(weights: Any) -> dict[str, Any]:
        """The share under each row of weights."""
        drawn = correlation.once(values) if weights is None else weights
        with np.errstate(invalid="ignore", divide="ignore"):
            return {"share": (drawn @ values) / drawn.sum(axis=1)}

    at = correlation.bootstrapped(share, items)[0]["share"]
    low, high = (float(x) if np.isfinite(x) else None for x in (at.low, at.high))
    return Rate(judge, statistic, group, at.value, low, high, len(hits))


def as_object(found: Judges) -> dict[str, Any]:
    """Plain data for --json."""
    return {
        "verdicts": found.name, "people": list(found.people), "judges": list(found.judges),
        "rates": [asdict(one) for one in found.rates], "unread": found.unread,
    }  # fmt: skip


def markdown(found: Judges) -> str:
    """A table of judges by statistic, and of agreement by group where there are groups."""
    at = {(r.judge, r.statistic, r.group): r for r in found.rates}
    names = [name for name in STATISTICS if any(r.statistic == name for r in found.rates)]
    titles = [name.replace("_", " ") for name in names]
    rows = [[label(j), *(cell(at.get((j, name, ALL))) for name in names)] for j in found.judges]
    parts = [f"**{escape(found.name)}**: what its judges agree with", pipes(["judge", *titles], rows)]
    groups = list(dict.fromkeys(r.group for r in found.rates if r.group != ALL))
    if groups:
        shown = [j for j, group in product(found.judges, groups) if (j, "people", group) in at]
        rows = [[label(j), *(cell(at.get((j, "people", g))) for g in groups)] for j in dict.fromkeys(shown)]
        parts += ["With people, by group:", pipes(["judge", *map(escape, groups)], rows)]
    people = ", ".join(map(printable, found.people)) or "nobody here (--people PATTERN says who is one)"
    notes = [
        f"People: {people}. Brackets: 95% bootstrap over items, none for fewer than 10; behind them: how many answers.",
        "first: choices for the caption shown first.",
        "swap changes: pairs on which the answer differs when the captions change places.",
        "repeats: equal answers to the same question.",
        *(f"Left out: {reason} ({count:,})." for reason, count in found.unread.items()),
    ]
    return "\n\n".join([*parts, "\n".join(map(escape, notes))])


def label(judge: str) -> str:
    """A judge's name in a table."""
    return escape(judge) or "(no name)"


def cell(found: Rate | None) -> str:
    """0.812 [0.780, 0.842] (500)."""
    if found is None:
        return "-"
    bounds = "-" if found.low is None or found.high is None else f"{show(found.low)}, {show(found.high)}"
    return f"{show(found.value)} [{bounds}] ({found.n:,})"
