"""What all dual encoders share: batches, and pictures that are decoded while the model works on earlier ones."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from capbench.errors import CapbenchError
from capbench.images import ImageFault, load
from capbench.languages import readable
from capbench.protocols import Encoded
from capbench.types import Failure, ImageRef

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from capbench.types import Floats

BATCH = 32
MOST_THREADS = 8
NARROWEST = 500  # long side to short side; a resized picture would need that many times a square's memory
Arrays = Mapping[str, "NDArray[Any]"]


class Tokens(NamedTuple):
    """Texts as the arrays that a text tower takes (one row a text), and which of them were truncated."""

    arrays: Arrays
    cut: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Towers:
    """A dual encoder, by what it does. ``prepare`` runs in several threads at once.

    prepare: one picture -> its arrays; see: stacked arrays -> vectors; tokenize: texts -> tokens;
    read: arrays of tokens -> vectors. whole: the model's numbers depend on how many rows are computed together, so
    every batch is filled up.
    """

    prepare: Callable[[Image], Arrays]
    see: Callable[[Arrays], Floats]
    tokenize: Callable[[Sequence[str]], Tokens]
    read: Callable[[Arrays], Floats]
    whole: bool = False


class Session:
    """An EncoderSession over towers."""

    def __init__(self, towers: Towers, batch: int, pool: ThreadPoolExecutor) -> None:
        self._towers, self._batch, self._pool = towers, batch, pool

    def images(self, refs: Sequence[ImageRef]) -> Encoded:
        """One row a picture; a picture that cannot be shown to the model is a failure that says why."""
        failures: dict[int, str] = {}
        places: list[int] = []
        waiting: list[Arrays] = []
        found: list[Floats] = []
        for i, picture in enumerate(self._prepared(refs)):
            if isinstance(picture, Failure):
                failures[i] = picture.reason
                continue
            places.append(i)
            waiting.append(picture)
            if len(waiting) == self._batch:
                found.append(self._run(self._towers.see, stacked(waiting)))
                waiting = []
        if waiting:
            found.append(self._run(self._towers.see, stacked(waiting)))
        rows = np.full((len(refs), found[0].shape[1] if found else 1), np.nan, np.float32)
        if found:
            rows[places] = np.concatenate(found)
        return Encoded(rows, None, failures)

    def texts(self, texts: Sequence[str]) -> Encoded:
        """One row a text; ``cut`` says which texts were longer than the model reads."""
        if not texts:
            return Encoded(np.empty((0, 1), np.float32), np.empty(0, bool))
        tokens = self._towers.tokenize([readable(text) for text in texts])
        parts = (slice(start, start + self._batch) for start in range(0, len(texts), self._batch))
        found = [self._run(self._towers.read, {k: a[part] for k, a in tokens.arrays.items()}) for part in parts]
        return Encoded(np.concatenate(found), tokens.cut)

    def _prepared(self, refs: Sequence[ImageRef]) -> Iterator[Arrays | Failure]:
        """The pictures in order; at most two batches of them are being decoded or wait."""
        queue: deque[Future[Arrays | Failure]] = deque()
        for ref in refs:
            queue.append(self._pool.submit(self._prepare, ref))
            if len(queue) > 2 * self._batch:
                yield queue.popleft().result()
        while queue:
            yield queue.popleft().result()

    def _prepare(self, ref: ImageRef) -> Arrays | Failure:
        """One picture, decoded and made ready."""
        try:
            image = load(ref)
            if max(image.size) > NARROWEST * min(image.size):
                raise ImageFault(f"the picture is too narrow to be shown to a model: {image.width} x {image.height}")
            return self._towers.prepare(image)
        except CapbenchError as error:
            return Failure(error.message)

    def _run(self, tower: Callable[[Arrays], Floats], arrays: Arrays) -> Floats:
        """The vectors of one batch, as float32."""
        rows = len(next(iter(arrays.values())))
        if self._towers.whole and rows < self._batch:
            filled = np.minimum(np.arange(self._batch), rows - 1)
            arrays = {name: array[filled] for name, array in arrays.items()}
        return np.asarray(tower(arrays), np.float32)[:rows]


def stacked(pictures: Sequence[Arrays]) -> Arrays:
    """The arrays of several pictures, stacked."""
    return {name: np.stack([picture[name] for picture in pictures]) for name in pictures[0]}


@contextmanager
def session(towers: Towers, batch: int, threads: int = 0) -> Iterator[Session]:
    """A session with its threads (0: as many as there are cores, at most MOST_THREADS)."""
    with ThreadPoolExecutor(threads or min(MOST_THREADS, os.cpu_count() or 1), "pictures") as pool:
        yield Session(towers, batch, pool)
