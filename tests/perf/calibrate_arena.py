"""How often the 95% intervals of ``capbench arena`` hold strengths that were planted; the table of docs/arena.md.

    python tests/perf/calibrate_arena.py
    options: --simulations 200 --resamples 999 --only NAME

Strengths of six systems are planted, contests drawn from them, and each interval is looked at: of every strength
(mean 1000), and of every difference to one system (the anchor), which is what ranks are made from. Two systems are
equally strong: they should be told apart in 5%.

    plain     100 items, every pair on every item, no ties
    ties      the same with 30% ties at even odds, fewer where one is stronger; the expected score is the model's
    sparse    300 items with one pair each
    items     each item has favourites of its own (a normal effect of 1 on each system's log odds, shared by all
              contests of the item); the truth is the strength in 400,000 items
    few       plain with 20 items

± is the standard deviation over simulations / sqrt(simulations).
"""

from __future__ import annotations

import argparse
from itertools import combinations

import numpy as np

from capbench.arena import ranking
from capbench.arena.contests import Contest
from capbench.arena.strengths import SCALE, fit

PLANTED = np.array([0.9, 0.45, 0.1, 0.1, -0.45, -1.1])  # log odds; two are equal
NAMES = [f"s{k}" for k in range(len(PLANTED))]
PAIRS = list(combinations(range(len(PLANTED)), 2))
SETTINGS = {
    "plain": {"items": 100}, "ties": {"items": 100, "ties": 0.3}, "sparse": {"items": 300, "sparse": True},
    "items": {"items": 100, "effect": 1.0}, "few": {"items": 20},
}  # fmt: skip


def scores(random, items, effect=0.0, ties=0.0):
    """Outcomes of every pair on every item (items x pairs): 1 the first won, 0 the second, 1/2 a tie."""
    strengths = PLANTED + effect * random.normal(0, 1, (items, len(PLANTED)))
    first, second = (strengths[:, [pair[k] for pair in PAIRS]] for k in (0, 1))
    chance = 1 / (1 + np.exp(second - first))
    tie = ties * 2 * np.minimum(chance, 1 - chance)  # half of it from either side: the expected score stays
    drawn = random.random(chance.shape)
    return np.where(drawn < chance - tie / 2, 1.0, np.where(drawn < chance + tie / 2, 0.5, 0.0))


def contests(random, items, *, sparse=False, effect=0.0, ties=0.0):
    table = scores(random, items, effect, ties)
    chosen = random.integers(0, len(PAIRS), items) if sparse else None
    made = []
    for k, row in enumerate(table):
        for p, (i, j) in enumerate(PAIRS):
            if chosen is None or chosen[k] == p:
                choice = {1.0: NAMES[i], 0.0: NAMES[j], 0.5: ""}[row[p]]
                made.append(Contest(str(k), NAMES[i], NAMES[j], choice, "judge"))
    return made


def truth(setting):
    """The strengths that infinitely many items have, mean 1000."""
    planted = PLANTED - PLANTED.mean()
    if setting.get("effect"):
        mean = scores(np.random.default_rng(1), 400_000, setting["effect"]).mean(axis=0)
        wins = np.zeros((1, len(PLANTED), len(PLANTED)))
        for (i, j), share in zip(PAIRS, mean, strict=True):
            wins[0, i, j], wins[0, j, i] = share, 1 - share
        planted = fit(wins, np.ones((1, len(PLANTED)), bool))[0]
    return 1000 + SCALE * planted


def simulate(setting, simulations, resamples, seed=0):
    """For each simulation: the share of intervals that hold the truth, of strengths and of differences to s3, and
    whether s2, which is as strong as s3, is told apart from it."""
    wanted = truth(setting)
    random = np.random.default_rng(seed)
    rates = []
    for run in range(simulations):
        drawn = contests(random, **setting)
        held = []
        for anchor, shift in (("", 0.0), (NAMES[3], 1000 - wanted[3])):
            found = ranking.rank(drawn, anchor=anchor, resamples=resamples, seed=run)
            assert len(found.groups[0]) == len(NAMES)
            places = {p.system: p for p in found.groups[0]}
            held.append([p.low <= wanted[NAMES.index(n)] + shift <= p.high for n, p in places.items() if n != anchor])
        apart = not places[NAMES[2]].low <= 1000 <= places[NAMES[2]].high
        rates.append((np.mean(held[0]), np.mean(held[1]), float(apart)))
    return np.array(rates)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--resamples", type=int, default=999)
    parser.add_argument("--only", default="", choices=["", *SETTINGS])
    options = parser.parse_args()
    print(f"{options.simulations} simulations, {options.resamples} resamples")
    print("| | strengths | differences | told apart though equal |\n| --- | ---: | ---: | ---: |")
    for name, setting in SETTINGS.items():
        if options.only in ("", name):
            rates = simulate(setting, options.simulations, options.resamples)
            errors = rates.std(axis=0) / np.sqrt(len(rates))
            cells = [f"{rate:.1%} ± {error:.1%}" for rate, error in zip(rates.mean(axis=0), errors, strict=True)]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
