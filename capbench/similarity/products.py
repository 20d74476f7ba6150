"""The one score that decides: the float64 sum of the products of two float32 vectors, added in one fixed order.

A matrix product gives other last bits for the same two vectors at another place of a block, under another
block size or another BLAS. So the product only sorts out the pairs that are too far apart to matter, and
whatever is closer than its rounding can be is decided here.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from capbench.types import Array, Floats, Ints

    Flags = NDArray[np.bool_]

BLOCK = (4096, 4096)  # rows x columns of a matrix product: 64 MB of scores, whatever the size of the whole
PAIRS = 512  # pairs scored at once in float64: 2 MB for vectors of 512, which a cache holds
UNIT = 2.0**-24  # the rounding of one float32 operation, relative
DEVIATIONS = 4.0


def exact_dots(a: Floats, b: Floats) -> Array:
    """Row i of a with row i of b. The products are exact in float64; halves are added until one sum is left."""
    sums = np.empty(len(a))
    for start in range(0, len(a), PAIRS):
        part = a[start : start + PAIRS].astype(np.float64)
        part *= b[start : start + PAIRS]
        width = part.shape[1]
        while width > 1:
            half = (width + 1) // 2
            part[:, : width - half] += part[:, half:width]
            width = half
        sums[start : start + PAIRS] = part[:, 0] if part.shape[1] else 0.0
    return sums


def slack(queries: Floats, longest: float) -> Array:
    """For each query: how far two float32 scores must be apart to be in that order without doubt.

    longest: the norm of the longest vector of the other side. A sum of n rounded products is off by at
    most n units of rounding; by chance by no more than its root times a few (Higham & Mary 2019, "A New
    Approach to Probabilistic Rounding Error Analysis", theorem 2.4). Up to 16 numbers the bound is certain.
    """
    norms = np.sqrt(exact_dots(queries, queries))
    units = 2 * DEVIATIONS * math.sqrt(queries.shape[1]) + 2
    bound: Array = units * UNIT * longest * norms
    return bound


def longest_norm(vectors: Floats) -> float:
    """The norm of the longest row; 0 where there is none."""
    return float(np.sqrt(exact_dots(vectors, vectors).max(initial=0.0)))


def distinct_rows(matrix: Floats) -> tuple[Ints, Ints]:
    """Where each distinct row first stands, and for each row which of these it is.

    Rows are equal when their numbers are: 0.0 and -0.0 are one. They are told apart by 128-bit hashes, so
    that no second copy of the matrix is made.
    """
    seen: dict[bytes, int] = {}
    first: list[int] = []
    same = np.empty(len(matrix), np.int64)
    for start in range(0, len(matrix), BLOCK[0]):
        plain = np.ascontiguousarray(matrix[start : start + BLOCK[0]]) + np.float32(0)  # -0.0 becomes 0.0
        for i, row in enumerate(plain, start):
            same[i] = place = seen.setdefault(hashlib.blake2b(row.data, digest_size=16).digest(), len(first))
            if place == len(first):
                first.append(i)
    return np.array(first, np.int64), same


def finite_rows(matrix: Floats) -> Flags:
    """Which rows have numbers only: those of items that were encoded."""
    whole: Flags = np.asarray(np.isfinite(matrix).all(axis=1))
    return whole


def unit(vectors: Floats) -> Floats:
    """Rows of length 1; NaN where a row is 0 or not finite."""
    norms = np.sqrt(exact_dots(vectors, vectors))
    with np.errstate(invalid="ignore", divide="ignore"):
        made: Floats = (vectors / norms[:, None]).astype(np.float32)
    return made
