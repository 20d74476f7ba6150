"""Questions about the words of a dependency tree."""

from __future__ import annotations

from typing import Any

from capbench.backends.spacy_parser import words

Token = Any  # spacy.tokens.Token: spaCy is not needed to import this module
NOUNS = ("NOUN", "PROPN")
LONGEST_LIST = 30  # and longest chain: what is said of every word would grow with the square of a hostile one


def joined(token: Token) -> list[Token]:
    """The words that are joined to one by "and", "or" or a comma, in order; the first LONGEST_LIST of a list."""
    found: list[Token] = []
    waiting = [token]
    while waiting and len(found) <= LONGEST_LIST:
        one = waiting.pop()
        found.append(one)
        waiting += [child for child in one.children if child.dep_ == "conj"][::-1]
    return found[1:]


def objects(preposition: Token) -> list[Token]:
    """What a preposition is put before."""
    return [child for child in preposition.children if child.dep_ == "pobj" and child.i > preposition.i]


def direct_object(verb: Token) -> Token | None:
    """What a verb is done to."""
    return next((child for child in verb.children if child.dep_ == "dobj" and child.i > verb.i), None)


def is_passive(verb: Token) -> bool:
    """Whether the subject of a verb is what it is done to."""
    if any(child.dep_ in ("auxpass", "nsubjpass") for child in verb.children):
        return True
    if any(child.dep_ == "aux" and child.lower_ in ("have", "has", "had", "'ve") for child in verb.children):
        return False
    return bool(verb.tag_ == "VBN" or (verb.tag_ == "VBD" and verb.dep_ == "acl"))


def relative(verb: Token) -> Token | None:
    """The noun that a relative clause belongs to, for a verb inside it."""
    for _ in range(LONGEST_LIST):
        if verb.dep_ not in ("conj", "xcomp", "ccomp"):
            break
        verb = verb.head
    return verb.head if verb.dep_ in ("relcl", "acl") else None


def gap(token: Token) -> list[Token]:
    """The noun that fills the empty place of a relative clause with a subject of its own: "the chair it sits on"."""
    verb = token
    while verb.dep_ in ("prep", "prt", "advmod") and verb.head.i != verb.i:
        verb = verb.head
    noun = verb.head if verb.dep_ in ("relcl", "acl") else None
    if noun is None:
        return []
    own = (c for c in verb.children if c.dep_ in ("nsubj", "nsubjpass") and c.lower_ not in words.RELATIVES)
    if next(own, None) is None:
        return []
    if token.i == verb.i and any(child.dep_ in ("prep", "prt") for child in verb.children):
        return []
    return [noun] if not list(token.children) or token.i == verb.i else []


def is_place(token: Token) -> bool:
    """Whether a noun is a part of space: "side" in "on the side of"."""
    if token.lower_ not in words.PLACES or any(child.dep_ in ("compound", "poss") for child in token.children):
        return False
    of = any(child.lower_ == "of" for child in token.children)
    return of or (token.dep_ == "pobj" and token.head.lower_ in ("on", "in", "at", "to", "from"))


def is_mutual(token: Token) -> bool:
    """Whether a word is the end of "each other" or "one another"."""
    if token.i == 0:
        return False
    return (token.doc[token.i - 1].lower_, token.lower_) in (("each", "other"), ("one", "another"))


def stands_alone(verb: Token) -> bool:
    """Whether a verb has neither an object nor a preposition nor another verb."""
    for child in verb.children:
        if child.dep_ in ("prep", "agent", "dobj", "xcomp", "ccomp", "advcl"):
            return False
        if child.dep_ in ("prt", "advmod") and any(child.children):
            return False
    return True
