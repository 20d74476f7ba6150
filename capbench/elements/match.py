"""Elements of a caption to those of the references, one to one, with the highest credit that all pairs can have.

A pair of equal or synonymous elements has credit 1. With vectors, any other pair whose phrases have a cosine of
``near`` or more has that cosine. It is a maximum assignment: neither the order of elements nor which are looked at
first can change a credit, as they do where the first fit is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from capbench.elements.graph import Element, Lookup, level
from capbench.elements.words import EXACT, SYNONYM, Vocabulary

if TYPE_CHECKING:
    from capbench.types import Array, Floats, Ints

PREFERRED = 1e-6  # of an equal pair over a synonymous one, where both give the same credit in all
STAGES = {EXACT: "exact", SYNONYM: "synonym", 0: "near"}


@dataclass(frozen=True, slots=True)
class Pair:
    """Element ``said`` of the caption with element ``there`` of the references; stage: exact, synonym or near."""

    said: int
    there: int
    stage: str
    credit: float


@dataclass(frozen=True, slots=True)
class Soft:
    """The third stage. vectors: phrase -> unit vector; near: the least cosine that counts."""

    vectors: Mapping[str, Floats]
    near: float


def match(
    said: Sequence[Element], there: Sequence[Element], words: Vocabulary, soft: Soft | None = None
) -> tuple[Pair, ...]:
    """The pairs, in order of the caption's elements."""
    if not said or not there:
        return ()
    levels = levels_of(said, there, words)
    credit = (levels > 0).astype(np.float64)
    if soft is not None:
        cosines = likeness(said, there, soft.vectors)
        credit = np.where(levels > 0, 1.0, np.where(cosines >= soft.near, np.clip(cosines, 0, 1), 0.0))
    if not credit.any():
        return ()
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(credit + PREFERRED * (levels == EXACT), maximize=True)
    return tuple(
        Pair(int(i), int(j), STAGES[int(levels[i, j])], float(credit[i, j]))
        for i, j in zip(rows, columns, strict=True)
        if credit[i, j] > 0
    )


def levels_of(said: Sequence[Element], there: Sequence[Element], words: Vocabulary) -> Ints:
    """The best level of any two forms of each pair of elements."""
    found = np.zeros((len(said), len(there)), np.int64)
    forms = [(j, form) for j, element in enumerate(there) for form in element.forms]
    known = Lookup(words)
    for place, (_, form) in enumerate(forms):
        known.add(form, place)
    for i, element in enumerate(said):
        for form in element.forms:
            for place in known.candidates(form):
                j, other = forms[place]
                found[i, j] = max(found[i, j], level(form, other, words))
    return found


def likeness(said: Sequence[Element], there: Sequence[Element], vectors: Mapping[str, Floats]) -> Array:
    """The highest cosine of any two forms of each pair of elements; phrases without a vector are like none."""
    ours, theirs = (stacked(elements, vectors) for elements in (said, there))
    cosines: Any = ours[0] @ theirs[0].T
    rows: Any = np.maximum.reduceat(cosines, ours[1], axis=0)
    best: Array = np.maximum.reduceat(rows, theirs[1], axis=1)
    return best


def stacked(elements: Sequence[Element], vectors: Mapping[str, Floats]) -> tuple[Array, Any]:
    """The vectors of all forms of all elements, and where each element's begin."""
    width = next((len(vector) for vector in vectors.values()), 1)
    none = np.zeros(width, np.float32)
    rows = [vectors.get(phrase, none) for element in elements for phrase in element.phrases]
    starts = np.cumsum([0, *(len(element.forms) for element in elements)])[:-1]
    return np.array(rows, np.float64), starts
