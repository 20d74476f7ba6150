"""Baselines made from the benchmark itself: what a captioner must beat, and what people reach."""

from __future__ import annotations

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
    from capbench.types import Floats

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
        from capbench.bags import shuffled

        counts = references.counts
        index = {id_: i for i, id_ in enumerate(ids)}
        line = [index[id_] for id_ in shuffled(ids, self.seed) if counts[index[id_]] > 0]
        follower = dict(zip(line, line[1:] + line[:1], strict=True)) if len(line) > 1 else {}
        return [
            references.values[references.offsets[follower[i]]] if i in follower else Failure(NO_REFERENCE)
            for i in range(len(ids))
        ]


@dataclass(frozen=True, slots=True)
class Human:
    """The first reference, scored against the others.

    It takes a reference away, so its numbers have their own signature; with ``refs =
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
        return [
            references.values[start] if end > start else Failure(NO_REFERENCE)
            for start, end in zip(references.offsets[:-1], references.offsets[1:], strict=True)
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
        usable = np.asarray(np.isfinite(image).all(axis=1))
        donors = np.flatnonzero(usable & (references.counts > 0))
        answers: list[str | Failure] = []
        for start in range(0, len(image), CHUNK):
            part = np.arange(start, min(start + CHUNK, len(image)))
            scores = np.nan_to_num(image[part]) @ image[donors].T
            scores[part[:, None] == donors[None, :]] = -np.inf
            best = scores.argmax(axis=1) if len(donors) else np.zeros(len(part), np.int64)
            for i, row, j in zip(part, scores, best, strict=True):
                if not usable[i] or not len(donors) or np.isneginf(row[j]):
                    answers.append(Failure("no other picture to take from"))
                else:
                    answers.append(references.values[references.offsets[donors[j]]])
        return answers
