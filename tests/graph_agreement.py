"""How well graphs agree with FACTUAL's human ones, both sides brought to the same forms first.

Lower case; nouns in the singular, verbs in the infinitive (by the tables of the same lemmatizer for every side);
numbers as digits; verbs and prepositions that the parser writes alike ("seat" and "sit", "underneath" and "under")
alike on every side. An object is every noun of any triple of a graph.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import NamedTuple

import numpy as np

from capbench.backends.spacy_parser import words
from capbench.backends.spacy_parser.lemmas import lemmas_of
from capbench.paired import Matched, differences
from capbench.types import Rows

TYPES = ("objects", "attributes", "relations")
KINDS = (*TYPES, "all")


def rows_of(path):
    """The JSON lines of a file."""
    return [json.loads(line) for line in gzip.open(path, "rt", encoding="utf-8")]


def is_even(caption):
    """The half of the captions on which rules may be tuned."""
    return int(hashlib.sha256(caption.encode()).hexdigest(), 16) % 2 == 0


class Normal:
    """The common form of graphs; lemmas: with no noun kept in the plural."""

    def __init__(self, lemmas):
        self.lemmas = lemmas

    def noun(self, text):
        *first, last = text.lower().split() or [""]
        return " ".join([*first, self.lemmas.noun(last)])

    def trait(self, text):
        return " ".join(words.NUMBERS.get(word, word) for word in text.lower().split())

    def relation(self, text):
        first, *rest = text.lower().split() or [""]
        verb = self.lemmas.verb(first)
        parts = [words.VERBS.get(verb, verb), *(word for word in rest if word != "the")]
        return " ".join(words.PREPOSITIONS.get(part, part) for part in parts)

    def of_triples(self, graph):
        """A graph in FACTUAL's notation -> type -> set."""
        made = {kind: set() for kind in TYPES}
        for fact in graph:
            if len(fact) == 3 and fact[1] == "is":
                made["objects"].add(self.noun(fact[0]))
                made["attributes"].add((self.noun(fact[0]), self.trait(fact[2])))
            elif len(fact) == 3:
                made["objects"] |= {self.noun(fact[0]), self.noun(fact[2])}
                made["relations"].add((self.noun(fact[0]), self.relation(fact[1]), self.noun(fact[2])))
            else:
                made["objects"].add(self.noun(fact[0]))
        return made

    def of_elements(self, found):
        """Elements -> type -> set."""
        return self.of_triples(
            [[one] for one in found.objects]
            + [[thing, "is", trait] for thing, trait in found.attributes]
            + [list(one) for one in found.relations]
        )


def counted(graphs, human):
    """Rows of an F1: for each type what is in both, and the sizes of the two sides."""
    columns = {}
    for kind in TYPES:
        pairs = [(mine[kind], theirs[kind]) for mine, theirs in zip(graphs, human, strict=True)]
        columns[kind] = [0.0] * len(pairs)  # a score is made of the two sums below
        columns[f"{kind} both"] = [len(a & b) for a, b in pairs]
        columns[f"{kind} sizes"] = [len(a) + len(b) for a, b in pairs]
    for part in ("both", "sizes"):
        columns[f"all {part}"] = [sum(values) for values in zip(*(columns[f"{k} {part}"] for k in TYPES), strict=True)]
    columns["all"] = columns[TYPES[0]]
    return columns


def f1(sums):
    """Type -> F1 of summed counts, in per cent."""
    return {kind: 200 * sums[f"{kind} both"] / sums[f"{kind} sizes"] for kind in KINDS}


class Measured(NamedTuple):
    """n captions; differences: type -> ours (first) against SPICE's parser (second), with paired intervals."""

    n: int
    differences: dict


def measured(shared, parser, half, resamples=10_000):
    """A parser against SPICE's on the captions of one half, both against FACTUAL's human graphs."""
    human = [
        r for r in rows_of(shared / "graphs/factual_random_test.jsonl.gz") if is_even(r["caption"]) == (half == "even")
    ]
    spice = {r["caption"]: r["graph"] for r in rows_of(shared / "graphs/spice_parser_outputs.jsonl.gz")}
    human = [r for r in human if r["caption"] in spice]
    with parser.open("cpu") as session:
        ours = session.parse([r["caption"] for r in human])
        normal = Normal(lemmas_of(session.trees.nlp))
    wanted = [normal.of_triples(r["graph"]) for r in human]
    sides = {0: [normal.of_elements(one) for one in ours], 1: [normal.of_triples(spice[r["caption"]]) for r in human]}
    rows = {k: Rows({n: np.array(v, np.float64) for n, v in counted(g, wanted).items()}) for k, g in sides.items()}
    found = differences([Matched(rows, reduced, KINDS)], [(0, 1)], resamples=resamples, test="bootstrap")
    return Measured(len(human), {kind: found[0, (0, 1), kind] for kind in KINDS})


def reduced(sums):
    """F1 under the names of columns."""
    return f1(sums)
