"""From a caption to the objects of COCO that it names, for CHAIR.

    tokens -> singular -> phrases joined, from left to right -> words of the table -> classes

The table is closed, so there is no general singulariser: the plural forms of its words are made and looked up.
A phrase is joined only where nothing but blanks stands between its words. Where a caption has "toilet" and
"seat", the seat is no chair. With ``compat`` the words are those of the authors' program, which was run with
pattern 3.6 (``singularize``) and NLTK 3.2.5 (``word_tokenize``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from capbench.metrics.chair_table import NEVER_FOUND, PHRASES, VOCABULARY

BREAK = ","

# A run of letters and digits, with hyphens and apostrophes inside; any other visible character parts phrases.
TOKEN = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*|\S")
CLITIC = re.compile(r"(?:'(?:s|m|d|ll|re|ve)|n't)\Z")

# What the Treebank rules set apart: not a hyphen, slash, asterisk or curly quote, nor a full stop inside a token.
APART = re.compile(r"""[;@#$%&?!()\[\]{}<>"]|\.\.\.|--|``|''|[:,](?!\d)""")
END_STOP = re.compile(r"(?<=[^\s.])\.(?='*(?:\s|\Z))")
CLITIC_APART = re.compile(r"(?<=[^\s'])(?:'(?:s|m|d|ll|re|ve)?|n't)(?=\s|\Z)")

ENDINGS = (
    ("man", "men"), ("child", "children"), ("person", "people"), ("goose", "geese"), ("mouse", "mice"),
    ("ox", "oxen"), ("calf", "calves"), ("knife", "knives"), ("thief", "thieves"), ("bus", "busses"),
)  # fmt: skip
ADDED_ES = ("s", "x", "ch", "sh", "o")

# Forms of which pattern makes something that is in no table: bus -> bu, ties -> ty, canoes -> cano, doggies -> doggies.
MISREAD = frozenset({
    "bus", "minibus", "airbus", "busses", "minibusses", "airbusses", "ties", "canoes", "collies", "doggies", "magpies",
    "thieves",
})  # fmt: skip


class Mention(NamedTuple):
    """A word or phrase of a caption, in the singular, and the class that it stands for."""

    word: str
    object: str


def mentions(caption: str, *, compat: bool = False) -> tuple[Mention, ...]:
    """The objects that a caption names, one entry a mention, in order."""
    table = table_of(compat)
    words = list(joined([table.singular.get(token, token) for token in tokens(caption, compat=compat)], table.phrases))
    seated = "toilet" in words and "seat" in words
    return tuple(
        Mention(word, table.words[word]) for word in words if word in table.words and not (seated and word == "seat")
    )


def tokens(caption: str, *, compat: bool = False) -> list[str]:
    """Lower-case words, and marks between them that part phrases."""
    text = caption.lower()
    if compat:
        text = END_STOP.sub(f" {BREAK} ", APART.sub(f" {BREAK} ", text))
        return CLITIC_APART.sub(f" {BREAK} ", text).split()
    found: list[str] = []
    for token in TOKEN.findall(straight(text)):
        bare = CLITIC.sub("", token) if "'" in token else token
        found += hyphened(bare) if "-" in bare else [bare]
    return found


def hyphened(token: str) -> list[str]:
    """The parts of "teddy-bears", which are a phrase; any other compound as it is: a man-made pond has no man."""
    parts, table = token.split("-"), table_of(False)
    return parts if " ".join(table.singular.get(part, part) for part in parts) in table.phrases else [token]


def word_count(caption: str) -> int:
    """The words of a caption: its tokens that begin with a letter or digit."""
    return sum(token[0].isalnum() for token in TOKEN.findall(straight(caption)))


def straight(text: str) -> str:
    """A text with the typist's apostrophe only."""
    return text.replace("’", "'")


def joined(words: Sequence[str], phrases: Mapping[str, str]) -> Iterator[str]:
    """The words with each phrase as one, the longest that begins at a place."""
    i = 0
    while i < len(words):
        for size in (3, 2):
            phrase = " ".join(words[i : i + size])
            if phrase in phrases:
                yield phrases[phrase]
                i += size
                break
        else:
            yield words[i]
            i += 1


class Table(NamedTuple):
    """What captions are read with: form -> singular, phrase -> word, word -> class."""

    singular: Mapping[str, str]
    phrases: Mapping[str, str]
    words: Mapping[str, str]


@cache
def table_of(compat: bool) -> Table:
    """The table as it was meant, or as the authors' program uses it."""
    parts = {part for phrase in (*VOCABULARY, *PHRASES) for part in phrase.split()}
    singular = {form: part for part in sorted(parts) for form in plurals(part) if form not in VOCABULARY}
    if not compat:
        return Table(singular, PHRASES, VOCABULARY)
    unread = {form: f"{form}?" for form in MISREAD}
    phrases = {phrase: word for phrase, word in PHRASES.items() if phrase.count(" ") == 1}
    return Table(singular | unread, phrases, {w: name for w, name in VOCABULARY.items() if w not in NEVER_FOUND})


def plurals(word: str) -> Iterator[str]:
    """The plural forms of a word, the plain one with -s always among them, since people write "babys" too."""
    yield word + "s"
    if word.endswith(ADDED_ES):
        yield word + "es"
    if word.endswith("y") and word[-2] not in "aeiou":
        yield word[:-1] + "ies"
    for end, plural in ENDINGS:
        if word.endswith(end):
            yield word.removesuffix(end) + plural
