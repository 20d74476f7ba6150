"""From rivals to ranks and recalls, ties included."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from capbench.errors import check_choice

if TYPE_CHECKING:
    from capbench.similarity.rivals import Rivals
    from capbench.types import Array

TIES = ("expected", "pessimistic", "optimistic")
DEPTHS = (1, 5, 10)


def check_ties(name: str, ties: str) -> None:
    """Refuse another rule."""
    check_choice(name, "ties", ties, TIES)


def recall(rivals: Rivals, depth: int, ties: str) -> Array:
    """The chance that a right one is in the top ``depth``; NaN where nothing is known.

    Of k wrong and m right ones that are tied for the next k + m places, x places are within the depth. A
    random order fills them with wrong ones alone with chance C(k, x) / C(k + m, x), a product of m ratios.
    """
    above, equal, right = rivals
    if ties == "pessimistic":
        return np.where(np.isnan(above), np.nan, above + equal < depth)
    if ties == "optimistic":
        return np.where(np.isnan(above), np.nan, above < depth)
    places = np.clip(depth - above, 0, None)
    missed = np.ones_like(above)
    for j in range(int(np.nanmax(right, initial=0))):
        ratio = np.clip(equal + right - places - j, 0, None) / np.maximum(equal + right - j, 1)
        missed *= np.where(j < right, ratio, 1)
    alone = np.clip(places / (equal + 1), 0, 1)  # the same for one right one, without a rounding
    return np.where(np.isnan(above), np.nan, np.where(right > 1, 1 - missed, alone))


def expected_rank(rivals: Rivals, ties: str) -> Array:
    """The rank of the first right one, from 1: of k wrong and m right tied ones, k / (m + 1) are expected before it."""
    above, equal, right = rivals
    return 1 + above + {"expected": equal / (right + 1), "pessimistic": equal, "optimistic": 0 * equal}[ties]


def median(ranks: Array) -> float:
    """The median of the ranks that are known; NaN where none is."""
    known = ranks[~np.isnan(ranks)]
    return float(np.median(known)) if len(known) else float("nan")
