"""From a parsed text to its elements."""

from __future__ import annotations

from typing import Any

from capbench.backends.spacy_parser.lemmas import Lemmas
from capbench.backends.spacy_parser.mending import mend
from capbench.backends.spacy_parser.relations import Relations
from capbench.backends.spacy_parser.things import Things
from capbench.protocols import Elements


def elements(doc: Any, lemmas: Lemmas) -> Elements:
    """What a text says, in its order; doc: a spacy.tokens.Doc with tags and dependencies, which are mended in place."""
    mend(doc, lemmas)
    things = Things(doc, lemmas)
    relations = Relations(things)
    return Elements(
        tuple(thing.name for thing in things),
        tuple((thing.name, trait) for thing in things for trait in thing.traits),
        tuple((one.subject.name, one.words, one.object.name) for one in relations.said),
    )
