"""What the things of a parsed text have to do with each other: prepositions, verbs, owners."""

from __future__ import annotations

from typing import NamedTuple

from capbench.backends.spacy_parser import words
from capbench.backends.spacy_parser.grammar import (
    LONGEST_LIST,
    direct_object,
    gap,
    is_mutual,
    is_passive,
    is_place,
    objects,
    relative,
    stands_alone,
)  # fmt: skip
from capbench.backends.spacy_parser.subjects import Subjects
from capbench.backends.spacy_parser.things import Thing, Things
from capbench.backends.spacy_parser.trees import Word

BE = ("is", "are", "was", "were", "be", "being", "been", "'s", "'re")


class Relation(NamedTuple):
    """Two things and the words between them."""

    subject: Thing
    words: str
    object: Thing


class Relations:
    """Reads one text whose things are known; ``said`` holds the relations in the order of the text."""

    def __init__(self, things: Things) -> None:
        self.things, self.lemmas = things, things.lemmas
        self.subjects = Subjects(things)
        self.said: list[Relation] = []
        self._known: set[tuple[int, str, int]] = set()
        self._having: dict[int, Thing] = {}  # the last that has a thing or is "with" it, by the thing's place
        self._better: set[tuple[int, int]] = set()  # whose "have" or "with" another relation says better
        for token in things.doc:
            if token.dep in ("prep", "agent", "prt") or (token.dep == "advmod" and token.pos == "ADP"):
                self._preposition(token)
            if self.subjects.is_action(token):
                self._verb(token)
            if token.dep == "poss":
                self._owner(token)
            if token.dep == "npadvmod" and token.head.lower in words.COVERED:
                self._say(things.of(token), self._base(token.head), things.of(token.head.head))
        self.said = [
            one for one in self.said
            if one.words not in ("have", "with") or (one.subject.noun.i, one.object.noun.i) not in self._better
        ]  # fmt: skip

    def _say(self, subjects: list[Thing], relation: str, others: list[Thing]) -> None:
        """Every subject with every object, but nothing with itself."""
        for subject in subjects:
            for other in others:
                if subject is not other and (subject.noun.i, relation, other.noun.i) not in self._known:
                    self._add(Relation(subject, relation, other))

    def _add(self, made: Relation) -> None:
        """Say one."""
        self.said.append(made)
        self._known.add((made.subject.noun.i, made.words, made.object.noun.i))
        if made.words in ("with", "have"):
            self._having[made.object.noun.i] = made.subject

    def _mutually(self, subjects: list[Thing], relation: str) -> None:
        """Say "looking at each other": each of two things the other, and things of one noun one another."""
        for one in subjects:
            for other in subjects:
                if one is not other or len(subjects) == 1:
                    self._add(Relation(one, relation, other))

    # prepositions

    def _preposition(self, token: Word) -> None:
        """One preposition with what it is put before, and with what it says it of."""
        if token.lower == "of" and token.head.pos in ("NOUN", "PROPN"):
            self._of(token)
            return
        label, targets = self._label(token)
        others = [thing for target in targets for thing in self._targets(target, token)]
        anchor, between = self._anchor(token)
        if anchor is None or not (others or targets):
            return
        label = " ".join([*between, label])
        label = words.PREPOSITIONS.get(label, label)
        if label == "full of":
            label = "fill with"
        if any(map(is_mutual, targets)):
            verb = self.subjects.is_action(anchor)
            base = f"{self._base(anchor)} {label}".removeprefix("be ") if verb else label
            self._mutually(self.subjects.of(anchor) if verb else self.subjects.together(anchor, token), base)
        elif others:
            self._attach(anchor, token, label, others)

    def _attach(self, anchor: Word, token: Word, label: str, others: list[Thing]) -> None:
        """Say a preposition of the noun or verb that it belongs to."""
        if self.subjects.is_action(anchor):
            self._after_verb(anchor, token, label, others)
        else:
            self._after_noun(self.subjects.together(anchor, token), label, others)

    def _after_noun(self, subjects: list[Thing], label: str, others: list[Thing]) -> None:
        """A preposition after a noun or "is"; "in" before clothes is wearing."""
        dressed = [o for o in others if label == "in" and self.lemmas.noun(o.noun.text) in words.CLOTHES]
        self._say(subjects, "wear", dressed)
        self._say(subjects, label, [o for o in others if o not in dressed])

    def _after_verb(self, verb: Word, token: Word, label: str, others: list[Thing]) -> None:
        """A preposition after a verb: "sit on"; with an object of the verb, the preposition alone."""
        base, subjects = self._base(verb), self.subjects.of(verb)
        passive = is_passive(verb)
        if base == "be":
            self._after_noun(subjects, label, others)
        elif passive and ((base in words.COVERING and label in words.TAKES_PLACE_OF) or token.dep == "agent"):
            self._say(others, base, subjects)
        elif base == "wear" and label == "in":
            self._say(subjects, "wear", others)
        elif label == "in" and any(self.lemmas.noun(o.noun.text) in words.CLOTHES for o in others):
            self._after_noun(subjects, label, others)
        elif direct_object(verb) is not None and not passive:
            self._say(subjects, label, others)
        else:
            self._say(subjects, f"{base} {label}", others)

    def _anchor(self, token: Word) -> tuple[Word | None, list[str]]:
        """The noun or verb that a preposition belongs to, and the words between: "next", "out"."""
        head, last = token.head, token
        between: list[str] = []
        for _ in range(LONGEST_LIST):
            if self._can_anchor(head):
                break
            if head.pos in ("ADP", "ADV", "ADJ", "SCONJ", "PART") and head.i == last.i - 1:
                between.insert(0, head.lower)
                last = head
            if head.head.i == head.i:
                return None, between
            head = head.head
        else:
            return None, between
        particle = token.doc[last.i - 1] if last.i else last
        near = particle.i != head.i and particle.head.i == head.i
        if near and particle.dep in ("prt", "advmod") and particle.pos in ("ADP", "ADV"):
            said = {*words.UNSAID_PARTICLES, *between}
            between = between if particle.lower in said else [particle.lower, *between]
        return head, between

    def _can_anchor(self, token: Word) -> bool:
        """Whether a preposition can belong to a word: a verb, a thing, or what stands for one."""
        known = token.i in self.things.by_place or token.i in self.things.stands_for
        return known or self.subjects.is_action(token)

    def _label(self, token: Word) -> tuple[str, list[Word]]:
        """The words of a preposition, and what it is put before: "on side of" and the road."""
        name = words.PREPOSITIONS.get(token.lower, token.lower)
        targets = objects(token)
        for target in targets:
            if is_place(target):
                of = next((child for child in target.children if child.lower == "of"), None)
                which = [c.lower for c in target.children if c.i < target.i and c.lower in words.PLACES]
                label = " ".join([name, *which, target.lower, "of"])
                return label, objects(of) if of is not None else [target]
        return name, targets or gap(token)

    def _targets(self, target: Word, token: Word) -> list[Thing]:
        """The things that a preposition is put before; what "it" is, and what has the side."""
        if target.lower in words.PRONOUNS or is_place(target):
            return self._meant(token)
        anchor = self._anchor(token)[0] if target.lower in words.RELATIVES else None
        whose = relative(anchor) if anchor is not None else None
        return self.things.of(target if whose is None else whose)

    def _meant(self, token: Word) -> list[Thing]:
        """What "it" is in "a plate with flowers on it": the plate; then "with" need not be said."""
        anchor, _ = self._anchor(token)
        said_of: list[Thing] = []
        if anchor is not None:
            said_of = self.subjects.of(anchor) if self.subjects.is_action(anchor) else self.things.of(anchor)
        for thing in said_of or self.things.last_before(token):
            owner = self._having.get(thing.noun.i)
            if owner is not None:
                self._better |= {(owner.noun.i, other.noun.i) for other in said_of or [thing]}
                return [owner]
        return self.things.before(token, {thing.noun.i for thing in said_of})

    def _of(self, token: Word) -> None:
        """A noun "of" another: its part, what it holds, or what it shows."""
        first = self.things.of(token.head)
        others = [thing for target in objects(token) for thing in self.things.of(target)]
        base = first[0].name if len(first) == 1 else self.lemmas.noun(token.head.text)
        if token.head.i in self.things.stands_for:
            return
        if base in words.CONTAINERS:
            self._say(others, "in", first)
        elif base in words.PICTURES:
            self._say(first, "of", others)
        else:
            self._say(others, "have", first)

    # verbs

    def _verb(self, verb: Word) -> None:
        """A verb with its subject and object; without an object or preposition it says what the subject does."""
        base, subjects = self._base(verb), self.subjects.of(verb)
        target = direct_object(verb)
        others = self.things.of(target) if target is not None else [t for g in gap(verb) for t in self.things.of(g)]
        if base == "be":
            self._copula(verb, subjects)
        elif target is not None and is_mutual(target):
            self._mutually(subjects, base)
        elif others and not is_passive(verb):
            particles = [c.lower for c in verb.children if c.dep == "prt"]
            if base == "have" and any(c.lower == "on" and not list(c.children) for c in verb.children):
                base, particles = "wear", []
            self._say(subjects, " ".join([base, *(p for p in particles if p not in words.UNSAID_PARTICLES)]), others)
        elif verb.tag in ("VBG", "VBN") and verb.dep in ("acl", "ROOT", "relcl", "conj") and stands_alone(verb):
            for subject in subjects:
                subject.add(verb.lower)

    def _copula(self, verb: Word, subjects: list[Thing]) -> None:
        """What follows "is": an adjective, a participle or a number."""
        for child in verb.children:
            if any(more.dep == "prep" and more.i == child.i + 1 for more in child.children):
                continue  # "next to", "full of": the preposition says it
            said = child.dep in ("acomp", "oprd") and child.pos in ("ADJ", "VERB", "NUM", "ADV")
            if said or (child.dep == "attr" and child.i > verb.i and child.pos in ("ADJ", "NUM")):
                for subject in subjects:
                    for trait in self.things.said(child):
                        subject.add(trait)

    def _base(self, verb: Word) -> str:
        """The verb's base form, of some verbs that of another that says the same."""
        if verb.lower in BE:
            return "be"
        base = self.lemmas.verb(verb.text)
        return words.VERBS.get(base, base)

    # owners

    def _owner(self, token: Word) -> None:
        """Say who has it in "the man's hat"; of "his" only where it is a part of a body."""
        owned = self.things.of(token.head)
        if token.lower in words.OWNERS:
            parts = [one for one in owned if self.lemmas.noun(one.noun.text) in words.BODY]
            self._say(self.things.before(token, {one.noun.i for one in owned}), "have", parts)
        else:
            self._say(self.things.of(token), "have", owned)
