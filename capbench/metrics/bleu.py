"""BLEU-1 to BLEU-4 (Papineni et al. 2002, "BLEU"), as coco-caption computes it.

    BLEU_k = bp * prod_{n<=k} ((correct_n + 1e-15) / (guess_n + 1e-9)) ** (1/k)
    bp     = min(1, exp(1 - 1/ratio)),  ratio = (testlen + 1e-15) / (reflen + 1e-9)

guess_n: n-grams of the candidate; correct_n: of those, how many are in a reference, each n-gram counted at
most as often as in the reference that has it most. reflen: the length of the reference nearest in length
to the candidate, the shorter of two equally near. A corpus score is the formula on the sums, not a mean.

Source: pycocoevalcap 1.2, ``bleu/bleu_scorer.py`` with the option "closest".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from capbench import languages
from capbench.metrics.ngrams import ORDERS, Counts, Grams, Joined, Texts
from capbench.needs import words_of_both
from capbench.protocols import Need
from capbench.ragged import Ragged, Words
from capbench.types import Column

if TYPE_CHECKING:
    from capbench.types import Array

TINY = 1e-15
SMALL = 1e-9
STATISTICS = ("testlen", "reflen", *(f"guess{n}" for n in ORDERS), *(f"correct{n}" for n in ORDERS))


@dataclass(frozen=True, slots=True)
class Bleu:
    """BLEU-1 to BLEU-4 of each item and, from summed statistics, of the corpus."""

    name: ClassVar[str] = "bleu"
    version: ClassVar[int] = 1
    columns: ClassVar[Mapping[str, Column]] = {f"bleu{n}": Column(f"BLEU-{n}", low=0.0, high=1.0) for n in ORDERS}

    tokenizer: str = ""
    lang: str = field(default=languages.DEFAULT, metadata=languages.WHEN_CHANGED)

    def __post_init__(self) -> None:
        """Choose the tokenizer of the language where none is named."""
        languages.settle(self)

    @property
    def needs(self) -> Mapping[str, Need]:
        """Words of the captions and of the references."""
        return words_of_both(self.tokenizer)

    def rows(self, candidates: Words, references: Ragged[Words]) -> Mapping[str, Array]:
        """Sentence BLEU in bleu1 to bleu4, and the statistics that ``reduce`` folds; NaN without a reference.

        candidates: a text an item; references: texts an item. One float64 an item in every column.
        """
        table = np.full((len(STATISTICS), len(references)), np.nan)
        for items, texts in Joined.of(candidates, references).chunks():
            table[:, items] = statistics(texts)
        table[:, references.counts == 0] = np.nan
        columns = dict(zip(STATISTICS, table, strict=True))
        return {**self.reduce(columns), **columns}

    def reduce(self, sums: Mapping[str, Array]) -> Mapping[str, Array]:
        """BLEU of summed statistics: arrays of one shape in, bleu1 to bleu4 of that shape out."""
        ratio = (sums["testlen"] + TINY) / (sums["reflen"] + SMALL)
        penalty = np.where(ratio < 1, np.exp(np.minimum(0, 1 - 1 / ratio)), 1.0)
        scores: dict[str, Array] = {}
        product = np.ones_like(ratio)
        for n in ORDERS:
            product = product * ((sums[f"correct{n}"] + TINY) / (sums[f"guess{n}"] + SMALL))
            scores[f"bleu{n}"] = product ** (1 / n) * penalty
        return scores


def statistics(texts: Texts) -> Array:
    """The statistics of each item, in the order of ``STATISTICS``: statistics x items."""
    n_items = len(texts.candidates)
    own = texts.lengths[texts.candidates]
    rows = [own, nearest_length(texts), *(np.maximum(0, own - n + 1) for n in ORDERS)]
    is_candidate = texts.is_candidate
    grams = Grams.first(texts)
    for n in ORDERS:
        counts = Counts.of(texts, grams.text, grams.fresh)
        mine = is_candidate[counts.text]
        heads, rivals = counts.groups, np.where(mine, 0, counts.count)
        most = np.maximum.reduceat(rivals, heads) if len(heads) else rivals
        found = np.where(mine[heads], np.minimum(counts.count[heads], most), 0)
        rows.append(np.bincount(counts.item[heads], found, n_items))
        if n < ORDERS[-1]:
            sizes = np.diff(counts.starts[heads], append=len(grams.rank))
            grams = grams.only(np.repeat(found > 0, sizes)).longer()
    return np.array(rows, np.float64)


def nearest_length(texts: Texts) -> Array:
    """The length of the reference nearest in length to its item's candidate; of two, the shorter; else 0."""
    distance = np.abs(texts.lengths - texts.lengths[texts.candidates][texts.items])
    best = np.full(len(texts.candidates), np.iinfo(np.int64).max)
    theirs = ~texts.is_candidate
    longest = int(texts.lengths.max(initial=0)) + 1
    np.minimum.at(best, texts.items[theirs], (distance * longest + texts.lengths)[theirs])
    return np.where(best == np.iinfo(np.int64).max, 0, best % longest).astype(np.float64)
