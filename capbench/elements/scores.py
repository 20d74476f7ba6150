"""Precision, recall and F1 of matched elements, and the weighted total.

    P = credit / elements of the caption,  R = credit / elements of the references,  F1 = 2 P R / (P + R)

of objects, attributes and relations, and their mean by weights (5:5:2 in CAPTURE). A kind of which neither side has any
is left out of the mean: an identical caption without a relation has 1, and not 10/12. Where one side alone has none,
the kind's F1 is 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from capbench.elements.graph import KINDS, Graph
from capbench.elements.match import Pair, Soft, match
from capbench.elements.words import Vocabulary


class Kind(NamedTuple):
    """One kind of element of an item: how many each side has, and the credit of their pairs."""

    said: int
    there: int
    credit: float

    @property
    def precision(self) -> float:
        """Credit a said element; 1 where neither side has any, 0 where only the caption has none."""
        return self.credit / self.said if self.said else float(not self.there)

    @property
    def recall(self) -> float:
        """Credit an element that is there; 1 where neither side has any, 0 where only the references have none."""
        return self.credit / self.there if self.there else float(not self.said)

    @property
    def f1(self) -> float:
        """2 P R / (P + R), which is 2 credit / (said + there)."""
        return 2 * self.credit / (self.said + self.there) if self.said or self.there else 1.0


class Matched(NamedTuple):
    """An item: both graphs, and the pairs of each kind."""

    said: Graph
    there: Graph
    pairs: Mapping[str, tuple[Pair, ...]]

    def kind(self, name: str) -> Kind:
        """The counts of a kind."""
        credit = math.fsum(pair.credit for pair in self.pairs[name])
        return Kind(len(self.said[name]), len(self.there[name]), credit)

    def unsupported(self, name: str) -> list[int]:
        """The elements of the caption that are in no pair."""
        paired = {pair.said for pair in self.pairs[name]}
        return [i for i in range(len(self.said[name])) if i not in paired]

    def missing(self, name: str) -> list[int]:
        """The elements of the references that are in no pair."""
        paired = {pair.there for pair in self.pairs[name]}
        return [j for j in range(len(self.there[name])) if j not in paired]


def matched(said: Graph, there: Graph, words: Vocabulary, soft: Soft | None = None) -> Matched:
    """Match the elements of each kind."""
    return Matched(said, there, {kind: match(said[kind], there[kind], words, soft) for kind in KINDS})


def weighted(values: Mapping[str, float], kinds: Mapping[str, Kind], weights: Sequence[float], side: str) -> float:
    """The weighted mean of the kinds of which there is something; NaN where there is nothing of any with a weight.

    side: "said" for precision, "there" for recall, "" for what both count.
    """
    parts = [
        (weight, values[name])
        for name, weight in zip(KINDS, weights, strict=True)
        if (getattr(kinds[name], side) if side else kinds[name].said or kinds[name].there)
    ]
    total = math.fsum(weight for weight, _ in parts)
    return math.fsum(weight * value for weight, value in parts) / total if total else math.nan
