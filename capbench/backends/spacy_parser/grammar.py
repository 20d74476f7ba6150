"""Questions about the words of a dependency tree."""

from __future__ import annotations

from capbench.backends.spacy_parser import words
from capbench.backends.spacy_parser.trees import Word

NOUNS = ("NOUN", "PROPN")
LONGEST_LIST = 30  # and longest chain: what is said of every word would grow with the square of a hostile one


def joined(token: Word) -> list[Word]:
    """The words that are joined to one by "and", "or" or a comma, in order; the first LONGEST_LIST of a list."""
    found: list[Word] = []
    waiting = [token]
    while waiting and len(found) <= LONGEST_LIST:
        one = waiting.pop()
        found.append(one)
        waiting += [child for child in one.children if child.dep == "conj"][::-1]
    return found[1:]


def objects(preposition: Word) -> list[Word]:
    """What a preposition is put before."""
    return [child for child in preposition.children if child.dep == "pobj" and child.i > preposition.i]


def direct_object(verb: Word) -> Word | None:
    """What a verb is done to."""
    return next((child for child in verb.children if child.dep == "dobj" and child.i > verb.i), None)


def is_passive(verb: Word) -> bool:
    """Whether the subject of a verb is what it is done to."""
    if any(child.dep in ("auxpass", "nsubjpass") for child in verb.children):
        return True
    if any(child.dep == "aux" and child.lower in ("have", "has", "had", "'ve") for child in verb.children):
        return False
    return bool(verb.tag == "VBN" or (verb.tag == "VBD" and verb.dep == "acl"))


def relative(verb: Word) -> Word | None:
    """The noun that a relative clause belongs to, for a verb inside it."""
    for _ in range(LONGEST_LIST):
        if verb.dep not in ("conj", "xcomp", "ccomp"):
            break
        verb = verb.head
    return verb.head if verb.dep in ("relcl", "acl") else None


def gap(token: Word) -> list[Word]:
    """The noun that fills the empty place of a relative clause with a subject of its own: "the chair it sits on"."""
    verb = token
    while verb.dep in ("prep", "prt", "advmod") and verb.head.i != verb.i:
        verb = verb.head
    noun = verb.head if verb.dep in ("relcl", "acl") else None
    if noun is None:
        return []
    own = (c for c in verb.children if c.dep in ("nsubj", "nsubjpass") and c.lower not in words.RELATIVES)
    if next(own, None) is None:
        return []
    if token.i == verb.i and any(child.dep in ("prep", "prt") for child in verb.children):
        return []
    return [noun] if not list(token.children) or token.i == verb.i else []


def is_place(token: Word) -> bool:
    """Whether a noun is a part of space: "side" in "on the side of"."""
    if token.lower not in words.PLACES or any(child.dep in ("compound", "poss") for child in token.children):
        return False
    of = any(child.lower == "of" for child in token.children)
    return of or (token.dep == "pobj" and token.head.lower in ("on", "in", "at", "to", "from"))


def is_mutual(token: Word) -> bool:
    """Whether a word is the end of "each other" or "one another"."""
    if token.i == 0:
        return False
    return (token.doc[token.i - 1].lower, token.lower) in (("each", "other"), ("one", "another"))


def stands_alone(verb: Word) -> bool:
    """Whether a verb has neither an object nor a preposition nor another verb."""
    for child in verb.children:
        if child.dep in ("prep", "agent", "dobj", "xcomp", "ccomp", "advcl"):
            return False
        if child.dep in ("prt", "advmod") and any(child.children):
            return False
    return True
