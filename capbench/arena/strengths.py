"""Bradley-Terry strengths by maximum likelihood, for many tables of wins at once.

    P(i beats j) = 1 / (1 + exp(b_j - b_i))                           Bradley and Terry 1952
    L(b) = sum over pairs of  w_ij ln P(i beats j),  w_ij = wins of i over j + half of their ties

The maximum exists, and is one but for a shift, where each system can be reached from each other by a chain of wins
(Ford 1957). Systems that no chain of wins leads to from the others, or none leads from, have no finite strength;
``reachable`` and ``linked`` find them, so that no iteration ever runs off.

L is concave: Newton's steps, halved while they do not climb. The scale is 400 / ln 10 a unit, as Elo's: 400 points
more are odds of 10 to 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from capbench.types import Array

    Mask = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

SCALE = 400 / np.log(10)  # Elo points of one unit of log odds
STEPS, HALVINGS, EXACT = 200, 40, 1e-11


def reachable(wins: Array) -> Mask:
    """Whether a chain of wins (or ties) leads from i to j (tables x systems x systems); each reaches itself."""
    n = wins.shape[-1]
    reach: Any = (wins > 0) | np.eye(n, dtype=bool)
    for _ in range(max(1, int(np.ceil(np.log2(max(n, 2)))))):
        reach = (reach.astype(np.float32) @ reach.astype(np.float32)) > 0
    return reach  # type: ignore[no-any-return]  # numpy's comparison is Any here


def linked(reach: Mask) -> Mask:
    """Whether chains of wins lead both ways: the systems whose strengths can be told on one scale."""
    return reach & reach.swapaxes(-1, -2)


def fit(wins: Array, inside: Mask) -> Array:
    """Strengths in log odds with mean 0 (tables x systems); NaN outside.

    wins: w_ij above (tables x systems x systems). inside: the systems of each table that are fitted, all of them
    linked to each other; the others' verdicts are left out.
    """
    both = inside[:, :, None] & inside[:, None, :]
    w = np.where(both, wins, 0.0)
    met = w + w.swapaxes(1, 2)
    one = np.where(both, 1.0, 0.0) / np.maximum(inside.sum(axis=1), 1)[:, None, None]  # fixes the mean
    outside = np.eye(wins.shape[1]) * ~inside[:, :, None]
    b = np.zeros(inside.shape)
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(b[:, None, :] - b[:, :, None]))
        slope = (w - met * chance).sum(axis=2)
        bend = met * chance * (1 - chance)
        curve = np.eye(b.shape[1]) * bend.sum(axis=2)[:, :, None] - bend
        step = np.linalg.solve(curve + one + outside, slope[:, :, None])[:, :, 0]
        step = climbing(w, b, step)
        b = b + step
        if np.abs(step).max(initial=0.0) < EXACT:
            break
    else:
        raise ArithmeticError("Newton's steps did not come to an end")
    b = b - (b * inside).sum(axis=1, keepdims=True) / np.maximum(inside.sum(axis=1, keepdims=True), 1)
    return np.where(inside, b, np.nan)


def climbing(w: Array, b: Array, step: Array) -> Array:
    """The steps, each halved until it does not lead down."""
    here = likelihood(w, b)
    share = np.ones(len(b))
    for _ in range(HALVINGS):
        down = likelihood(w, b + share[:, None] * step) < here - 1e-9 * np.abs(here)
        if not down.any():
            break
        share = np.where(down, share / 2, share)
    return share[:, None] * step


def likelihood(w: Array, b: Array) -> Array:
    """L of each table."""
    return -(w * np.logaddexp(0.0, b[:, None, :] - b[:, :, None])).sum(axis=(1, 2))  # type: ignore[no-any-return]  # as above
