"""An item's elements for people: supported, unsupported or missing, and where in the caption they stand."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from capbench.elements.graph import KINDS, Element
from capbench.elements.scores import Matched
from capbench.elements.words import Vocabulary

WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
SUPPORTED, UNSUPPORTED, LABEL = "supported", "unsupported", "label"


def described(found: Matched, caption: str, words: Vocabulary, labelled: Sequence[int] = ()) -> dict[str, Any]:
    """What stands in a run's details. labelled: objects of the caption in no reference that the image's labels name.

    segments: the caption as [text, mark] with mark "", "supported" or "unsupported"; a word is unsupported where
    some element that it names is. Of each kind: supported [said, there, stage, credit], unsupported [said],
    label [said], missing [there, texts].
    """
    kinds = {kind: one_kind(found, kind, labelled if kind == "objects" else ()) for kind in KINDS}
    return {"segments": segments(caption, marked_words(found, labelled), words), **kinds}


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


def marked_words(found: Matched, labelled: Sequence[int]) -> dict[str, str]:
    """Phrase -> mark, of what stands in a caption: objects and attributes. Unsupported before supported."""
    marks: dict[str, str] = {}
    for kind, place in (("objects", 0), ("attributes", 1)):
        missed = {i for i in found.unsupported(kind) if kind != "objects" or i not in labelled}
        for i, element in enumerate(found.said[kind]):
            for phrase in phrases(element, place):
                if i in missed or phrase not in marks:
                    marks[phrase] = UNSUPPORTED if i in missed else SUPPORTED
    return marks


def phrases(element: Element, place: int) -> list[str]:
    """The words at one place of each of an element's forms."""
    return [form[place] for form in element.forms]


def segments(caption: str, marks: Mapping[str, str], words: Vocabulary) -> list[list[str]]:
    """The caption cut where a mark begins or ends; its pieces joined are the caption."""
    longest = max((len(phrase.split()) for phrase in marks), default=0)
    tokens = list(WORD.finditer(caption))
    cut: list[list[str]] = []
    done = at = 0
    while at < len(tokens):
        mark, n = "", 1
        for size in range(min(longest, len(tokens) - at), 0, -1):
            text = caption[tokens[at].start() : tokens[at + size - 1].end()]
            if mark := marks.get(words.noun(text), ""):
                n = size
                break
        if mark:
            start, end = tokens[at].start(), tokens[at + n - 1].end()
            cut += [[caption[done:start], ""], [caption[start:end], mark]]
            done = end
        at += n
    return [piece for piece in [*cut, [caption[done:], ""]] if piece[0]]
