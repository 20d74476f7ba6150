"""Speakers of the drawn world: a perfect one, and one for each flaw a captioner can have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

from capbench.errors import CapbenchError, UsageError
from capbench.images import load
from capbench.protocols import Problem
from capbench.scenes.draw import NotAScene, see
from capbench.scenes.language import tell
from capbench.scenes.meaning import OPPOSITE, Group, told
from capbench.scenes.world import COLOURS, SHAPES, SIZES, VERSION, Draws
from capbench.signature import fingerprint
from capbench.types import Failure, Generation, ImageRef, Request

MOST = 9  # things in a group


@dataclass(frozen=True, slots=True)
class Speech:
    """What is about to be said: groups, the relations to name, and how often it is said."""

    groups: tuple[Group, ...]
    steps: tuple[tuple[int, str, int], ...]
    times: int = 1


def perfect(speech: Speech, _draws: Draws) -> Speech:
    """Everything, and nothing else."""
    return speech


def no_colour(speech: Speech, _draws: Draws) -> Speech:
    """Leaves out every colour."""
    return replace(speech, groups=tuple(replace(g, colour=None) for g in speech.groups))


def wrong_colour(speech: Speech, draws: Draws) -> Speech:
    """Gives every group another colour than it has."""
    return replace(
        speech,
        groups=tuple(replace(g, colour=draws.pick([c for c in COLOURS if c != g.colour])) for g in speech.groups),
    )


def miscount(speech: Speech, _draws: Draws) -> Speech:
    """Counts one too many in every group (one too few in a group of nine)."""
    return replace(
        speech,
        groups=tuple(replace(g, count=c + 1 if (c := g.count or 1) < MOST else c - 1) for g in speech.groups),
    )


def swap_relation(speech: Speech, _draws: Draws) -> Speech:
    """Says right for left, below for above, and the other way about."""
    return replace(speech, steps=tuple((first, OPPOSITE[side], second) for first, side, second in speech.steps))


def no_relation(speech: Speech, _draws: Draws) -> Speech:
    """Names the groups and does not say where they are."""
    return replace(speech, steps=())


def invent(speech: Speech, draws: Draws) -> Speech:
    """Adds a group of a shape that is not in the picture, without a place."""
    absent = [shape for shape in SHAPES if shape not in {g.shape for g in speech.groups}]
    if not absent:
        return speech
    new = Group(draws.pick(absent), draws.pick(COLOURS), draws.pick(SIZES), 1 + draws.below(3))
    return replace(speech, groups=(*speech.groups, new))


def repeat(speech: Speech, _draws: Draws) -> Speech:
    """Says everything twice."""
    return replace(speech, times=2)


def short(speech: Speech, _draws: Draws) -> Speech:
    """Names the first group and stops."""
    return replace(speech, groups=speech.groups[:1], steps=())


def reworded(speech: Speech, draws: Draws) -> Speech:
    """The same said otherwise: groups and relations in another order, some relations told from the other end."""
    order = draws.shuffle(range(len(speech.groups)))
    place = {old: new for new, old in enumerate(order)}
    steps = [(place[first], side, place[second]) for first, side, second in draws.shuffle(speech.steps)]
    return replace(
        speech,
        groups=tuple(speech.groups[old] for old in order),
        steps=tuple(step if draws.below(2) else (step[2], OPPOSITE[step[1]], step[0]) for step in steps),
    )


FLAWS: Mapping[str, Callable[[Speech, Draws], Speech]] = {
    "none": perfect,
    "no_colour": no_colour,
    "wrong_colour": wrong_colour,
    "miscount": miscount,
    "swap_relation": swap_relation,
    "no_relation": no_relation,
    "invent": invent,
    "repeat": repeat,
    "short": short,
}


@dataclass(frozen=True, slots=True)
class Speaker:
    """Describes scenes from their pixels alone, in one fixed style, with one chosen flaw.

    With a temperature above 0 it draws the order in which things are said, by the seed of the request.

    flaw: none, no_colour, wrong_colour, miscount, swap_relation, no_relation, invent, repeat or short.
    seed: fixes what is invented and which wrong colours are named. Every drawn scene has two groups or
    more and a relation, so every flaw shows in every scene; in a picture where one cannot, the caption is
    the perfect one.

    Raises:
        UsageError: no such flaw.
    """

    name: ClassVar[str] = "speaker"
    uses: ClassVar[frozenset[str]] = frozenset({"temperature", "seed"})
    flaw: str = "none"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.flaw not in FLAWS:
            raise UsageError(f"speaker has no flaw {self.flaw!r}", f"flaws: {', '.join(FLAWS)}")

    def fingerprint(self) -> str:
        """Name, flaw and seed, and the version of the world."""
        return fingerprint(self, VERSION)

    def check(self) -> Problem | None:
        """Nothing can be missing."""
        return None

    @contextmanager
    def open(self, device: str) -> Iterator[SpeakerSession]:  # noqa: ARG002 -- the protocol's shape
        """A session; it holds nothing."""
        yield SpeakerSession(self.flaw, self.seed)


@dataclass(frozen=True, slots=True)
class SpeakerSession:
    """Describes pictures one by one."""

    flaw: str
    seed: int

    def caption(self, requests: Sequence[Request], params: Generation) -> list[str | Failure]:
        """One text a request, or a Failure for what is no picture of a scene."""
        missing = Failure("there is no picture")
        return [missing if r.image is None else self._describe(r.image, params) for r in requests]

    def _describe(self, image: ImageRef, params: Generation) -> str | Failure:
        """One text from the pixels."""
        try:
            scene = see(load(image))
        except NotAScene as error:
            return Failure(f"not a scene: {error}")
        except CapbenchError as error:
            return Failure(error.message)
        meaning, steps = told(scene)
        draws = Draws(f"speaker/{self.seed}/{self.flaw}/{scene!r}")
        speech = FLAWS[self.flaw](Speech(meaning.groups, tuple(steps)), draws)
        if params.temperature > 0:
            speech = reworded(speech, Draws(f"speaker/{self.seed}/{params.seed}/{scene!r}"))
        return " ".join([tell(speech.groups, speech.steps)] * speech.times)
