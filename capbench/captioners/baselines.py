"""Baselines made from the benchmark itself: what a captioner must beat, and what people reach."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from capbench.needs import Ids, Images, References, Vectors
from capbench.protocols import Need, Problem
from capbench.ragged import Ragged
from capbench.signature import fingerprint
from capbench.types import Failure

if TYPE_CHECKING:
    from capbench.types import Floats, Ints

NO_REFERENCE = "the image has no reference to take"
CHUNK = 1024


@dataclass(frozen=True, slots=True)
class Constant:
    """The same text for every picture: the score of saying nothing about it."""

    name: ClassVar[str] = "constant"
    text: str = "a picture of something"

    def fingerprint(self) -> str:
        """Name and text."""
        return fingerprint(self)

    def check(self) -> Problem | None:
        """Nothing can be missing."""
        return None

    @property
    def needs(self) -> Mapping[str, Need]:
        """Only how many items there are."""
        return {"ids": Ids()}

    def captions(self, ids: Sequence[str]) -> Sequence[str | Failure]:
        """The text, once an item."""
        return [self.text] * len(ids)

    def sampled(self, samples: int, ids: Sequence[str]) -> Sequence[Sequence[str | Failure]]:
        """The text, so many times an item: no diversity at all."""
        return [[self.text] * samples] * len(ids)


@dataclass(frozen=True, slots=True)
class Shuffled:
    """A reference of another picture: fluent, human, and about something else."""

    name: ClassVar[str] = "shuffled"
    seed: int = 0

    def fingerprint(self) -> str:
        """Name and seed."""
        return fingerprint(self)

    def check(self) -> Problem | None:
        """Nothing can be missing."""
        return None

    @property
    def needs(self) -> Mapping[str, Need]:
        """Ids and references."""
        return {"ids": Ids(), "references": References()}

    def captions(self, ids: Sequence[str], references: Ragged[list[str]]) -> Sequence[str | Failure]:
        """The first reference of the next picture in a seeded cycle, so that none keeps its own."""
        return firsts(self.sampled(1, ids, references))

    def sampled(
        self, samples: int, ids: Sequence[str], references: Ragged[list[str]]
    ) -> Sequence[Sequence[str | Failure]]:
        """The first references of the next pictures in the cycle: fluent, unlike each other, about something else."""
        from capbench.bags import shuffled

        counts = references.counts
        index = {id_: i for i, id_ in enumerate(ids)}
        line = [index[id_] for id_ in shuffled(ids, self.seed) if counts[index[id_]] > 0]
        answers: list[list[str | Failure]] = [[Failure(NO_REFERENCE)] * samples for _ in ids]
        for sample in range(min(samples, len(line) - 1)):
            for i, other in zip(line, line[sample + 1 :] + line[: sample + 1], strict=True):
                answers[i][sample] = references.values[references.offsets[other]]
        return answers


@dataclass(frozen=True, slots=True)
class Human:
    """The first reference, scored against the others; with several samples, as many references.

    It takes references away, so its numbers have their own signature; with ``refs =
    'leave-one-out'`` in the benchmark every system is scored against the same others.
    """

    name: ClassVar[str] = "human"
    leaves_one_out: ClassVar[bool] = True

    def fingerprint(self) -> str:
        """Its name."""
        return fingerprint(self)

    def check(self) -> Problem | None:
        """Nothing can be missing."""
        return None

    @property
    def needs(self) -> Mapping[str, Need]:
        """All references, before one is left out."""
        return {"references": References()}

    def captions(self, references: Ragged[list[str]]) -> Sequence[str | Failure]:
        """The first reference of each item."""
        return firsts(self.sampled(1, references))

    def sampled(self, samples: int, references: Ragged[list[str]]) -> Sequence[Sequence[str | Failure]]:
        """The first references of each item."""
        return [
            [references.values[k] if k < end else Failure(NO_REFERENCE) for k in range(start, start + samples)]
            for start, end in itertools.pairwise(references.offsets.tolist())
        ]


@dataclass(frozen=True, slots=True)
class Nearest:
    """The first reference of the nearest other picture by an encoder (ties: the earlier one)."""

    name: ClassVar[str] = "nearest"
    encoder: str = "clip"

    def fingerprint(self) -> str:
        """Its name; the encoder's fingerprint is added by the engine."""
        return fingerprint(self)

    def check(self) -> Problem | None:
        """Nothing of its own can be missing."""
        return None

    @property
    def needs(self) -> Mapping[str, Need]:
        """Vectors of the pictures, and the references."""
        return {"image": Vectors(Images(), self.encoder), "references": References()}

    def captions(self, image: Floats, references: Ragged[list[str]]) -> Sequence[str | Failure]:
        """One reference an item; a Failure where the picture has no vector."""
        return firsts(self.sampled(1, image, references))

    def sampled(self, samples: int, image: Floats, references: Ragged[list[str]]) -> Sequence[Sequence[str | Failure]]:
        """The first references of the nearest other pictures, the nearest first."""
        usable = np.asarray(np.isfinite(image).all(axis=1))
        donors = np.flatnonzero(usable & (references.counts > 0))
        answers: list[list[str | Failure]] = [[Failure("no other picture to take from")] * samples for _ in image]
        for start in range(0, len(image), CHUNK):
            part = np.arange(start, min(start + CHUNK, len(image)))
            scores = np.nan_to_num(image[part]) @ image[donors].T
            scores[part[:, None] == donors[None, :]] = -np.inf
            for i, row, best in zip(part.tolist(), scores, best_first(scores, samples), strict=True):
                for sample, j in enumerate(best):
                    if usable[i] and not np.isneginf(row[j]):
                        answers[i][sample] = references.values[references.offsets[donors[j]]]
        return answers


def best_first(scores: Floats, n: int) -> Ints:
    """The columns of the n highest scores of each row, the highest first; of equal ones the earlier."""
    best: Ints = scores.argmax(axis=1)[:, None] if n == 1 and scores.shape[1] else np.argsort(-scores, kind="stable")
    return best[:, :n]


def firsts(lists: Sequence[Sequence[str | Failure]]) -> list[str | Failure]:
    """The first answer of each item."""
    return [answers[0] for answers in lists]
