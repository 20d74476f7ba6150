"""Reconstruction similarity: paint the caption, and see how alike the painting is to the picture.

The idea is that of the Image2Text framework (Huang et al. 2024, arXiv 2408.01723), of VisualFactChecker's
CLIP-Image-Score (Ge et al., CVPR 2024) and of D2I-Bench (Pi et al. 2024, "Image Textualization"); what they fix is in
``PRESETS``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from capbench import plugins
from capbench.errors import CapbenchError, UsageError
from capbench.metrics.reconstruction_presets import PRESETS
from capbench.needs import Captions, Images, Vectors
from capbench.paintings import Painting
from capbench.picture_needs import Compared, Painted
from capbench.protocols import Need
from capbench.ragged import Ragged
from capbench.similarity.products import exact_dots
from capbench.types import Caution, Column, ImageRef

if TYPE_CHECKING:
    from capbench.types import Array, Floats

SPREAD = "reconstruction_spread"
COSINES = Column("reconstruction", low=-1.0, high=1.0)
OF_ONE_KIND = {"psnr": "reconstruction_psnr", "lpips": "reconstruction_lpips"}  # on scales of their own


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """The similarity of a picture and what a painter makes of its caption, the mean over seeds.

    generator: the painter, an alias or a spec ("" is ``painter``). similarity: an encoder, whose cosine it is ("" is
    ``clip``), or ``ssim``, ``psnr``, ``lpips`` or another part of that kind. seeds: how many pictures a caption, with
    the seeds ``seed``, ``seed + 1`` and so on (-1: from 0). preset: a published protocol, which gives the values that
    are left out; with all of them as published, the number has the protocol's name.

    An item of which one picture could not be painted is unscored.
    """

    name: ClassVar[str] = "reconstruction"
    version: ClassVar[int] = 1
    columns: ClassVar[Mapping[str, Column]] = {
        "reconstruction": COSINES,
        "reconstruction_psnr": Column("reconstruction PSNR", low=0.0, high=100.0),
        "reconstruction_lpips": Column("reconstruction LPIPS", better="low", low=0.0),
        **{preset.column: Column(preset.label, low=-1.0, high=1.0) for preset in PRESETS.values()},
        SPREAD: Column("spread over seeds", better="none", low=0.0),
    }

    generator: str = ""
    similarity: str = ""
    seeds: int = 0
    seed: int = -1
    preset: str = field(default="", metadata={"signed": False})  # what it gives stands in the other fields

    def __post_init__(self) -> None:
        if self.preset and self.preset not in PRESETS:
            raise UsageError(f"reconstruction: no preset {self.preset!r}", f"there are: {', '.join(PRESETS)}")
        given = PRESETS[self.preset].values if self.preset else {}
        for name, value in {"generator": "painter", "similarity": "clip", "seeds": 1, "seed": 0, **given}.items():
            unset = -1 if name == "seed" else type(value)()
            if getattr(self, name) == unset:
                object.__setattr__(self, name, value)
        if self.seeds < 1 or self.seed < 0:
            raise UsageError(f"reconstruction: seeds is at least 1 and seed at least 0, not {self.seeds}, {self.seed}")

    @property
    def column(self) -> str:
        """The name of its number: a protocol's where every value is the protocol's, and no other time."""
        for preset in PRESETS.values():
            if all(getattr(self, k) == v for k, v in preset.values.items()):
                return preset.column
        return OF_ONE_KIND.get(plugins.parse(self.similarity).target, "reconstruction")

    @property
    def needs(self) -> Mapping[str, Need]:
        """The pictures and the paintings, and vectors of both or how alike they are."""
        painted = Painted(Captions(), self.generator, self.seeds, self.seed)
        shared: dict[str, Need] = {"originals": Images(), "paintings": painted}
        if kind_of(self.similarity) == "similarity":
            return {**shared, "compared": Compared(painted, Images(), self.similarity)}
        vectors = {"original": Vectors(Images(), self.similarity), "painted": Vectors(painted, self.similarity)}
        return {**shared, **vectors}

    def rows(
        self,
        originals: Sequence[ImageRef],
        paintings: Ragged[list[Painting]],
        original: Floats | None = None,
        painted: Ragged[Floats] | None = None,
        compared: Ragged[Array] | None = None,
    ) -> Mapping[str, Array]:
        """The mean and, with several seeds, the standard deviation (n - 1) an item.

        original, painted: unit rows, one an item, and one a painting; or compared: one number a painting.
        """
        if len(originals) != len(paintings):
            raise CapbenchError(f"{len(originals)} pictures for the paintings of {len(paintings)}")
        return mean_and_spread(self.each(original, painted, compared), self.column)

    def each(
        self, original: Floats | None, painted: Ragged[Floats] | None, compared: Ragged[Array] | None
    ) -> Ragged[Array]:
        """One number a painting."""
        if compared is not None:
            return compared
        if original is None or painted is None:
            raise CapbenchError("reconstruction: there are neither vectors nor numbers")
        cosines = exact_dots(painted.values, original[painted.owners])
        return Ragged(np.clip(cosines, -1, 1), painted.offsets)

    def caution(self, originals: Sequence[ImageRef], paintings: Ragged[list[Painting]], **_: Any) -> Caution | None:
        """Texts that the painter does not read to the end, and pictures that are no paintings but the original."""
        counts = range(len(paintings))
        short = sum(any(painting.cut for painting in of_item(paintings, i)) for i in counts)
        same = sum(any(p.digest and p.digest == originals[i].digest for p in of_item(paintings, i)) for i in counts)
        marks, why = [], []
        if short:
            marks.append(f"{short} prompts cut")
            why.append(
                f"{short} of {len(paintings)} captions are longer than the painter reads: it saw their beginning"
            )
        if same:
            marks.append(f"{same} originals in the gallery")
            why.append(
                f"for {same} of {len(paintings)} captions the gallery gave the original, which does not belong there"
            )
        return Caution(", ".join(marks), f"reconstruction: {'; '.join(why)}") if marks else None

    def details(
        self,
        originals: Sequence[ImageRef],  # noqa: ARG002 -- the same arguments as rows
        paintings: Ragged[list[Painting]],
        original: Floats | None = None,
        painted: Ragged[Floats] | None = None,
        compared: Ragged[Array] | None = None,
    ) -> list[Mapping[str, Any] | None]:
        """Of each item its paintings: file below the cache, digest, seed, and number."""
        numbers = self.each(original, painted, compared)
        return [
            {"paintings": list(map(shown, of_item(paintings, i), of_item(numbers, i).tolist()))}
            for i in range(len(paintings))
        ]


def shown(painting: Painting, number: float) -> Mapping[str, Any]:
    """What is kept with a run of a painting."""
    value = number if np.isfinite(number) else None
    known = {"file": painting.file, "digest": painting.digest, "seed": painting.seed, "cut": painting.cut}
    return {**known, "value": value, **({"about": painting.about} if painting.about else {})}


def of_item(values: Ragged[Any], item: int) -> Any:
    """The values of one item."""
    return values.values[values.offsets[item] : values.offsets[item + 1]]


def mean_and_spread(numbers: Ragged[Array], column: str) -> Mapping[str, Array]:
    """The mean of each item's numbers; where some item has several, also their standard deviation (n - 1)."""
    counts = numbers.counts
    mean = np.bincount(numbers.owners, weights=numbers.values, minlength=len(counts)) / counts
    if counts.max(initial=0) < 2:
        return {column: mean}
    squares = np.bincount(numbers.owners, weights=(numbers.values - mean[numbers.owners]) ** 2, minlength=len(counts))
    return {column: mean, SPREAD: np.sqrt(squares / np.maximum(counts - 1, 1))}


def kind_of(spec: str) -> str:
    """The kind of a backend; an encoder where only the run will know what the name stands for."""
    try:
        return str(plugins.load("backends", spec).value.kind)
    except CapbenchError:
        return "encoder"
