"""An item's elements for people: supported, unsupported or missing, and where in the caption they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from capbench.elements.graph import KINDS
from capbench.elements.scores import Matched
from capbench.elements.words import Vocabulary

WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
SUPPORTED, UNSUPPORTED, LABEL = "supported", "unsupported", "label"


def described(found: Matched, caption: str, words: Vocabulary, labelled: Sequence[int] = ()) -> dict[str, Any]:
    """What stands in a run's details. labelled: objects of the caption in no reference that the image's labels name.

    marks: [start, end, "supported" or "unsupported"] of words of the caption, in characters, in order; of several
    elements that a word names, that of the nearest object counts. Of each kind: supported [said, there, stage, credit],
    unsupported [said], label [said], missing [there, how many references say it].
    """
    kinds = {kind: one_kind(found, kind, labelled if kind == "objects" else ()) for kind in KINDS}
    return {"marks": marked(caption, marked_words(found, labelled), words), **kinds}


def one_kind(found: Matched, kind: str, labelled: Sequence[int]) -> dict[str, Any]:
    """The elements of a kind by what became of them."""
    said, there = found.said[kind], found.there[kind]
    return {
        SUPPORTED: [
            [list(said[p.said].forms[0]), list(there[p.there].forms[0]), p.stage, round(p.credit, 4)]
            for p in found.pairs[kind]
        ],
        UNSUPPORTED: [list(said[i].forms[0]) for i in found.unsupported(kind) if i not in labelled],
        LABEL: [list(said[i].forms[0]) for i in labelled],
        "missing": [[list(there[j].forms[0]), there[j].texts] for j in found.missing(kind)],
    }


def marked_words(found: Matched, labelled: Sequence[int]) -> dict[str, dict[str, str]]:
    """Phrase -> owner -> mark, of what stands in a caption: objects (owner "") and attributes of an object."""
    marks: dict[str, dict[str, str]] = {}
    for kind in ("objects", "attributes"):
        missed = {i for i in found.unsupported(kind) if kind != "objects" or i not in labelled}
        for i, element in enumerate(found.said[kind]):
            for form in element.forms:
                owner = form[0] if kind == "attributes" else ""
                marks.setdefault(form[-1], {})[owner] = UNSUPPORTED if i in missed else SUPPORTED
    return marks


def marked(caption: str, marks: Mapping[str, Mapping[str, str]], words: Vocabulary) -> list[list[Any]]:
    """Where phrases with a mark stand in a caption: [start, end, mark]."""
    places = list(occurrences(caption, marks, words))
    owners = [place for place in places if "" in marks[place.phrase]]
    return [[place.start, place.end, nearest(place, marks[place.phrase], owners)] for place in places]


class Place(NamedTuple):
    """A phrase in a caption."""

    start: int
    end: int
    phrase: str


def occurrences(caption: str, marks: Mapping[str, Any], words: Vocabulary) -> Iterator[Place]:
    """Where the phrases stand, the longest that begins at a word."""
    longest = max((len(phrase.split()) for phrase in marks), default=0)
    tokens = list(WORD.finditer(caption))
    at = 0
    while at < len(tokens):
        step, start = 1, tokens[at].start()
        for size in range(min(longest, len(tokens) - at), 0, -1):
            end = tokens[at + size - 1].end()
            phrase = next((reading for reading in words.readings(caption[start:end]) if reading in marks), None)
            if phrase is not None:
                yield Place(start, end, phrase)
                step = size
                break
        at += step


def nearest(place: Place, owned: Mapping[str, str], objects: Sequence[Place]) -> str:
    """The mark that the nearest owner gives, the one behind before the one in front; unsupported if none is there."""
    if len(set(owned.values())) == 1 or "" in owned:
        return owned.get("", next(iter(owned.values())))
    gaps = [
        (
            one.start - place.end if one.start >= place.end else place.start - one.end,
            one.start < place.start,
            one.phrase,
        )
        for one in objects
        if one.phrase in owned
    ]
    return owned[min(gaps)[2]] if gaps else UNSUPPORTED
