"""A sweep as text: the table for people, and one line a point for programs."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from capbench.group_tables import plain_table
from capbench.leaderboard import escape, in_code, interval, quoted
from capbench.sweeps import Sweep
from capbench.tables import safe
from capbench.varying import shown

BETTER = {"high": "higher is better", "low": "lower is better"}
BOUNDS = ("value", "low", "high", "n", "unscored")


def markdown(sweep: Sweep) -> str:
    """The trade-off table, which is also Markdown, with what its words mean and the signatures below."""
    x, y, *_ = sweep.columns
    rows = [[*map(escape, sweep.planned.names), *map(escape, sweep.labels[: len(sweep.columns)]), "trade-off"]]
    for i, done in enumerate(sweep.points):
        settings = [escape(shown(value)) for _, value in done.point.settings]
        numbers = [interval(s) for s in sweep.cells(i)]
        rows.append([*settings, *numbers, done.said])
    left = (*range(len(sweep.planned.names)), len(rows[0]) - 1)
    title = f"**{escape(sweep.planned.label)}** on {escape(sweep.benchmark)}, {len(sweep.points)} points"
    axes = f"{escape(x.label)} ({BETTER[x.better]}) against {escape(y.label)} ({BETTER[y.better]})"
    legend = (
        f"Trade-off: {axes}. On the front: no other point is as good in both and better in one. Beaten: a point of "
        "the front is as good in both, and better beyond chance in one (paired test, 5% after Holm). Not told apart: "
        "off the front by value, not beyond chance. Brackets: 95% bootstrap interval."
    )
    return "\n".join([title, "", plain_table(rows, left=left), "", legend, "", *signature_lines(sweep)])


def signature_lines(sweep: Sweep) -> list[str]:
    """The signatures of the columns, each once."""
    cells = [s for i in range(len(sweep.points)) for s in sweep.cells(i) if s is not None]
    return list(dict.fromkeys(f"{escape(s.label)}: `{in_code(s.signature)}`  " for s in cells))


def csv_text(sweep: Sweep) -> str:
    """One line a point: its parameters, its run, its standing, and five fields a column."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    heads = [f"{label} {bound}".removesuffix(" value") for label in sweep.labels for bound in BOUNDS]
    writer.writerow([safe(quoted(text)) for text in [*sweep.planned.names, "run", "trade_off", *heads, "error"]])
    for record in records(sweep):
        numbers = [(record["numbers"][label] or {}).get(bound) for label in sweep.labels for bound in BOUNDS]
        texts = [*record["settings"].values(), record["run"], record["trade_off"], *numbers, record["error"]]
        writer.writerow([safe(quoted(v)) if isinstance(v, str) else v for v in texts])
    return out.getvalue()


def records(sweep: Sweep) -> list[dict[str, Any]]:
    """The points as plain data. numbers: label -> value, low, high, n, unscored, signature, or None."""
    made = []
    for i, done in enumerate(sweep.points):
        cells = zip(sweep.labels, sweep.numbers(i), strict=True)
        fields = (*BOUNDS, "signature")
        folder = None if done.run is None else done.run.folder
        made.append(
            {
                "settings": dict(done.point.settings),
                "run": None if folder is None else str(folder),
                "trade_off": done.standing if done.run is not None else "failed",
                "numbers": {x: None if s is None else {f: getattr(s, f) for f in fields} for x, s in cells},
                "error": "" if done.error is None else str(done.error),
            }
        )
    return made


def json_text(sweep: Sweep) -> str:
    """The sweep as one JSON object: captioner, benchmark, x, y, points, notes."""
    x, y, *_ = sweep.columns
    about = {"captioner": sweep.planned.label, "benchmark": sweep.benchmark, "x": x.label, "y": y.label}
    return json.dumps({**about, "points": records(sweep), "notes": list(sweep.notes)}, indent=1, allow_nan=False)


__all__ = ["csv_text", "json_text", "markdown", "records"]
