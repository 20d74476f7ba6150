"""Texts as integer words, and lists of unequal length folded flat."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from capbench.types import Failure, Ints

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """Tokenized texts as one integer array: text i is ids[offsets[i]:offsets[i + 1]].

    ids: int64 indices into ``vocabulary``; offsets: int64, one more than texts. To read it as
    tuples of strings, index it or iterate.
    """

    ids: Ints
    offsets: Ints
    vocabulary: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[Sequence[str]]) -> Words:
        """Pack tuples of tokens; the vocabulary is in order of first use."""
        index: defaultdict[str, int] = defaultdict(count().__next__)
        rows = texts if isinstance(texts, Sequence) else list(texts)
        ids = np.fromiter(map(index.__getitem__, chain.from_iterable(rows)), np.int64)
        ends = np.cumsum(np.fromiter(chain((0,), map(len, rows)), np.int64))
        return cls(ids, ends, tuple(index))

    def __len__(self) -> int:
        """The number of texts."""
        return len(self.offsets) - 1

    def __getitem__(self, i: int) -> tuple[str, ...]:
        """Text i as strings."""
        i = range(len(self))[i]
        return tuple(self.vocabulary[j] for j in self.ids[self.offsets[i] : self.offsets[i + 1]])

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        """Each text as strings."""
        return (self[i] for i in range(len(self)))

    def take(self, index: Ints) -> Words:
        """The texts of these numbers, in their order; of a negative number, a text without words."""
        lengths = np.append(np.diff(self.offsets), 0)[index] * (index >= 0)
        starts = self.offsets[np.maximum(index, 0)]
        ends = np.append(0, np.cumsum(lengths, dtype=np.int64))
        return Words(self.ids[spans(starts, lengths)], ends, self.vocabulary)


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """Values as a sequence without making them: value i is text index[i], or the failure of i.

    index: -1 where ``failures`` has the value.
    """

    words: Words
    index: Ints
    failures: Mapping[int, Failure]

    def __len__(self) -> int:
        """The number of values."""
        return len(self.index)

    def __getitem__(self, i: int) -> tuple[str, ...] | Failure:
        """Value i: its words as strings, or its failure."""
        i = range(len(self))[i]
        return self.failures[i] if i in self.failures else self.words[int(self.index[i])]

    def __iter__(self) -> Iterator[tuple[str, ...] | Failure]:
        """Each value."""
        return (self[i] for i in range(len(self)))


@dataclass(frozen=True, slots=True, eq=False)
class Ragged(Generic[T]):
    """Several values an item, flat: those of item i are values[offsets[i]:offsets[i + 1]]."""

    values: T
    offsets: Ints

    def __len__(self) -> int:
        """The number of items."""
        return len(self.offsets) - 1

    @property
    def counts(self) -> Ints:
        """How many values each item has."""
        return np.diff(self.offsets)

    @property
    def owners(self) -> Ints:
        """The item of each value."""
        return np.repeat(np.arange(len(self), dtype=np.int64), self.counts)


def one_each(values: T) -> Ragged[T]:
    """One value an item."""
    length: Any = values
    return Ragged(values, np.arange(len(length) + 1, dtype=np.int64))


def spans(starts: Ints, lengths: Ints) -> Ints:
    """The whole numbers from each start, as many as its length, one span after the other."""
    ends = np.cumsum(lengths)
    places: Ints = np.repeat(starts - ends + lengths, lengths) + np.arange(ends[-1] if len(ends) else 0)
    return places


def ragged(lists: Iterable[Sequence[str]]) -> Ragged[list[str]]:
    """Flatten lists of texts."""
    rows = [list(row) for row in lists]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)]).astype(np.int64)
    return Ragged([text for row in rows for text in row], offsets)
