"""CIDEr and CIDEr-D (Vedantam, Zitnick, Parikh 2015, "CIDEr"), with idf from the references of the very set.

    w_t(g) = tf_t(g) * (ln N - ln max(1, df(g)))      tf: the count of g in text t
    plain: s_n(c, r) = sum_g w_c(g) w_r(g) / (|w_c| |w_r|)
    d:     s_n(c, r) = sum_g min(w_c(g), w_r(g)) w_r(g) / (|w_c| |w_r|) * exp(-(l_c - l_r)^2 / (2 * 6^2))
    score  = 10 * mean over n = 1..4 and over references r of s_n(c, r)

N: items with references; df(g): of those, how many have g in a reference; l: a text's number of bigrams.
Norms are over the n-grams of one order and never clipped. What papers call CIDEr is variant d; they print
100 times this value. No stemming.

Sources: pycocoevalcap 1.2, ``cider/cider_scorer.py`` (d); vrama91/cider, ``pyciderevalcap/cider`` (plain).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from capbench import languages
from capbench.errors import BadData, UsageError
from capbench.metrics.ngrams import ORDERS, Counts, Grams, Joined, Texts
from capbench.needs import Captions, References, Tokens
from capbench.protocols import Need
from capbench.ragged import Ragged, Words
from capbench.types import Column

if TYPE_CHECKING:
    from capbench.metrics.ngrams import Bools
    from capbench.types import Array

VARIANTS = ("d", "plain")
SIGMA = 6.0
SCALE = 10.0


@dataclass(frozen=True, slots=True)
class Cider:
    """CIDEr of each item, on its own scale of 0 to 10.

    variant: 'd' (CIDEr-D, what is published as CIDEr) or 'plain' (no clipping, no length penalty).
    """

    name: ClassVar[str] = "cider"
    version: ClassVar[int] = 1
    corpus: ClassVar[bool] = True
    columns: ClassVar[Mapping[str, Column]] = {"cider": Column("CIDEr", low=0.0, high=SCALE)}

    variant: str = "d"
    tokenizer: str = ""
    lang: str = field(default=languages.DEFAULT, metadata=languages.WHEN_CHANGED)

    def __post_init__(self) -> None:
        """Choose the tokenizer of the language where none is named."""
        languages.settle(self)

    @property
    def needs(self) -> Mapping[str, Need]:
        """Words of the captions and of the references."""
        if self.variant not in VARIANTS:
            raise UsageError(f"cider: variant is one of {', '.join(VARIANTS)}, not {self.variant!r}")
        return {
            "candidates": Tokens(Captions(), self.tokenizer),
            "references": Tokens(References(), self.tokenizer),
        }

    def rows(self, candidates: Words, references: Ragged[Words]) -> Mapping[str, Array]:
        """One score an item; NaN without a reference.

        candidates: a text an item; references: texts an item.

        Raises:
            BadData: one item has references, so every n-gram is in every item and every weight is 0.
        """
        n = int(np.count_nonzero(references.counts))
        if n == 1:
            raise BadData(
                "cider: one image has references, so every weight is ln(1/1) = 0",
                cure="score more images together; document frequencies come from the references of the set",
            )
        texts = Joined.of(candidates, references).texts()
        sums = np.zeros(len(texts.lengths))
        grams = Grams.first(texts)
        for order in ORDERS:
            sums += cosines(grams, np.log(max(n, 1)), clip=self.variant == "d")
            if order < ORDERS[-1]:
                grams = grams.longer()
        if self.variant == "d":
            sums *= length_penalty(texts)
        totals = np.bincount(texts.items, sums, len(references))
        with np.errstate(invalid="ignore"):
            means = SCALE * (totals / len(ORDERS) / references.counts)
        # rounding can leave a perfect match a last digit above the scale
        return {"cider": np.minimum(means, SCALE)}


def cosines(grams: Grams, log_n: float, *, clip: bool) -> Array:
    """The cosine of each reference with its candidate over these n-grams; 0 for the candidates themselves."""
    texts, is_candidate = grams.texts, grams.texts.is_candidate
    squares, products = np.zeros(len(texts.lengths)), np.zeros(len(texts.lengths))
    for counts in grams.counts():
        mine = is_candidate[counts.text]
        weight = counts.count * idf(counts, mine, log_n)[counts.gram]
        np.add.at(squares, counts.text, weight * weight)
        heads = counts.groups
        sizes = np.diff(heads, append=len(weight))
        own = np.repeat(np.where(mine[heads], weight[heads], 0.0), sizes)
        shared = np.flatnonzero((own > 0) & ~mine)
        own, weight = own[shared], weight[shared]
        np.add.at(products, counts.text[shared], (np.minimum(own, weight) if clip else own) * weight)
    norms = np.sqrt(squares)
    norms *= norms[texts.candidates][texts.items]
    return products / np.where(norms == 0, 1, norms)


def idf(counts: Counts, mine: Bools, log_n: float) -> Array:
    """The weight ln N - ln max(1, df) of each n-gram; a group that ends with a reference is one item.

    mine: whether each row is of a candidate.
    """
    last = np.append(counts.groups[1:], len(mine)) - 1
    found = last[~mine[last]]
    frequency = np.bincount(counts.gram[found], minlength=int(counts.gram[-1]) + 1)
    weights: Array = log_n - np.log(np.maximum(1, frequency))
    return weights


def length_penalty(texts: Texts) -> Array:
    """exp(-(l_c - l_r)^2 / (2 sigma^2)) of each text, where l is its number of bigrams."""
    bigrams = np.maximum(0, texts.lengths - 1)
    difference = (bigrams[texts.candidates][texts.items] - bigrams).astype(np.float64)
    penalty: Array = np.exp(-(difference**2) / (2 * SIGMA**2))
    return penalty
