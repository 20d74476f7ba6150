"""Thumbnails beside a page: each picture once, as the models saw it."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from capbench import images
from capbench.progress import progress
from capbench.store import make_folder, write_file
from capbench.types import ImageRef

QUALITY = 82


class Thumbnail(NamedTuple):
    """A file's name (of ``inline`` an address), or why there is none."""

    file: str
    reason: str = ""


NO_PICTURE = Thumbnail("", "no picture")
UNREADABLE = Thumbnail("", "the picture cannot be read")


def thumbnails(refs: Sequence[ImageRef | None], folder: Path, size: int) -> tuple[list[str], dict[int, str]]:
    """File names below ``folder`` ("" for none), and why a picture has none. What is there already is kept.

    A name is the digest of the picture and the size, so that no id or path becomes a file's name.
    """
    make_folder(folder)
    distinct = list(
        {ref.digest: ref for ref in refs if ref is not None and ref.digest}.values()
    )  # a file has one maker
    made: dict[str, Thumbnail] = {}
    with ThreadPoolExecutor(os.cpu_count()) as workers, progress(len(distinct), "thumbnails") as bar:
        for ref, found in zip(distinct, workers.map(lambda ref: thumbnail(ref, folder, size), distinct), strict=True):
            made[ref.digest] = found
            bar.update(1)
    every = [made.get(ref.digest, UNREADABLE) if ref is not None else NO_PICTURE for ref in refs]
    return [found.file for found in every], {i: found.reason for i, found in enumerate(every) if found.reason}


def thumbnail(ref: ImageRef, folder: Path, size: int) -> Thumbnail:
    """One picture's thumbnail, made unless it is there."""
    path = folder / f"{ref.digest[:24]}-{size}.jpg"
    if path.exists():
        return Thumbnail(path.name)
    try:
        write_file(path, jpeg(ref, size))
    except images.ImageFault as error:
        return Thumbnail("", error.message)
    return Thumbnail(path.name)


def jpeg(ref: ImageRef, size: int) -> bytes:
    """A picture made small.

    Raises:
        ImageFault: it cannot be read.
    """
    picture = images.load(ref)
    picture.thumbnail((size, size))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def inline(ref: ImageRef | None, size: int) -> Thumbnail:
    """A picture as an address that holds it, for pages without files beside them."""
    if ref is None or not ref.digest:
        return NO_PICTURE if ref is None else UNREADABLE
    try:
        return Thumbnail(f"data:image/jpeg;base64,{base64.b64encode(jpeg(ref, size)).decode()}")
    except images.ImageFault as error:
        return Thumbnail("", error.message)
