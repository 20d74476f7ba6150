"""``lpips``: the learned perceptual distance of Zhang et al., CVPR 2018."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from capbench.backends.pixel_similarity import of_one_size
from capbench.errors import CapbenchError
from capbench.libraries import libraries_problem
from capbench.protocols import Problem
from capbench.torch_places import full_precision, usable
from capbench.types import Failure, ImageRef
from capbench.weights import files_digest

INSTALL = "pip install 'capbench[lpips]'"
LEAST = 64  # pixels of a side, below which the networks have no features left
# the package brings its own small weights; those of the networks below them are torchvision's
BACKBONES = {
    "alex": ("alexnet", "alexnet-owt-7be5be79.pth"),
    "vgg": ("vgg16", "vgg16-397923af.pth"),
    "squeeze": ("squeezenet1_1", "squeezenet1_1-b8a52dc0.pth"),
}


@dataclass(frozen=True, slots=True)
class Lpips:
    """LPIPS, version 0.1: a distance, 0 for equal pictures, so that lower is better.

    net: alex, vgg or squeeze. size: both are stretched to a square of so many pixels; 0: the painted one is stretched
    to the original's size.
    """

    name: ClassVar[str] = "lpips"
    kind: ClassVar[str] = "similarity"

    net: str = "alex"
    size: int = 0

    def fingerprint(self) -> str:
        """lpips/the package's version/net@digest of its weights/size."""
        return f"lpips/{version('lpips')}/{self.net}@{files_digest([self._weights()])}/{self.size or 'original'}"

    def check(self) -> Problem | None:
        """The first thing that is missing, if any: nothing is fetched in a run."""
        if (problem := libraries_problem(("torch", "lpips"), INSTALL)) is not None:
            return problem
        if self.net not in BACKBONES:
            return Problem(f"net is one of {', '.join(BACKBONES)}, not {self.net!r}", "leave it out for alex")
        if self.size and self.size < LEAST:
            return Problem(f"size is 0 or at least {LEAST}, not {self.size}", "leave it out: the original's size")
        if not self._weights().is_file():
            get = f"import torchvision; torchvision.models.{BACKBONES[self.net][0]}(weights='IMAGENET1K_V1')"
            return Problem(f"the weights of {self.net} are not in {self._weights().parent}", f'python -c "{get}"')
        return None

    @contextmanager
    def open(self, device: str) -> Iterator[LpipsSession]:
        """Load the network, and give the session."""
        import lpips

        place = usable(device)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torchvision's older way to name weights
            network = lpips.LPIPS(net=self.net, verbose=False).eval().to(place)
        yield LpipsSession(network, place, self.size)

    def _weights(self) -> Path:
        """Where torch's hub keeps the network's weights (``torch.hub.get_dir``, without loading torch for it)."""
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        home = Path(os.environ.get("TORCH_HOME") or Path(cache) / "torch").expanduser()
        return home / "hub" / "checkpoints" / BACKBONES[self.net][1]


class LpipsSession:
    """Compares pictures pair by pair, since pictures of many sizes are no batch."""

    def __init__(self, network: Any, place: Any, size: int) -> None:
        self._network, self._place, self._size = network, place, size

    def compare(self, pictures: Sequence[ImageRef], originals: Sequence[ImageRef]) -> list[float | Failure]:
        """One distance a pair, or a Failure that says what is wrong with it."""
        return [self._pair(picture, original) for picture, original in zip(pictures, originals, strict=True)]

    def _pair(self, picture: ImageRef, original: ImageRef) -> float | Failure:
        """One distance."""
        import torch

        try:
            pair = of_one_size(picture, original, self._size)
        except CapbenchError as error:
            return Failure(error.message)
        if min(pair[1].size) < LEAST:
            return Failure(f"the picture is smaller than LPIPS's networks take: {LEAST} pixels")
        with torch.inference_mode(), full_precision(self._place, torch.float32):
            first, second = (self._tensor(image) for image in pair)
            return float(self._network(first, second).item())

    def _tensor(self, image: Any) -> Any:
        """1 x 3 x height x width in -1..1, as the network takes it."""
        import torch

        values = np.asarray(image, np.float32).transpose(2, 0, 1)[None] / 127.5 - 1
        return torch.from_numpy(values).to(self._place)
