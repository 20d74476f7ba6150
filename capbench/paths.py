"""Where capbench keeps what it can make again."""

from __future__ import annotations

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
