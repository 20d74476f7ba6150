"""Counts of n-grams over integer words, shared by the overlap metrics (BLEU, ROUGE-L, CIDEr).

Words are numbered by the sorted union of both vocabularies and n-grams by the order of their words, so
that sums over n-grams are added in an order that does not depend on the order of the items. One linear
sort an order finds every (n-gram, text) count, and the counts of one item's texts stand side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from capbench.ragged import Ragged, Words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from capbench.types import Ints

    Bools = NDArray[np.bool_]
    Small = NDArray[np.int32]
    Unsigned = NDArray[np.uint16] | NDArray[np.uint32]

ORDERS = (1, 2, 3, 4)
CHUNK = 1 << 17  # words: a chunk's sorts stay in the processor's cache


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """Each item's candidate, then its references, as one row of words.

    words: unsigned and above 0, all texts one after the other; before: the word before each, 0 at the
    beginning of a text; text: the text of each word.
    lengths: words of each text; items: the item of each text; candidates: the text of each item's candidate.
    """

    words: Unsigned
    before: Unsigned
    text: Small
    lengths: Ints
    items: Small
    candidates: Ints

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
    """Candidates and references with one numbering of words, to be taken whole or in chunks of items.

    vocabulary: the words that the numbers, from 1, stand for.
    """

    candidates: Words
    references: Ragged[Words]
    candidate_ids: Unsigned
    reference_ids: Unsigned
    vocabulary: Sequence[str]

    @classmethod
    def of(cls, candidates: Words, references: Ragged[Words]) -> Joined:
        """Number the words of both by the sorted union of their vocabularies."""
        own, theirs = candidates.vocabulary, references.values.vocabulary
        vocabulary = sorted({*own, *theirs})
        rank = {word: i for i, word in enumerate(vocabulary, 1)}
        kind: np.dtype[Any] = np.dtype(np.uint16 if len(rank) < 1 << 16 else np.uint32)
        new_own = np.array([rank[word] for word in own], kind)
        new_theirs = np.array([rank[word] for word in theirs], kind)
        return cls(candidates, references, new_own[candidates.ids], new_theirs[references.values.ids], vocabulary)

    def texts(self, first: int = 0, end: int | None = None) -> Texts:
        """The texts of items first to end, each item's candidate before its references."""
        end = len(self.candidates) if end is None else end
        bounds = self.references.offsets[first : end + 1]
        own = self.candidates.offsets[first : end + 1]
        theirs = self.references.values.offsets[bounds[0] : bounds[-1] + 1]
        n, counts = end - first, np.diff(bounds)
        items = np.repeat(np.arange(n, dtype=np.int32), counts + 1)
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
        words = pool[where]
        before = np.zeros_like(words)
        before[1:] = np.where(text[1:] == text[:-1], words[:-1], 0)
        return Texts(words, before, text, lengths, items, candidates)

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

    In that order, for each: rank, the place of its first word; text, the text it is in; fresh, whether
    it is the first of its n-gram. kept: for each place, whether longer n-grams may begin there (None: any).
    """

    texts: Texts
    rank: Ints
    text: Small
    fresh: Bools
    kept: Bools | None = None

    @classmethod
    def first(cls, texts: Texts) -> Grams:
        """The single words."""
        rank = stable_order(texts.words)
        return cls(texts, rank, texts.text[rank], changes(texts.words[rank]))

    def longer(self) -> Grams:
        """The n-grams one word longer whose last n words are here.

        Sorting by the first word alone is enough: the rest of each begins one place further on, and
        those are sorted already.
        """
        before = self.texts.before[self.rank]
        has_one = before > 0
        if self.kept is not None:
            has_one &= self.kept[self.rank - 1]
        source = np.flatnonzero(has_one)
        source = source[stable_order(before[source])]
        fresh = changes(before[source]) | changes(np.cumsum(self.fresh, dtype=np.int32)[source])
        return Grams(self.texts, self.rank[source] - 1, self.text[source], fresh)

    def only(self, keep: Bools) -> Grams:
        """Those of ``rank`` that are to be kept; longer ones must begin and end with one of these."""
        rank = self.rank[keep]
        kept = np.zeros(len(self.texts.words), bool)
        kept[rank] = True
        return Grams(self.texts, rank, self.text[keep], changes(np.cumsum(self.fresh, dtype=np.int32)[keep]), kept)

    def counts(self, size: int = CHUNK) -> Iterator[Counts]:
        """How often each n-gram occurs in each text, in blocks of whole n-grams of about ``size`` places."""
        heads = np.append(np.flatnonzero(self.fresh), len(self.rank))
        start = 0
        while start < len(self.rank):
            end = int(heads[np.searchsorted(heads, min(start + size, len(self.rank)))])
            yield Counts.of(self.texts, self.text[start:end], self.fresh[start:end])
            start = end


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """How often each n-gram occurs in each text that has it: one row an n-gram and text, sorted by both.

    gram (numbered from 0), text, item: of each row; count: how often; groups: the first row of each
    (n-gram, item). The candidate's row, if there is one, is the first of its group.
    starts: the first of each row's places among the sorted n-grams that were counted.
    """

    gram: Small
    text: Small
    item: Small
    count: Ints
    groups: Ints
    starts: Ints

    @classmethod
    def of(cls, texts: Texts, text: Small, fresh: Bools) -> Counts:
        """Count sorted n-grams, of each its text and whether it is the first of its n-gram."""
        starts = np.flatnonzero(fresh | changes(text))
        sizes = np.diff(starts, append=len(text))
        text, first = text[starts], fresh[starts]
        item = texts.items[text]
        groups = np.flatnonzero(first | changes(item))
        gram = np.cumsum(first, dtype=np.int32) - np.int32(1)
        return cls(gram, text, item, sizes, groups, starts)


def changes(values: NDArray[np.integer]) -> Bools:
    """Whether each value differs from the one before it; the first does."""
    fresh = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=fresh[1:])
    return fresh


def stable_order(values: Unsigned) -> Ints:
    """Indices that sort unsigned values, equal ones in place; 16 bits a pass, for which numpy's sort is linear."""
    order = np.argsort(values.astype(np.uint16), kind="stable")
    if values.dtype.itemsize > np.dtype(np.uint16).itemsize:
        high = (values >> 16).astype(np.uint16)
        order = order[np.argsort(high[order], kind="stable")]
    return order
