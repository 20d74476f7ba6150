"""Mistakes that a small English pipeline makes in captions, which are mostly no sentences, put right in the tree.

Each rule asks for a shape that is hardly ever right in a description of a picture. Nothing is mended by a word list
of one benchmark; docs/parsers.md has an example of each.
"""

from __future__ import annotations

from typing import Any

from capbench.backends.spacy_parser import words
from capbench.backends.spacy_parser.grammar import NOUNS, Token
from capbench.backends.spacy_parser.lemmas import Lemmas

SUBJECTS = ("nsubj", "nsubjpass", "csubj", "expl")


def mend(doc: Any, lemmas: Lemmas) -> None:
    """Put a parsed text right, in place."""
    for token in doc:
        noun_at_start(token, lemmas)
        noun_of_adjective(token, lemmas)
        participle(token, lemmas)
        covered(token)
        colours_joined(token)
        preposition(token)
        building(token)


def noun_at_start(token: Token, lemmas: Lemmas) -> None:
    """Mend "mirror on a wall", "cucumbers sitting in a basket": no command, and nobody who does it."""
    if token.dep_ != "ROOT" or token.tag_ not in ("VB", "VBP", "VBZ") or not lemmas.is_noun(token.lower_):
        return
    if any(token.doc[place].pos_ not in ("DET", "ADJ", "NUM") for place in range(token.sent.start, token.i)):
        return
    if not any(child.dep_ in (*SUBJECTS, "dobj", "aux") for child in token.children):
        token.pos_, token.tag_ = "NOUN", "NN"


def noun_of_adjective(token: Token, lemmas: Lemmas) -> None:
    """Mend "concrete under suitcases", "at the short": an adjective where only a noun can stand."""
    placed = token.dep_ in ("pobj", "dobj", "nsubj", "nsubjpass") or (
        token.dep_ == "ROOT" and token.i == token.sent.start
    )
    if token.pos_ != "ADJ" or not placed or not lemmas.is_noun(token.lower_) or token.lower_ in words.COLOURS:
        return
    if token.lower_ in words.UNSAID or any(child.dep_ in ("conj", *SUBJECTS) for child in token.children):
        return
    if token.dep_ == "ROOT" and not any(child.dep_ == "prep" for child in token.children):
        return
    token.pos_, token.tag_ = "NOUN", "NN"


def participle(token: Token, lemmas: Lemmas) -> None:
    """Mend "bird swimming in the water", where "bird swimming" is taken for one thing."""
    following = token.doc[token.i + 1] if token.i + 1 < len(token.doc) else None
    if token.pos_ not in NOUNS or not token.lower_.endswith("ing") or token.lower_ in words.ING_NOUNS:
        return
    if (
        token.i == 0
        or not lemmas.is_verb(token.lower_)
        or (following is not None and following.pos_ in ("NOUN", "PROPN"))
    ):
        return
    doer = token.doc[token.i - 1]
    if doer.head.i != token.i or doer.dep_ != "compound" or doer.pos_ not in NOUNS:
        return
    doer.dep_, above = token.dep_, token.head
    is_root = above.i == token.i
    for child in list(token.children):
        if child.i < doer.i:
            child.head = doer
    doer.head = doer if is_root else above
    token.head = doer
    token.dep_, token.pos_, token.tag_ = "acl", "VERB", "VBG"


def covered(token: Token) -> None:
    """Mend "snow covered mountain": the snow covers the mountain."""
    if token.lower_ not in words.COVERED or token.i == 0 or token.i + 1 >= len(token.doc):
        return
    agent = token.doc[token.i - 1]
    if agent.pos_ not in NOUNS or any(child.dep_ in ("auxpass", "prep", "agent") for child in token.children):
        return
    if token.dep_ == "amod" and token.head.i > token.i:
        agent.head, agent.dep_ = token, "npadvmod"
    elif agent.head.i == token.i and agent.dep_ == "npadvmod":
        noun = next((child for child in token.children if child.dep_ == "dobj"), None)
        if noun is None:
            return
        for child in list(token.children):
            if child.i not in (noun.i, agent.i):
                child.head = noun
        above, is_root = token.head, token.head.i == token.i
        noun.dep_ = token.dep_
        noun.head = noun if is_root else above
        token.head, token.dep_ = noun, "amod"
    token.pos_, token.tag_ = ("VERB", "VBN") if token.dep_ == "amod" else (token.pos_, token.tag_)


def colours_joined(token: Token) -> None:
    """Mend "red white and blue hat": all colours are the hat's, though "hat" is joined to the first."""
    if token.pos_ not in ("ADJ", "NOUN", "PROPN") or not is_adjective(token):
        return
    noun = next((child for child in token.children if child.dep_ == "conj" and child.pos_ in NOUNS), None)
    if noun is None or is_adjective(noun) or any(child.dep_ == "det" for child in noun.children):
        return
    above, is_root = token.head, token.head.i == token.i
    noun.dep_ = token.dep_
    noun.head = noun if is_root else above
    for child in list(token.children):
        if child.dep_ not in ("cc", "punct", "advmod"):
            child.head = noun
    token.head, token.dep_, token.pos_ = noun, "amod", "ADJ"


def is_adjective(token: Token) -> bool:
    """Whether a word is a colour, or an adjective by its tag."""
    return token.lower_ in words.COLOURS or token.pos_ == "ADJ"


def preposition(token: Token) -> None:
    """Mend "walking down a sidewalk": no particle, where a thing follows that nothing else takes."""
    if token.dep_ != "prt" or token.lower_ not in words.WAYS or token.head.pos_ != "VERB":
        return
    noun = next(
        (child for child in token.head.children if child.dep_ in ("npadvmod", "dobj") and child.i > token.i), None
    )
    if noun is not None and noun.pos_ in NOUNS and token.i == token.head.i + 1:
        token.dep_, token.pos_, noun.dep_ = "prep", "ADP", "pobj"
        noun.head = token


def building(token: Token) -> None:
    """Mend "leaning on building", where the parser sees somebody build."""
    if token.dep_ == "pcomp" and token.lower_ in words.ING_NOUNS and not list(token.children):
        token.dep_, token.pos_, token.tag_ = "pobj", "NOUN", "NN"
