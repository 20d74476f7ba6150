"""Dual encoders on torch: one forward pass of each half. Imported only when a model is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from capbench.backends.encoding import Arrays, Session, Tokens, Towers, session
from capbench.backends.pixels import Pixels
from capbench.torch_places import PRECISIONS, full_precision, precision_problem, usable

if TYPE_CHECKING:
    from PIL.Image import Image

    from capbench.types import Floats


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


__all__ = [
    "PRECISIONS", "Loaded", "forward", "full_precision", "precision_problem", "torch_session", "tower", "usable",
]  # fmt: skip
