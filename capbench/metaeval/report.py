"""What was found, as a Markdown leaderboard of metrics or as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from capbench.judgements import ALL
from capbench.leaderboard import escape, in_code, show
from capbench.metaeval.agreement import STATISTICS, Evaluation, Result

TITLES = {"tau_b": "tau-b", "tau_c": "tau-c", "pearson": "Pearson", "spearman": "Spearman"}
LEGEND = (
    "Brackets: 95% bootstrap interval over images ([-]: fewer than 10). Rank: one more than the number of metrics that "
    "agree better beyond chance (paired difference, 95%, uncorrected). Where less is better, the sign of the score is "
    "turned."
)


def as_object(found: Evaluation) -> dict[str, Any]:
    """Plain data for --json."""
    return {
        "judgements": found.name,
        "kind": found.kind,
        "rows": found.rows,
        "images": found.images,
        "groups": list(found.groups),
        "results": [asdict(result) for result in found.results],
        "means": [asdict(mean) for mean in found.means],
        "calibration": [asdict(one) for one in found.bins],
        "repeats": [asdict(one) for one in found.repeats],
        "ranks": [{"short": short, "column": name, "rank": n} for (short, name), n in found.ranks.items()],
        "notes": list(found.run.record.notes),
    }


def markdown(found: Evaluation) -> str:
    """A leaderboard of metrics: one table of preferences by group, or one of correlations for each group."""
    table = {(r.short, r.column, r.statistic, r.group): r for r in found.results}
    head = STATISTICS[found.kind][0]
    columns = [(r.short, r.column) for r in found.results if (r.statistic, r.group) == (head, ALL)]
    columns.sort(key=lambda c: (found.ranks[c], -(x if (x := table[*c, head, ALL].value) is not None else -math.inf)))
    notes = {short: i for i, short in enumerate(dict.fromkeys(short for short, _ in columns), 1)}
    labels = {c: f"{escape(table[*c, head, ALL].label)} [{notes[c[0]]}]" for c in columns}
    ranks = {c: str(found.ranks[c]) for c in columns}
    what = "pairs" if found.kind == "preferences" else "ratings"
    title = TITLES.get(head, head)
    parts = [f"**{escape(found.name)}**, {found.rows} {what} of {found.images} images, by {title}"]
    if found.kind == "preferences":
        rows = [["rank", "metric", *map(escape, found.groups), "n"]]
        rows += [
            [ranks[c], labels[c], *(cell(table[*c, head, g]) for g in found.groups), str(table[*c, head, ALL].n)]
            for c in columns
        ]
        parts.append(table_of(rows))
    for group in found.groups if found.kind == "ratings" else ():
        own = STATISTICS[found.kind]
        rows = [[*(["rank"] if group == ALL else []), "metric", *(TITLES[name] for name in own), "n"]]
        for c in columns:
            results = [table[*c, name, group] for name in own]
            rank = [ranks[c]] if group == ALL else []
            rows.append([*rank, labels[c], *map(cell, results), str(results[0].n)])
        parts += [*([] if group == ALL else [f"Group {escape(group)}:"]), table_of(rows)]
    if found.repeats:
        parts += ["Scores given or made several times:", repeats_table(found, notes)]
    signatures = {r.short: r.signature for r in found.results}
    footnotes = "  \n".join(f"[{i}] `{in_code(signatures[short])}`" for short, i in notes.items())
    return "\n\n".join([*parts, LEGEND, footnotes])


def repeats_table(found: Evaluation, notes: Mapping[str, int]) -> str:
    """How far scores that were given or made several times agree with themselves."""
    rows = [["metric", "equal", "mean gap", "ICC(1)", "captions", "repeats"]]
    for one in found.repeats:
        cells = [f"{show(x.value)} [{bounds(x.low, x.high)}]" if x.value is not None else "-" for x in one.statistics]
        note = f" [{notes[one.short]}]" if one.short else ""
        rows.append([escape(one.score) + note, *cells, str(one.captions), str(one.most)])
    return table_of(rows)


def calibration_text(found: Evaluation) -> str:
    """For each column a table of its bins."""
    pairs = found.kind == "preferences"
    heads = ["distance of the pair" if pairs else "score", "mean", "accuracy" if pairs else "mean rating", "n"]
    labels = {(r.short, r.column): r.label for r in found.results}
    parts = []
    for key, label in labels.items():
        rows = [
            [
                f"{show(b.least)} to {show(b.most)}",
                show(b.score),
                f"{show(b.people)} [{bounds(b.low, b.high)}]",
                str(b.n),
            ]
            for b in found.bins
            if (b.short, b.column) == key
        ]
        if rows:
            parts += [f"What people said by {escape(label)}:", table_of([heads, *rows])]
    return "\n\n".join(parts)


def bounds(low: float | None, high: float | None) -> str:
    """0.421, 0.456; a line where there is no interval."""
    return "-" if low is None or high is None else f"{show(low)}, {show(high)}"


def cell(result: Result) -> str:
    """0.439 [0.421, 0.456], with the count of unscored rows beside it where there are any."""
    if result.value is None:
        return f"unscored ({result.unscored})" if not result.n else "-"
    missing = f" ({result.unscored} unscored)" if result.unscored else ""
    return f"{show(result.value)} [{bounds(result.low, result.high)}]{missing}"


def table_of(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: names to the left, numbers to the right."""
    marks = ["---" if name == "metric" else "---:" for name in rows[0]]
    return "\n".join("| " + " | ".join(row) + " |" for row in [rows[0], marks, *rows[1:]])
