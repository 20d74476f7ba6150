"""ROUGE-L (Lin 2004, "ROUGE"), as coco-caption computes it.

    P = max_r lcs(c, r) / |c|,  R = max_r lcs(c, r) / |r|,  F = (1 + b^2) P R / (R + b^2 P),  b = 1.2

The two maxima are taken apart and may be of different references. Words are what stands between single
spaces there, so a text without words counts as one empty word: it matches another such text and nothing else.

Source: pycocoevalcap 1.2, ``rouge/rouge.py``. The longest common subsequences are those of H. Hyyrö (2004),
"Bit-parallel LCS-length computation revisited": a candidate's words are bits, all pairs advance together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from capbench import languages
from capbench.metrics.ngrams import Grams, Joined, Texts, changes
from capbench.needs import words_of_both
from capbench.protocols import Need
from capbench.ragged import Ragged, Words
from capbench.types import Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from capbench.types import Array, Ints

    Bits = NDArray[np.uint64]

BETA = 1.2
WIDTH = 64
MOST_BLOCKS = 3  # longer candidates are faster one pair at a time


@dataclass(frozen=True, slots=True)
class RougeL:
    """ROUGE-L of each item."""

    name: ClassVar[str] = "rouge_l"
    version: ClassVar[int] = 1
    columns: ClassVar[Mapping[str, Column]] = {"rouge_l": Column("ROUGE-L", low=0.0, high=1.0)}

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
        """One score an item; NaN without a reference.

        candidates: a text an item; references: texts an item.
        """
        scores = np.full(len(references), np.nan)
        for items, texts in Joined.of(candidates, references).chunks():
            scores[items] = f_measures(texts)
        scores[references.counts == 0] = np.nan
        return {"rouge_l": scores}


def f_measures(texts: Texts) -> Array:
    """The F measure of each item."""
    theirs = ~texts.is_candidate
    common = common_lengths(texts)
    lengths = np.maximum(1, texts.lengths)
    own = lengths[texts.candidates]
    precision, recall = np.zeros(len(own)), np.zeros(len(own))
    items = texts.items[theirs]
    np.maximum.at(precision, items, common[theirs] / own[items])
    np.maximum.at(recall, items, common[theirs] / lengths[theirs])
    below = recall + BETA**2 * precision
    scores: Array = (1 + BETA**2) * precision * recall / np.where(below == 0, 1, below)
    return scores


def common_lengths(texts: Texts) -> Ints:
    """The length of the longest common subsequence of each text with its item's candidate."""
    own = texts.lengths[texts.candidates][texts.items]
    common: Ints = ((own == 0) & (texts.lengths == 0)).astype(np.int64)
    blocks = -(-own // WIDTH)
    grouped = WordMasks.of(texts)
    masks: list[Bits] = []
    for n_blocks in np.unique(blocks[blocks > 0]).tolist():
        chosen = np.flatnonzero((blocks == n_blocks) & ~texts.is_candidate & (texts.lengths > 0))
        chosen = chosen[np.argsort(-texts.lengths[chosen], kind="stable")]
        if n_blocks <= MOST_BLOCKS:
            masks += [grouped.block(number) for number in range(len(masks), n_blocks)]
            common[chosen] = advance(texts, chosen, masks)
        else:
            common[chosen] = [common_length(texts, text) for text in chosen.tolist()]
    return common


def common_length(texts: Texts, text: int) -> int:
    """The same for one text, with the candidate's words as bits of one whole number."""
    starts, candidate = texts.starts, texts.candidates[texts.items[text]]
    reference = texts.words[starts[text] : starts[text] + texts.lengths[text]].tolist()
    masks = dict.fromkeys(reference, 0)
    length = int(texts.lengths[candidate])
    for i, word in enumerate(texts.words[starts[candidate] : starts[candidate] + length].tolist()):
        if word in masks:
            masks[word] |= 1 << i
    every = state = (1 << length) - 1
    for word in reference:
        match = state & masks[word]
        state = ((state + match) | (state - match)) & every
    return length - state.bit_count()


@dataclass(frozen=True, slots=True, eq=False)
class WordMasks:
    """Where in its item's candidate each word stands.

    group: for each word of the texts the number of its (word, item); of n_groups. For each word of the
    candidates: owners, its group, and index, its place in its candidate.
    """

    group: Ints
    owners: Ints
    index: Ints
    n_groups: int

    @classmethod
    def of(cls, texts: Texts) -> WordMasks:
        """Group the words of each item."""
        grams = Grams.first(texts)
        fresh = grams.fresh | changes(texts.items[grams.text])
        group = np.empty(len(fresh), np.int64)
        group[grams.rank] = np.cumsum(fresh) - 1
        places = np.flatnonzero(texts.is_candidate[texts.text])
        index = places - texts.starts[texts.text[places]]
        return cls(group, group[places], index, int(np.count_nonzero(fresh)))

    def block(self, number: int) -> Bits:
        """For each word of the texts: bit i is set where word 64 * number + i of the candidate equals it."""
        inside = self.index // WIDTH == number
        bits = np.zeros(self.n_groups, np.uint64)
        np.bitwise_or.at(bits, self.owners[inside], np.uint64(1) << (self.index[inside] % WIDTH).astype(np.uint64))
        return bits[self.group]


def advance(texts: Texts, chosen: Ints, masks: Sequence[Bits]) -> Ints:
    """The LCS length of each chosen text, sorted by falling length, with its item's candidate.

    masks: for each block of the candidates, the bits of every word of the texts. State bits are 1 where no
    new match has ended; one word of every text that is long enough a step.
    """
    n_blocks = len(masks)
    state = np.full((n_blocks, len(chosen)), ~np.uint64(0))
    starts = texts.starts[chosen]
    alive = np.searchsorted(-texts.lengths[chosen], -np.arange(texts.lengths[chosen].max(initial=0)), side="left")
    for step, n in enumerate(alive.tolist()):
        places = starts[:n] + step
        carry = np.zeros(n, np.uint64)
        for block in range(n_blocks):
            now = state[block, :n]
            match = now & masks[block][places]
            total = now + match
            over = total < now
            total += carry
            carry = (over | (total < carry)).astype(np.uint64)
            state[block, :n] = total | (now - match)
    ended = np.unpackbits((~state).view(np.uint8), axis=1).reshape(n_blocks, len(chosen), WIDTH)
    lengths: Ints = ended.sum(axis=(0, 2), dtype=np.int64)
    return lengths
