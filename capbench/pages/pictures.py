"""Thumbnails beside a page: each picture once, as the models saw it."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from capbench import images
from capbench.progress import progress
from capbench.store import write_file
from capbench.types import ImageRef

QUALITY = 82


def thumbnails(refs: Sequence[ImageRef | None], folder: Path, size: int) -> tuple[list[str], dict[int, str]]:
    """File names below ``folder`` ("" for none), and why a picture has none. What is there already is kept.

    A name is the digest of the picture and the size, so that no id or path becomes a file's name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files: list[str] = []
    unseen: dict[int, str] = {}
    with ThreadPoolExecutor(os.cpu_count()) as workers, progress(len(refs), "thumbnails") as bar:
        made = workers.map(lambda ref: thumbnail(ref, folder, size), refs)
        for i, (name, reason) in enumerate(made):
            files.append(name)
            if reason:
                unseen[i] = reason
            bar.update(1)
    return files, unseen


def thumbnail(ref: ImageRef | None, folder: Path, size: int) -> tuple[str, str]:
    """The name of a picture's thumbnail, or why there is none."""
    if ref is None:
        return "", "no picture"
    if not ref.digest:
        return "", "the picture cannot be read"
    path = folder / f"{ref.digest[:24]}-{size}.jpg"
    if path.exists():
        return path.name, ""
    try:
        picture = images.load(ref)
    except images.ImageFault as error:
        return "", error.message
    picture.thumbnail((size, size))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY)
    write_file(path, out.getvalue())
    return path.name, ""
