"""The nearest of many vectors, exactly: every pair is seen, and what float32 cannot order is ordered in float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from capbench.progress import progress
from capbench.similarity.products import BLOCK, longest_norm, slack
from capbench.similarity.rivals import exact_pairs

if TYPE_CHECKING:
    from capbench.types import Array, Floats, Ints

    Pairs = tuple[Ints, Ints, Floats]  # rows, columns, scores

ABSENT = -1  # in place of a neighbour that there is not
LARGE = 20_000  # vectors from which faiss is asked, if it is installed


def nearest(queries: Floats, vectors: Floats, depth: int, *, same: bool = False) -> tuple[Ints, Array]:
    """The ``depth`` best columns of each query, best first, equal scores in the order of the vectors.

    queries, vectors: finite float32 rows. same: queries are the vectors, and none is its own neighbour.
    Gives int64 and float64, queries x depth; ABSENT and -inf where there are too few. faiss, where it is
    installed and there are many vectors, changes the speed and nothing else.
    """
    found = np.full((len(queries), depth), ABSENT, np.int64)
    scores = np.full((len(queries), depth), -np.inf)
    wanted = depth + int(same)
    longest = longest_norm(vectors)
    with progress(len(queries), "neighbours") as bar:
        for start, part, rows, columns in candidates(queries, vectors, wanted, longest):
            if same:
                keep = rows + start != columns
                rows, columns = rows[keep], columns[keep]  # noqa: PLW2901 -- the pairs that count
            exact = exact_pairs(part, vectors, rows, columns)
            order = np.lexsort((columns, -exact, rows))
            rows, columns, exact = rows[order], columns[order], exact[order]  # noqa: PLW2901 -- the same
            place = np.arange(len(rows)) - np.searchsorted(rows, rows)
            kept = place < depth
            found[rows[kept] + start, place[kept]] = columns[kept]
            scores[rows[kept] + start, place[kept]] = exact[kept]
            bar.update(len(part))
    return found, scores


def candidates(
    queries: Floats, vectors: Floats, wanted: int, longest: float
) -> Iterator[tuple[int, Floats, Ints, Ints]]:
    """Blocks of queries with (row, column) pairs that surely hold the ``wanted`` best of each row."""
    index = faiss_index(vectors)
    for start in range(0, len(queries), BLOCK[0]):
        part = queries[start : start + BLOCK[0]]
        margin = slack(part, longest)
        if index is None:
            rows, columns = by_product(part, vectors, wanted, margin)
        else:
            rows, columns = by_faiss(index, part, wanted, margin)
        yield start, part, rows, columns


def by_product(queries: Floats, vectors: Floats, wanted: int, margin: Array) -> tuple[Ints, Ints]:
    """Pairs that are not surely below the ``wanted`` best, by matrix products tile by tile."""
    bar = np.full(len(queries), -np.inf, np.float32)  # the wanted-th best so far, less the margin
    held: Pairs = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    for start in range(0, len(vectors), BLOCK[1]):
        scores = queries @ vectors[start : start + BLOCK[1]].T
        if np.isneginf(bar).any() and scores.shape[1] > wanted:
            cut = scores.shape[1] - wanted
            least = np.partition(scores, cut, axis=1)[:, cut] - margin
            rows, columns = np.nonzero(scores >= np.maximum(bar, least)[:, None].astype(np.float32))
        else:
            rows, columns = np.nonzero(scores >= bar[:, None])
        if len(rows):
            new = (rows, columns + start, scores[rows, columns])
            held, bar = best_of(held, new, wanted, margin, bar)
    return held[0], held[1]


def best_of(held: Pairs, new: Pairs, wanted: int, margin: Array, bar: Floats) -> tuple[Pairs, Floats]:
    """The pairs at or above the margin below each row's wanted-th best, and the new bars."""
    rows = np.concatenate([held[0], new[0]])
    columns = np.concatenate([held[1], new[1]])
    scores = np.concatenate([held[2], new[2]])
    order = np.lexsort((-scores, rows))
    rows, columns, scores = rows[order], columns[order], scores[order]
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    last = place == wanted - 1
    bar = bar.copy()
    bar[rows[last]] = scores[last] - margin[rows[last]]
    kept = scores >= bar[rows]
    return (rows[kept], columns[kept], scores[kept]), bar


def faiss_index(vectors: Floats) -> object:
    """An exact index of faiss, where that is worth it and installed; else None."""
    if len(vectors) < LARGE:
        return None
    try:
        import faiss
    except ImportError:
        return None
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors))
    return index


def by_faiss(index: object, queries: Floats, wanted: int, margin: Array) -> tuple[Ints, Ints]:
    """The same pairs by faiss: deeper and deeper until the last one is surely below the wanted-th best."""
    depth = min(2 * wanted + 8, index.ntotal)  # type: ignore[attr-defined] # faiss has no types
    while True:
        scores, columns = index.search(np.ascontiguousarray(queries), depth)  # type: ignore[attr-defined] # the same
        least = scores[:, min(wanted, depth) - 1] - margin
        if depth == index.ntotal or (scores[:, -1] < least).all():  # type: ignore[attr-defined] # the same
            break
        depth = min(2 * depth, index.ntotal)  # type: ignore[attr-defined] # the same
    rows, places = np.nonzero(scores >= least[:, None])
    return rows, columns[rows, places].astype(np.int64)
