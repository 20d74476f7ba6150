"""Where capbench keeps what it can make again, and where others' files are."""

from __future__ import annotations

import importlib.util
import os
import uuid
from pathlib import Path

ELSEWHERE = "set CAPBENCH_CACHE to a folder that can be written"


def cache_root() -> Path:
    """The cache folder: $CAPBENCH_CACHE, else $XDG_CACHE_HOME/capbench, else ~/.cache/capbench.

    It is not created. A variable that is set to "" counts as not set.
    """
    own = os.environ.get("CAPBENCH_CACHE")
    if own:
        return Path(own).expanduser()  # no shell stands between a workflow file and this
    shared = os.environ.get("XDG_CACHE_HOME")
    return Path(shared or Path.home() / ".cache") / "capbench"


def no_folder(name: str) -> str:
    """Make a folder of the cache: "", or why that cannot be."""
    folder = cache_root() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"the folder {folder} cannot be made: {error.strerror}"
    return ""


def package_folders(name: str) -> list[Path]:
    """The folders of an installed package, found without importing it; none where it is not installed."""
    spec = importlib.util.find_spec(name)
    return [Path(folder) for folder in (spec and spec.submodule_search_locations) or ()]


def keep(path: Path, data: bytes) -> None:
    """Write a file in one step, unless it holds these bytes already."""
    try:
        if path.read_bytes() == data:
            return
    except OSError:
        pass  # not there, or not readable: it is replaced
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)  # noqa: PTH105 -- Path.replace is the same call
    finally:
        part.unlink(missing_ok=True)
