"""CLIPScore, RefCLIPScore, PAC-S, RefPAC-S and the bare cosine, on any encoder.

CLIPScore: Hessel et al. 2021, section 3; only with CLIP ViT-B/32, OpenAI weights, are these the paper's numbers.
PAC-S: Sarto et al. 2023 ("Positive-Augmented Contrastive Learning"), the same formula with weight 2 on their
fine-tuned CLIP. The encoder stands in every signature. Texts go to the encoder raw, with the papers' prefix,
references too (jmhessel/clipscore, clipscore.py at 1036465; aimagelab/pacscore, pac_score.py at bfbc488).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from capbench.needs import Captions, Images, References, Vectors
from capbench.protocols import Need
from capbench.ragged import Ragged
from capbench.types import Column

if TYPE_CHECKING:
    from capbench.types import Array, Floats


def paired_cosines(a: Floats, b: Floats) -> Array:
    """The cosine of row i of a with row i of b (unit rows), summed in float64."""
    cosines: Array = np.einsum("nd,nd->n", a, b, dtype=np.float64)
    return cosines


def paired_needs(encoder: str, prefix: str) -> Mapping[str, Need]:
    """Vectors of the pictures and of the prefixed captions."""
    return {"image": Vectors(Images(), encoder), "text": Vectors(Captions(), encoder, prefix)}


@dataclass(frozen=True, slots=True)
class ClipScore:
    """CLIPScore: weight * max(cos(image, caption), 0)."""

    name: ClassVar[str] = "clipscore"
    version: ClassVar[int] = 1
    columns: ClassVar[Mapping[str, Column]] = {"clipscore": Column("CLIPScore", low=0.0)}

    encoder: str = "clip"
    prefix: str = "A photo depicts "
    weight: float = 2.5

    @property
    def needs(self) -> Mapping[str, Need]:
        """Vectors of the pictures and of the captions."""
        return paired_needs(self.encoder, self.prefix)

    def rows(self, image: Floats, text: Floats) -> Mapping[str, Array]:
        """One score an item. image, text: unit rows, items x width."""
        return {self.name: self.weight * np.clip(paired_cosines(image, text), 0, None)}


@dataclass(frozen=True, slots=True)
class RefClipScore:
    """RefCLIPScore: the harmonic mean of CLIPScore and the best caption-reference cosine.

    The best cosine is floored at 0, as the paper writes; the authors' code leaves out the floor, which
    matters only where every reference points away from the caption. Two zeros give 0.
    """

    name: ClassVar[str] = "refclipscore"
    version: ClassVar[int] = 1
    columns: ClassVar[Mapping[str, Column]] = {"refclipscore": Column("RefCLIPScore", low=0.0)}

    encoder: str = "clip"
    prefix: str = "A photo depicts "
    weight: float = 2.5

    @property
    def needs(self) -> Mapping[str, Need]:
        """Vectors of the pictures, the captions and the references."""
        references = Vectors(References(), self.encoder, self.prefix)
        return {**paired_needs(self.encoder, self.prefix), "references": references}

    def rows(self, image: Floats, text: Floats, references: Ragged[Floats]) -> Mapping[str, Array]:
        """One score an item; NaN where an item has no reference."""
        clip = self.weight * np.clip(paired_cosines(image, text), 0, None)
        cosines = paired_cosines(text[references.owners], references.values)
        best = np.full(len(references), -np.inf)
        with np.errstate(invalid="ignore"):  # a text without a vector is NaN here and unscored in the end
            np.maximum.at(best, references.owners, cosines)
        floored = np.where(references.counts > 0, np.clip(best, 0, None), np.nan)
        total = clip + floored
        return {self.name: 2 * clip * floored / np.where(total == 0, 1, total)}


@dataclass(frozen=True, slots=True)
class PacScore(ClipScore):
    """PAC-S: CLIPScore with weight 2, on an encoder that its authors fine-tuned; bind ``pac`` to that."""

    name: ClassVar[str] = "pacscore"
    columns: ClassVar[Mapping[str, Column]] = {"pacscore": Column("PAC-S", low=0.0)}

    encoder: str = "pac"
    weight: float = 2.0


@dataclass(frozen=True, slots=True)
class RefPacScore(RefClipScore):
    """RefPAC-S: the harmonic mean of PAC-S and the best caption-reference cosine, as RefCLIPScore's."""

    name: ClassVar[str] = "refpacscore"
    columns: ClassVar[Mapping[str, Column]] = {"refpacscore": Column("RefPAC-S", low=0.0)}

    encoder: str = "pac"
    weight: float = 2.0


@dataclass(frozen=True, slots=True)
class ClipCosine:
    """The cosine of picture and caption as it is: no prefix unless one is asked for, no weight, no floor."""

    name: ClassVar[str] = "clip_cosine"
    version: ClassVar[int] = 1
    columns: ClassVar[Mapping[str, Column]] = {"clip_cosine": Column("cosine", low=-1.0, high=1.0)}

    encoder: str = "clip"
    prefix: str = ""

    @property
    def needs(self) -> Mapping[str, Need]:
        """As for CLIPScore."""
        return paired_needs(self.encoder, self.prefix)

    def rows(self, image: Floats, text: Floats) -> Mapping[str, Array]:
        """One cosine an item. image, text: unit rows, items x width."""
        return {"clip_cosine": paired_cosines(image, text)}
