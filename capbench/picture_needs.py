"""Needs of painted pictures: the pictures themselves, and how alike two pictures are."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from capbench import paintings
from capbench.errors import Midway
from capbench.images import ImageFault
from capbench.paintings import Painting
from capbench.protocols import Need
from capbench.types import Failure, ImageRef


class Prompt(NamedTuple):
    """What a painter is asked for."""

    text: str
    seed: int


@dataclass(frozen=True, slots=True)
class Painted:
    """Ragged[list[Painting]]: each text painted with the seeds ``seed``, ``seed + 1``, ..., as many as ``seeds``.

    A picture is a file of the cache. It is known by its text and its own seed, so that those that were painted stay
    when more of them are asked for.
    """

    kind: ClassVar[str] = paintings.KIND
    backend_kind: ClassVar[str] = "generator"
    cached: ClassVar[bool] = True
    several: ClassVar[bool] = True

    of: Need
    generator: str = "painter"
    seeds: int = field(default=1, metadata={"signed": False})
    seed: int = field(default=0, metadata={"signed": False})

    @property
    def backend(self) -> str:
        """The painter."""
        return self.generator

    def inputs(self, item: Any) -> list[Any]:
        """The text with each seed."""
        return [Prompt(item, self.seed + k) for k in range(self.seeds)]

    def named(self, prompt: Prompt) -> str:
        """What a painting is known by, beside its painter."""
        return f"{prompt.seed}#t:{prompt.text}"

    def compute(self, session: Any, items: Sequence[Any]) -> Sequence[Any]:
        """One Painting or Failure a prompt."""
        texts, seeds = [prompt.text for prompt in items], [prompt.seed for prompt in items]
        cut = session.cut(texts) if hasattr(session, "cut") else [False] * len(texts)
        try:
            painted = session.paint(texts, seeds)
        except Midway as stop:
            done = {i: kept(picture, seeds[i], cut=bool(cut[i])) for i, picture in stop.done.items()}
            raise Midway(stop.error, done) from None
        return [kept(picture, seed, cut=bool(c)) for picture, seed, c in zip(painted, seeds, cut, strict=True)]

    def pack(self, value: Any) -> bytes:
        """The file, the seed, and whether the text was cut."""
        return paintings.written(value)

    def unpack(self, data: bytes) -> Painting | None:
        """The picture; None where its file is gone."""
        return paintings.read(data).painting()

    def gather(self, values: Sequence[Any]) -> list[Painting]:
        """All pictures; one without a path for a failure."""
        return [Painting("") if isinstance(value, Failure) else value for value in values]


def kept(picture: Any, seed: int, *, cut: bool) -> Painting | Failure:
    """The picture as a file of the cache; a Failure stays one."""
    if isinstance(picture, Failure):
        return picture
    try:
        return paintings.keep(picture, seed, cut=cut)
    except ImageFault as fault:
        return Failure(fault.message)


class Pair(NamedTuple):
    """Two pictures to be compared."""

    picture: ImageRef
    original: ImageRef


@dataclass(frozen=True, slots=True)
class Compared:
    """float64: how alike each picture of ``of`` is to its item's picture in ``to``; NaN for failures."""

    kind: ClassVar[str] = "compared"
    backend_kind: ClassVar[str] = "similarity"
    cached: ClassVar[bool] = True

    of: Need
    to: Need
    similarity: str = "ssim"

    @property
    def backend(self) -> str:
        """What compares."""
        return self.similarity

    def inputs(self, item: Any) -> list[Any]:
        """The pair itself."""
        return [item]

    def compute(self, session: Any, items: Sequence[Any]) -> Sequence[Any]:
        """One number or Failure a pair."""
        found: Sequence[Any] = session.compare([p.picture for p in items], [p.original for p in items])
        return [
            number if isinstance(number, Failure) or np.isfinite(number) else Failure("the similarity is not finite")
            for number in found
        ]

    def pack(self, value: Any) -> bytes:
        """Eight bytes."""
        return struct.pack("<d", value)

    def unpack(self, data: bytes) -> float:
        """The same number."""
        (number,) = struct.unpack("<d", data)
        return float(number)

    def gather(self, values: Sequence[Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """One number a pair."""
        return np.array([np.nan if isinstance(value, Failure) else value for value in values], np.float64)
