"""Self-CIDEr (Wang and Chan 2019, "Describing like humans: on diversity in image captioning").

    K_ab       = CIDEr(caption a, caption b) / 10, for the k captions of an image
    self-CIDEr = -ln(sqrt(l_1) / sum_i sqrt(l_i)) / ln k, with the eigenvalues l_1 >= l_2 >= ... of K

0: all captions are the same; 1: no two have an n-gram in common. The weights ln N - ln max(1, df) of the n-grams
come from the references of the set, as CIDEr's do. Eigenvalues below 0, which rounding makes, count as 0. Where no
caption of an image has an n-gram with a weight, as with k empty captions, the score is 0.

variant plain: CIDEr without clipping and length penalty, so that K is a matrix of inner products; this is what the
paper defines and what ruotianluo/self-critical.pytorch (``eval_multi.py``) computes. variant d: CIDEr-D, as the
authors' script does (qingzwang/DiversityMetrics, ``pycocoevalcap/diversity_eval.py``): the earlier of two captions
is the candidate and the later the reference, and singular values stand for eigenvalues.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from capbench.errors import BadData
from capbench.metrics.cider import SIGMA, weights
from capbench.metrics.frequencies import documents_of
from capbench.metrics.ngrams import ORDERS, Grams, Texts
from capbench.metrics.sets import captions_each, cider_needs, side_by_side, texts_of
from capbench.protocols import Need
from capbench.ragged import Ragged, Words, spans
from capbench.types import Column

if TYPE_CHECKING:
    from capbench.types import Array


@dataclass(frozen=True, slots=True)
class SelfCider:
    """Self-CIDEr of the captions of each image.

    variant: 'plain' (the paper's kernel) or 'd' (the authors' script: CIDEr-D).
    """

    name: ClassVar[str] = "self_cider"
    version: ClassVar[int] = 1
    corpus: ClassVar[bool] = True
    columns: ClassVar[Mapping[str, Column]] = {"self_cider": Column("self-CIDEr", low=0.0, high=1.0)}

    variant: str = "plain"
    tokenizer: str = "ptb"

    @property
    def needs(self) -> Mapping[str, Need]:
        """Words of all captions and of the references."""
        return cider_needs(self.name, self.variant, self.tokenizer)

    def rows(self, captions: Ragged[Words], references: Ragged[Words]) -> Mapping[str, Array]:
        """One score an item.

        captions: k texts an item, k the same for all and 2 or more; references: texts an item.

        Raises:
            BadData: one caption an item, or not as many for all; or one item has references, so all weights are 0.
        """
        k = captions_each(captions, self.name)
        n = int(np.count_nonzero(references.counts))
        if n == 1:
            raise BadData(
                "self_cider: one image has references, so every weight is ln(1/1) = 0",
                cure="score more images together; document frequencies come from the references of the set",
            )
        clip = self.variant == "d"
        matrices = kernels(texts_of(side_by_side(captions, references)), k, np.log(max(n, 1)), clip=clip)
        values = np.linalg.eigvalsh(matrices, UPLO="U")
        roots = np.sqrt(np.abs(values) if clip else np.maximum(values, 0))
        total = roots.sum(axis=1)
        share = np.divide(roots.max(axis=1, initial=0), total, out=np.ones(len(total)), where=total > 0)
        return {"self_cider": np.clip(-np.log(share) / np.log(k), 0, 1)}


def kernels(texts: Texts, k: int, log_n: float, *, clip: bool) -> Array:
    """CIDEr / 10 of each two of the k captions with which each item begins: items x candidates x references."""
    n = len(texts.candidates)
    total = np.zeros((n, k, k))
    grams = Grams.first(texts)
    for order in ORDERS:
        total += cosines(grams, k, log_n, clip=clip)
        if order < ORDERS[-1]:
            grams = grams.longer()
    if clip:
        bigrams = np.maximum(0, texts.lengths[texts.candidates[:, None] + np.arange(k)] - 1)
        total *= np.exp(-((bigrams[:, :, None] - bigrams[:, None, :]) ** 2) / (2 * SIGMA**2))
    matrices: Array = total / len(ORDERS)
    return matrices


def cosines(grams: Grams, k: int, log_n: float, *, clip: bool) -> Array:
    """The cosine of each two captions of an item over these n-grams: items x candidates x references."""
    texts = grams.texts
    n = len(texts.candidates)
    place = np.arange(len(texts.lengths)) - texts.candidates[texts.items]  # of a text among those of its item
    products = np.zeros(n * k * k)
    squares = np.zeros(n * k)
    for counts in grams.counts():
        mine = place[counts.text] < k
        weight = counts.count * weights(documents_of(counts, mine), log_n)[counts.gram]
        group = np.repeat(np.arange(len(counts.groups)), np.diff(counts.groups, append=len(weight)))
        chosen = np.flatnonzero(mine)
        weight, group = weight[chosen], group[chosen]
        item, number = counts.item[chosen].astype(np.int64), place[counts.text[chosen]]
        np.add.at(squares, item * k + number, weight * weight)
        sizes = np.bincount(group, minlength=len(counts.groups))
        first = np.cumsum(sizes) - sizes
        other = spans(first[group], sizes[group])
        one = np.repeat(np.arange(len(group)), sizes[group])
        shared = (np.minimum(weight[one], weight[other]) if clip else weight[one]) * weight[other]
        np.add.at(products, (item[one] * k + number[one]) * k + number[other], shared)
    norms = np.sqrt(squares).reshape(n, k)
    norms = norms[:, :, None] * norms[:, None, :]
    found: Array = products.reshape(n, k, k) / np.where(norms == 0, 1, norms)
    return found
