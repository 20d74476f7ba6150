"""BERTScore (Zhang et al. 2020, "BERTScore: Evaluating Text Generation with BERT"), by the authors' library.

    P = mean over the caption's tokens of the highest cosine with a token of the reference
    R = mean over the reference's tokens of the highest cosine with a token of the caption
    F1 = 2 P R / (P + R)

of a model's vectors at one layer. Of several references the best P, the best R and the best F1 count, each by
itself, as in the library; so F1 need not be that of P and R. A caption without a token has 0 (before rescaling).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from capbench import bert, languages
from capbench.needs import Captions, References
from capbench.protocols import Need, Problem
from capbench.ragged import Ragged
from capbench.types import Column

if TYPE_CHECKING:
    from capbench.types import Array

UNSIGNED = {"signed": False}  # the library's hash code stands for these, or they are about speed


@dataclass(frozen=True, slots=True)
class BertScore:
    """Cosines of a language model's tokens: precision, recall and F1 of each item.

    model: a hub id that is in the hub's cache, or a folder (default: what the library picks for ``lang``).
    layer: which layer is read (0: the one the library has tuned). idf: weigh tokens by the references of the
    set. rescale_with_baseline: (x - b) / (1 - b) with the library's b. batch: texts at a time. device: "" is
    CUDA where there is one.
    """

    name: ClassVar[str] = "bertscore"
    version: ClassVar[int] = 1
    columns: ClassVar[Mapping[str, Column]] = {
        "bertscore_precision": Column("BERTScore P", high=1.0),
        "bertscore_recall": Column("BERTScore R", high=1.0),
        "bertscore_f1": Column("BERTScore F1", high=1.0),
    }

    model: str = field(default="", metadata=UNSIGNED)
    layer: int = field(default=0, metadata=UNSIGNED)
    idf: bool = field(default=False, metadata=UNSIGNED)
    rescale_with_baseline: bool = field(default=False, metadata=UNSIGNED)
    batch: int = field(default=64, metadata=UNSIGNED)
    device: str = field(default="", metadata=UNSIGNED)
    lang: str = field(default=languages.DEFAULT, metadata=languages.WHEN_CHANGED)

    def __post_init__(self) -> None:
        """Choose the library's model of the language where none is named."""
        code = languages.find(self.lang).code
        object.__setattr__(self, "lang", code)
        object.__setattr__(self, "model", self.model or bert.MODELS.get(code, bert.OTHER_MODEL))

    @property
    def corpus(self) -> bool:
        """With idf, a row depends on the references of the other items."""
        return self.idf

    @property
    def needs(self) -> Mapping[str, Need]:
        """The raw texts: the model has a tokenizer of its own."""
        return {"captions": Captions(), "references": References()}

    @property
    def setting(self) -> bert.Setting:
        """What the library is asked for."""
        return bert.Setting(
            self.model, self.layer, self.idf, self.rescale_with_baseline, self.lang, self.device, max(1, self.batch)
        )

    def check(self) -> Problem | None:
        """What is missing: the library, the model, its layer, or its baseline."""
        return self.setting.check()

    def stated(self) -> Mapping[str, str]:
        """The library's hash code (model, layer, idf, versions, rescaling) and a digest of the model's files."""
        return self.setting.stated()

    def rows(self, captions: Sequence[str], references: Ragged[list[str]]) -> Mapping[str, Array]:
        """Precision, recall and F1 of each item; NaN without references.

        captions: a text an item; references: texts an item. Texts are cut at the model's length.

        Raises:
            CapbenchError: the model cannot be loaded.
        """
        table = np.full((len(self.columns), len(captions)), np.nan)
        scored = np.flatnonzero(references.counts).tolist()
        if scored:
            lists = [references.values[references.offsets[i] : references.offsets[i + 1]] for i in scored]
            found = self.setting.scores([captions[i] for i in scored], lists)
            # single precision can leave a perfect match a last digit above the scale
            table[:, scored] = np.minimum(found, 1.0)
        return dict(zip(self.columns, table, strict=True))
