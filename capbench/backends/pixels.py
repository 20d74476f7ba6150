"""From a picture to the numbers that an image tower takes, with Pillow and numpy alone.

The same steps as open_clip's and transformers' own (tests compare them), for encoders that run without torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from capbench.errors import BadData

if TYPE_CHECKING:
    from PIL.Image import Image

    from capbench.types import Floats

RESIZES = ("shortest", "longest", "squash")
FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3}  # Pillow's own numbers
MIDDLES = ("round", "floor")


@dataclass(frozen=True, slots=True)
class Pixels:
    """How a picture becomes float32 of 3 x height x width.

    resize: 'shortest' makes the short side ``edge`` (0: as long as it must be) and cuts out the middle, 'longest'
    makes the whole picture fit and fills the rest with ``fill``, 'squash' ignores the picture's shape.
    middle: half a pixel is rounded to even (open_clip) or down (transformers). Each colour is
    (value / 255 - mean) / std.
    """

    height: int
    width: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resize: str = "shortest"
    interpolation: str = "bicubic"
    edge: int = 0
    fill: int = 0
    middle: str = "round"

    def __post_init__(self) -> None:
        """Refuse what there is no rule for.

        Raises:
            BadData: an unknown word.
        """
        choices = (("resize", RESIZES), ("interpolation", FILTERS), ("middle", MIDDLES))
        for name, known in choices:
            if getattr(self, name) not in known:
                raise BadData(f"preprocessing: {name} is one of {', '.join(known)}, not {getattr(self, name)!r}")

    def array(self, image: Image) -> Floats:
        """An RGB picture as 3 x height x width."""
        pixels = np.asarray(self.shown(image))
        steps = np.arange(256, dtype=np.float32) / np.float32(255)
        tables = (steps[None] - np.array(self.mean, np.float32)[:, None]) / np.array(self.std, np.float32)[:, None]
        return np.stack([table[pixels[:, :, channel]] for channel, table in enumerate(tables)])

    def shown(self, image: Image) -> Image:
        """The picture at its final size."""
        if self.resize == "squash":
            return self._resized(image, self.width, self.height)
        width, height = image.size
        if self.resize == "longest":
            ratio = max(height / self.height, width / self.width)
            image = self._resized(image, round(width / ratio), round(height / ratio))
        elif self.height == self.width or self.edge:
            edge = self.edge or self.height
            long = int(edge * max(width, height) / min(width, height))
            image = self._resized(image, *((edge, long) if width <= height else (long, edge)))
        else:  # open_clip does this in bicubic, whatever else is asked for
            ratio = min(height / self.height, width / self.width)
            image = image.resize((round(width / ratio), round(height / ratio)), FILTERS["bicubic"])
        return self._middle(image)

    def _resized(self, image: Image, width: int, height: int) -> Image:
        """The picture at a size; at its own it is left alone, as the libraries do."""
        return image if image.size == (width, height) else image.resize((width, height), FILTERS[self.interpolation])

    def _middle(self, image: Image) -> Image:
        """The middle of the picture, with a border where it is too small."""
        from PIL import ImageOps

        missing = [max(0, wanted - has) for wanted, has in zip((self.width, self.height), image.size, strict=True)]
        if any(missing):
            borders = (missing[0] // 2, missing[1] // 2, (missing[0] + 1) // 2, (missing[1] + 1) // 2)
            image = ImageOps.expand(image, borders, fill=(self.fill,) * 3)
        left, top = (
            self._half(has - wanted) for has, wanted in zip(image.size, (self.width, self.height), strict=True)
        )
        if image.size == (self.width, self.height):
            return image
        return image.crop((left, top, left + self.width, top + self.height))

    def _half(self, length: int) -> int:
        """Where the middle begins."""
        return length // 2 if self.middle == "floor" else round(length / 2)


def of_open_clip(config: Mapping[str, Any]) -> Pixels:
    """The steps of an open_clip ``preprocess_cfg``.

    Raises:
        BadData: it asks for what there is no rule for.
    """
    size = config["size"]
    height, width = (size, size) if isinstance(size, int) else (size[0], size[-1])
    mean, std = (tuple(v) if isinstance(v, list | tuple) else (v,) * 3 for v in (config["mean"], config["std"]))
    return Pixels(
        height, width, mean, std, config["resize_mode"], config["interpolation"], fill=int(config["fill_color"])
    )


def of_transformers(processor: Any) -> Pixels:
    """The steps of a transformers image processor.

    Raises:
        BadData: it asks for what there is no rule for.
    """
    settings = processor.to_dict()
    if not all(settings.get(f"do_{step}") for step in ("resize", "rescale", "normalize")) or settings.get("do_pad"):
        raise BadData("preprocessing: only resizing, rescaling and normalising have a rule")
    if abs(settings["rescale_factor"] * 255 - 1) > 1e-6:
        raise BadData(f"preprocessing: values are divided by 255, not multiplied by {settings['rescale_factor']}")
    size = settings.get("size") or {}
    crop = settings.get("crop_size") if settings.get("do_center_crop") else None
    squash = "height" in size
    final = crop or size
    if (squash and crop) or "height" not in final or not (squash or "shortest_edge" in size):
        raise BadData(f"preprocessing: no rule for size {size} with crop {crop}")
    names = {number: name for name, number in FILTERS.items()}
    return Pixels(
        final["height"], final["width"], tuple(settings["image_mean"]), tuple(settings["image_std"]),
        "squash" if squash else "shortest", names.get(int(settings["resample"]), "unknown"),
        edge=0 if squash else size["shortest_edge"], middle="floor",
    )  # fmt: skip
