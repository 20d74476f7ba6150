"""What can be in a scene, and the scenes of a seed.

A scene is a few groups of equal things on a 3 x 3 board of zones. A group has five elements: shape,
colour, size, count and place. The scenes of a seed come in families of seven consecutive numbers: the
first is the base, and each of the other six differs from it in exactly one element, each in another.

Every choice is drawn from blake2b, so a scene depends on nothing but the seed and its number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple, TypeVar

VERSION = 1
SHAPES = ("circle", "square", "triangle", "diamond", "cross", "ring")
COLOURS = ("red", "green", "blue", "yellow", "orange", "purple", "pink", "black")
SIZES = ("small", "large")
ELEMENTS = ("shape", "colour", "size", "count", "place")
BOARD = 3  # zones a side, and cells a side of a zone
CENTRE = 4
SIDES = {"above": 1, "left": 3, "right": 5, "below": 7}
DRAWN_COUNT = 6  # scenes of a seed hold up to this many things a group; a zone has room for nine
FAMILY = 7

T = TypeVar("T")


@dataclass(frozen=True, slots=True, order=True)
class Thing:
    """A group of equal things in one zone.

    zone: 0..8, row by row. cells: the occupied cells of the zone, each 0..8, ascending, at least one.
    """

    zone: int
    shape: str
    colour: str
    size: str
    cells: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many things there are, 1..9."""
        return len(self.cells)


class Relation(NamedTuple):
    """The thing ``first`` is left of, or above, the thing ``second`` (indices of things)."""

    first: int
    kind: str
    second: int


@dataclass(frozen=True, slots=True)
class Scene:
    """Groups in ascending order of zone; no two share a zone."""

    things: tuple[Thing, ...]

    @property
    def relations(self) -> tuple[Relation, ...]:
        """Every true relation: "left" within a row of zones, "above" within a column; nothing diagonal."""
        found = []
        for i, a in enumerate(self.things):
            for j, b in enumerate(self.things[i + 1 :], i + 1):
                if a.zone // BOARD == b.zone // BOARD:
                    found.append(Relation(i, "left", j))
                elif a.zone % BOARD == b.zone % BOARD:
                    found.append(Relation(i, "above", j))
        return tuple(found)


class Member(NamedTuple):
    """A scene of a family and the element in which it differs from the base ("" for the base)."""

    scene: Scene
    changed: str


class Draws:
    """An endless row of choices that a label fixes: the same on every machine and in every Python."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._next = 0

    def below(self, n: int) -> int:
        """The next whole number in 0..n-1."""
        text = f"{self._label}/{self._next}"
        self._next += 1
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") % n

    def pick(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.below(len(options))]

    def shuffle(self, options: Sequence[T]) -> list[T]:
        """All options in a drawn order."""
        rest = list(options)
        return [rest.pop(self.below(len(rest))) for _ in range(len(rest))]


def scene(seed: int, number: int) -> Scene:
    """Scene ``number`` (0, 1, ...) of a seed; it does not depend on how many are asked for."""
    return member(seed, number).scene


def member(seed: int, number: int) -> Member:
    """Scene ``number`` of a seed, with the element in which it differs from its family's base."""
    return family(seed, number // FAMILY)[number % FAMILY]


@lru_cache(maxsize=4096)
def family(seed: int, number: int) -> tuple[Member, ...]:
    """Seven scenes: a base and six look-alikes, each differing from the base in exactly one element.

    Each of the five kinds of element changes at least once; which group changes, and the order, are drawn.
    """
    draws = Draws(f"scenes/{VERSION}/{seed}/{number}")
    base = _base(draws)
    changes = _changes(draws, base)
    return (
        Member(base, ""),
        *(Member(_changed(draws, base, which, element), element) for which, element in changes),
    )


def make(things: Sequence[Thing]) -> Scene:
    """A scene of these groups, put in order."""
    return Scene(tuple(sorted(things)))


def _base(draws: Draws) -> Scene:
    """One group in the centre and one or two beside it, all of different shapes."""
    sides = draws.shuffle(tuple(SIDES.values()))[: 1 + draws.below(2)]
    shapes = draws.shuffle(SHAPES)
    return make(
        [
            Thing(zone, shape, draws.pick(COLOURS), draws.pick(SIZES), cells(draws, 1 + draws.below(DRAWN_COUNT)))
            for zone, shape in zip([CENTRE, *sides], shapes, strict=False)
        ]
    )


def cells(draws: Draws, count: int) -> tuple[int, ...]:
    """Which cells of a zone are occupied."""
    return tuple(sorted(draws.shuffle(range(BOARD * BOARD))[:count]))


def _changes(draws: Draws, base: Scene) -> list[tuple[int, str]]:
    """Six different (group, element) pairs that hold every kind of element."""
    movable = [i for i, thing in enumerate(base.things) if thing.zone != CENTRE]
    every = range(len(base.things))
    chosen = [(draws.pick(movable if kind == "place" else every), kind) for kind in ELEMENTS]
    others = [(i, kind) for kind in ELEMENTS for i in (movable if kind == "place" else every)]
    chosen.append(draws.pick([pair for pair in others if pair not in chosen]))
    return draws.shuffle(chosen)


def _changed(draws: Draws, base: Scene, which: int, element: str) -> Scene:
    """The base with one element of one group changed."""
    thing = base.things[which]
    if element == "shape":
        used = {t.shape for t in base.things}
        new = replace(thing, shape=draws.pick([s for s in SHAPES if s not in used]))
    elif element == "colour":
        new = replace(thing, colour=draws.pick([c for c in COLOURS if c != thing.colour]))
    elif element == "size":
        new = replace(thing, size=draws.pick([s for s in SIZES if s != thing.size]))
    elif element == "count":
        count = draws.pick([n for n in range(1, DRAWN_COUNT + 1) if n != thing.count])
        new = replace(thing, cells=cells(draws, count))
    else:
        used_zones = {t.zone for t in base.things}
        new = replace(thing, zone=draws.pick([z for z in SIDES.values() if z not in used_zones]))
    return make([new, *(t for i, t in enumerate(base.things) if i != which)])


def differences(first: Scene, second: Scene) -> list[str]:
    """The elements in which two scenes of as many groups differ; "count" stands for its cells too.

    Groups that both have are set aside; the others are compared in order of zone.
    """
    mine = [t for t in first.things if t not in second.things]
    theirs = [t for t in second.things if t not in first.things]
    found = []
    for a, b in zip(mine, theirs, strict=True):
        pairs = zip(ELEMENTS, _elements(a), _elements(b), strict=True)
        found += [name for name, x, y in pairs if x != y]
        found += ["arrangement"] * (a.cells != b.cells and a.count == b.count)
    return found


def _elements(thing: Thing) -> tuple[str, str, str, int, int]:
    """The values of the five elements."""
    return thing.shape, thing.colour, thing.size, thing.count, thing.zone
