"""Penn Treebank words, as the reference implementation of the caption metrics cuts them, without Java.

The reference is pycocoevalcap 1.2: Stanford CoreNLP 3.4.1's tokenizer with ``-preserveLines -lowerCase``,
then 17 punctuation tokens removed. Escapes are lower-cased before that list is applied, so brackets stay
as ``-lrb-`` and so on; this is what published numbers hold, and it is kept.

The rules (``ptb_rules``) are compiled to one automaton over UTF-16 units that finds the longest match at
each place; its states are made when first needed. Positions from which nothing can match any more are
remembered on long tails, so that hostile text costs linear time too.

What differs from the reference:

- Line breaks of any kind are spaces. The reference writes an extra line for most of them and so gives
  every later caption the words of another one. Lone surrogates, which it cannot read, are U+FFFD.
- Words do not depend on the next caption in the file. The reference looks across the line's end in a few
  rules ("No." before a digit, "U." before "A" or "The"); here the next caption is always taken to be "A".
- No word holds blanks: the reference joins "1 1/2", telephone numbers and tags with no-break spaces,
  at which BLEU and CIDEr split again (its ROUGE-L does not).
- Lower case is Python's: it differs from Java's for a capital sigma before a hyphen or a digit, and for
  letters that got a lower case after Unicode 13.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, TypeVar

from capbench import ragged
from capbench.backends import ptb_fast
from capbench.backends import ptb_rules as rules
from capbench.backends.ptb_automaton import Automaton
from capbench.protocols import Problem

MEMO_WORDS = 200_000
MEMO_LENGTH = 40
Words = TypeVar("Words")


class Lexer:
    """The rules, ready to read."""

    def __init__(self) -> None:
        self.automaton = Automaton([f"({main}){f'({ahead})' if ahead else ''}" for main, ahead, _ in rules.RULES])
        self.parts: dict[int, tuple[Automaton, Automaton]] = {}
        self.inner: dict[str, tuple[str, ...] | None] = {}
        self.last: dict[str, tuple[str, ...]] = {}

    def read(self, text: str, stop: int) -> tuple[list[str], bool]:
        """The tokens that begin before ``stop``, and whether text behind the end could change them."""
        tokens: list[str] = []
        dead: dict[int, bytearray] = {}
        at, open_end = 0, False
        while at < stop:
            rule, end, more = self.automaton.match(text, at, dead)
            open_end |= more
            if rule < 0:  # only at an end that cuts the text short
                return tokens, True
            _, ahead, shape = rules.RULES[rule]
            if ahead:
                end = self.split(text, at, end, rule)
            if shape in rules.SHORTER and (shape != "-1" or end - at == len("a.")):
                end -= rules.SHORTER[shape]
            if shape != "skip":
                tokens += rules.finish(text[at:end], shape)
            at = end
        return tokens, open_end or at > stop

    def split(self, text: str, at: int, end: int, rule: int) -> int:
        """Where the token ends when what must follow it ends at ``end``: as late as possible."""
        if rule not in self.parts:
            self.parts[rule] = (Automaton([rules.RULES[rule][0]]), Automaton([rules.RULES[rule][1]]))
        main, ahead = self.parts[rule]
        for middle in reversed(main.ends(text, at, end)):
            if ahead.ends(text, middle, end)[-1:] == [end]:
                return middle
        raise AssertionError(text[at:end])

    def caption(self, text: str) -> tuple[str, ...]:
        """The words of a caption that is one line of UTF-16 rules.units."""
        if rules.OTHER_SPACE.search(text):  # a run of blanks is one token, so no chunk may begin inside of it
            return tuple(self.read(text + rules.END, len(text))[0])
        chunks = text.split(" ")
        last = chunks.pop()
        words: list[str] = []
        for chunk in chunks:
            if chunk:
                known = self.inner_words(chunk)
                if known is None:
                    return tuple(self.read(text + rules.END, len(text))[0])
                words += known
        if last:
            words += self.last_words(last)
        return tuple(words)

    def inner_words(self, chunk: str) -> tuple[str, ...] | None:
        """The words of a chunk before a space, or None if they depend on what comes behind it."""
        if chunk in self.inner:
            return self.inner[chunk]
        plain = plain_word(chunk, ",")
        if plain is not None:
            return self.keep(self.inner, chunk, (plain,))
        tokens, more = self.read(chunk + " ", len(chunk))
        return self.keep(self.inner, chunk, None if more else tuple(tokens))

    def last_words(self, chunk: str) -> tuple[str, ...]:
        """The words of a chunk that ends a caption."""
        known = self.last.get(chunk)
        if known is not None:
            return known
        plain = plain_word(chunk, ".")
        if plain is not None and not rules.ABBREVIATION.fullmatch(chunk):
            return self.keep(self.last, chunk, (plain,))
        return self.keep(self.last, chunk, tuple(self.read(chunk + rules.END, len(chunk))[0]))

    def followed_words(self, chunk: str, after: str, *, last: bool) -> tuple[str, ...] | None:
        """The words of a chunk before a space and this chunk, or None if they depend on more than both."""
        tokens, more = self.read(f"{chunk} {after}{rules.END if last else ' '}", len(chunk))
        return None if more else tuple(tokens)

    @staticmethod
    def keep(memo: dict[str, Words], chunk: str, words: Words) -> Words:
        """Remember the words of a short chunk; a full memo starts anew."""
        if len(chunk) <= MEMO_LENGTH:
            if len(memo) >= MEMO_WORDS:
                memo.clear()
            memo[chunk] = words
        return words


def plain_word(chunk: str, mark: str) -> str | None:
    """The word of a chunk that is letters, perhaps with this mark behind it; None for any other.

    Most chunks are such, and no rule takes them otherwise: this is what the rules say, found sooner.
    """
    word = chunk.removesuffix(mark)
    if not (word.isascii() and word.isalpha()):
        return None
    low = word.lower()
    return None if low in rules.SPLIT_WORDS else low


@cache
def lexer() -> Lexer:
    """The one lexer; made on first use."""
    return Lexer()


def tokenize(text: str) -> tuple[str, ...]:
    """The words of one caption; never raises.

    Source: pycocoevalcap 1.2, ``PTBTokenizer().tokenize``, for a caption with a blank line behind it.
    """
    return lexer().caption(text if text.isascii() and text.isprintable() else rules.units(rules.one_line(text)))


class Tokenizer:
    """A ``TokenizerSession``."""

    def tokenize(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """The words of each text, in order."""
        return [tokenize(text) for text in texts]

    def words(self, texts: Sequence[str]) -> ragged.Words:
        """The same as integer words, at a fraction of the cost."""
        return ptb_fast.read(lexer(), texts)


@dataclass(frozen=True, slots=True)
class Ptb:
    """``ptb()``: the reference tokenizer's words without Java."""

    name: ClassVar[str] = "ptb"
    kind: ClassVar[str] = "tokenizer"

    def fingerprint(self) -> str:
        """What it is compatible with, and the version of the rules."""
        return "ptb/corenlp-3.4.1-compatible/1"

    def check(self) -> Problem | None:
        """Nothing is missing, ever."""
        return None

    @contextmanager
    def open(self, device: str) -> Iterator[Tokenizer]:  # noqa: ARG002
        """A session; the device does not matter."""
        yield Tokenizer()
