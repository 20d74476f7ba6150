"""What judges were asked about captions and what they answered, image by image, as data for their page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from capbench.details import details_of
from capbench.store import Run

METRIC = "judge"


def judged_data(run: Run, ids: Sequence[str]) -> list[Any] | None:
    """For each item what the judges of the run's metrics were asked; None where the run has no judge.

    An item's entry is a list of [step and number of the entry, state, what was read or why nothing was, the reply or
    None] of every question.
    """
    found: dict[str, list[Any]] = {name: [] for name in ids}
    keys = [one.key for one in run.scored if one.key.partition("#")[0] == METRIC]
    for key in keys:
        for name, own in details_of(run, key).items():
            found.get(name, []).extend(map(one_exchange, own.get("exchanges", ())))
    return [found[name] for name in ids] if any(found.values()) else None


def one_exchange(asked: dict[str, Any]) -> list[Any]:
    """One question as short as it can be said."""
    where = asked["step"] + (f" {asked['entry'] + 1}" if "entry" in asked else "")
    where += "".join(f", {name} {asked[name] + 1}" for name in ("repeat", "attempt") if name in asked)
    said = asked["said"]
    shown = said if isinstance(said, str) else ", ".join(f"{name}: {value}" for name, value in said.items())
    return [where, asked["state"], shown, asked.get("reply", {}).get("text")]
