"""In how many documents each n-gram occurs, as a table that is exact and looked up with arrays.

A document is an image's references together. N-grams are kept word by word: one of n words is a number for
its first n - 1 words and a number for its last word, packed into one ascending integer. So nothing is hashed,
and all n-grams of a set of texts are found with one binary search an order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from capbench.errors import BadData
from capbench.metrics.ngrams import ORDERS, Counts, Grams, Joined, Texts, changes
from capbench.ragged import Ragged, Words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from capbench.metrics.ngrams import Bools
    from capbench.types import Ints


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """The n-grams of one order, ascending by their words.

    keys: beginning * vocabulary + last word, where beginning is the place of the first n - 1 words in the
    level before (0 for single words); documents: in how many each occurs.
    """

    keys: Ints
    documents: Ints

    def places(self, keys: Ints) -> Ints:
        """Where each key stands, -1 for those that do not."""
        if not len(self.keys):
            return np.full(len(keys), -1)
        near = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[near] == keys, near, -1)


@dataclass(frozen=True, slots=True, eq=False)
class DocumentFrequencies:
    """How many of ``n_documents`` hold each n-gram of 1 to 4 words, cut by the tokenizer of this fingerprint.

    vocabulary: the distinct words, sorted. digest: of all the rest; two tables of one digest are the same.
    """

    n_documents: int
    tokenizer: str
    vocabulary: tuple[str, ...]
    levels: tuple[Level, ...]
    digest: str

    @classmethod
    def of(
        cls, n_documents: int, tokenizer: str, vocabulary: Sequence[str], levels: Sequence[Level]
    ) -> DocumentFrequencies:
        """A table with its digest."""
        state = hashlib.blake2b(digest_size=8)
        state.update(json.dumps([n_documents, tokenizer, list(vocabulary)]).encode())
        for level in levels:
            state.update(level.keys.astype("<i8", copy=False).data)
            state.update(level.documents.astype("<i8", copy=False).data)
        return cls(n_documents, tokenizer, tuple(vocabulary), tuple(levels), state.hexdigest())

    @property
    def fingerprint(self) -> str:
        """What stands for it in signatures; not where it came from."""
        return f"frozen/{self.n_documents}@{self.digest}"

    @property
    def size(self) -> int:
        """The number of n-grams."""
        return sum(len(level.keys) for level in self.levels)

    def columns(self) -> list[Ints]:
        """The first, second, third and fourth word of each n-gram, level after level; -1 for none."""
        size = max(len(self.vocabulary), 1)
        parts: list[list[Ints]] = []
        before: list[Ints] = []
        for level in self.levels:
            beginning, last = np.divmod(level.keys, size)
            before = [*(words[beginning] for words in before), last]
            none = [np.full(len(last), -1)] * (len(ORDERS) - len(before))
            parts.append([*before, *none])
        return [np.concatenate(column) for column in zip(*parts, strict=True)]


def storable(word: str) -> str:
    """A word that a file of UTF-8 can hold: lone surrogates are written out."""
    return word if word.isascii() else word.encode("utf-8", "backslashreplace").decode()


def documents_of(counts: Counts, mine: Bools) -> Ints:
    """How many items have each n-gram in a reference; a group that ends with a reference is one item.

    mine: whether each row is of a candidate.
    """
    last = np.append(counts.groups[1:], len(mine)) - 1
    found = last[~mine[last]]
    return np.bincount(counts.gram[found], minlength=int(counts.gram[-1]) + 1)


def count(references: Ragged[Words], tokenizer: str) -> DocumentFrequencies:
    """Count the n-grams of each item's references; items without references are no documents.

    tokenizer: the fingerprint of what cut them into words.
    """
    words = replace(references.values, vocabulary=tuple(map(storable, references.values.vocabulary)))
    joined = Joined.of(Words.of([()] * len(references)), Ragged(words, references.offsets))
    texts = joined.texts()
    grams = Grams.first(texts)
    heads = grams.rank[grams.fresh]
    vocabulary = [joined.vocabulary[i] for i in texts.words[heads].astype(np.int64) - 1]
    # place by place: the number of the word, and of the n-gram one word shorter that begins there
    number = by_place(grams, np.arange(len(heads)))
    before = np.zeros_like(number)
    levels = []
    for order in ORDERS:
        heads = grams.rank[grams.fresh]
        keys = before[heads] * len(vocabulary) + number[heads + order - 1]
        found = [documents_of(counts, np.zeros(len(counts.text), bool)) for counts in grams.counts()]
        levels.append(Level(keys, np.concatenate([np.zeros(0, np.int64), *found])))
        before = by_place(grams, np.arange(len(heads)))
        grams = grams.longer()
    return DocumentFrequencies.of(int(np.count_nonzero(references.counts)), tokenizer, vocabulary, levels)


def by_place(grams: Grams, values: Ints) -> Ints:
    """A value of each n-gram at all places where it begins, -1 at the others."""
    placed = np.full(len(grams.texts.words), -1)
    placed[grams.rank] = values[np.cumsum(grams.fresh) - 1]
    return placed


class Lookup:
    """Finds the n-grams of texts in a table; to be asked for one order after the other.

    vocabulary: the words that the texts' numbers, from 1, stand for.
    """

    def __init__(self, table: DocumentFrequencies, vocabulary: Sequence[str], texts: Texts) -> None:
        known = {word: i for i, word in enumerate(table.vocabulary)}
        codes = [-1, *(known.get(storable(word), -1) for word in vocabulary)]
        self._table = table
        self._words = np.array(codes, np.int64)[texts.words]
        self._before = np.zeros_like(self._words)
        self._order = 0

    def documents(self, grams: Grams) -> Ints:
        """In how many documents each distinct n-gram of the next order occurs; 0 for one that does not."""
        level = self._table.levels[self._order]
        heads = grams.rank[grams.fresh]
        before, last = self._before[heads], self._words[heads + self._order]
        keys = np.where((before >= 0) & (last >= 0), before * len(self._table.vocabulary) + last, -1)
        places = level.places(keys)
        self._before = by_place(grams, places)
        self._order += 1
        return np.where(places >= 0, level.documents[places], 0) if len(level.keys) else np.zeros_like(places)


def from_counts(counts: Mapping[tuple[str, ...], float], n_documents: int, tokenizer: str) -> DocumentFrequencies:
    """A table from n-gram -> documents, as other programs keep it.

    Raises:
        BadData: not counts of n-grams of 1 to 4 words in so many documents.
    """
    grams = [gram for gram in counts if counts[gram] > 0]
    if not all(1 <= len(gram) <= len(ORDERS) for gram in grams):
        raise not_frequencies("an n-gram has 1 to 4 words")
    if any(counts[gram] != int(counts[gram]) for gram in grams):
        raise not_frequencies("a number of documents is whole")
    vocabulary = sorted({word for gram in grams for word in gram})
    known = {word: i for i, word in enumerate(vocabulary)}
    columns = [
        np.array([known[gram[j]] if j < len(gram) else -1 for gram in grams], np.int64) for j in range(len(ORDERS))
    ]
    documents = np.array([counts[gram] for gram in grams], np.int64)
    return from_columns(n_documents, tokenizer, vocabulary, columns, documents)


def from_columns(
    n_documents: int, tokenizer: str, vocabulary: Sequence[str], columns: Sequence[Ints], documents: Ints
) -> DocumentFrequencies:
    """A table from its n-grams in any order.

    vocabulary: sorted; columns: the first to fourth word of each n-gram as a number in it, -1 for none.

    Raises:
        BadData: it cannot be a table of document frequencies.
    """
    there = [column >= 0 for column in columns]
    if not there[0].all() or any((there[j] & ~there[j - 1]).any() for j in range(1, len(ORDERS))):
        raise not_frequencies("an n-gram has a hole where a word should be")
    lengths: NDArray[np.int8] = np.sum(there, axis=0, dtype=np.int8)
    if (lengths[1:] < lengths[:-1]).any():
        shortest = np.argsort(lengths, kind="stable")
        lengths, documents, columns = lengths[shortest], documents[shortest], [column[shortest] for column in columns]
    levels: list[Level] = []
    for order in ORDERS:
        rows = slice(*np.searchsorted(lengths, [order, order + 1]))
        words = [column[rows].astype(np.int64) for column in columns[:order]]
        before = places(words[:-1], levels, len(vocabulary)) if order > 1 else np.zeros_like(words[0])
        keys, own = before * len(vocabulary) + words[-1], documents[rows].astype(np.int64)
        if (keys[1:] <= keys[:-1]).any():
            ascending = np.argsort(keys, kind="stable")
            keys, own, before = keys[ascending], own[ascending], before[ascending]
        if order == 1 and len(keys) < len(vocabulary):
            raise not_frequencies("a word of an n-gram is missing")
        if (before < 0).any():
            raise not_frequencies("the beginning of an n-gram is missing")
        if (keys[1:] == keys[:-1]).any():
            raise not_frequencies("an n-gram stands twice")
        most = levels[-1].documents[before] if order > 1 else n_documents
        if ((own < 1) | (own > most)).any():
            raise not_frequencies("an n-gram is in no document, or in more than its beginning")
        levels.append(Level(keys, own))
    return DocumentFrequencies.of(n_documents, tokenizer, vocabulary, levels)


def not_frequencies(why: str) -> BadData:
    """The error for n-grams that no documents can have."""
    return BadData(f"no documents have such n-grams: {why}")


def places(words: Sequence[Ints], levels: Sequence[Level], size: int) -> Ints:
    """The places of n-grams in their level, -1 for those that are not there; of equal neighbours, one is searched."""
    if len(words) == 1:
        return words[0]
    fresh = np.logical_or.reduce([changes(column) for column in words])
    heads = np.flatnonzero(fresh)
    before = places([column[heads] for column in words[:-1]], levels, size)
    keys = np.where(before >= 0, before * size + words[-1][heads], -1)
    found: Ints = levels[len(words) - 1].places(keys)[np.cumsum(fresh) - 1]
    return found
