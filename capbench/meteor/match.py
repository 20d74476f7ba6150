"""Which words and phrases of two texts may be matched: exact, stem, synonym and paraphrase.

Everything is looked up once for a batch of texts: words by their vocabulary, phrases by hashes of all runs of up
to seven words. What is left for a pair of texts is to join what they hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from capbench.meteor.resources import FACTOR, LONGEST, Index, word_hash
from capbench.meteor.stem import stem
from capbench.meteor.text import java_hash

if TYPE_CHECKING:
    from typing import Any

    from capbench.types import Ints

WEIGHTS = (1.0, 0.6, 0.8, 0.6)
SEARCH_WEIGHTS = (1.0, 0.6, 0.8, 0.6 - 1e-9)
EXACT, STEM, SYNONYM, PARAPHRASE = range(4)
AT_ONCE = 500_000
# a path's rank is one integer, less is better: matched weight, then chunks, then distance
DISTANCE_BITS = 32
CHUNK = 1 << DISTANCE_BITS
GAIN = 1 << (DISTANCE_BITS + 24)

# module, start and length in the reference, start and length in the candidate, the two as bits,
# what it adds to a path's rank, its distance
Match = tuple[int, int, int, int, int, int, int, int, int]


def match(module: int, i: int, n: int, j: int, m: int) -> Match:
    """The words i to i + n of the reference with the words j to j + m of the candidate.

    The reference cuts a weight to an integer each time it adds one, so a single stem or synonym adds nothing,
    and five words of a paraphrase add 2: there five times .6 falls short of 3.
    """
    gain = int(m * SEARCH_WEIGHTS[module]) + int(n * SEARCH_WEIGHTS[module])
    return module, i, n, j, m, ((1 << n) - 1) << i, ((1 << m) - 1) << j, -GAIN * gain, abs(i - j)


@dataclass(slots=True)
class Text:
    """A text: its number in the batch, the hashes of its words, and its phrases that have or are a paraphrase.

    phrases: start, length, and the paraphrases of each that has any, in order; places: phrase -> starts.
    functions: bit i: word i is a function word.
    """

    number: int
    keys: tuple[int, ...]
    functions: int
    phrases: list[tuple[int, int, dict[int, int]]] = field(default_factory=list)
    places: dict[int, list[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WordTable:
    """What is compared of each word. synonyms: a * words + b of each two different words with a common set."""

    keys: Ints
    stems: Ints
    has_synonyms: Any
    synonyms: Ints

    @classmethod
    def of(cls, keys: Sequence[int], stems: Sequence[int], synsets: Iterable[Iterable[int]]) -> WordTable:
        """Hashes of words and of their stems, and the synonym sets of each word."""
        members: dict[int, list[int]] = {}
        for word, sets in enumerate(synsets):
            for one in sets:
                members.setdefault(one, []).append(word)
        size = len(keys)
        pairs = {a * size + b for words in members.values() if len(words) > 1 for a in words for b in words if a != b}
        synonyms = np.array(sorted(pairs), np.int64)
        has_synonyms = np.zeros(size, bool)
        has_synonyms[synonyms // max(size, 1)] = True
        return cls(np.array(keys, np.int64), np.array(stems, np.int64), has_synonyms, synonyms)

    def matches(self, a: Ints, b: Ints) -> Iterator[tuple[int, Ints]]:
        """Each module, and where words a and b match by it; equal words match by that alone."""
        exact = self.keys[a] == self.keys[b]
        yield EXACT, np.flatnonzero(exact)
        yield STEM, np.flatnonzero((self.stems[a] == self.stems[b]) & ~exact)
        maybe = np.flatnonzero(self.has_synonyms[a] & self.has_synonyms[b] & ~exact)
        wanted = a[maybe] * len(self.keys) + b[maybe]
        place = np.minimum(np.searchsorted(self.synonyms, wanted), len(self.synonyms) - 1)
        yield SYNONYM, maybe[self.synonyms[place] == wanted] if len(wanted) else maybe


class Batch:
    """Texts whose words and phrases have been looked up."""

    def __init__(self, index: Index, texts: Sequence[tuple[str, ...]]) -> None:
        """texts: tokens of each text, normalized; a text that comes twice may stand there once."""
        numbers: dict[str, int] = {}
        rows = [tuple(numbers.setdefault(word, len(numbers)) for word in text) for text in texts]
        vocabulary = list(numbers)
        keys = [java_hash(word) for word in vocabulary]
        self.words = WordTable.of(keys, [java_hash(stem(word)) for word in vocabulary], map(index.synsets, vocabulary))
        self.sizes = np.fromiter(map(len, rows), np.int64, len(rows))
        self.starts = np.cumsum(self.sizes) - self.sizes
        self.flat = np.fromiter(chain.from_iterable(rows), np.int64, int(self.sizes.sum()))
        self.singles: dict[int, Match] = {}
        functions = [word in index.functions for word in vocabulary]
        self.texts = [
            Text(i, tuple(keys[w] for w in row), sum(1 << k for k, w in enumerate(row) if functions[w]))
            for i, row in enumerate(rows)
        ]
        self.lengths: dict[int, int] = {}
        self.find_phrases(index, rows, vocabulary)

    def find_phrases(self, index: Index, rows: Sequence[tuple[int, ...]], vocabulary: Sequence[str]) -> None:
        """Look up all runs of words and note those that are paraphrases of one another."""
        hashes = np.array([word_hash(word) for word in vocabulary], np.uint64)
        runs, texts, starts, lengths = likely_runs(index, hashes, rows)
        if not len(runs):
            return
        keys, numbers = np.unique(runs, return_inverse=True)
        first = np.searchsorted(index.sources, keys)
        counts = np.searchsorted(index.sources, keys, side="right") - first
        sources = np.repeat(np.arange(len(keys)), counts)
        entries = np.arange(len(sources)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
        found = index.targets[entries]
        targets = np.minimum(np.searchsorted(keys, found), len(keys) - 1)
        kept = np.flatnonzero(keys[targets] == found)
        paraphrases: dict[int, dict[int, int]] = {}  # phrase -> paraphrase -> place in the table
        triples = zip(sources[kept].tolist(), targets[kept].tolist(), entries[kept].tolist(), strict=True)
        for source, target, entry in triples:
            paraphrases.setdefault(source, {})[target] = entry
        wanted = np.zeros(len(keys), bool)
        wanted[sources[kept]] = wanted[targets[kept]] = True
        used = np.flatnonzero(wanted[numbers])
        used = used[np.lexsort((lengths[used], starts[used], texts[used]))]
        columns = (texts[used], starts[used], lengths[used], numbers[used])
        for text, start, length, number in zip(*(column.tolist() for column in columns), strict=True):
            self.lengths[number] = length
            owner = self.texts[text]
            owner.places.setdefault(number, []).append(start)
            if number in paraphrases:
                owner.phrases.append((start, length, paraphrases[number]))

    def options(self, pairs: Sequence[tuple[Text, Text]]) -> Iterator[list[list[Match]]]:
        """For each candidate and reference the matches that begin at each word of the reference.

        They stand in the reference program's order, on which ties depend.
        """
        for begin, end in self.blocks(pairs):
            block = pairs[begin:end]
            rows = self.word_matches(block)
            at = 0
            for number, (candidate, reference) in enumerate(block):
                same = candidate.keys == reference.keys
                options: list[list[Match]] = [[] for _ in reference.keys]
                while at < len(rows) and rows[at][0] == number:
                    _, i, module, j = rows[at]
                    if module == EXACT or not same:
                        options[i].append(self.single(module, i, j))
                    at += 1
                if not same:
                    self.add_paraphrases(options, candidate, reference)
                yield options

    def add_paraphrases(self, options: list[list[Match]], candidate: Text, reference: Text) -> None:
        """The matches of phrases, both ways; of one phrase in the table's order."""
        lengths, places = self.lengths, candidate.places
        for i, n, table in reference.phrases:
            if not table.keys().isdisjoint(places):
                for target in sorted(table.keys() & places.keys(), key=table.__getitem__):
                    options[i] += [match(PARAPHRASE, i, n, j, lengths[target]) for j in places[target]]
        places = reference.places
        for j, m, table in candidate.phrases:
            if not table.keys().isdisjoint(places):
                for target in sorted(table.keys() & places.keys(), key=table.__getitem__):
                    for i in places[target]:
                        options[i].append(match(PARAPHRASE, i, lengths[target], j, m))

    def blocks(self, pairs: Sequence[tuple[Text, Text]]) -> Iterator[tuple[int, int]]:
        """Runs of pairs with about so many pairs of words as are compared at once."""
        begin = total = 0
        for end, (candidate, reference) in enumerate(pairs):
            total += len(candidate.keys) * len(reference.keys)
            if total > AT_ONCE:
                yield begin, end + 1
                begin, total = end + 1, 0
        if begin < len(pairs):
            yield begin, len(pairs)

    def word_matches(self, pairs: Sequence[tuple[Text, Text]]) -> list[tuple[int, int, int, int]]:
        """Pair, place in the reference, module, place in the candidate of each match of single words, in order."""
        own, theirs = (np.array([pair[side].number for pair in pairs], np.int64) for side in (0, 1))
        widths = self.sizes[own]
        counts = widths * self.sizes[theirs]
        owners = np.repeat(np.arange(len(pairs)), counts)
        places = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        i, j = np.divmod(places, widths[owners])
        a, b = self.flat[self.starts[theirs][owners] + i], self.flat[self.starts[own][owners] + j]
        parts = []
        for module, places in self.words.matches(a, b):
            parts.append((owners[places], i[places], np.full(len(places), module), j[places]))
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        order = np.lexsort(columns[::-1])
        return list(zip(*(column[order].tolist() for column in columns), strict=True))

    def single(self, module: int, i: int, j: int) -> Match:
        """A match of one word with one, made once for each pair of places."""
        key = (i << 20 | j) << 2 | module
        found = self.singles.get(key)
        if found is None:
            found = self.singles[key] = match(module, i, 1, j, 1)
        return found


def likely_runs(index: Index, hashes: Any, rows: Sequence[tuple[int, ...]]) -> tuple[Any, Ints, Ints, Ints]:
    """The hash, text, start and length of every run of one to seven words that the table may hold."""
    sizes = np.fromiter(map(len, rows), np.int64, len(rows))
    flat = np.fromiter((word for row in rows for word in row), np.int64, int(sizes.sum()))
    words = hashes[flat] if len(flat) else np.zeros(0, np.uint64)
    texts = np.repeat(np.arange(len(rows)), sizes)
    starts = np.arange(len(flat)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    left = np.repeat(sizes, sizes) - starts
    places, values = np.arange(len(flat)), np.zeros(len(flat), np.uint64)
    parts = []
    for n in range(LONGEST):
        longer = left[places] > n
        places, values = places[longer], values[longer]
        values = values * FACTOR + words[places + n]
        found = np.flatnonzero(index.may_hold(values))
        kept = places[found]
        parts.append((values[found], texts[kept], starts[kept], np.full(len(kept), n + 1)))
    runs, owners, begins, lengths = (np.concatenate(column) for column in zip(*parts, strict=True))
    return runs, owners, begins, lengths
