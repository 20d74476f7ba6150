"""spaCy's attribute ruler with a memory: what it says of a word hangs nearly always on the word and its labels alone.

The library tries some 180 patterns on every word of every text, a sixth of the time of a parse. Here it is asked once
for each word with its labels, by a text of that one word; words that no pattern names are one. A text that a pattern of
several words fits goes through it whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

RULER = "attribute_ruler"
LABELS = ("TAG", "POS", "DEP")  # what the rules of this parser read
WRITTEN = ("ORTH", "TEXT", "LOWER")
OF_A_WORD = {*WRITTEN, "IS_SPACE", *LABELS}
ANY = 0  # stands for all words that no pattern names


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
        rules = [] if ruler is None else [r for r in ruler.patterns if any(label in r["attrs"] for label in LABELS)]
        self._several = Matcher(vocab)
        for number, rule in enumerate(rules):
            if not all(map(is_of_a_word, rule["patterns"])):
                self._several.add(str(number), rule["patterns"])
        self._named = named(pattern for rule in rules for pattern in rule["patterns"])
        self._keys: dict[int, int] = {}

    def of(self, doc: Any) -> list[Labels]:
        """Those of the words of a Doc that has gone through the pipeline without its ruler."""
        if self._ruler is not None and len(self._several) and self._several(doc, allow_missing=True):
            return self._stated(self._ruler(doc))
        found = []
        for orth, tag, pos, dep in doc.to_array(["ORTH", *LABELS]).tolist():
            key = self._keys.get(orth)
            if key is None:
                key = self._keys[orth] = orth if self._is_named(orth) else ANY
            labels = self._known.get((key, tag, pos, dep))
            if labels is None:
                labels = self._known[key, tag, pos, dep] = self._asked(orth, tag, pos, dep)
            found.append(labels)
        return found

    def _is_named(self, orth: int) -> bool:
        """Whether the ruler may take a word for other than any word."""
        form = self._vocab[orth]
        return self._named is None or form.is_space or not self._named.isdisjoint((form.text, form.lower_))

    def _asked(self, *row: int) -> Labels:
        """Those of a word alone."""
        from spacy.tokens import Doc

        word, tag, pos, dep = (self._vocab.strings[one] for one in row)
        doc = Doc(self._vocab, [word], tags=[tag], pos=[pos], deps=[dep], heads=[0])
        return self._stated(doc if self._ruler is None else self._ruler(doc))[0]

    def _stated(self, doc: Any) -> list[Labels]:
        """Those that stand in a Doc."""
        strings = self._vocab.strings
        return [Labels(*(strings[one] for one in row)) for row in doc.to_array(list(LABELS)).tolist()]


def is_of_a_word(pattern: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a pattern of spaCy's matcher fits a single word, by what ``Tagging`` knows of it."""
    return len(pattern) == 1 and pattern[0].keys() <= OF_A_WORD


def named(patterns: Iterable[Sequence[Mapping[str, Any]]]) -> frozenset[str] | None:
    """The words that patterns ask for; None where one asks otherwise, as by a regular expression."""
    words: set[str] = set()
    for wanted in (token[key] for pattern in patterns for token in pattern for key in WRITTEN if key in token):
        if isinstance(wanted, str):
            words.add(wanted)
        elif isinstance(wanted, Mapping) and wanted.keys() == {"IN"}:
            words.update(wanted["IN"])
        else:
            return None
    return frozenset(words)
