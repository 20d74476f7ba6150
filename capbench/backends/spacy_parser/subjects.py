"""Who does what a verb says, or to whom it is done."""

from __future__ import annotations

from capbench.backends.spacy_parser import words
from capbench.backends.spacy_parser.grammar import NOUNS, direct_object, relative
from capbench.backends.spacy_parser.things import Thing, Things
from capbench.backends.spacy_parser.trees import Word

VERBAL = ("VERB", "AUX")
LINKED = ("conj", "xcomp", "advcl", "ccomp", "pcomp", "prep", "dep")  # to a verb or noun whose subject is theirs too
DEEPEST = 6  # verbs passed on the way to a subject


class Subjects:
    """The subjects of the verbs of one text."""

    def __init__(self, things: Things) -> None:
        self.things = things

    def is_action(self, token: Word) -> bool:
        """Whether a word is used as a verb."""
        verbal = token.pos in VERBAL and token.dep not in ("amod", "aux", "auxpass", "compound")
        return verbal and token.i not in self.things.by_place

    def of(self, verb: Word, depth: int = 0) -> list[Thing]:
        """The things that are a verb's subject; depth: how many verbs were passed on the way."""
        if depth > DEEPEST:
            return []
        stated = self._stated(verb)
        if stated is not None:
            return stated
        if verb.dep in ("acl", "relcl"):
            return self._described(verb, depth)
        if verb.dep in LINKED and verb.head.i != verb.i:
            return self.of(verb.head, depth + 1) if self.is_action(verb.head) else self.things.of(verb.head)
        loose = next((c for c in verb.children if c.dep in ("compound", "nmod", "npadvmod") and c.i < verb.i), None)
        doer = loose if loose is not None else self.things.described_by.get(verb.i)
        return self.things.of(doer) if doer is not None else []

    def together(self, noun: Word, word: Word) -> list[Thing]:
        """What stands joined before a word: "chain and pole against the sky"; nothing that follows the word."""
        while noun.dep == "conj" and noun.head.pos in NOUNS:
            if any(child.dep in ("prep", "acl") for child in noun.head.children):
                break
            noun = noun.head
        return [thing for thing in self.things.of(noun) if thing.noun.i < word.i or noun.i > word.i]

    def _stated(self, verb: Word) -> list[Thing] | None:
        """The verb's own subject, what "that" or "it" means there, or what "there is"; None where it has none."""
        for one in verb.children:
            if one.dep not in ("nsubj", "nsubjpass"):
                continue
            whose = relative(verb)
            if one.lower in words.RELATIVES and whose is not None:
                return self.things.of(whose)
            found = self.things.of(one)
            if found or one.lower in words.PRONOUNS:
                return found or self.things.before(one)
        if any(child.dep == "expl" for child in verb.children):
            there = [child for child in verb.children if child.dep in ("attr", "nsubj", "dobj")]
            return [thing for child in there for thing in self.things.of(child)]
        return None

    def _described(self, verb: Word, depth: int) -> list[Thing]:
        """The noun that a clause describes; clothes do not ride, and "it" in "with flowers painted on it" has them."""
        nearer, above = verb.doc[verb.i - 1], verb.head.head
        if nearer.dep == "pobj" and nearer.head.lower == "with" and nearer.head.head.i == verb.head.i:
            return self.things.of(nearer)
        worn = verb.tag == "VBG" and self.things.lemmas.noun(verb.head.text) in words.CLOTHES
        if worn and direct_object(verb) is not None and self.is_action(above):
            return self.of(above, depth + 1)
        return self.together(verb.head, verb)
