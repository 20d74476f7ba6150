"""``gallery``: no painter at all, but the baseline of one: the picture of a folder that fits the text best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from capbench import plugins
from capbench.errors import CapbenchError
from capbench.images import SUFFIXES, names_in, reference
from capbench.protocols import Problem
from capbench.similarity.neighbours import nearest
from capbench.similarity.products import finite_rows, unit
from capbench.types import Failure, ImageRef
from capbench.weights import files_digest

if TYPE_CHECKING:
    from capbench.types import Floats


@dataclass(frozen=True, slots=True)
class Gallery:
    """The picture of a folder whose vector has the highest cosine with the text's (ties: the first by name).

    folder: pictures, with those of its sub-folders. encoder: the spec of an encoder of pictures and texts, such as
    ``mini``. prefix: put before every text. The seed is of no account. Pictures of the benchmark itself do not belong
    in the folder: with them it measures retrieval.
    """

    name: ClassVar[str] = "gallery"
    kind: ClassVar[str] = "generator"

    folder: str
    encoder: str = "mini"
    prefix: str = ""

    def fingerprint(self) -> str:
        """gallery/digest of the pictures' names and bytes/encoder, and the prefix."""
        encoder, origin = plugins.load("backends", self.encoder)
        by = encoder.fingerprint() + (f"+{origin}" if origin else "")
        return f"gallery/{files_digest(self._paths())}/{by}" + (f"/{self.prefix!r}" if self.prefix else "")

    def check(self) -> Problem | None:
        """The first thing that is missing: folder, pictures, or what the encoder lacks."""
        if not Path(self.folder).is_dir():
            return Problem(f"the folder of pictures {self.folder} does not exist", "give one: gallery(folder='DIR')")
        if not self._paths():
            return Problem(f"{self.folder} holds no pictures", f"files that end in {', '.join(sorted(SUFFIXES))} are")
        try:
            encoder, _ = plugins.load("backends", self.encoder)
        except CapbenchError as error:
            return Problem(error.message, error.cure)
        if encoder.kind != "encoder":
            return Problem(f"{self.encoder!r} is a {encoder.kind}, and an encoder is needed", "encoder='mini' is one")
        problem: Problem | None = encoder.check()
        return problem

    @contextmanager
    def open(self, device: str) -> Iterator[GallerySession]:
        """Encode the folder, and give the session.

        Raises:
            CapbenchError: no picture of it can be encoded.
        """
        encoder, _ = plugins.load("backends", self.encoder)
        with encoder.open(device) as session:
            refs = [reference(path) for path in self._paths()]
            vectors = unit(session.images(refs).vectors)
            usable = finite_rows(vectors)
            if not usable.any():
                raise CapbenchError(f"no picture of {self.folder} can be encoded by {self.encoder}")
            kept = [ref for ref, good in zip(refs, usable, strict=True) if good]
            yield GallerySession(kept, vectors[usable], session, self.prefix)

    def _paths(self) -> list[Path]:
        """The folder's pictures by name."""
        return [Path(self.folder) / name for name in names_in(Path(self.folder))]


class GallerySession:
    """Finds pictures. refs, vectors: the gallery; encoder: an open session."""

    def __init__(self, refs: Sequence[ImageRef], vectors: Floats, encoder: Any, prefix: str) -> None:
        self._refs, self._vectors, self._encoder, self._prefix = refs, vectors, encoder, prefix

    def paint(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[ImageRef | Failure]:  # noqa: ARG002 -- found, not drawn
        """The file of one picture a prompt; a Failure where the text has no vector."""
        texts = unit(self._encoder.texts([self._prefix + prompt for prompt in prompts]).vectors)
        known = finite_rows(texts)
        best = nearest(np.where(known[:, None], texts, 0), self._vectors, 1)[0][:, 0]
        return [
            self._refs[place] if there else Failure("the text has no vector")
            for place, there in zip(best.tolist(), known.tolist(), strict=True)
        ]

    def cut(self, prompts: Sequence[str]) -> Sequence[bool]:
        """Which texts the encoder truncates."""
        found = self._encoder.texts([self._prefix + prompt for prompt in prompts]).cut
        return [False] * len(prompts) if found is None else [bool(flag) for flag in found]
