"""Sequential Elo, as CapArena prints it: for comparison with published tables only, since it depends on the order.

    r_a += K (s - e),  e = 1 / (1 + 10^((r_b - r_a) / 400)),  s = 1, 1/2 or 0        (K 4, start 1000)

Contests are drawn with replacement and played in the order drawn; the rating is the median over all draws, as in
njucckevin/CapArena, cal_ranking.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from capbench.arena.contests import Contest, systems_of

if TYPE_CHECKING:
    from capbench.types import Array, Ints

K, START, WIDTH = 4.0, 1000.0, 400.0
DRAWS = 1000


def elo(contests: Sequence[Contest], draws: int = DRAWS, seed: int = 0) -> dict[str, float]:
    """The median rating of each system over all draws."""
    orders = np.random.default_rng(seed).integers(0, len(contests), (draws, len(contests)))
    return dict(zip(systems_of(contests), np.median(played(contests, orders), axis=0).tolist(), strict=True))


def played(contests: Sequence[Contest], orders: Ints) -> Array:
    """The ratings after the contests were played in each order (orders x systems)."""
    place = {name: i for i, name in enumerate(systems_of(contests))}
    a, b = (np.array([place[name] for name in names]) for names in zip(*((c.a, c.b) for c in contests), strict=True))
    score = np.array([0.5 if not c.choice else float(c.choice == c.a) for c in contests])
    ratings = np.full((len(orders), len(place)), START)
    rows = np.arange(len(orders))
    for at in orders.T:
        one, other = ratings[rows, a[at]], ratings[rows, b[at]]
        gain = K * (score[at] - 1 / (1 + 10 ** ((other - one) / WIDTH)))
        ratings[rows, a[at]] = one + gain
        ratings[rows, b[at]] = other - gain
    return ratings
