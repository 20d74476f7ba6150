"""``ssim`` and ``psnr``: how alike two pictures are pixel by pixel, by scikit-image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from capbench.errors import CapbenchError
from capbench.images import load
from capbench.libraries import missing
from capbench.protocols import Problem
from capbench.types import Failure, ImageRef

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    Pixels = NDArray[np.uint8]
    Measure = Callable[[Pixels, Pixels], float | Failure]

VERSION = 1  # raised when two pictures can get another number
WINDOW = 11  # pixels of SSIM's
EQUAL = 100.0  # dB of equal pictures, whose PSNR has no bound; above that of any two that differ in a few pixels


@dataclass(frozen=True, slots=True)
class Ssim:
    """The structural similarity of Wang et al. 2004, the mean over RGB channels: -1..1, and 1 for equal pictures.

    size: both are stretched to a square of so many pixels; 0: the painted one is stretched to the original's size.
    The settings are the paper's: a Gaussian window of 11 with sigma 1.5, K1 0.01, K2 0.03.
    """

    name: ClassVar[str] = "ssim"
    kind: ClassVar[str] = "similarity"

    size: int = 0

    def fingerprint(self) -> str:
        """Name, version and size."""
        return fingerprint(self.name, self.size)

    def check(self) -> Problem | None:
        """Whether scikit-image is there, and the window fits into the size."""
        return problem(self.size, WINDOW)

    def open(self, device: str) -> AbstractContextManager[PixelSession]:  # noqa: ARG002 -- the protocol's shape
        """A session; it holds nothing."""
        return nullcontext(PixelSession(structural_similarity, self.size))


@dataclass(frozen=True, slots=True)
class Psnr:
    """The peak signal-to-noise ratio of RGB pixels in decibels: 0..100, and 100 for equal pictures.

    size: as for ``ssim``.
    """

    name: ClassVar[str] = "psnr"
    kind: ClassVar[str] = "similarity"

    size: int = 0

    def fingerprint(self) -> str:
        """Name, version and size."""
        return fingerprint(self.name, self.size)

    def check(self) -> Problem | None:
        """Whether scikit-image is there, and the size can be."""
        return problem(self.size, 1)

    def open(self, device: str) -> AbstractContextManager[PixelSession]:  # noqa: ARG002 -- the protocol's shape
        """A session; it holds nothing."""
        return nullcontext(PixelSession(signal_to_noise, self.size))


def fingerprint(name: str, size: int) -> str:
    """Name, version and size."""
    return f"{name}/{VERSION}/{size or 'original'}"


def problem(size: int, least: int) -> Problem | None:
    """Whether scikit-image is missing, or a side of so many pixels is too short."""
    if missing(["skimage"]):
        return Problem("scikit-image is not installed", "pip install 'capbench[similarity]'")
    if size and size < least:
        return Problem(f"size is 0 or at least {least}, not {size}", "leave it out: the original's size")
    return None


def structural_similarity(picture: Pixels, original: Pixels) -> float | Failure:
    """SSIM of two RGB arrays of one shape; a Failure where the window does not fit in."""
    from skimage import metrics

    library: Any = metrics  # without types

    if min(original.shape[:2]) < WINDOW:
        return Failure(f"a picture is smaller than SSIM's window of {WINDOW} pixels")
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    return float(library.structural_similarity(picture, original, channel_axis=2, **settings))


def signal_to_noise(picture: Pixels, original: Pixels) -> float:
    """PSNR of two RGB arrays of one shape."""
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
