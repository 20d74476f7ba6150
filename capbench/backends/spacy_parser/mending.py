"""Mistakes that a small English pipeline makes in captions, which are mostly no sentences, put right in the tree.

Each rule asks for a shape that is hardly ever right in a description of a picture. Nothing is mended by a word list
of one benchmark; docs/parsers.md has an example of each.
"""

from __future__ import annotations

from capbench.backends.spacy_parser import words
from capbench.backends.spacy_parser.grammar import NOUNS
from capbench.backends.spacy_parser.lemmas import Lemmas
from capbench.backends.spacy_parser.trees import Tree, Word

SUBJECTS = ("nsubj", "nsubjpass", "csubj", "expl")


def mend(tree: Tree, lemmas: Lemmas) -> None:
    """Put a parsed text right, in place."""
    for token in tree:
        noun_at_start(token, lemmas)
        noun_of_adjective(token, lemmas)
        participle(token, lemmas)
        covered(token)
        colours_joined(token)
        preposition(token)
        building(token)


def noun_at_start(token: Word, lemmas: Lemmas) -> None:
    """Mend "mirror on a wall", "cucumbers sitting in a basket": no command, and nobody who does it."""
    if token.dep != "ROOT" or token.tag not in ("VB", "VBP", "VBZ") or not lemmas.is_noun(token.lower):
        return
    if any(token.doc[place].pos not in ("DET", "ADJ", "NUM") for place in range(token.sentence_start, token.i)):
        return
    if not any(child.dep in (*SUBJECTS, "dobj", "aux") for child in token.children):
        token.pos, token.tag = "NOUN", "NN"


def noun_of_adjective(token: Word, lemmas: Lemmas) -> None:
    """Mend "concrete under suitcases", "at the short": an adjective where only a noun can stand."""
    placed = token.dep in ("pobj", "dobj", "nsubj", "nsubjpass") or (
        token.dep == "ROOT" and token.i == token.sentence_start
    )
    if token.pos != "ADJ" or not placed or not lemmas.is_noun(token.lower) or token.lower in words.COLOURS:
        return
    if token.lower in words.UNSAID or any(child.dep in ("conj", *SUBJECTS) for child in token.children):
        return
    if token.dep == "ROOT" and not any(child.dep == "prep" for child in token.children):
        return
    token.pos, token.tag = "NOUN", "NN"


def participle(token: Word, lemmas: Lemmas) -> None:
    """Mend "bird swimming in the water", where "bird swimming" is taken for one thing."""
    following = token.doc[token.i + 1] if token.i + 1 < len(token.doc) else None
    if token.pos not in NOUNS or not token.lower.endswith("ing") or token.lower in words.ING_NOUNS:
        return
    if (
        token.i == 0
        or not lemmas.is_verb(token.lower)
        or (following is not None and following.pos in ("NOUN", "PROPN"))
    ):
        return
    doer = token.doc[token.i - 1]
    if doer.head.i != token.i or doer.dep != "compound" or doer.pos not in NOUNS:
        return
    doer.dep, above = token.dep, token.head
    is_root = above.i == token.i
    for child in list(token.children):
        if child.i < doer.i:
            child.head = doer
    doer.head = doer if is_root else above
    token.head = doer
    token.dep, token.pos, token.tag = "acl", "VERB", "VBG"


def covered(token: Word) -> None:
    """Mend "snow covered mountain": the snow covers the mountain."""
    if token.lower not in words.COVERED or token.i == 0 or token.i + 1 >= len(token.doc):
        return
    agent = token.doc[token.i - 1]
    if agent.pos not in NOUNS or any(child.dep in ("auxpass", "prep", "agent") for child in token.children):
        return
    if token.dep == "amod" and token.head.i > token.i:
        agent.head, agent.dep = token, "npadvmod"
    elif agent.head.i == token.i and agent.dep == "npadvmod":
        noun = next((child for child in token.children if child.dep == "dobj"), None)
        if noun is None:
            return
        for child in list(token.children):
            if child.i not in (noun.i, agent.i):
                child.head = noun
        above, is_root = token.head, token.head.i == token.i
        noun.dep = token.dep
        noun.head = noun if is_root else above
        token.head, token.dep = noun, "amod"
    token.pos, token.tag = ("VERB", "VBN") if token.dep == "amod" else (token.pos, token.tag)


def colours_joined(token: Word) -> None:
    """Mend "red white and blue hat": all colours are the hat's, though "hat" is joined to the first."""
    if token.pos not in ("ADJ", "NOUN", "PROPN") or not is_adjective(token):
        return
    noun = next((child for child in token.children if child.dep == "conj" and child.pos in NOUNS), None)
    if noun is None or is_adjective(noun) or any(child.dep == "det" for child in noun.children):
        return
    above, is_root = token.head, token.head.i == token.i
    noun.dep = token.dep
    noun.head = noun if is_root else above
    for child in list(token.children):
        if child.dep not in ("cc", "punct", "advmod"):
            child.head = noun
    token.head, token.dep, token.pos = noun, "amod", "ADJ"


def is_adjective(token: Word) -> bool:
    """Whether a word is a colour, or an adjective by its tag."""
    return token.lower in words.COLOURS or token.pos == "ADJ"


def preposition(token: Word) -> None:
    """Mend "walking down a sidewalk": no particle, where a thing follows that nothing else takes."""
    if token.dep != "prt" or token.lower not in words.WAYS or token.head.pos != "VERB":
        return
    noun = next(
        (child for child in token.head.children if child.dep in ("npadvmod", "dobj") and child.i > token.i), None
    )
    if noun is not None and noun.pos in NOUNS and token.i == token.head.i + 1:
        token.dep, token.pos, noun.dep = "prep", "ADP", "pobj"
        noun.head = token


def building(token: Word) -> None:
    """Mend "leaning on building", where the parser sees somebody build."""
    if token.dep == "pcomp" and token.lower in words.ING_NOUNS and not list(token.children):
        token.dep, token.pos, token.tag = "pobj", "NOUN", "NN"
