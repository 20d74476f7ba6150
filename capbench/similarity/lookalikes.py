"""Bags of look-alikes out of vectors, greedily, the most alike first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from capbench.similarity.neighbours import ABSENT
from capbench.similarity.products import exact_dots

if TYPE_CHECKING:
    from capbench.similarity.products import Flags
    from capbench.types import Array, Floats, Ints


CLEAR = 1e-3  # far beyond what float32 can be wrong by in a product of unit vectors


@dataclass(frozen=True, slots=True)
class Alike:
    """Items in the order that decides ties, ready to be put into bags.

    vectors: unit rows whose products are the similarities. images: unit rows of the pictures, by which
    near-duplicates are told (None: they are not). found, scores: the nearest of each item, best first, as
    ``neighbours.nearest`` gives them. near: from which cosine of two pictures they are near-duplicates.
    """

    vectors: Floats
    images: Floats | None
    found: Ints
    scores: Array
    near: float

    def bags(self, size: int, least: float = -np.inf, limit: int = 0) -> list[list[int]]:
        """Bags of ``size``, no item in two of them.

        Seeds come in the order of their mean similarity to their size - 1 nearest. A seed takes the nearest
        that are not used and are no near-duplicates of what it has; the bag counts if its least similar pair
        is at ``least`` or above. limit: how many bags at most (0: all).
        """
        used = np.zeros(len(self.vectors), bool)
        made: list[list[int]] = []
        for seed in self._seeds(size):
            bag = [] if used[seed] else self._around(seed, size, used, least)
            if bag:
                used[bag] = True
                made.append(bag)
                if len(made) == limit:
                    break
        return made

    def _seeds(self, size: int) -> list[int]:
        """Items with enough neighbours, those with the most similar ones first."""
        if self.scores.shape[1] < size - 1:
            return []
        means = self.scores[:, : size - 1].mean(axis=1)
        enough = np.flatnonzero(np.isfinite(means))
        ordered: list[int] = enough[np.argsort(-means[enough], kind="stable")].tolist()
        return ordered

    def _around(self, seed: int, size: int, used: Flags, least: float) -> list[int]:
        """The bag of a seed, or nothing."""
        bag = [seed]
        for other, score in zip(self.found[seed].tolist(), self.scores[seed].tolist(), strict=True):
            if other == ABSENT or score < least or len(bag) == size:
                break
            if not used[other] and not self.duplicates(other, bag):
                bag.append(other)
        if len(bag) < size or (least > -np.inf and self.least_similar(bag) < least):
            return []
        return bag

    def duplicates(self, item: int, others: Sequence[int]) -> bool:
        """Whether an item's picture is a near-duplicate of any of these."""
        if self.images is None or (self.images[others] @ self.images[item] < self.near - CLEAR).all():
            return False
        return bool((dots(self.images, [item] * len(others), others) >= self.near).any())

    def least_similar(self, bag: Sequence[int]) -> float:
        """The similarity of the pair that is least alike."""
        first, second = np.triu_indices(len(bag), 1)
        items = np.asarray(bag)
        return float(dots(self.vectors, items[first], items[second]).min())

    def hard(self, size: int) -> list[list[int]]:
        """For each item itself and its size - 1 nearest that are no near-duplicates of it, where there are so many."""
        made = []
        for item, row in enumerate(self.found):
            others = row[row != ABSENT]
            if self.images is not None:
                others = others[dots(self.images, [item] * len(others), others) < self.near]
            if len(others) >= size - 1:
                made.append([item, *others[: size - 1].tolist()])
        return made


def dots(vectors: Floats, first: Sequence[int] | Ints, second: Sequence[int] | Ints) -> Array:
    """Exact products of pairs of rows."""
    return exact_dots(vectors[np.asarray(first, np.int64)], vectors[np.asarray(second, np.int64)])
