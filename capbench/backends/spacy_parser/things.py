"""Which words of a parsed text are things, what the things are called, and what is said of each alone."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from capbench.backends.spacy_parser import words
from capbench.backends.spacy_parser.grammar import NOUNS, is_place, joined, objects
from capbench.backends.spacy_parser.lemmas import Lemmas
from capbench.backends.spacy_parser.trees import Tree, Word

DESCRIBING = ("amod", "nmod", "nummod", "compound", "poss", "quantmod")


@dataclass(slots=True)
class Thing:
    """Something that the text names: its noun, what it is called, and what it is said to be."""

    noun: Word
    name: str
    traits: list[str] = field(default_factory=list)

    def add(self, trait: str) -> None:
        """Say it once."""
        if trait and trait != self.name and trait not in self.traits:
            self.traits.append(trait)


class Things:
    """The things of one text by the place of their noun, and the words that stand for them."""

    def __init__(self, doc: Tree, lemmas: Lemmas) -> None:
        self.doc, self.lemmas = doc, lemmas
        self.by_place: dict[int, Thing] = {}
        self.stands_for: dict[int, Word] = {}  # a collective, a portion, a place -> its noun
        for token in doc:
            if (is_place(token) and token.dep != "pobj") or token.lower in words.SOME_OF:
                inner = next((o for c in token.children if c.lower == "of" for o in objects(c)), None)
                if inner is not None:
                    self.stands_for[token.i] = inner
            if self._is_head(token):
                self.by_place[token.i] = Thing(token, self._name(token))
        self.described_by: dict[int, Word] = {}  # a participle at the start -> the noun it describes
        for token in doc:
            self._collect(token)
            self._start(token)
        for thing in self.by_place.values():
            for trait in self._traits(thing.noun):
                thing.add(trait)

    def __iter__(self) -> Iterator[Thing]:
        """In the order of the text."""
        return iter(self.by_place[place] for place in sorted(self.by_place))

    def of(self, token: Word) -> list[Thing]:
        """The things that a word and those joined to it with "and" name; none for other words."""
        found: list[Thing] = []
        for one in (token, *joined(token)):
            noun = one
            while noun.i in self.stands_for:
                following = self.stands_for[noun.i]
                found += [self.by_place[more.i] for more in joined(following) if more.i in self.by_place]
                noun = following
            if noun.i in self.by_place:
                found.append(self.by_place[noun.i])
        return list({thing.noun.i: thing for thing in found}.values())

    def before(self, token: Word, but: Collection[int] = ()) -> list[Thing]:
        """What a pronoun stands for: the first thing of its sentence before it, else of the last one with things.

        but: places of nouns that it cannot stand for. A picture ("a close-up shot of ...") is none that it stands for.
        """
        for places in (self._seen, self._places):
            last = bisect_left(places, token.i) - 1
            while last >= 0 and places[last] in but:
                last -= 1
            if last >= 0:
                start = token.sentence_start
                first = bisect_left(places, start if places[last] >= start else self.doc[places[last]].sentence_start)
                while places[first] in but:
                    first += 1
                return [self.by_place[places[first]]]
        return []

    def last_before(self, token: Word) -> list[Thing]:
        """The thing named last before a word."""
        last = bisect_left(self._places, token.i) - 1
        return [self.by_place[self._places[last]]] if last >= 0 else []

    @cached_property
    def _places(self) -> list[int]:
        """The places of all things in order; asked for when all are known."""
        return sorted(self.by_place)

    @cached_property
    def _seen(self) -> list[int]:
        """The same without pictures."""
        return [place for place in self._places if self.lemmas.noun(self.doc[place].text) not in words.PICTURES]

    def _is_head(self, token: Word) -> bool:
        """Whether a word names a thing by itself."""
        if token.lower in words.PEOPLE:
            return True
        named = token.pos in NOUNS and any(c.isalpha() for c in token.text)
        if not named or token.lower in words.NO_THINGS or token.lower in words.NUMBERS or is_place(token):
            return False
        return stands_for_itself(token) and not is_absent(token)

    def _name(self, noun: Word) -> str:
        """The noun with the nouns before it that make it another thing: "train track", but not "brick wall"."""
        if noun.lower in words.PEOPLE:
            return words.PEOPLE[noun.lower]
        base = self.lemmas.noun(noun.text)
        if is_hyphened(noun):
            return f"{self.doc[noun.i - 2].lower}-{base}"
        parts = [child.lower for child in self._compounds(noun) if not self._is_quality(child)]
        if not parts and noun.i > 0 and (self.doc[noun.i - 1].lower, base) in words.FIXED:
            parts = [self.doc[noun.i - 1].lower]
        name = " ".join(part for part in [*parts, base] if any(c.isalpha() for c in part))
        return words.SPELLINGS.get(name, name)

    def _is_quality(self, noun: Word) -> bool:
        """Whether a noun before a noun says what the other is like."""
        return (
            noun.lower in words.MATERIALS
            or is_colour(noun)
            or is_hyphened(noun)
            or self.lemmas.is_only_adjective(noun.lower)
        )

    def _compounds(self, noun: Word) -> list[Word]:
        """The nouns right before a noun that belong to it, in order."""
        found: list[Word] = []
        place = noun.i - 1
        while place >= 0:
            token = self.doc[place]
            inside = place < token.head.i <= noun.i  # of the noun, or of one found, which stand side by side
            named = token.pos in NOUNS or (token.pos == "ADJ" and self.lemmas.is_noun(token.lower))
            if not (inside and token.dep in ("compound", "nmod") and named):
                break
            found.append(token)
            place -= 1
        return found[::-1]

    def _collect(self, token: Word) -> None:
        """Let "a row of windows" stand for the windows, and "a piece of cake" for cake that is a piece."""
        thing = self.by_place.get(token.i)
        if thing is None:
            return
        inner = next((pobj for prep in token.children if prep.lower == "of" for pobj in objects(prep)), None)
        base = self.lemmas.noun(token.text)
        if inner is None or inner.i not in self.by_place:
            return
        if base in words.GROUPS:
            for one in self.of(inner):
                one.add("group of")
        elif base in words.PORTIONS:
            if base not in words.UNSAID_PORTIONS:
                self.by_place[inner.i].add(base)
        elif base not in words.COLLECTIVES:
            return
        for trait in self._traits(token):
            if not trait.isdigit():
                self.by_place[inner.i].add(trait)
        del self.by_place[token.i]
        self.stands_for[token.i] = inner

    def _start(self, token: Word) -> None:
        """Take "rotating door between windows" for what it is, where the parser sees somebody rotate a door."""
        if token.dep != "ROOT" or token.tag not in ("VBG", "VBN", "VBD") or token.i != token.sentence_start:
            return
        noun = next((child for child in token.children if child.dep == "dobj"), None)
        if noun is not None and noun.i in self.by_place and not any(c.dep == "det" for c in noun.children):
            self.by_place[noun.i].add(token.lower)
            self.described_by[token.i] = noun

    def _traits(self, noun: Word) -> Iterator[str]:
        """What the words before a noun say of it."""
        for child in noun.children:
            if child.i < noun.i and child.dep in DESCRIBING:
                yield from self.said(child)
        for child in self._compounds(noun):
            for word in child.children:  # "red stop sign"
                if not is_hyphened(child) and word.i < child.i and word.dep in ("amod", "nummod"):
                    yield from self.said(word)
            if self._is_quality(child):
                yield described(child)

    def said(self, word: Word) -> Iterator[str]:
        """One describing word and those joined to it: "black and white"; the number 1 is not said."""
        for one in (word, *joined(word)):
            if one.like_num or one.lower in words.NUMBERS:
                if one.lower not in ("one", "1"):
                    yield words.NUMBERS.get(one.lower, one.lower)
            elif not self._says_nothing(one, word.head):
                yield described(one)

    def _says_nothing(self, word: Word, noun: Word) -> bool:
        """Whether a word before a noun is no trait: part of a name or colour, "some", what is said elsewhere."""
        if (word.dep in ("compound", "poss") and word.pos != "VERB") or word.pos in ("DET", "PRON"):
            return True
        if word.lower in words.UNSAID or (word.lower, self.lemmas.noun(noun.text)) in words.FIXED:
            return True
        if word.lower in words.SHADES and word.i + 1 < len(self.doc) and is_colour(self.doc[word.i + 1]):
            return True
        return word.lower in words.COVERED and word.i > 0 and word.doc[word.i - 1].dep == "npadvmod"


def stands_for_itself(noun: Word) -> bool:
    """Whether a noun is more than a word put before another noun or verb."""
    if noun.dep in ("compound", "nmod", "amod") and noun.head.pos in NOUNS and noun.i < noun.head.i:
        return False
    if noun.dep not in ("npadvmod", "meta"):
        return True
    if noun.i > noun.head.i:
        return False
    doing = noun.dep == "npadvmod" and noun.head.tag == "VBG" and noun.head.dep not in ("amod", "compound")
    return doing or noun.head.lower in words.COVERED


def is_absent(noun: Word) -> bool:
    """Whether a text says that a thing is not there: "no leaves", "without a hat"."""
    return noun.head.lower == "without" or any(child.lower == "no" for child in noun.children)


def described(word: Word) -> str:
    """An adjective with what is put before it: "light brown", "well defined"."""
    doc, place = word.doc, word.i - 1
    parts = [word.lower]
    if place >= 0:
        before = doc[place]
        shade = before.lower in words.SHADES and is_colour(word)
        how = word.tag == "VBN" and before.head.i == word.i and before.dep in ("amod", "advmod")
        if shade or how:
            parts.insert(0, before.lower)
    while place >= 1 and doc[place].text == "-":
        parts[0] = f"{doc[place - 1].lower}-{parts[0]}"
        place -= 2
    return " ".join(parts)


def is_hyphened(noun: Word) -> bool:
    """Whether a noun is the end of a word with a hyphen in it: "t-shirt"."""
    doc, place = noun.doc, noun.i
    return place >= 2 and doc[place - 1].text == "-" and not (doc[place - 1].whitespace or doc[place - 2].whitespace)


def is_colour(token: Word) -> bool:
    """Whether a word names a colour."""
    return token.lower in words.COLOURS
