"""From a parsed text to its elements."""

from __future__ import annotations

from capbench.backends.spacy_parser.lemmas import Lemmas
from capbench.backends.spacy_parser.mending import mend
from capbench.backends.spacy_parser.relations import Relations
from capbench.backends.spacy_parser.things import Things
from capbench.backends.spacy_parser.trees import Tree
from capbench.protocols import Elements


def elements(tree: Tree, lemmas: Lemmas) -> Elements:
    """What a text says, in its order; the tree is mended in place."""
    mend(tree, lemmas)
    things = Things(tree, lemmas)
    relations = Relations(things)
    return Elements(
        tuple(thing.name for thing in things),
        tuple((thing.name, trait) for thing in things for trait in thing.traits),
        tuple((one.subject.name, one.words, one.object.name) for one in relations.said),
    )
