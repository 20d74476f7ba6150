"""Galleries of retrieval, as data: the pictures of each, and the rank that every system's captions reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from capbench import plugins
from capbench.bags import bag_digest, galleries
from capbench.errors import CapbenchError
from capbench.facts import Facts, bag_set
from capbench.store import Run
from capbench.tables import Scored

RANK = "rank"


class Members(NamedTuple):
    """One gallery: its name and its pictures, as items."""

    id: str
    items: list[int]


def galleries_data(runs: Sequence[Run], ids: Sequence[str], facts: Facts | None) -> list[dict[str, Any]]:
    """One record for each set of galleries in which some run was judged."""
    keys = dict.fromkeys(
        s.key for run in runs for s in run.scored if s.rows.bags is not None and RANK in s.rows.columns
    )
    return [one_set(key, runs, ids, facts) for key in keys]


def one_set(key: str, runs: Sequence[Run], ids: Sequence[str], facts: Facts | None) -> dict[str, Any]:
    """A set of galleries with every system's ranks, in the order of their members (None: not a target, unscored)."""
    spec, signature = next(
        (m.spec, m.signature) for run in runs for m in run.record.metrics if key.endswith(f"#{m.short}")
    )
    place = {name: i for i, name in enumerate(ids)}
    ranks = [ranks_of(run, key, place) for run in runs]
    members = stated_members(spec, signature, ids, facts) or seen_members(ranks)
    return {
        "label": spec,
        "bags": [
            {
                "id": bag.id,
                "members": bag.items,
                "ranks": [[own.get((k, item)) for item in bag.items] for own in ranks],
            }
            for k, bag in members.items()
        ],
    }


def ranks_of(run: Run, key: str, place: dict[str, int]) -> dict[tuple[int, int], float | None]:
    """(gallery, item) -> the rank of the item's picture with this run's first caption of it."""
    scored: Scored | None = next((s for s in run.scored if s.key == key), None)
    if scored is None or scored.rows.bags is None or scored.rows.items is None:
        return {}
    own = run.ids
    first = np.flatnonzero(scored.samples == 0)
    values = scored.rows.columns[RANK]
    return {
        (int(scored.rows.bags[row]), place[own[scored.rows.items[row]]]): None
        if np.isnan(values[row])
        else round(float(values[row]), 2)
        for row in first
    }


def stated_members(spec: str, signature: str, ids: Sequence[str], facts: Facts | None) -> dict[int, Members]:
    """The galleries as the benchmark makes them, if these are the ones of the signature; else none."""
    if facts is None:
        return {}
    try:
        stated = bag_set(facts, plugins.load("metrics", spec).value.bags)
    except (CapbenchError, AttributeError):  # a metric that is not installed, or names its galleries otherwise
        return {}
    if f"|bags:{bag_digest(stated.bags)}|" not in signature:
        return {}
    found = galleries(stated, ids)
    known = set(ids)
    names = [bag.id for bag in stated.bags if known.issuperset(bag.members)]
    return {
        k: Members(name, found.members[found.offsets[k] : found.offsets[k + 1]].tolist())
        for k, name in enumerate(names)
    }


def seen_members(ranks: Sequence[dict[tuple[int, int], float | None]]) -> dict[int, Members]:
    """The galleries as far as the scores tell: the targets of each."""
    found: dict[int, dict[int, None]] = {}
    for own in ranks:
        for bag, item in own:
            found.setdefault(bag, {}).setdefault(item)
    return {bag: Members(f"gallery {bag + 1}", list(items)) for bag, items in sorted(found.items())}
