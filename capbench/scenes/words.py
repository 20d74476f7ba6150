"""The words and phrases that the reader knows, and texts as rows of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

from capbench.scenes.meaning import NUMBERS
from capbench.scenes.world import COLOURS, SHAPES

LONGEST = 4000  # characters; the speaker's longest text has about 400
SHOWN = 40
# Letters with inner hyphens and apostrophes, or digits, or one other sign: every sign but space is in a token.
TOKEN = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|\d+|[^\w\s]|_")
SIGNS = {",": "comma", ":": "comma", ".": "stop", ";": "stop", "!": "stop", "?": "stop"}


class Symbol(NamedTuple):
    """A phrase of a text: its kind, what it stands for, and the words themselves."""

    kind: str
    value: Any
    text: str


def _nouns() -> Iterator[tuple[str, str, Any]]:
    names = {shape: shape for shape in SHAPES}
    names |= {"disc": "circle", "disk": "circle", "box": "square", "rhombus": "diamond", "hoop": "ring"}
    names |= {"plus sign": "cross"}
    plurals = {"box": "boxes", "cross": "crosses", "rhombus": "rhombuses"}
    for name, shape in names.items():
        yield name, "noun", (shape, False)
        yield plurals.get(name, name + "s"), "noun", (shape, True)
    yield "rhombi", "noun", ("diamond", True)


def _adjectives() -> Iterator[tuple[str, str, Any]]:
    for colour in COLOURS:
        yield colour, "colour", colour
    yield "violet", "colour", "purple"
    for size, words in {"small": "small little tiny", "large": "large big huge"}.items():
        for word in words.split():
            yield word, "size", size


def _numbers() -> Iterator[tuple[str, str, Any]]:
    for number, word in enumerate(NUMBERS[1:], 1):
        yield word, "number", number
        yield str(number), "number", number
        yield f"a group of {word}", "number", number
        yield f"a set of {word}", "number", number
    for word in ("a", "an", "a single", "a lone", "single", "lone", "just one", "only one"):
        yield word, "number", 1
    for word in ("a pair of", "a couple of"):
        yield word, "number", 2
    yield "a trio of", "number", 3
    yield "some", "some", None
    yield "the", "the", None


def _sides() -> Iterator[tuple[str, str, Any]]:
    words: dict[str, list[str]] = {
        "above": ["above", "over", "on top of", "atop", "higher up than", "higher than"],
        "below": ["below", "under", "underneath", "beneath", "lower down than", "lower than"],
    }
    for side in ("left", "right"):
        places = [f"{p} {side}{end}" for p in ("to the", "on the", "at the") for end in ("", " side", "-hand side")]
        words[side] = [f"{place} of" for place in places] + [f"{side} of", f"further {side} than"]
        for place in places:
            yield place, "bare", side
        for owner, prep, end in product(("its", "their"), ("to", "on", "at"), ("", " side")):
            yield f"{prep} {owner} {side}{end}", "near", (side, owner)
    for side, phrases in words.items():
        for phrase, adverb in product(phrases, ("", "just ", "directly ", "immediately ")):
            yield adverb + phrase, "side", side
    yield from (("at the top", "bare", "above"), ("at the bottom", "bare", "below"))
    for start, end in (("left", "right"), ("right", "left"), ("top", "bottom"), ("bottom", "top")):
        side = {"top": "above", "bottom": "below"}.get(start, start)
        yield f"from {start} to {end}", "row", side
        yield f"from the {start} to the {end}", "row", side


def _openers() -> Iterator[tuple[str, str, Any]]:
    seen = [f"{who}{can} see" for who in ("we", "i", "you") for can in ("", " can")]
    for phrase in (*seen, "there is", "there are", "there's", "here is", "here are", "here's", "this is", "these are"):
        yield phrase, "open", None
    for phrase in ("it shows", "it depicts", "this shows", "this depicts"):
        yield phrase, "open", None
    media = ("photo", "photograph", "picture", "image", "drawing", "painting", "illustration", "scene")
    links = ("of", "showing", "shows", "depicting", "depicts", "containing", "contains", "with", "that shows", "has")
    for det, medium in product(("a ", "an ", "the ", "this ", ""), media):
        yield f"in {det}{medium}", "open", None
        for link in links:
            yield f"{det}{medium} {link}", "open", None


def _others() -> Iterator[tuple[str, str, Any]]:
    places = ("located", "placed", "positioned", "situated", "found", "shown", "drawn", "seen")
    yield from ((f"{be} {place}", "verb", be == "is") for be in ("is", "are") for place in places)
    for stem in ("sit", "lie", "stand", "float", "hover", "appear", "rest"):
        yield stem, "verb", False
        yield stem + "s", "verb", True
    kinds = {
        "verb": ("can be seen", "located", "placed", "positioned", "sitting", "lying", "standing", "floating"),
        "have": ("has", "have"),
        "with": ("with", "having"),
        "that": ("that", "which"),
        "and": ("and",),
        "then": ("then", "and then", "followed by"),
        "in": ("in", "of colour", "of color", "painted"),
        "coloured": ("coloured", "colored"),
        "tail": ("in colour", "in color", "in size"),
        "never": ("not", "no", "never", "neither", "nor", "without", "or", "except", "but", "isn't", "aren't"),
    }
    yield from ((word, kind, None) for kind, words in kinds.items() for word in words)
    yield from (("is", "be", True), ("are", "be", False), ("it", "pronoun", "it"), ("them", "pronoun", "them"))
    yield ("they", "pronoun", "them")


def _table() -> dict[tuple[str, ...], tuple[str, Any]]:
    """Each phrase, as tokens, with its kind and value."""
    sources = (_nouns(), _adjectives(), _numbers(), _sides(), _openers(), _others())
    table: dict[tuple[str, ...], tuple[str, Any]] = {}
    for source in sources:
        for phrase, kind, value in source:
            table.setdefault(tuple(phrase.split()), (kind, value))
    return table


TABLE = _table()
WIDEST = max(map(len, TABLE))


def symbols(text: str) -> list[Symbol]:
    """A text as phrases, the longest first; a word that is in no phrase is of the kind "unknown"."""
    tokens = [part for token in TOKEN.findall(text.lower()) for part in _parts(token)]
    row: list[Symbol] = []
    place = 0
    while place < len(tokens):
        for width in range(min(WIDEST, len(tokens) - place), 0, -1):
            words = tuple(tokens[place : place + width])
            if words in TABLE:
                row.append(Symbol(*TABLE[words], " ".join(words)))
                break
        else:
            width, word = 1, tokens[place]
            row.append(Symbol(SIGNS.get(word, "unknown"), None, shown(word)))
        place += width
    return row


def _parts(token: str) -> list[str]:
    """A compound of a known word as its two words: red-coloured, left-hand; other tokens as they are."""
    token = token.replace("’", "'")
    head, dash, tail = token.rpartition("-")
    return [head, tail] if dash and head in COLOURS and tail in ("coloured", "colored") else [token]


def shown(word: str) -> str:
    """A word as it can be printed anywhere: short, and without signs that do not print."""
    safe = word if word.isprintable() else ascii(word)[1:-1]
    return safe if len(safe) <= SHOWN else safe[:SHOWN] + "..."
