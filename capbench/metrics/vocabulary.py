"""How many different words, pairs of words and captions a captioner uses on all images together.

    vocabulary = different words                        (global Div-1 of Shetty et al. 2017)
    distinct1  = different words / words                (the type-token ratio; distinct-1 of Li et al. 2016)
    distinct2  = different pairs of words / words       (distinct-2, global Div-2)
    unique     = different captions / captions, by the form that novelty compares; empty ones are left out

These are numbers of a set and not means of its captions. Each item's row is its share: 1/f for each word that it
uses, where f items use the word, so that the rows sum to the vocabulary exactly. No interval is given: images drawn
with replacement have fewer different words than the images they are drawn from. All four depend on how many images
there are: compare systems on the same images only.

Sources: ruotianluo/self-critical.pytorch, ``captioning/utils/div_utils.py``; evanmiltenburg/MeasureDiversity.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from capbench.metrics.ngrams import Grams
from capbench.metrics.novelty import normal_form
from capbench.metrics.sets import singly, texts_of
from capbench.needs import AllCaptions, Captions, Tokens
from capbench.protocols import Need
from capbench.ragged import Ragged, Words
from capbench.types import Column, Rows

if TYPE_CHECKING:
    from capbench.types import Array


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Vocabulary size, type-token ratio, distinct-2 and the share of unique captions of the whole set.

    every: use all captions of an image; False: the first.
    """

    name: ClassVar[str] = "vocabulary"
    version: ClassVar[int] = 1
    corpus: ClassVar[bool] = True
    pooled: ClassVar[bool] = True
    columns: ClassVar[Mapping[str, Column]] = {
        "vocabulary": Column("vocabulary", low=0.0),
        "distinct1": Column("distinct-1", low=0.0, high=1.0),
        "distinct2": Column("distinct-2", low=0.0, high=1.0),
        "unique": Column("unique captions", low=0.0, high=1.0),
    }

    every: bool = False
    tokenizer: str = "ptb"

    @property
    def needs(self) -> Mapping[str, Need]:
        """The captions and their words."""
        captions: Need = AllCaptions() if self.every else Captions()
        return {"texts": captions, "words": Tokens(captions, self.tokenizer)}

    def rows(self, texts: Sequence[str] | Ragged[list[str]], words: Words | Ragged[Words]) -> Rows:
        """Each item's share of the set's numbers, and the counts that ``reduce`` folds. All rows are of one bag.

        texts: a caption an item, or several (Ragged); words: those of each.
        """
        lists = words if isinstance(words, Ragged) else singly(words)
        captions = texts.values if isinstance(texts, Ragged) else texts
        found = texts_of(lists)
        grams = Grams.first(found)
        counts: dict[str, Array] = {
            "types": shares(grams, len(lists)),
            "pairs": shares(grams.longer(), len(lists)),
            "words": np.bincount(found.items, found.lengths, len(lists)).astype(np.float64),
            **caption_counts(captions, lists),
        }
        return Rows({**self.reduce(counts), **counts}, None, np.zeros(len(lists), np.int64))

    def reduce(self, sums: Mapping[str, Array]) -> Mapping[str, Array]:
        """The numbers of summed counts: arrays of one shape in, the four columns of that shape out; 0 of nothing."""
        words, captions = np.maximum(sums["words"], 1), np.maximum(sums["captions"], 1)
        return {
            "vocabulary": sums["types"],
            "distinct1": sums["types"] / words,
            "distinct2": sums["pairs"] / words,
            "unique": sums["forms"] / captions,
        }


def shares(grams: Grams, n: int) -> Array:
    """For each of n items the sum of 1/f over its different n-grams, where f items have the n-gram."""
    found = np.zeros(n)
    for block in grams.counts():
        gram, item = block.gram[block.groups], block.item[block.groups]
        np.add.at(found, item, 1 / np.bincount(gram)[gram])
    return found


def caption_counts(captions: Sequence[str], lists: Ragged[Words]) -> dict[str, Array]:
    """How many captions each item has, empty ones left out, and its share of the different ones."""
    forms = [normal_form(text) if text.strip() else None for text in captions]
    often = Counter(forms)
    there = np.array([float(form is not None) for form in forms])
    share = there / np.array([often[form] for form in forms])
    n = len(lists)
    return {
        "forms": np.bincount(lists.owners, share, n).astype(np.float64),
        "captions": np.bincount(lists.owners, there, n).astype(np.float64),
    }
