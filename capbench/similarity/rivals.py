"""How many vectors of a gallery are nearer to a query than its own, and how many are exactly as near."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from capbench.ragged import Ragged
from capbench.similarity.products import BLOCK, PAIRS, exact_dots, longest_norm, slack

if TYPE_CHECKING:
    from capbench.types import Array, Floats, Ints

    Owned = Ragged[Ints]


SPARSE = 32  # from one place in so many on, counting whole rows is cheaper than looking at places
THREADS = min(os.cpu_count() or 1, 8)  # strips are compared by so many at once; the results are the same
STRIP = 128  # rows of a block that are compared at once, so that they are still in the processor's cache


class Rivals(NamedTuple):
    """For each query, as float64: others above its best own vector, others equal to it, own vectors equal to it."""

    above: Array
    equal: Array
    own: Array


class Gallery:
    """Distinct vectors with how often each stands in the gallery.

    vectors: float32, distinct finite rows. copies: int64, at least 1 each.
    """

    def __init__(self, vectors: Floats, copies: Ints) -> None:
        self.vectors, self.copies = vectors, copies
        self.longest = longest_norm(vectors)
        self.repeated = np.flatnonzero(copies > 1)

    def rivals(self, queries: Floats, rows: Ints, own: Owned, block: tuple[int, int] = BLOCK) -> Rivals:
        """Others above and equal, by exact scores, for the queries of these rows.

        queries: finite in these rows. own: for each of the rows, the gallery's columns that are right for it,
        at least one; a column may stand there as often as it has copies. The result does not depend on ``block``.
        """
        made = np.empty((3, len(rows)))
        for start in range(0, len(rows), block[0]):
            part = slice(start, start + block[0])
            ends = own.offsets[start : start + block[0] + 1]
            columns = own.values[ends[0] : ends[-1]]
            made[:, part] = self._block(queries[rows[part]], Ragged(columns, ends - ends[0]), block[1])
        return Rivals(*made)

    def _block(self, queries: Floats, own: Owned, step: int) -> tuple[Array, Array, Array]:
        """The same for queries that are compared at once."""
        mine = exact_pairs(queries, self.vectors, own.owners, own.values)
        best = np.maximum.reduceat(mine, own.offsets[:-1])
        right = np.add.reduceat((mine == best[own.owners]).astype(np.float64), own.offsets[:-1])
        above, equal = self._count(queries, best, step)
        return above, equal - right, right

    def _count(self, queries: Floats, best: Array, step: int) -> tuple[Array, Array]:
        """Vectors above and equal to ``best``, its own among the equal."""
        margin = slack(queries, self.longest)
        high, low = (best + margin).astype(np.float32)[:, None], (best - margin).astype(np.float32)[:, None]
        above, equal = np.zeros(len(queries)), np.zeros(len(queries))
        scores = np.empty((len(queries), min(step, len(self.vectors))), np.float32)
        with strip_by_strip(len(queries)) as each:
            for start in range(0, len(self.vectors), step):
                tile = self.vectors[start : start + step]
                found = np.matmul(queries, tile.T, out=scores[:, : len(tile)])

                def look(row: int, found: Floats = found, start: int = start) -> tuple[Ints, Ints]:
                    strip = slice(row, row + STRIP)
                    rows, columns = self._strip(found[strip], high[strip], low[strip], start, above[strip])
                    return rows + row, columns + start

                undecided = list(each(look, range(0, len(queries), STRIP)))
                rows, columns = map(np.concatenate, zip(*undecided, strict=True))
                self._decide(queries, best, rows, columns, (above, equal))
        return above, equal

    def _strip(self, scores: Floats, high: Floats, low: Floats, start: int, above: Array) -> tuple[Ints, Ints]:
        """Add those surely above to ``above``; gives the places that float32 cannot tell apart."""
        near = scores >= low
        if np.count_nonzero(near) * SPARSE < near.size:  # good captions: few places are looked at twice
            places = np.flatnonzero(near)
            rows, columns = np.divmod(places, near.shape[1])
            over = scores[rows, columns] > high[rows, 0]
            above += np.bincount(rows[over], self.copies[columns[over] + start], len(above))
            return rows[~over], columns[~over]
        over = scores > high
        above += np.fromiter(map(np.count_nonzero, over), np.float64, len(over))
        again = self.repeated[(self.repeated >= start) & (self.repeated < start + over.shape[1])]
        if len(again):
            above += over[:, again - start] @ (self.copies[again] - 1.0)
        rows, columns = np.divmod(np.flatnonzero(np.not_equal(near, over, out=near)), near.shape[1])
        return rows, columns

    def _decide(self, queries: Floats, best: Array, rows: Ints, columns: Ints, counts: tuple[Array, Array]) -> None:
        """Add the pairs that float32 cannot tell apart to those above and equal, by their exact scores."""
        scores = exact_pairs(queries, self.vectors, rows, columns)
        for count, chosen in zip(counts, (scores > best[rows], scores == best[rows]), strict=True):
            np.add.at(count, rows[chosen], self.copies[columns[chosen]])


@contextmanager
def strip_by_strip(queries: int) -> Iterator[Callable[..., Iterable[tuple[Ints, Ints]]]]:
    """``map`` by several threads, as numpy's comparisons take one core; for one strip, by none."""
    if queries <= STRIP:
        yield map
        return
    with ThreadPoolExecutor(THREADS) as pool:
        yield pool.map


def exact_pairs(queries: Floats, vectors: Floats, rows: Ints, columns: Ints) -> Array:
    """The exact score of each pair, a few at a time so that memory stays flat."""
    scores = np.empty(len(rows))
    for start in range(0, len(rows), PAIRS):
        part = slice(start, start + PAIRS)
        scores[part] = exact_dots(queries[rows[part]], vectors[columns[part]])
    return scores
