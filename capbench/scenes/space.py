"""The common space of pictures and texts: one dimension a statement, so that the cosine counts agreement.

A vector has the weight of each statement that is made, at the place of that statement. The weights are
such that no two small sets of different mistakes cost the same:

    object 7, relation 6, colour 5, count 4, size 2

A text has two dimensions more, in which every picture is 0. ``unread`` is 7 times the root of the number
of words that could not be read, as if each were an object that is not there. ``nothing`` is 1 for a text
that makes no statement at all, so that its cosine with every picture is exactly 0.

Vectors are put on a grid: whole numbers whose squares add up to exactly 4096^2, to which end four more
dimensions hold what rounding down has left over. So a unit vector, and every sum in a product of two, is a
float32 without rounding. The cosine of two equal vectors is exactly 1, and pictures that a text fits equally
well tie to the last bit, in whatever order a machine adds. What is left over depends on how many statements
of each kind there are, not on which, and changes a cosine by less than 0.003.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from capbench.scenes.meaning import RELATIONS, Meaning, statements
from capbench.scenes.world import BOARD, COLOURS, SHAPES, SIZES

if TYPE_CHECKING:
    from capbench.types import Array, Floats

WEIGHTS = {"object": 7, "left": 6, "above": 6, "colour": 5, "count": 4, "size": 2}
COUNTS = tuple(str(n) for n in range(1, BOARD * BOARD + 1))
STATEMENTS: tuple[tuple[str, ...], ...] = (
    *(("object", shape) for shape in SHAPES),
    *(("colour", shape, colour) for shape in SHAPES for colour in COLOURS),
    *(("size", shape, size) for shape in SHAPES for size in SIZES),
    *(("count", shape, count) for shape in SHAPES for count in COUNTS),
    *((kind, first, second) for kind in RELATIONS for first in SHAPES for second in SHAPES),
)
PLACE = {statement: i for i, statement in enumerate(STATEMENTS)}
UNREAD = len(STATEMENTS)
NOTHING = UNREAD + 1
REST = NOTHING + 1
WIDTH = REST + 4
GRID = 4096  # its square is 2^24, up to which float32 holds every whole number


def weights(meaning: Meaning) -> Array:
    """float64 of WIDTH: the vector before it is put on the grid; never all zero.

    A statement that is made of two groups of one shape counts twice.
    """
    row = np.zeros(WIDTH)
    said = statements(meaning)
    if not said:
        row[NOTHING] = 1
        return row
    for statement, times in said.items():
        row[PLACE[statement]] = WEIGHTS[statement[0]] * times
    row[UNREAD] = WEIGHTS["object"] * math.sqrt(len(meaning.unread))
    return row


def vector(meaning: Meaning) -> Floats:
    """float32 of WIDTH: whole numbers of length exactly GRID, within a thousandth of ``weights``'s direction."""
    raw = weights(meaning)
    row = np.floor(raw * (GRID / math.sqrt(float(raw @ raw))))
    row[REST:] = four_squares(GRID * GRID - int(row @ row))
    return row.astype(np.float32)


@lru_cache(maxsize=4096)
def four_squares(total: int) -> tuple[int, int, int, int]:
    """Four whole numbers whose squares make ``total`` (Lagrange: there always are), the largest first."""
    for a in range(math.isqrt(total), -1, -1):
        for b in range(math.isqrt(total - a * a), -1, -1):
            left = total - a * a - b * b
            for c in range(math.isqrt(left), math.isqrt(left // 2) - 1, -1):
                d = math.isqrt(left - c * c)
                if d * d == left - c * c:
                    return a, b, c, d
    raise AssertionError(total)
