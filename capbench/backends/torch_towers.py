"""Dual encoders on torch: devices, precision, and one forward pass. Imported only when a model is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from capbench.backends.encoding import Arrays, Session, Tokens, Towers, session
from capbench.backends.pixels import Pixels
from capbench.errors import MissingPart
from capbench.protocols import Problem

if TYPE_CHECKING:
    from PIL.Image import Image

    from capbench.types import Floats

PRECISIONS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in memory, on the CPU and in float32.

    image, text: torch modules from the arrays of ``prepare`` and ``tokenize``, by name, to features.
    pixels: the steps of ``prepare``, for an export. tokenizer: a ``tokenizers.Tokenizer`` that truncates and pads,
    and the name of what is done to a text first; both raise BadData where an export cannot do what the model's does.
    """

    image: Any
    text: Any
    prepare: Callable[[Image], Arrays]
    tokenize: Callable[[Sequence[str]], Tokens]
    pixels: Callable[[], Pixels]
    tokenizer: Callable[[], tuple[Any, str]]


def tower(model: Any, call: Callable[[Any], Any]) -> Any:
    """Half of a model as a module that takes arrays by name. call: those arrays as tensors -> features."""
    import torch

    class Tower(torch.nn.Module):  # type: ignore[misc] # torch is not there when types are checked
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, **arrays: Any) -> Any:
            return call(arrays)

    return Tower()


def precision_problem(precision: str) -> Problem | None:
    """Whether there is such a precision."""
    if precision in PRECISIONS:
        return None
    return Problem(f"precision is one of {', '.join(PRECISIONS)}, not {precision!r}", "leave it out for fp32")


@contextmanager
def torch_session(loaded: Loaded, device: str, precision: str, batch: int, threads: int) -> Iterator[Session]:
    """A session of a loaded model. Half precision computes whole batches, whose numbers depend on their size."""
    import torch

    place = usable(device)
    kind = getattr(torch, PRECISIONS[precision])
    see, read = (forward(module, place, kind) for module in (loaded.image, loaded.text))
    towers = Towers(loaded.prepare, see, loaded.tokenize, read, whole=precision != "fp32")
    with session(towers, batch, threads) as opened:
        yield opened


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


def forward(module: Any, place: Any, kind: Any) -> Callable[[Arrays], Floats]:
    """A module as a function of arrays, on a device and in a precision; the vectors come back in float32."""
    import torch

    module = module.eval().to(device=place, dtype=kind)

    def run(arrays: Arrays) -> Floats:
        tensors = {name: torch.from_numpy(array).to(place) for name, array in arrays.items()}
        given = {name: t.to(kind) if t.is_floating_point() else t for name, t in tensors.items()}
        with torch.inference_mode(), full_precision(place, kind):
            features: Floats = module(**given).float().cpu().numpy()
        return features

    return run


@contextmanager
def full_precision(place: Any, kind: Any) -> Iterator[None]:
    """Keep a GPU from rounding float32 to TF32 in convolutions, which torch allows by default."""
    import torch

    if place.type != "cuda" or kind is not torch.float32:
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield
