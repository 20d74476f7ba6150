"""The common space of pictures and texts: one dimension a statement, so that the cosine counts agreement.

A vector has the weight of each statement that is made, at the place of that statement. The weights are
such that no two small sets of different mistakes cost the same:

    object 7, relation 6, colour 5, count 4, size 2

A text has two dimensions more, in which every picture is 0. ``unread`` is 7 times the root of the number
of words that could not be read, as if each were an object that is not there. ``nothing`` is 1 for a text
that makes no statement at all, so that its cosine with every picture is exactly 0.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from capbench.scenes.meaning import RELATIONS, Meaning, statements
from capbench.scenes.world import BOARD, COLOURS, SHAPES, SIZES

if TYPE_CHECKING:
    from capbench.types import Floats

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
WIDTH = NOTHING + 1


def vector(meaning: Meaning) -> Floats:
    """float32 of WIDTH, not normalised, never all zero.

    A statement that is made of two groups of one shape counts twice.
    """
    row = np.zeros(WIDTH, np.float32)
    said = statements(meaning)
    if not said:
        row[NOTHING] = 1
        return row
    for statement, times in said.items():
        row[PLACE[statement]] = WEIGHTS[statement[0]] * times
    row[UNREAD] = WEIGHTS["object"] * math.sqrt(len(meaning.unread))
    return row
