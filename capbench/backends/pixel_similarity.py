"""``ssim`` and ``psnr``: how alike two pictures are pixel by pixel, by scikit-image."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from capbench.errors import CapbenchError
from capbench.images import load
from capbench.protocols import Problem
from capbench.types import Failure, ImageRef

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    Pixels = NDArray[np.uint8]
    Measure = Callable[[Pixels, Pixels], float | Failure]

VERSION = 1  # raised when two pictures can get another number
EQUAL = 100.0  # dB of equal pictures, whose PSNR has no bound; above that of any two that differ in a few pixels


@dataclass(frozen=True, slots=True)
class Pixelwise:
    """What both have: the size at which pictures are compared."""

    name: ClassVar[str]
    kind: ClassVar[str] = "similarity"
    least: ClassVar[int]  # pixels of a side

    size: int = 0

    def fingerprint(self) -> str:
        """Name, version and size."""
        return f"{self.name}/{VERSION}/{self.size or 'original'}"

    def check(self) -> Problem | None:
        """Whether scikit-image is there, and the size can be."""
        if importlib.util.find_spec("skimage") is None:
            return Problem("scikit-image is not installed", "pip install 'capbench[similarity]'")
        if self.size and self.size < self.least:
            return Problem(f"size is 0 or at least {self.least}, not {self.size}", "leave it out: the original's size")
        return None

    @contextmanager
    def open(self, device: str) -> Iterator[PixelSession]:  # noqa: ARG002 -- the protocol's shape
        """A session; it holds nothing."""
        yield PixelSession(self.measure, self.size)

    def measure(self, picture: Pixels, original: Pixels) -> float | Failure:
        """The number of two RGB arrays of one shape."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Ssim(Pixelwise):
    """The structural similarity of Wang et al. 2004, the mean over RGB channels: -1..1, and 1 for equal pictures.

    size: both are stretched to a square of so many pixels; 0: the painted one is stretched to the original's size.
    The settings are the paper's: a Gaussian window of 11 with sigma 1.5, K1 0.01, K2 0.03.
    """

    name: ClassVar[str] = "ssim"
    least: ClassVar[int] = 11  # the window

    def measure(self, picture: Pixels, original: Pixels) -> float | Failure:
        """One number; a Failure where the window does not fit in."""
        from skimage import metrics

        library: Any = metrics  # without types

        if min(original.shape[:2]) < self.least:
            return Failure(f"a picture is smaller than SSIM's window of {self.least} pixels")
        settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
        return float(library.structural_similarity(picture, original, channel_axis=2, **settings))


@dataclass(frozen=True, slots=True)
class Psnr(Pixelwise):
    """The peak signal-to-noise ratio of RGB pixels in decibels: 0..100, and 100 for equal pictures.

    size: as for ``ssim``.
    """

    name: ClassVar[str] = "psnr"
    least: ClassVar[int] = 1

    def measure(self, picture: Pixels, original: Pixels) -> float | Failure:
        """One number."""
        from skimage import metrics

        library: Any = metrics  # without types

        if np.array_equal(picture, original):
            return EQUAL
        return min(EQUAL, float(library.peak_signal_noise_ratio(original, picture, data_range=255)))


class PixelSession:
    """Compares pictures pair by pair, so the batch is of no account."""

    def __init__(self, measure: Measure, size: int) -> None:
        self._measure, self._size = measure, size

    def compare(self, pictures: Sequence[ImageRef], originals: Sequence[ImageRef]) -> list[float | Failure]:
        """One number a pair, or a Failure that says which picture cannot be read."""
        return [self._pair(picture, original) for picture, original in zip(pictures, originals, strict=True)]

    def _pair(self, picture: ImageRef, original: ImageRef) -> float | Failure:
        """One number."""
        try:
            return self._measure(*(np.asarray(image) for image in of_one_size(picture, original, self._size)))
        except CapbenchError as error:
            return Failure(error.message)


def of_one_size(picture: ImageRef, original: ImageRef, size: int) -> tuple[Image, Image]:
    """Both pictures at one size, stretched by bicubic interpolation where they have another.

    size: the side of a square; 0: that of the original.

    Raises:
        ImageFault: one cannot be read.
    """
    from PIL.Image import Resampling

    shown, wanted = load(picture), load(original)
    target = (size, size) if size else wanted.size

    def stretched(image: Any) -> Image:
        fitting: Image = image if image.size == target else image.resize(target, Resampling.BICUBIC)
        return fitting

    return stretched(shown), stretched(wanted)
