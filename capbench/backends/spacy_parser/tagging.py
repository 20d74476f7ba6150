"""spaCy's attribute ruler with a memory: what it says of a word hangs nearly always on the word and its labels alone.

The library tries some 180 patterns on every word of every text, a sixth of the time of a parse. Here it is asked once
for each word with its labels, by a text of that one word; a text that a pattern of several words fits goes through it
whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

RULER = "attribute_ruler"
LABELS = ("TAG", "POS", "DEP")  # what the rules of this parser read
OF_A_WORD = {"ORTH", "TEXT", "LOWER", "IS_SPACE", *LABELS}


class Labels(NamedTuple):
    """Fine tag, part of speech and dependency of a word."""

    tag: str
    pos: str
    dep: str


def taken_over(nlp: Any) -> Any | None:
    """The attribute ruler of a pipeline, which then runs without it; None where none comes last."""
    if nlp.pipe_names[-1:] != [RULER]:
        return None
    ruler = nlp.get_pipe(RULER)
    nlp.disable_pipe(RULER)
    return ruler


class Tagging:
    """The labels of words as the ruler leaves them."""

    def __init__(self, vocab: Any, ruler: Any | None) -> None:
        from spacy.matcher import Matcher

        self._vocab, self._ruler = vocab, ruler
        self._known: dict[tuple[int, ...], Labels] = {}
        self._several = Matcher(vocab)
        for number, rule in enumerate(ruler.patterns if ruler is not None else ()):
            if any(label in rule["attrs"] for label in LABELS) and not all(map(is_of_a_word, rule["patterns"])):
                self._several.add(str(number), rule["patterns"])

    def of(self, doc: Any) -> list[Labels]:
        """Those of the words of a Doc that has gone through the pipeline without its ruler."""
        if self._ruler is not None and len(self._several) and self._several(doc, allow_missing=True):
            return self._stated(self._ruler(doc))
        rows = map(tuple, doc.to_array(["ORTH", *LABELS]).tolist())
        return [self._known.get(row) or self._asked(row) for row in rows]

    def _asked(self, row: tuple[int, ...]) -> Labels:
        """Those of a word alone, kept."""
        from spacy.tokens import Doc

        word, tag, pos, dep = (self._vocab.strings[one] for one in row)
        doc = Doc(self._vocab, [word], tags=[tag], pos=[pos], deps=[dep], heads=[0])
        self._known[row] = self._stated(doc if self._ruler is None else self._ruler(doc))[0]
        return self._known[row]

    def _stated(self, doc: Any) -> list[Labels]:
        """Those that stand in a Doc."""
        strings = self._vocab.strings
        return [Labels(*(strings[one] for one in row)) for row in doc.to_array(list(LABELS)).tolist()]


def is_of_a_word(pattern: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a pattern of spaCy's matcher fits a single word, by what ``Tagging`` knows of it."""
    return len(pattern) == 1 and pattern[0].keys() <= OF_A_WORD
