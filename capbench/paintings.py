"""Painted pictures: files of the cache, each under the digest of its bytes, beside the store of values.

    <cache>/painted/<first two digits>/<digest>.png

The store says which painter, text and seed a picture belongs to; a picture that two texts have is one file.
"""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from capbench import images
from capbench.paths import cache_root
from capbench.types import ImageRef

if TYPE_CHECKING:
    from PIL.Image import Image

FOLDER = "painted"
KIND = "painted"  # of the values in the store that stand for pictures
QUICK = 1  # zlib's level: a painted picture is hardly smaller at 9, and takes ten times as long


@dataclass(frozen=True, slots=True)
class Painting(ImageRef):
    """A painted picture.

    seed: what it was painted with. cut: the painter reads less than the whole text. about: what the painter says of
    it, as plain JSON, such as the prompt that a server made of the text.
    """

    seed: int = 0
    cut: bool = False
    about: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def file(self) -> str:
        """The picture's path within the cache; "" for none."""
        return Path(self.path).relative_to(cache_root()).as_posix() if self.path else ""


class Kept(NamedTuple):
    """What the store says of a picture: its file by digest, ending and size in bytes, and how it was painted."""

    digest: str
    ending: str
    size: int
    seed: int
    cut: bool
    about: Mapping[str, Any]

    @property
    def path(self) -> Path:
        """Where the file belongs."""
        return place(self.digest, self.ending)

    def painting(self) -> Painting | None:
        """The picture; None where its file is gone or has another size."""
        there = self.path.is_file() and self.path.stat().st_size == self.size
        return Painting(str(self.path), self.digest, self.seed, self.cut, self.about) if there else None

    def whole(self) -> bool:
        """Whether the file is there and holds what it should."""
        return self.path.is_file() and images.digest(self.path.read_bytes()) == self.digest


def written(painting: Painting) -> bytes:
    """A picture as a value of the store."""
    path = Path(painting.path)
    said = [painting.digest, path.suffix, path.stat().st_size, painting.seed, painting.cut, painting.about]
    return json.dumps(said).encode()


def read(value: bytes) -> Kept:
    """What a value of the store says."""
    return Kept(*json.loads(value))


def folder() -> Path:
    """Where painted pictures are."""
    return cache_root() / FOLDER


def place(digest: str, ending: str = ".png") -> Path:
    """Where a picture is, or would be."""
    return folder() / digest[:2] / f"{digest}{ending}"


def keep(picture: Image | ImageRef, seed: int, *, cut: bool = False) -> Painting:
    """Keep a picture without loss; one that is a file already is copied as it is. ``info["about"]`` goes with it.

    Raises:
        ImageFault: the file cannot be read.
    """
    if isinstance(picture, ImageRef):
        data, about = images.content(picture), {}
        ending = Path(picture.path).suffix.lower()
    else:
        data, ending, about = png(picture), ".png", dict(picture.info.get("about", {}))
    digest = images.digest(data)
    path = place(digest, ending if ending in images.SUFFIXES else "")
    if path.is_file() and path.read_bytes() == data:
        os.utime(path)  # as young as what now asks for it, so that pruning spares it
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{uuid4().hex}.tmp")
        unfinished.write_bytes(data)
        unfinished.replace(path)
    return Painting(str(path), digest, seed, cut, about)


def png(picture: Image) -> bytes:
    """The pixels as an RGB PNG, without what else a picture may carry."""
    plain = picture.convert("RGB")
    plain.info = {}
    out = io.BytesIO()
    plain.save(out, "PNG", compress_level=QUICK)
    return out.getvalue()


def prune(days: float, kept: Iterable[str]) -> None:
    """Remove pictures kept more than this many days ago, except those with these digests."""
    spared, before = set(kept), time.time() - days * 86400
    for path in folder().glob("??/*"):  # with what a killed run has left of one
        if path.stem not in spared and path.stat().st_mtime < before:
            path.unlink(missing_ok=True)


__all__ = ["KIND", "Kept", "Painting", "keep", "place", "prune", "read", "written"]
