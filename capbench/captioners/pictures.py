"""The pictures of a request: opened by several threads, cut to a region, and prepared while the model is busy."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from capbench.images import ImageFault, load
from capbench.types import Box, Failure, Request

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_THREADS = 8
Made = TypeVar("Made")
Pictures: TypeAlias = "Sequence[list[Image] | Failure]"  # the item's own picture first
Prepare: TypeAlias = Callable[[Sequence[Request], Pictures], Made]


def shown(request: Request, *, crop: bool, context: bool) -> list[Image] | Failure:
    """The picture of a request, cut to its regions with ``crop``, and behind it the others with ``context``.

    A picture that cannot be shown is a Failure that says why.
    """
    if request.image is None:
        return Failure("there is no picture")
    try:
        picture = load(request.image)
        if crop and request.regions:
            picture = picture.crop(around(request.regions, picture.size))
        return [picture, *(load(ref) for ref in request.context if context)]
    except ImageFault as fault:
        return Failure(fault.message)


def around(regions: Sequence[Box], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The smallest whole-pixel rectangle around the regions: left, top, right, bottom, within the picture.

    Raises:
        ImageFault: nothing of them is inside the picture.
    """
    left, top = (min(box[i] for box in regions) for i in (0, 1))
    right, bottom = (max(box[i] + box[i + 2] for box in regions) for i in (0, 1))
    edges = (max(int(left), 0), max(int(top), 0), min(-int(-right // 1), size[0]), min(-int(-bottom // 1), size[1]))
    if edges[0] >= edges[2] or edges[1] >= edges[3]:
        raise ImageFault(f"the region {regions[0]} is outside the picture of {size[0]} x {size[1]} pixels")
    return edges


class Ahead(Generic[Made]):
    """Prepares batches in a thread of its own: one that was announced while the model works on the one before.

    prepare: requests and their pictures -> what the model takes. It runs in one thread, and the pictures are opened
    by several.
    """

    def __init__(self, prepare: Prepare[Made], *, crop: bool, context: bool) -> None:
        self._prepare, self._crop, self._context = prepare, crop, context
        self._worker = ThreadPoolExecutor(1, "batches")
        self._readers = ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1), "pictures")
        self._announced: tuple[Request, ...] = ()
        self._begun: tuple[tuple[Request, ...], Future[Made]] | None = None

    def announce(self, requests: Sequence[Request]) -> None:
        """Name the batch that will be asked for after the next one; it is begun when that one is ready."""
        self._announced = tuple(requests)

    def get(self, requests: Sequence[Request]) -> Made:
        """The batch, ready; what was announced begins."""
        wanted, begun, self._begun = tuple(requests), self._begun, None
        future = begun[1] if begun and begun[0] == wanted else self._worker.submit(self._made, wanted)
        made = future.result()
        if self._announced:
            self._begun = self._announced, self._worker.submit(self._made, self._announced)
            self._announced = ()
        return made

    def _made(self, requests: Sequence[Request]) -> Made:
        """Open the pictures and prepare them."""
        pictures = self._readers.map(lambda one: shown(one, crop=self._crop, context=self._context), requests)
        return self._prepare(requests, list(pictures))

    def close(self) -> None:
        """End the threads."""
        self._worker.shutdown(cancel_futures=True)
        self._readers.shutdown(cancel_futures=True)


@contextmanager
def ahead(prepare: Prepare[Made], *, crop: bool = False, context: bool = False) -> Iterator[Ahead[Made]]:
    """A reader of batches; leaving ends its threads."""
    reader = Ahead(prepare, crop=crop, context=context)
    try:
        yield reader
    finally:
        reader.close()


__all__ = ["Ahead", "Pictures", "ahead", "around", "shown"]
