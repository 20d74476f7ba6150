"""Dependency trees as the rules read and mend them: plain Python objects, made from what spaCy gives for a text.

A token of spaCy looks a label up each time that it is asked for it, and putting one under another costs as much as its
sentence is long; the rules do both many times a word.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from capbench.backends.spacy_parser.tagging import Labels, Tagging, taken_over

COLUMNS = ["ORTH", "HEAD", "SENT_START", "SPACY"]
WRAP = 2**64 - 1  # a head is a distance, and one to the left comes as a number near this


class Form(NamedTuple):
    """What a written form is, whatever the text."""

    text: str
    lower: str
    like_num: bool


class Word:
    """A word in its tree. i: its place; head: the word that it belongs to, a root's is itself; children: in order."""

    __slots__ = ("_head", "children", "dep", "doc", "i", "like_num", "lower", "pos", "tag", "text", "whitespace")

    def __init__(self, doc: Tree, i: int, form: Form, labels: Labels, spaced: int) -> None:
        self.doc, self.i, self.whitespace = doc, i, bool(spaced)
        self.text, self.lower, self.like_num = form
        self.tag, self.pos, self.dep = labels
        self.children: list[Word] = []
        self._head = self

    @property
    def head(self) -> Word:
        """The word that it belongs to; setting it moves the word with all that belongs to it."""
        return self._head

    @head.setter
    def head(self, head: Word) -> None:
        if self._head is not self:
            self._head.children.remove(self)
        self._head = head
        if head is not self:
            insort(head.children, self, key=attrgetter("i"))

    @property
    def sentence_start(self) -> int:
        """The place where its sentence begins."""
        starts = self.doc.starts
        return starts[bisect_right(starts, self.i) - 1]


class Tree:
    """The words of one text in their order. starts: the places where sentences begin."""

    __slots__ = ("starts", "words")

    def __init__(self) -> None:
        self.words: list[Word] = []
        self.starts: list[int] = []

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, place: int) -> Word:
        return self.words[place]

    def __iter__(self) -> Iterator[Word]:
        return iter(self.words)


class Trees:
    """Reads texts with a pipeline; its attribute ruler is taken over where it comes last."""

    def __init__(self, nlp: Any) -> None:
        self.nlp = nlp
        self._tagging = Tagging(nlp.vocab, taken_over(nlp))
        self._forms: dict[int, Form] = {}

    def read(self, texts: Sequence[str], batch: int) -> Iterator[Tree]:
        """One tree a text; batch: texts that go through the pipeline together."""
        return map(self.tree, self.nlp.pipe(texts, batch_size=batch))

    def tree(self, doc: Any) -> Tree:
        """The tree of a Doc that has gone through the pipeline."""
        made = Tree()
        labels = self._tagging.of(doc)  # first: the ruler may write into it
        rows = doc.to_array(COLUMNS).tolist()
        for i, (orth, _, start, spaced) in enumerate(rows):
            made.words.append(Word(made, i, self._form(orth), labels[i], spaced))
            if start == 1 or i == 0:
                made.starts.append(i)
        for word, row in zip(made.words, rows, strict=True):
            word.head = made.words[(word.i + row[1]) & WRAP]
        return made

    def _form(self, orth: int) -> Form:
        """What spaCy knows of a written form."""
        if orth not in self._forms:
            lexeme = self.nlp.vocab[orth]
            self._forms[orth] = Form(lexeme.text, lexeme.lower_, lexeme.like_num)
        return self._forms[orth]
