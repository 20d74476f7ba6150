"""What captions were painted as, as data for their page: the pictures of the metric ``reconstruction``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from capbench import paintings
from capbench.details import details_of
from capbench.pages.pictures import thumbnails
from capbench.store import Run
from capbench.types import ImageRef

METRIC = "reconstruction"
DIGEST = re.compile(r"[0-9a-f]{32}")
GONE = "the painting is no longer in the cache"


def paintings_data(runs: Sequence[Run], ids: Sequence[str], folder: Path, size: int) -> list[list[Any] | None]:
    """For each run its paintings of each item, with their thumbnails in ``folder``; None for a run that has none.

    A painting is [file, seed, value, why there is no file, the prompt that a server made of the caption].
    """
    found = [details_of(run, METRIC) for run in runs]
    lists = [[own[name].get("paintings", []) if name in own else [] for name in ids] if own else None for own in found]
    every = [painting for own in lists if own for item in own for painting in item]
    if not every:
        return [None for _ in runs]
    files, unseen = thumbnails([reference(painting) for painting in every], folder, size)
    shown = iter([one(painting, files[i], GONE if i in unseen else "") for i, painting in enumerate(every)])
    return [None if own is None else [[next(shown) for _ in item] for item in own] for own in lists]


def reference(painting: Mapping[str, Any]) -> ImageRef | None:
    """The file of a painting in this cache: a run's folder names it by its digest, and no other file."""
    digest, ending = str(painting["digest"]), Path(str(painting["file"])).suffix
    if DIGEST.fullmatch(digest) is None:
        return None
    path = paintings.place(digest, ending)
    return ImageRef(str(path), digest) if path.is_file() else None


def one(painting: Mapping[str, Any], file: str, why: str) -> list[Any]:
    """A painting, as short as it can be said."""
    about = painting.get("about", {})
    return [file, painting["seed"], painting["value"], why, str(about.get("revised prompt", ""))]
