"""Where torch computes and how exactly: devices and precisions. torch is imported only when a model is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from capbench.errors import MissingPart
from capbench.protocols import Problem

PRECISIONS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def precision_problem(precision: str) -> Problem | None:
    """Whether there is such a precision."""
    if precision in PRECISIONS:
        return None
    return Problem(f"precision is one of {', '.join(PRECISIONS)}, not {precision!r}", "leave it out for fp32")


def usable(device: str) -> Any:
    """The device.

    Raises:
        MissingPart: torch does not know it, or it is not there.
    """
    import torch

    try:
        place = torch.device(device)
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise MissingPart(
            f"torch cannot use the device {device!r}: {reason}", "use --device cpu, cuda or mps"
        ) from error
    return place


@contextmanager
def full_precision(place: Any, kind: Any) -> Iterator[None]:
    """Keep a GPU from rounding float32 to TF32 in convolutions, which torch allows by default."""
    import torch

    if place.type != "cuda" or kind is not torch.float32:
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield
