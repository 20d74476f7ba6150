"""A comparison on bags as Markdown, JSON and LaTeX. Names, ids and captions are hostile text everywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from capbench import codec
from capbench.bag_compare import BagComparison, BagResult, Score, SetResult, SizeLine, Target
from capbench.comparison_text import Quote, as_is, booktabs, brief, known, notes, pipes, plain_object, printable, table
from capbench.leaderboard import escape, show
from capbench.paired import Difference
from capbench.stats import MIN_BAGS

SHOWN = 5  # bags of a set that are shown in text
TARGETS = 10  # pictures of one bag that are shown in text
NONE = "(none)"


def markdown(found: BagComparison, units: int = 0, shown: int = SHOWN) -> str:
    """The console's text. shown: how many bags of each set."""
    title = f"**{' and '.join(map(escape, found.names))}** on bags of {escape(found.differences.benchmark)}"
    parts = [title, pipes(*size_table(found, escape)), pipes(*table(found.differences, units, escape))]
    parts.append("\n".join(map(escape, notes(found.differences, units))))
    parts.append("\n".join(f"- {escape(line)}" for line in reach(found)))
    for one in found.sets:
        heads, rows = differing_table(found.names, one, shown, escape, brief)
        if rows:
            parts += [f"Differ most in {escape(one.name)}:", pipes(heads, rows)]
    return "\n\n".join(parts)


def size_table(found: BagComparison, quote: Quote = as_is) -> tuple[list[str], list[list[str]]]:
    """R@1 of each system beside chance, a line for each set and size of bag."""
    heads = ["bags", "pictures", "how many", "chance", *map(quote, found.names)]
    rows = [
        [quote(one.name), str(line.size or "all"), str(line.bags), chance_of(line), *map(score_text, line.scores)]
        for one in found.sets
        for line in one.lines
    ]
    return heads, rows


def chance_of(line: SizeLine) -> str:
    """R@1 of saying nothing."""
    return "-" if math.isnan(line.chance) else show(line.chance)


def score_text(score: Score) -> str:
    """0.553 [0.488, 0.624], with what is unscored."""
    value, low, high = score.interval
    if math.isnan(value):
        return f"unscored ({score.unscored})"
    bounds = "-" if math.isnan(low) else f"{show(low)}, {show(high)}"
    return f"{show(value)} [{bounds}]" + (f" ({score.unscored} unscored)" if score.unscored else "")


def reach(found: BagComparison) -> list[str]:
    """For each set what so few bags can show, said plainly."""
    lines = found.differences.lines
    return [reach_of(one, [x.difference for x in lines if x.summary.signature == one.signature]) for one in found.sets]


def reach_of(one: SetResult, differences: Sequence[Difference]) -> str:
    """One sentence on a set of bags."""
    start = f"{one.name}, {max((d.units for d in differences), default=0)} {one.unit}:"
    known_ones = [d for d in differences if not math.isnan(d.low)]
    if not known_ones:
        return f"{start} fewer than {MIN_BAGS} are no sample to resample: no interval and no test."
    varied = [d for d in known_ones if d.high > d.low]
    if not varied:
        return f"{start} every bag has the same difference, so these bags do not tell how well it is known."
    within = ranging([(d.high - d.low) / 2 for d in varied])
    return (
        f"{start} a difference in R@1 is known to within {within} (95%); a true one of "
        f"{ranging([d.detectable() for d in varied])} would be found in 80 of 100 such comparisons, a smaller one "
        "less often."
    )


def ranging(values: Sequence[float]) -> str:
    """0.12, or 0.09 to 0.14."""
    low, high = f"{min(values):.3f}", f"{max(values):.3f}"
    return low if low == high else f"{low} to {high}"


def differing(one: SetResult, shown: int) -> list[BagResult]:
    """The first bags in which the systems differ at all."""
    return [bag for bag in one.bags if any(bag.apart)][:shown]


def differing_table(
    names: Sequence[str], one: SetResult, shown: int, quote: Quote = as_is, caption: Quote = as_is
) -> tuple[list[str], list[list[str]]]:
    """The pictures of those bags that are told apart, with everybody's rank and caption (written by ``caption``)."""
    labels = list(map(quote, names))
    heads = ["bag", "picture", "found by", *(f"rank by {name}" for name in labels)]
    heads += [f"caption of {name}" for name in labels]
    rows = []
    for bag in differing(one, shown):
        apart = sorted((t for t in bag.targets if any(t.apart)), key=lambda t: t.apart, reverse=True)
        for target in apart[:TARGETS]:
            cells = [quote(bag.id), quote(target.id), found_by(target, labels), *map(rank_text, target.ranks)]
            rows.append([*cells, *(NONE if text is None else caption(text) for text in target.captions)])
        if len(apart) > TARGETS:
            rest = f"and {len(apart) - TARGETS} more"
            rows.append([quote(bag.id), rest, *[""] * (len(heads) - 2)])
    return heads, rows


def found_by(target: Target, names: Sequence[str]) -> str:
    """The systems whose caption finds the picture; a tie is said."""
    own = [(name, share) for name, share in zip(names, target.found, strict=True) if share > 0]
    return ", ".join(name if share == 1 else f"{name} (tied, {share:.2f})" for name, share in own) or "nobody"


def rank_text(rank: float) -> str:
    """A rank, which is no whole number where it is tied."""
    return "-" if math.isnan(rank) else f"{rank:g}" if rank == int(rank) else f"{rank:.1f}"


def latex(found: BagComparison, units: int = 0, _: int = SHOWN) -> str:
    """R@1 and differences as booktabs tables; what is to be known is a comment below them."""
    lines = ["% \\usepackage{booktabs}", booktabs(*size_table(found)), booktabs(*table(found.differences, units))]
    return "\n".join([*lines, *(f"% {printable(note)}" for note in [*notes(found.differences, units), *reach(found)])])


def json_text(found: BagComparison, units: int = 0, _: int = SHOWN) -> str:
    """The comparison as one JSON object, with every bag."""
    made = plain_object(found.differences, units)
    made["sets"] = [
        {"name": one.name, "signature": one.signature, "reach": text,
         "sizes": [size_object(found, line) for line in one.lines],
         "bags": [bag_object(found, bag) for bag in one.bags]}
        for one, text in zip(found.sets, reach(found), strict=True)
    ]  # fmt: skip
    return codec.to_json(made)


def size_object(found: BagComparison, line: SizeLine) -> dict[str, Any]:
    """R@1 on the bags of one size as plain data."""
    return {
        "pictures": line.size or None, "bags": line.bags, "chance": known(line.chance),
        "runs": [
            {"run": name, "r1": known(s.interval.value), "low": known(s.interval.low), "high": known(s.interval.high),
             "n": s.n, "unscored": s.unscored}
            for name, s in zip(found.names, line.scores, strict=True)
        ],
    }  # fmt: skip


def bag_object(found: BagComparison, bag: BagResult) -> dict[str, Any]:
    """A bag as plain data."""
    return {
        "id": bag.id, "members": list(bag.members),
        "targets": [
            {"id": t.id, "runs": [
                {"run": name, "found": known(share), "rank": known(rank), "caption": text}
                for name, share, rank, text in zip(found.names, t.found, t.ranks, t.captions, strict=True)
            ]}
            for t in bag.targets
        ],
    }  # fmt: skip


FORMS = {"md": markdown, "json": json_text, "latex": latex}
