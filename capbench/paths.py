"""Where capbench keeps what it can make again, and where others' files are."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path


def cache_root() -> Path:
    """The cache folder: $CAPBENCH_CACHE, else $XDG_CACHE_HOME/capbench, else ~/.cache/capbench.

    It is not created. A variable that is set to "" counts as not set.
    """
    own = os.environ.get("CAPBENCH_CACHE")
    if own:
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    return Path(shared or Path.home() / ".cache") / "capbench"


def package_folders(name: str) -> list[Path]:
    """The folders of an installed package, found without importing it; none where it is not installed."""
    spec = importlib.util.find_spec(name)
    return [Path(folder) for folder in (spec and spec.submodule_search_locations) or ()]
