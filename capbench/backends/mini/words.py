"""Texts as the numbers of words and pieces that the text tower of ``mini`` knows."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

NOTHING, OTHER = 1, 2  # a text without a word; a run of letters that no piece covers (0 is padding)
SPECIAL = ("<pad>", "<nothing>", "<other>")
INSIDE = "##"  # marks a piece that continues a word
LONGEST = 20  # letters of the longest word in a vocabulary
MOST = 64  # words and pieces of a text that the tower sees; the longest training caption has fewer
REMEMBERED = 50_000
RUN = re.compile(r"[a-z]+|[0-9]+|[^\W_]")
GENITIVE = re.compile(r"'s\b")


class Reader:
    """Cuts texts with a vocabulary: whole words first, else the longest pieces from left to right.

    Case, accents, compatibility forms and punctuation do not matter. Every ASCII letter and digit must be in
    the vocabulary both as a word and as a piece, so only other scripts can be unknown.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self.numbers = {word: i for i, word in enumerate(vocabulary)}
        self.known: dict[str, tuple[int, ...]] = {}

    def read(self, text: str, most: int = MOST) -> tuple[list[int], bool]:
        """At most ``most`` numbers, never none of them, and whether the text has more."""
        numbers: list[int] = []
        for word in words(text):
            numbers += self.pieces(word, most + 1)
            if len(numbers) > most:
                return numbers[:most], True
        return numbers or [NOTHING], False

    def pieces(self, word: str, most: int) -> tuple[int, ...]:
        """The numbers of one word, or at least ``most`` of them."""
        known = self.known.get(word)
        if known is not None:
            return known
        numbers: list[int] = []
        at = 0
        while at < len(word) and len(numbers) < most:
            number, at = self.longest(word, at)
            numbers.append(number)
        found = tuple(numbers)
        if len(word) <= LONGEST:
            if len(self.known) >= REMEMBERED:
                self.known.clear()
            self.known[word] = found
        return found

    def longest(self, word: str, at: int) -> tuple[int, int]:
        """The number of the longest piece that begins at ``at``, and where it ends."""
        mark = INSIDE if at else ""
        for end in range(min(len(word), at + LONGEST), at, -1):
            number = self.numbers.get(mark + word[at:end])
            if number is not None:
                return number, end
        return OTHER, at + 1


def words(text: str) -> Iterator[str]:
    """Lower-case words, runs of digits, and single letters of other scripts; a genitive's s is dropped."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))
    plain = GENITIVE.sub(" ", plain.replace("’", "'")).replace("'", "")
    return (found.group() for found in RUN.finditer(plain))
