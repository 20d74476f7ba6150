"""Libraries that a part needs, looked for without importing them."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from capbench.protocols import Problem


def missing(names: Sequence[str]) -> list[str]:
    """Those of these modules that are not installed."""
    return [name for name in names if importlib.util.find_spec(name) is None]


def libraries_problem(names: Sequence[str], install: str) -> Problem | None:
    """Which of these modules are not installed, if any; install: the command that brings them."""
    lacking = missing(names)
    return Problem(f"{' and '.join(lacking)} not installed", install) if lacking else None
