"""Many captions at once: each distinct chunk between spaces is looked up once, and the rest is arrays.

The words are those of ``ptb.tokenize``, caption by caption. Captions are joined into one string, a line
break behind each, and cut at spaces: a chunk that ends with a line break is the last of its caption.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain, count
from typing import TYPE_CHECKING, Protocol

import numpy as np

from capbench.backends import ptb_rules as rules
from capbench.ragged import Words, spans

if TYPE_CHECKING:
    from capbench.types import Ints

BLOCK = 8192  # captions cut at a time: what bounds the memory that their chunks take
MARK = "\n"
MOST_ENTRIES = 50_000  # every block goes through all entries once, so their number may not grow with the texts
NO_WORDS = 0


class Reader(Protocol):
    """What reads one chunk or one caption; see ``ptb.Lexer``."""

    def inner_words(self, chunk: str) -> tuple[str, ...] | None:
        """The words of a chunk before a space, or None if they depend on what comes behind it."""
        ...

    def last_words(self, chunk: str) -> tuple[str, ...]:
        """The words of a chunk that ends a caption."""
        ...

    def followed_words(self, chunk: str, after: str, *, last: bool) -> tuple[str, ...] | None:
        """The same before a space and another chunk, which may be the last."""
        ...

    def caption(self, text: str) -> tuple[str, ...]:
        """The words of a caption on one line."""
        ...


class Entries(dict[str, int]):
    """Chunk, or two with a space between, -> its number; of two, only the first one's words count.

    Entry 0 has no words. A chunk is read when it is first asked for.
    """

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self.reader = reader
        self.numbers: defaultdict[str, int] = defaultdict(count().__next__)
        self.forget()

    def forget(self) -> None:
        """Begin anew, with the numbers of the words as they are."""
        self.clear()
        self.words: list[tuple[str, ...]] = [()]
        self.is_last: list[bool] = [False]
        self.is_open: list[bool] = [False]

    def __missing__(self, chunk: str) -> int:
        """Read a chunk."""
        if " " in chunk:
            first, _, after = chunk.partition(" ")
            last = after.endswith(MARK)
            number = self.add(self.reader.followed_words(first, after.removesuffix(MARK), last=last))
        elif chunk.endswith(MARK):
            text = chunk[: -len(MARK)]
            number = self.add(self.reader.last_words(text) if text else (), is_last=True)
        else:
            number = self.add(self.reader.inner_words(chunk)) if chunk else NO_WORDS
        self[chunk] = number
        return number

    def add(self, words: tuple[str, ...] | None, *, is_last: bool = False) -> int:
        """A new entry; None stands for words that depend on what comes behind."""
        self.words.append(words or ())
        self.is_last.append(is_last)
        self.is_open.append(words is None)
        return len(self.words) - 1


def read(reader: Reader, texts: Sequence[str]) -> Words:
    """The words of each text, equal texts read once."""
    places: defaultdict[str, int] = defaultdict(count().__next__)
    index = np.fromiter(map(places.__getitem__, texts), np.int64, len(texts))
    distinct = list(places)
    entries = Entries(reader)
    parts = [block(entries, distinct[i : i + BLOCK]) for i in range(0, len(distinct), BLOCK)]
    ids = [np.zeros(0, np.int64), *(part[0] for part in parts)]
    ends = np.cumsum(np.concatenate([np.zeros(1, np.int64), *(part[1] for part in parts)]), dtype=np.int64)
    words = Words(np.concatenate(ids), ends, tuple(entries.numbers))
    return words if len(distinct) == len(texts) else words.take(index)


def block(entries: Entries, texts: Sequence[str]) -> tuple[Ints, Ints]:
    """The words of some texts, flat, and how many each text has."""
    if len(entries.words) > MOST_ENTRIES:
        entries.forget()
    lines = [text if text.isascii() and text.isprintable() else rules.units(rules.one_line(text)) for text in texts]
    whole = {i: line for i, line in enumerate(lines) if not line.isascii() and rules.OTHER_SPACE.search(line)}
    whole |= {i: line for i, line in enumerate(lines) if "\t" in line}
    for i in whole:
        lines[i] = ""
    chunks = (f"{MARK} ".join(lines) + MARK).split(" ")
    codes = np.fromiter(map(entries.__getitem__, chunks), np.int64, len(chunks))
    ends = np.flatnonzero(np.array(entries.is_last)[codes])
    starts = np.append(0, ends[:-1] + 1)
    for place in np.flatnonzero(np.array(entries.is_open)[codes]).tolist():
        codes[place] = entries[f"{chunks[place]} {chunks[place + 1]}"]
        if entries.is_open[codes[place]]:
            i = int(np.searchsorted(ends, place))
            whole[i] = lines[i]
    for i, line in whole.items():
        codes[starts[i] : ends[i] + 1] = NO_WORDS
        codes[starts[i]] = entries.add(entries.reader.caption(line))
    sizes = np.fromiter(map(len, entries.words), np.int64, len(entries.words))
    flat = np.fromiter(map(entries.numbers.__getitem__, chain.from_iterable(entries.words)), np.int64)
    counts = sizes[codes]
    return flat[spans((np.cumsum(sizes) - sizes)[codes], counts)], np.add.reduceat(counts, starts)
