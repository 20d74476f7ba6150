"""The best of k: CIDEr of the caption that is nearest to the references, and the mean over the k captions.

oracle = mean over images of max_i CIDEr(caption i); mean = mean over images of mean_i CIDEr(caption i)

What a captioner could reach if the right caption were always chosen; it grows with k by itself, so numbers of
different k cannot be compared.

Source: ruotianluo/self-critical.pytorch, ``captioning/utils/eval_multi.py`` (``eval_oracle``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from capbench.metrics.cider import SCALE, Cider
from capbench.metrics.sets import captions_each, cider_needs, one_of_each
from capbench.protocols import Need
from capbench.ragged import Ragged, Words
from capbench.types import Column

if TYPE_CHECKING:
    from capbench.types import Array


@dataclass(frozen=True, slots=True)
class OracleCider:
    """CIDEr of the best of the captions of each image, and the mean of all of them.

    variant, tokenizer: as for cider.
    """

    name: ClassVar[str] = "oracle_cider"
    version: ClassVar[int] = 1
    corpus: ClassVar[bool] = True
    columns: ClassVar[Mapping[str, Column]] = {
        "oracle_cider": Column("CIDEr, best of k", low=0.0, high=SCALE),
        "mean_cider": Column("CIDEr, mean of k", low=0.0, high=SCALE),
    }

    variant: str = "d"
    tokenizer: str = "ptb"

    @property
    def needs(self) -> Mapping[str, Need]:
        """Words of all captions and of the references."""
        return cider_needs(self.name, self.variant, self.tokenizer)

    def rows(self, captions: Ragged[Words], references: Ragged[Words]) -> Mapping[str, Array]:
        """Best and mean of each item; NaN without a reference.

        captions: k texts an item, k the same for all and 2 or more; references: texts an item.

        Raises:
            BadData: one caption an item, or not as many for all; or as for cider.
        """
        k = captions_each(captions, self.name)
        cider = Cider(self.variant, self.tokenizer)
        each = np.array([cider.rows(one_of_each(captions, number), references)["cider"] for number in range(k)])
        return {"oracle_cider": each.max(axis=0), "mean_cider": each.mean(axis=0)}
