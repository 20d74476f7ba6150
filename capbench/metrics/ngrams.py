"""Counts of n-grams over integer words, shared by the overlap metrics (BLEU, ROUGE-L, CIDEr).

Words are numbered by the sorted union of both vocabularies and n-grams by the order of their words, so
that sums over n-grams are added in an order that does not depend on the order of the items. An n-gram's
number is made from that of its first n-1 words and its last word; one sort an order then finds every
(n-gram, text) count, and the counts of one item's texts stand side by side. Time is that of the sorts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from capbench.ragged import Ragged, Words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from capbench.types import Ints

    Bools = NDArray[np.bool_]
    Small = NDArray[np.int32]

ORDERS = (1, 2, 3, 4)
CHUNK = 1 << 17  # words: a chunk's sorts stay in the processor's cache
KEY_BITS = 63


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """Each item's candidate, then its references, as one row of words.

    words: int32, all texts one after the other; text: int32, the text of each word.
    lengths: words of each text; items: the item of each text; candidates: the text of each item's candidate.
    n_words: the size of the vocabulary, above every number in ``words``.
    """

    words: Small
    text: Small
    lengths: Ints
    items: Ints
    candidates: Ints
    n_words: int

    @property
    def is_candidate(self) -> Bools:
        """Whether each text is a candidate."""
        mask = np.zeros(len(self.lengths), bool)
        mask[self.candidates] = True
        return mask

    @property
    def starts(self) -> Ints:
        """Where each text begins in ``words``."""
        return np.cumsum(self.lengths) - self.lengths


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """Candidates and references with one numbering of words, to be taken whole or in chunks of items."""

    candidates: Words
    references: Ragged[Words]
    candidate_ids: Small
    reference_ids: Small
    n_words: int

    @classmethod
    def of(cls, candidates: Words, references: Ragged[Words]) -> Joined:
        """Number the words of both by the sorted union of their vocabularies."""
        own, theirs = candidates.vocabulary, references.values.vocabulary
        rank = {word: i for i, word in enumerate(sorted({*own, *theirs}))}
        new_own = np.array([rank[word] for word in own], np.int32)
        new_theirs = np.array([rank[word] for word in theirs], np.int32)
        return cls(candidates, references, new_own[candidates.ids], new_theirs[references.values.ids], len(rank))

    def texts(self, first: int = 0, end: int | None = None) -> Texts:
        """The texts of items first to end, each item's candidate before its references."""
        end = len(self.candidates) if end is None else end
        bounds = self.references.offsets[first : end + 1]
        own = self.candidates.offsets[first : end + 1]
        theirs = self.references.values.offsets[bounds[0] : bounds[-1] + 1]
        n, counts = end - first, np.diff(bounds)
        items = np.repeat(np.arange(n), counts + 1)
        candidates = bounds[:-1] - bounds[0] + np.arange(n)
        is_reference = np.ones(len(items), bool)
        is_reference[candidates] = False
        lengths, sources = np.empty(len(items), np.int64), np.empty(len(items), np.int64)
        lengths[candidates], lengths[is_reference] = np.diff(own), np.diff(theirs)
        sources[candidates], sources[is_reference] = own[:-1] - own[0], theirs[:-1] - theirs[0] + own[-1] - own[0]
        pool = np.concatenate([self.candidate_ids[own[0] : own[-1]], self.reference_ids[theirs[0] : theirs[-1]]])
        shift = (sources - (np.cumsum(lengths) - lengths)).astype(np.int32)
        where = np.repeat(shift, lengths) + np.arange(len(pool), dtype=np.int32)
        text = np.repeat(np.arange(len(items), dtype=np.int32), lengths)
        return Texts(pool[where], text, lengths, items, candidates, self.n_words)

    def chunks(self, size: int = CHUNK) -> Iterator[tuple[slice, Texts]]:
        """The items and texts of chunks of about ``size`` words (one item at least)."""
        ends = self.candidates.offsets[1:] + self.references.values.offsets[self.references.offsets[1:]]
        first = 0
        while first < len(ends):
            done = int(ends[first - 1]) if first else 0
            end = max(first + 1, int(np.searchsorted(ends, done + size, side="right")))
            yield slice(first, end), self.texts(first, end)
            first = end


@dataclass(frozen=True, slots=True, eq=False)
class Grams:
    """The n-grams of texts, sorted by n-gram and, within one, by place.

    order: n; at: the place of each n-gram's first word, ascending; gram: the number of each.
    rank: indices into ``at`` in sorted order; fresh: whether each, in sorted order, is the first of its n-gram.
    """

    texts: Texts
    order: int
    at: Small
    gram: Small
    rank: Small
    fresh: Bools

    @classmethod
    def first(cls, texts: Texts) -> Grams:
        """The single words."""
        at = np.arange(len(texts.words), dtype=np.int32)
        return cls._sorted(texts, 1, at, texts.words.astype(np.int64), texts.n_words)

    def longer(self, keep: Bools | None = None) -> Grams:
        """The n-grams one word longer. keep: those of ``at`` whose longer n-grams are wanted (None: all)."""
        texts, n = self.texts, self.order
        stop = self.at + np.int32(n)
        inside = stop < len(texts.words)
        inside[inside] &= texts.text[stop[inside]] == texts.text[self.at[inside]]
        if keep is not None:
            inside &= keep
        keys = self.gram[inside].astype(np.int64)
        keys *= texts.n_words
        keys += texts.words[stop[inside]]
        return self._sorted(texts, n + 1, self.at[inside], keys, self.n_grams * texts.n_words)

    @classmethod
    def _sorted(cls, texts: Texts, order: int, at: Small, keys: Ints, n_keys: int) -> Grams:
        """Number the distinct keys in ascending order. keys is overwritten."""
        bits = max(1, len(keys)).bit_length()
        if bits + n_keys.bit_length() <= KEY_BITS:  # the place in the low bits: sorting is faster than argsort
            keys <<= bits
            keys |= np.arange(len(keys))
            keys.sort()
            rank = (keys & ((1 << bits) - 1)).astype(np.int32)
            keys >>= bits
        else:
            rank = np.argsort(keys, kind="stable").astype(np.int32)
            keys = keys[rank]
        fresh = changes(keys)
        gram = np.empty(len(keys), np.int32)
        gram[rank] = np.cumsum(fresh, dtype=np.int32) - 1
        return cls(texts, order, at, gram, rank, fresh)

    @property
    def n_grams(self) -> int:
        """How many distinct n-grams there are."""
        return int(np.count_nonzero(self.fresh))

    def counts(self) -> Counts:
        """How often each n-gram occurs in each text that has it."""
        text = self.texts.text[self.at[self.rank]]
        starts = np.flatnonzero(self.fresh | changes(text))
        sizes = np.diff(starts, append=len(text))
        text, gram = text[starts], self.gram[self.rank[starts]]
        item = self.texts.items[text]
        return Counts(gram, text, item, sizes, np.flatnonzero(changes(gram) | changes(item)))


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """How often each n-gram occurs in each text that has it: one row an n-gram and text, sorted by both.

    gram, text, item: of each row; count: how often; groups: the first row of each (n-gram, item). The
    candidate's row, if there is one, is the first of its group.
    """

    gram: Small
    text: Small
    item: Ints
    count: Ints
    groups: Ints


def changes(values: NDArray[np.integer]) -> Bools:
    """Whether each value differs from the one before it; the first does."""
    fresh = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=fresh[1:])
    return fresh
