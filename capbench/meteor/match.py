"""Which words and phrases of two texts may be matched: exact, stem, synonym and paraphrase.

Everything is looked up once for a batch of texts: words by their vocabulary, phrases by hashes of all runs of up
to seven words. What is left for a pair of texts is to join what they hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
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
KINDS = 8
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
    """A text as word numbers, the hashes of its words, and its phrases that have or are a paraphrase.

    phrases: start, length, phrase in order; places: phrase -> starts. functions: bit i: word i is a function word.
    """

    words: tuple[int, ...]
    keys: tuple[int, ...]
    functions: int
    phrases: list[tuple[int, int, int]] = field(default_factory=list)
    places: dict[int, list[int]] = field(default_factory=dict)


class Batch:
    """Texts whose words and phrases have been looked up."""

    def __init__(self, index: Index, texts: Sequence[tuple[str, ...]]) -> None:
        """texts: tokens of each text, normalized; a text that comes twice may stand there once."""
        numbers: dict[str, int] = {}
        rows = [tuple(numbers.setdefault(word, len(numbers)) for word in text) for text in texts]
        vocabulary = list(numbers)
        self.size = len(vocabulary)
        self.keys = [java_hash(word) for word in vocabulary]
        self.stems = [java_hash(stem(word)) for word in vocabulary]
        self.synsets = [index.synsets(word) for word in vocabulary]
        self.codes: dict[int, int] = {}
        self.singles: dict[int, Match] = {}
        functions = [word in index.functions for word in vocabulary]
        self.texts = [
            Text(row, tuple(self.keys[w] for w in row), sum(1 << i for i, w in enumerate(row) if functions[w]))
            for row in rows
        ]
        self.paraphrases: dict[int, dict[int, int]] = {}
        self.lengths: dict[int, int] = {}
        self.find_phrases(index, rows, vocabulary)

    def find_phrases(self, index: Index, rows: Sequence[tuple[int, ...]], vocabulary: Sequence[str]) -> None:
        """Look up all runs of words and note those that are paraphrases of one another."""
        hashes = np.array([word_hash(word) for word in vocabulary], np.uint64)
        runs, texts, starts, lengths = all_runs(hashes, rows)
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
        triples = zip(sources[kept].tolist(), targets[kept].tolist(), entries[kept].tolist(), strict=True)
        for source, target, entry in triples:
            self.paraphrases.setdefault(source, {})[target] = entry
        wanted = np.zeros(len(keys), bool)
        wanted[sources[kept]] = wanted[targets[kept]] = True
        used = np.flatnonzero(wanted[numbers])
        used = used[np.lexsort((lengths[used], starts[used], texts[used]))]
        columns = (texts[used], starts[used], lengths[used], numbers[used])
        for text, start, length, number in zip(*(column.tolist() for column in columns), strict=True):
            self.lengths[number] = length
            owner = self.texts[text]
            owner.places.setdefault(number, []).append(start)
            if number in self.paraphrases:
                owner.phrases.append((start, length, number))

    def options(self, candidate: Text, reference: Text) -> list[list[Match]]:
        """The matches that begin at each word of the reference, in the reference program's order."""
        if candidate.keys == reference.keys:
            return self.words(candidate, reference, (EXACT,))
        options = self.words(candidate, reference, (EXACT, STEM, SYNONYM))
        for i, n, source in reference.phrases:
            for target in self.shared(source, candidate.places):
                options[i] += [match(PARAPHRASE, i, n, j, self.lengths[target]) for j in candidate.places[target]]
        for j, m, source in candidate.phrases:
            for target in self.shared(source, reference.places):
                for i in reference.places[target]:
                    options[i].append(match(PARAPHRASE, i, self.lengths[target], j, m))
        return options

    def shared(self, source: int, places: dict[int, list[int]]) -> Iterable[int]:
        """The paraphrases of a phrase that a text has, in the table's order."""
        entries = self.paraphrases[source]
        if entries.keys().isdisjoint(places):
            return ()
        return sorted(entries.keys() & places.keys(), key=entries.__getitem__)

    def words(self, candidate: Text, reference: Text, modules: tuple[int, ...]) -> list[list[Match]]:
        """The matches of single words."""
        codes, size = self.codes, self.size
        options: list[list[Match]] = []
        for i, a in enumerate(reference.words):
            row = a * size
            hits: list[tuple[int, int]] = []
            for j, b in enumerate(candidate.words):
                code = codes.get(row + b)
                if code is None:
                    code = self.compare(a, b)
                if code:
                    hits.append((code, j))
            options.append(
                [self.single(kind, i, j) for kind in modules for code, j in hits if code >> kind & 1] if hits else []
            )
        return options

    def compare(self, a: int, b: int) -> int:
        """The modules that match two words, as bits."""
        if self.keys[a] == self.keys[b]:
            code = 1 << EXACT
        else:
            same_stem = self.stems[a] == self.stems[b]
            synonyms = not self.synsets[a].isdisjoint(self.synsets[b])
            code = (same_stem << STEM) | (synonyms << SYNONYM)
        self.codes[a * self.size + b] = code
        return code

    def single(self, module: int, i: int, j: int) -> Match:
        """A match of one word with one, made once for each pair of places."""
        key = (i << 20 | j) << 2 | module
        found = self.singles.get(key)
        if found is None:
            found = self.singles[key] = match(module, i, 1, j, 1)
        return found


def all_runs(hashes: Any, rows: Sequence[tuple[int, ...]]) -> tuple[Any, Ints, Ints, Ints]:
    """The hash, text, start and length of every run of one to seven words."""
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
        parts.append((values, texts[places], starts[places], np.full(len(places), n + 1)))
    runs, owners, begins, lengths = (np.concatenate(column) for column in zip(*parts, strict=True))
    return runs, owners, begins, lengths
