"""capbench: which captioner describes images best, by which measure, and how sure are we?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from capbench.api import boards, load_run, run, score
    from capbench.ray_executor import Ray
    from capbench.store import Run
    from capbench.sweeps import sweep

__all__ = ["Ray", "Run", "__version__", "boards", "load_run", "run", "score", "sweep"]


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that ``import capbench`` costs nothing."""
    if name in ("boards", "load_run", "run", "score"):
        from capbench import api

        return getattr(api, name)
    if name == "sweep":
        from capbench import sweeps

        return sweeps.sweep
    if name == "Run":
        from capbench.store import Run

        return Run
    if name == "Ray":
        from capbench.ray_executor import Ray

        return Ray
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("capbench")
        except PackageNotFoundError:  # a checkout that is on the path and not installed
            return "0+unknown"
    raise AttributeError(f"module 'capbench' has no attribute {name!r}")
