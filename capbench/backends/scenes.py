"""The drawn world's encoder, painter and parser: exact, and made of numpy and Pillow alone.

They take pixels or text and nothing else: no id, no file name, no record of what was drawn or said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from capbench.errors import CapbenchError
from capbench.images import load
from capbench.protocols import Elements, Encoded, Problem
from capbench.scenes.draw import NotAScene, draw, see
from capbench.scenes.meaning import elements, of_scene
from capbench.scenes.paint import CannotPaint, scene_of, unread_reason
from capbench.scenes.reading import read
from capbench.scenes.space import WIDTH, vector
from capbench.scenes.world import VERSION
from capbench.signature import fingerprint
from capbench.types import Failure, ImageRef

if TYPE_CHECKING:
    from PIL.Image import Image

READER = 1  # raised when a text can come to mean something else


@dataclass(frozen=True, slots=True)
class ScenesEncoder:
    """Pictures by what they show and texts by what they say, in one space (``capbench.scenes.space``).

    The cosine of a drawn scene and a text is 1 if and only if the text says everything about it and
    nothing else. Leaving something out gives less, and saying it wrong less still. A text that makes no
    readable statement has cosine 0 with every picture. No text is ever cut.
    """

    name: ClassVar[str] = "scenes"
    kind: ClassVar[str] = "encoder"

    def fingerprint(self) -> str:
        """Name, and the versions of the world and of the reader."""
        return fingerprint(self, VERSION) + f".{READER}"

    def check(self) -> Problem | None:
        """Nothing can be missing."""
        return None

    @contextmanager
    def open(self, device: str) -> Iterator[EncoderSession]:  # noqa: ARG002 -- the protocol's shape
        """A session; it holds nothing."""
        yield EncoderSession()


class EncoderSession:
    """Each item is encoded by itself, so the batch is of no account."""

    def images(self, refs: Sequence[ImageRef]) -> Encoded:
        """len(refs) x WIDTH; a picture that is not a scene is a failure that says why."""
        rows = np.full((len(refs), WIDTH), np.nan, np.float32)
        failures: dict[int, str] = {}
        for i, ref in enumerate(refs):
            try:
                rows[i] = vector(of_scene(see(load(ref))))
            except NotAScene as error:
                failures[i] = f"not a scene: {error}"
            except CapbenchError as error:
                failures[i] = error.message
        return Encoded(rows, None, failures)

    def texts(self, texts: Sequence[str]) -> Encoded:
        """len(texts) x WIDTH; every text has a vector."""
        rows = [vector(read(text)) for text in texts]
        return Encoded(np.array(rows, np.float32).reshape(len(rows), WIDTH))


@dataclass(frozen=True, slots=True)
class ScenesPainter:
    """Texts into pictures; what a text leaves open is drawn from the seed."""

    name: ClassVar[str] = "scenes_painter"
    kind: ClassVar[str] = "generator"

    def fingerprint(self) -> str:
        """Name, and the versions of the world and of the reader."""
        return fingerprint(self, VERSION) + f".{READER}"

    def check(self) -> Problem | None:
        """Nothing can be missing."""
        return None

    @contextmanager
    def open(self, device: str) -> Iterator[PainterSession]:  # noqa: ARG002 -- the protocol's shape
        """A session; it holds nothing."""
        yield PainterSession()


class PainterSession:
    """Paints texts one by one."""

    def paint(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image | Failure]:
        """One RGB picture of 144 x 144 a prompt, or a Failure that names what cannot be painted."""
        return [self._paint(prompt, seed) for prompt, seed in zip(prompts, seeds, strict=True)]

    def _paint(self, prompt: str, seed: int) -> Image | Failure:
        """One picture."""
        try:
            return draw(scene_of(read(prompt), seed))
        except CannotPaint as error:
            return Failure(str(error))


@dataclass(frozen=True, slots=True)
class ScenesParser:
    """Texts into elements; a text with a word that it cannot read is refused, and the word is named."""

    name: ClassVar[str] = "scenes_parser"
    kind: ClassVar[str] = "parser"

    def fingerprint(self) -> str:
        """Name, and the version of the reader."""
        return fingerprint(self, READER)

    def check(self) -> Problem | None:
        """Nothing can be missing."""
        return None

    @contextmanager
    def open(self, device: str) -> Iterator[ParserSession]:  # noqa: ARG002 -- the protocol's shape
        """A session; it holds nothing."""
        yield ParserSession()


class ParserSession:
    """Parses texts one by one."""

    def parse(self, texts: Sequence[str]) -> list[Elements | Failure]:
        """One Elements a text, or a Failure "cannot read: ..."."""
        return [self._parse(text) for text in texts]

    def _parse(self, text: str) -> Elements | Failure:
        """One text."""
        meaning = read(text)
        if meaning.unread:
            return Failure(unread_reason(meaning.unread))
        if not meaning.groups:
            return Failure("cannot read: the text names no shape")
        return elements(meaning)
