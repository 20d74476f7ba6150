"""What a text or a picture says about groups of things: the common ground of reader, painter and encoder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from capbench.protocols import Elements
from capbench.scenes.world import CENTRE, Relation, Scene

OPPOSITE = {"left": "right", "right": "left", "above": "below", "below": "above"}
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
RELATIONS = {"left": "left of", "above": "above"}


@dataclass(frozen=True, slots=True)
class Group:
    """Things of one shape; None where nothing is said. count: 1..9."""

    shape: str
    colour: str | None = None
    size: str | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Meaning:
    """Groups in the order they are named, and (first, "left" or "above", second) between them.

    unread: the words that could not be read, in order; () when all of the text is in the groups and
    relations.
    """

    groups: tuple[Group, ...] = ()
    relations: tuple[Relation, ...] = ()
    unread: tuple[str, ...] = ()


def canonical(first: int, side: str, second: int) -> Relation:
    """A relation in one of the two kinds: "right" and "below" are turned round."""
    if side in RELATIONS:
        return Relation(first, side, second)
    return Relation(second, OPPOSITE[side], first)


def of_scene(scene: Scene) -> Meaning:
    """All that is true of a scene."""
    groups = tuple(Group(t.shape, t.colour, t.size, t.count) for t in scene.things)
    return Meaning(groups, scene.relations)


def told(scene: Scene) -> tuple[Meaning, list[tuple[int, str, int]]]:
    """All groups of a scene, and the relations that a speaker names so that the others follow.

    Where a group is in the centre, each group beside it is placed by it, and nothing else is named.
    """
    meaning = of_scene(scene)
    centre = next((i for i, t in enumerate(scene.things) if t.zone == CENTRE), None)
    steps: list[tuple[int, str, int]] = []
    for first, kind, second in meaning.relations:
        if centre == first:
            steps.append((second, OPPOSITE[kind], first))
        elif centre in (None, second):
            steps.append((first, kind, second))
    return meaning, steps


def closed(relations: Iterable[Relation]) -> frozenset[Relation]:
    """The relations and all that follow from them: left of left is left, above above is above."""
    known: set[Relation] = set()
    for kind in RELATIONS:
        after: dict[int, set[int]] = {}
        for first, own, second in relations:
            if own == kind:
                after.setdefault(first, set()).add(second)
        for start in after:
            reached: set[int] = set()
            edge = [start]
            while edge:
                fresh = after.get(edge.pop(), set()) - reached
                reached |= fresh
                edge += fresh
            known |= {Relation(start, kind, end) for end in reached}
    return frozenset(known)


def statements(meaning: Meaning) -> Counter[tuple[str, ...]]:
    """Every single statement, and of how many groups it is made.

    ("object", shape), ("colour", shape, colour), ("size", shape, size), ("count", shape, "3") and
    ("left" or "above", shape, shape), with relations that follow from the named ones.
    """
    found: Counter[tuple[str, ...]] = Counter()
    for group in meaning.groups:
        found["object", group.shape] += 1
        if group.colour:
            found["colour", group.shape, group.colour] += 1
        if group.size:
            found["size", group.shape, group.size] += 1
        if group.count:
            found["count", group.shape, str(group.count)] += 1
    for first, kind, second in closed(meaning.relations):
        found[kind, meaning.groups[first].shape, meaning.groups[second].shape] += 1
    return found


def elements(meaning: Meaning) -> Elements:
    """The same as objects, attributes and relations: one object a group, its count an attribute.

    Attributes are a colour, a size, or a number word; relations are "left of" and "above".
    """
    objects, attributes = [], []
    for group in meaning.groups:
        objects.append(group.shape)
        number = NUMBERS[group.count] if group.count else None
        attributes += [(group.shape, value) for value in (number, group.size, group.colour) if value]
    names = [group.shape for group in meaning.groups]
    order = sorted(closed(meaning.relations))
    relations = [(names[first], RELATIONS[kind], names[second]) for first, kind, second in order]
    return Elements(tuple(objects), tuple(attributes), tuple(relations))


def compatible(first: Group, second: Group) -> bool:
    """Whether both can be said of one group."""
    pairs: Sequence[tuple[object, object]] = (
        (first.colour, second.colour),
        (first.size, second.size),
        (first.count, second.count),
    )
    return first.shape == second.shape and all(a is None or b is None or a == b for a, b in pairs)


def merged(first: Group, second: Group) -> Group:
    """Everything that two compatible groups say."""
    return Group(first.shape, first.colour or second.colour, first.size or second.size, first.count or second.count)
