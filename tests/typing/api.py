"""What a plugin author and a user of the Python API write; mypy --strict checks this file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

import capbench
from capbench.needs import Captions, Images, Vectors
from capbench.protocols import Captioner, CaptionSession, Metric, Need, Problem
from capbench.types import Column, Failure, Generation, Request


@dataclass(frozen=True, slots=True)
class Cosine:
    """The plain cosine of picture and caption."""

    name: ClassVar[str] = "cosine"
    version: ClassVar[int] = 1
    columns: ClassVar[Mapping[str, Column]] = {"cosine": Column("cosine", low=-1.0, high=1.0)}
    encoder: str = "clip"

    @property
    def needs(self) -> Mapping[str, Need]:
        """Vectors of both."""
        return {"image": Vectors(Images(), self.encoder), "text": Vectors(Captions(), self.encoder)}

    def rows(self, image: NDArray[np.float32], text: NDArray[np.float32]) -> Mapping[str, NDArray[np.float64]]:
        """One cosine an item."""
        return {"cosine": (image * text).sum(axis=1, dtype=np.float64)}


class Session:
    """Says the same of everything."""

    def caption(self, requests: Sequence[Request], params: Generation) -> Sequence[str | Failure]:
        """One text or failure a request."""
        return [params.prompt if request.image else Failure("no picture") for request in requests]


@dataclass(frozen=True, slots=True)
class Parrot:
    """Repeats the prompt."""

    name: ClassVar[str] = "parrot"

    def fingerprint(self) -> str:
        """Its name."""
        return "parrot/1"

    def check(self) -> Problem | None:
        """Nothing can be missing."""
        return None

    @contextmanager
    def open(self, device: str) -> Iterator[CaptionSession]:
        """Nothing to load."""
        del device
        yield Session()


metric: Metric = Cosine()
captioner: Captioner = Parrot()


def use() -> float | None:
    """The Python API, typed."""
    run = capbench.run("speaker", "scenes", ["cider"], limit=10, runs=None, backends={"clip": "scenes"})
    scored = capbench.score("predictions.jsonl", "references.json", field="outputs.mine")
    split = capbench.load_run("runs/scenes/speaker-1a2b3c", by="changed")
    lows: list[float | None] = [score.low for group in split.groups for score in group.scores]
    return run.value("cider") or scored.value("cider") or lows[0]
