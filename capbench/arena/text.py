"""A ranking as Markdown, CSV and JSON. Names of systems and judges are hostile text everywhere."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from capbench import codec
from capbench.arena.contests import Swap
from capbench.arena.ranking import WHY, Place, Ranking
from capbench.comparison_text import as_is, pipes
from capbench.leaderboard import escape
from capbench.leaderboard.plain import quoted
from capbench.leaderboard.ranking import out_of_order
from capbench.stats import MIN_BAGS
from capbench.tables import safe

MATRIX = 12  # systems up to which the table of pairs is printed; the page and --json have all
LEGEND = (
    "Strength: Bradley-Terry on Elo's scale, a tie as half a win; 400 points more are odds of 10 to 1. Brackets: 95% "
    "bootstrap over items. Rank: one more than the number of systems that are stronger beyond chance (95%, "
    "uncorrected)."
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A ranking with what has to be said beside it. judges: judge -> verdicts; unread: reason -> replies.

    dropped: whether contradictions were left out. elo: sequential ratings, where they were asked for.
    """

    ranking: Ranking
    judges: Mapping[str, int]
    swaps: Sequence[Swap] = ()
    unread: Mapping[str, int] = field(default_factory=dict)
    dropped: bool = False
    elo: Mapping[str, float] = field(default_factory=dict)


def points(value: float) -> str:
    """A strength without decimals; an open end as infinity."""
    return "-" if math.isnan(value) else f"{value:.0f}" if math.isfinite(value) else "∞" if value > 0 else "-∞"


def systems_table(shown: Shown, group: int, quote: Any = as_is) -> tuple[list[str], list[list[str]]]:
    """Headings and cells of one group. quote: what is done to names, which are not ours."""
    heads = ["rank", "system", "strength [95%]", "won", "tied", "lost", "share won"]
    heads += ["Elo"] if shown.elo else []
    rows = []
    for place in shown.ranking.groups[group]:
        tally = shown.ranking.tally(place.system)
        bounds = "-" if math.isnan(place.low) else f"{points(place.low)}, {points(place.high)}"
        bounds = "anchor" if place.system == shown.ranking.anchor else bounds
        cells = [str(place.rank), quote(place.system), f"{points(place.strength)} [{bounds}]"]
        cells += [str(tally.won), str(tally.tied), str(tally.lost), f"{tally.rate:.3f}"]
        rows.append([*cells, points(shown.elo[place.system])] if shown.elo else cells)
    return heads, rows


def apart_table(shown: Shown, quote: Any = as_is) -> tuple[list[str], list[list[str]]]:
    """The systems that are not ranked."""
    rows = []
    for one in shown.ranking.apart:
        tally = shown.ranking.tally(one.system)
        counts = [str(tally.won), str(tally.tied), str(tally.lost)]
        rows.append([quote(one.system), one.standing, *counts, WHY[one.standing]])
    return ["system", "standing", "won", "tied", "lost", "why it has no strength"], rows


def ordered(ranking: Ranking) -> list[str]:
    """Every system: the groups from the strongest down, then those apart."""
    return [*(place.system for group in ranking.groups for place in group), *(one.system for one in ranking.apart)]


def pairs_table(shown: Shown, quote: Any = as_is) -> tuple[list[str], list[list[str]]]:
    """Row against column: won / tied / lost."""
    names = ordered(shown.ranking)
    at = [shown.ranking.systems.index(name) for name in names]
    won, tied = shown.ranking.won, shown.ranking.tied
    rows = []
    for i, name in zip(at, names, strict=True):
        cells = [f"{won[i, j]}/{tied[i, j]}/{won[j, i]}" if won[i, j] + tied[i, j] + won[j, i] else "" for j in at]
        rows.append([quote(name), *cells])
    return ["won/tied/lost against", *map(quote, names)], rows


def notes(shown: Shown) -> list[str]:
    """What has to be known to read the tables, one sentence an entry; not escaped."""
    r = shown.ranking
    judges = ", ".join(f"{name or 'no name'} ({count:,})" for name, count in shown.judges.items())
    made = [LEGEND, f"{r.contests:,} contests on {r.items:,} items; verdicts by judge: {judges}."]
    if r.items >= MIN_BAGS:
        made.append(f"{r.resamples:,} resamples, seed {r.seed}.")
    if any(math.isnan(p.low) for group in r.groups for p in group):
        made.append(f"[-]: contests on fewer than {MIN_BAGS} items: no interval, and told apart from no other system.")
    made += [f"Not in the order of strengths: {sentence}" for group in r.groups for sentence in crossed(group)]
    if len(r.groups) > 1:
        made.append("Strengths and ranks of different groups cannot be compared: each has a scale of its own.")
    if shown.swaps:
        counts = {kind: sum(s.outcome == kind for s in shown.swaps) for kind in ("same", "one tie", "contradictory")}
        became = "left out" if shown.dropped else "a tie"
        made.append(
            f"Asked in both orders: {len(shown.swaps):,} contests; {counts['same']:,} the same, {counts['one tie']:,} "
            f"with one tie (a tie), {counts['contradictory']:,} contradictory ({became})."
        )
    made += [f"Left out: {reason} ({count:,})." for reason, count in shown.unread.items()]
    if shown.elo:
        made.append("Elo: sequential, K 4, median over 1,000 draws of the contests; it depends on the order.")
    return made


def crossed(group: Sequence[Place]) -> list[str]:
    """Which ranks of a group are not in the order of strengths, and why."""
    names, ranks = [place.system for place in group], [place.rank for place in group]
    better = [(names.index(name), i) for i, place in enumerate(group) for name in place.stronger]
    return [found.told(names, ranks, "stronger") for found in out_of_order(ranks, better)]


def markdown(shown: Shown) -> str:
    """The console's text, which is Markdown too."""
    r = shown.ranking
    parts = []
    for k in range(len(r.groups)):
        title = f"**{len(r.groups[k])} systems**" if k == 0 else f"**A group apart: {len(r.groups[k])} systems**"
        parts += [title, pipes(*systems_table(shown, k, escape))]
    if not r.groups:
        parts.append("No two systems have both won against each other, directly or in a ring: there are no strengths.")
    if r.apart:
        parts += ["Not ranked:", pipes(*apart_table(shown, escape))]
    if len(r.systems) <= MATRIX:
        parts.append(pipes(*pairs_table(shown, escape)))
    return "\n\n".join([*parts, "\n".join(map(escape, notes(shown)))])


def known(value: float) -> float | None:
    """A number for JSON and CSV, which have no infinity."""
    return value if math.isfinite(value) else None


def lines(shown: Shown) -> list[dict[str, Any]]:
    """One object a system, ranked or not."""
    made: list[dict[str, Any]] = [
        {
            "system": p.system, "standing": "ranked", "group": k, "rank": p.rank, "strength": p.strength,
            "low": known(p.low), "high": known(p.high), "open_low": p.low == -math.inf, "open_high": p.high == math.inf,
        }
        for k, group in enumerate(shown.ranking.groups, 1)
        for p in group
    ]  # fmt: skip
    empty = dict.fromkeys(("group", "rank", "strength", "low", "high", "open_low", "open_high"))
    made += [{"system": a.system, "standing": a.standing, **empty} for a in shown.ranking.apart]
    return [line | counts(shown, line["system"]) for line in made]


def counts(shown: Shown, system: str) -> dict[str, Any]:
    """A system's contests, and its Elo where it was asked for."""
    tally = shown.ranking.tally(system)
    found = {"won": tally.won, "tied": tally.tied, "lost": tally.lost, "share_won": tally.rate}
    return {**found, "elo": shown.elo[system]} if shown.elo else found


def csv_text(shown: Shown) -> str:
    """One line a system. Names that a spreadsheet would run as a formula are quoted with '."""
    out = io.StringIO()
    made = lines(shown)
    writer = csv.DictWriter(out, list(made[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows([{k: safe(quoted(v)) if isinstance(v, str) else v for k, v in line.items()} for line in made])
    return out.getvalue()


def json_text(shown: Shown) -> str:
    """Everything as one JSON object."""
    r = shown.ranking
    swaps = [{"outcome": s.outcome, "favours": s.favours} for s in shown.swaps]
    counts = {kind: sum(s["outcome"] == kind for s in swaps) for kind in ("same", "one tie", "contradictory")}
    towards = {side: sum(s["favours"] == side for s in swaps) for side in ("first", "second")}
    return codec.to_json(
        {
            "systems": lines(shown), "items": r.items, "contests": r.contests, "anchor": r.anchor or None,
            "resamples": r.resamples, "seed": r.seed, "judges": dict(shown.judges), "unread": dict(shown.unread),
            "swaps": {"contests": len(swaps), **counts, "favoured": towards, "dropped": shown.dropped},
            "order": list(r.systems), "won": r.won.tolist(), "tied": r.tied.tolist(),
        }
    )  # fmt: skip
