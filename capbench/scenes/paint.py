"""Scenes from texts: what is said holds, and what is not said is drawn from a seed."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import permutations

from capbench.scenes.meaning import Group, Meaning, closed
from capbench.scenes.world import (
    BOARD,
    COLOURS,
    DRAWN_COUNT,
    SIZES,
    VERSION,
    Draws,
    Relation,
    Scene,
    Thing,
    cells,
    make,
)

MOST_GROUPS = 4  # 3,024 ways to place them; more is too many to try


class CannotPaint(ValueError):
    """A meaning that has no scene; the message says why."""


def scene_of(meaning: Meaning, seed: int) -> Scene:
    """A scene in which everything said is true, with as few relations that were not said as can be.

    An unsaid colour, size or count (1..6), the place on the board and the arrangement within a zone are
    drawn from the seed.

    Raises:
        CannotPaint: unread words, no group, more than four, or places that contradict each other.
    """
    if meaning.unread:
        raise CannotPaint(unread_reason(meaning.unread))
    if not meaning.groups:
        raise CannotPaint("cannot read anything to paint: the text names no shape")
    if len(meaning.groups) > MOST_GROUPS:
        raise CannotPaint(f"cannot paint {len(meaning.groups)} groups: {MOST_GROUPS} is the most")
    boards = _boards(len(meaning.groups), closed(meaning.relations))
    if not boards:
        raise CannotPaint("cannot paint it: the places contradict each other")
    draws = Draws(f"painter/{VERSION}/{seed}/{meaning!r}")
    zones = draws.pick(boards)
    return make([_thing(group, zone, draws) for group, zone in zip(meaning.groups, zones, strict=True)])


def unread_reason(words: Iterable[str]) -> str:
    """Cannot read: the words, each once, at most eight of them."""
    different = list(dict.fromkeys(words))
    more = f" and {len(different) - 8} more" if len(different) > 8 else ""
    return "cannot read: " + ", ".join(different[:8]) + more


def _thing(group: Group, zone: int, draws: Draws) -> Thing:
    """A group with what is not said drawn."""
    colour, size, count = draws.pick(COLOURS), draws.pick(SIZES), 1 + draws.below(DRAWN_COUNT)
    said = cells(draws, group.count or count)
    return Thing(zone, group.shape, group.colour or colour, group.size or size, said)


@lru_cache(maxsize=256)
def _boards(groups: int, wanted: frozenset[Relation]) -> tuple[tuple[int, ...], ...]:
    """The zones of each group, in every way that makes all wanted relations and the fewest others."""
    best: list[tuple[int, ...]] = []
    fewest = groups * groups
    for zones in permutations(range(BOARD * BOARD), groups):
        true = _true(zones)
        if wanted <= true and len(true) <= fewest:
            best = best if len(true) == fewest else []
            best.append(zones)
            fewest = len(true)
    return tuple(best)


def _true(zones: tuple[int, ...]) -> frozenset[Relation]:
    """The relations between groups in these zones."""
    found = set()
    for i, a in enumerate(zones):
        for j, b in enumerate(zones):
            if a < b and a // BOARD == b // BOARD:
                found.add(Relation(i, "left", j))
            elif a < b and a % BOARD == b % BOARD:
                found.add(Relation(i, "above", j))
    return frozenset(found)
