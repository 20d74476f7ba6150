"""How much the captions of one image differ: Div-1, Div-2 and mutual BLEU (Shetty et al. 2017).

    Div-n   = distinct n-grams of the image's captions / (their words + 1e-6), the mean over images
    mBLEU-n = the mean over i of the corpus BLEU-n of caption i of every image against the image's other captions

Div-n divides by words for every n. High Div and low mBLEU are diverse. Numbers of different k cannot be compared:
the more captions, the more words are said again.

Source: ruotianluo/self-critical.pytorch, ``captioning/utils/div_utils.py`` and ``eval_multi.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from capbench.metrics.bleu import STATISTICS, Bleu
from capbench.metrics.ngrams import ORDERS, Grams
from capbench.metrics.sets import captions_each, each_and_others, texts_of
from capbench.needs import AllCaptions, Tokens
from capbench.protocols import Need
from capbench.ragged import Ragged, Words
from capbench.types import Column

if TYPE_CHECKING:
    from capbench.types import Array

SMALL = 1e-6


@dataclass(frozen=True, slots=True)
class Diversity:
    """Div-1, Div-2 and mutual BLEU of the captions of each image."""

    name: ClassVar[str] = "diversity"
    version: ClassVar[int] = 1
    columns: ClassVar[Mapping[str, Column]] = {
        "div1": Column("Div-1", low=0.0, high=1.0),
        "div2": Column("Div-2", low=0.0, high=1.0),
        **{f"mbleu{n}": Column(f"mBLEU-{n}", better="low", low=0.0, high=1.0) for n in ORDERS},
    }

    tokenizer: str = "ptb"

    @property
    def needs(self) -> Mapping[str, Need]:
        """Words of all captions."""
        return {"captions": Tokens(AllCaptions(), self.tokenizer)}

    def rows(self, captions: Ragged[Words]) -> Mapping[str, Array]:
        """div1, div2 and mbleu1 to mbleu4 of each item, and the statistics of each caption's BLEU.

        captions: k texts an item, k the same for all and 2 or more. One float64 an item in every column.

        Raises:
            BadData: one caption an item, or not as many for all.
        """
        k = captions_each(captions, self.name)
        columns: dict[str, Array] = {}
        for number, (own, others) in enumerate(each_and_others(captions, k)):
            scored = Bleu(self.tokenizer).rows(own, others)
            columns |= {f"{name}_{number}": scored[name] for name in STATISTICS}
        return {**distinct(captions), **self.reduce(columns), **columns}

    def reduce(self, sums: Mapping[str, Array]) -> Mapping[str, Array]:
        """The mean of the k BLEUs of summed statistics: arrays of one shape in, mbleu1 to mbleu4 of that shape out."""
        k = sum(name.startswith("testlen_") for name in sums)
        each = [Bleu().reduce({name: sums[f"{name}_{number}"] for name in STATISTICS}) for number in range(k)]
        return {f"mbleu{n}": np.mean([scores[f"bleu{n}"] for scores in each], axis=0) for n in ORDERS}


def distinct(captions: Ragged[Words]) -> dict[str, Array]:
    """div1 and div2 of each item."""
    texts = texts_of(captions)
    words = np.bincount(texts.items, texts.lengths, len(captions)) + SMALL
    grams = Grams.first(texts)
    found: dict[str, Array] = {}
    for name in ("div1", "div2"):
        counts = np.zeros(len(captions))
        for block in grams.counts():
            counts += np.bincount(block.item[block.groups], minlength=len(captions))
        found[name] = counts / words
        grams = grams.longer()
    return found
