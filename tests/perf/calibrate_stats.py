"""How often tests reject and intervals cover where the truth is known; the tables of docs/statistics.md.

    python tests/perf/calibrate_stats.py null       5% tests where there is no difference
    python tests/perf/calibrate_stats.py cover      95% intervals
    python tests/perf/calibrate_stats.py power      differences of the size that is called detectable
    python tests/perf/calibrate_stats.py exchange   Mun-et-al-2017 and Liu-et-al-2017 exchanged on half the images
    options: --simulations 2000 --resamples 999

Real rows are those of the entries in leaderboards/coco-karpathy-test: their 5,000 images are the population
from which images are drawn with replacement, so the true scores are known. Rows that are made:

    skewed     differences of exponential variables with mean 0, not symmetric
    hits       0/1 columns of two systems that agree on half of the images, 30% right each
    galleries  50 galleries of 20 rows with an effect of each gallery on both systems and on each
    brevity    BLEU-1, one system a word shorter on every tenth image, equal scores in the population

± is the Monte-Carlo standard error of a rate of 5% (95%, 80%).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from capbench.matching import match, read_sides
from capbench.metrics.bleu import SMALL, TINY
from capbench.paired import Matched, differences
from capbench.stats import UnitSums, intervals_together
from capbench.types import Rows

ENTRIES = Path(__file__).resolve().parents[2] / "leaderboards" / "coco-karpathy-test" / "entries"
SHOWN = ("bleu4", "rouge_l", "cider")
PAIR = (0, 1)


def real(first="Mun", second="Liu"):
    """The rows of two committed systems: one Matched for each metric, and the columns that are looked at."""
    folders = [next(ENTRIES.glob(f"{name}-*")) for name in (first, second)]
    metrics, gaps = match(read_sides(folders))
    assert not gaps
    kept = [tuple(c for c in m.matched.columns if c in SHOWN) for m in metrics]
    return [Matched(m.matched.rows, m.matched.reduce, names) for m, names in zip(metrics, kept, strict=True)]


def drawn(metrics, items, exchange=None):
    """The metrics on these images; where ``exchange`` is true the two systems have changed places."""
    made = []
    for metric in metrics:
        columns = [{name: c[items] for name, c in metric.rows[k].columns.items()} for k in PAIR]
        if exchange is not None:
            columns = [
                {name: np.where(exchange, columns[1 - k][name], columns[k][name]) for name in columns[k]} for k in PAIR
            ]
        made.append(Matched({k: Rows(columns[k]) for k in PAIR}, metric.reduce, metric.columns))
    return made


def means(first, second, bags=None):
    return [Matched({0: Rows({"x": first}, None, bags), 1: Rows({"x": second}, None, bags)}, None, ("x",))]


def normal(random, n, shift=0.0):
    base = random.exponential(1, n)
    return means(base + random.normal(shift, 1, n), base)


def skewed(random, n):
    base = random.normal(0, 1, n)
    return means(base + random.exponential(1, n) - 1, base)


def hits(random, n):
    shared, own = random.random(n) < 0.5, random.random((3, n)) < 0.3
    first, second = (np.where(shared, own[0], own[k]).astype(float) for k in (1, 2))
    return means(first, second)


def galleries(random, n, shift=0.0):
    bags = np.repeat(np.arange(n), 20)
    both, each = random.normal(0, 1, n)[bags], random.normal(0, 0.5, (2, n))[:, bags]
    noise = random.normal(0, 1, (2, len(bags)))
    return means(both + each[0] + noise[0] + shift, both + each[1] + noise[1], bags)


def bleu1(sums):
    ratio = (sums["testlen"] + TINY) / (sums["reflen"] + SMALL)
    precision = (sums["correct"] + TINY) / (sums["guess"] + SMALL)
    return {"bleu1": precision * np.where(ratio < 1, np.exp(np.minimum(0, 1 - 1 / ratio)), 1.0)}


def brevity_population(size=200_000):
    """Two systems of equal BLEU-1: what the shorter one says is right a little more often, to make up for it."""
    random = np.random.default_rng(99)
    words = random.integers(7, 14, size).astype(float)
    refs = words + random.normal(-0.05, 2.5, size)
    right = random.binomial(words.astype(int), 0.7).astype(float)
    cut = (np.arange(size) % 10 == 0).astype(float)
    long = {"testlen": words, "reflen": refs, "guess": words, "correct": right}
    goal = bleu1({k: v.sum() for k, v in long.items()})["bleu1"]
    low, high = -3.0, 3.0
    for _ in range(60):  # how many right words a shortened caption has more, or less
        gain = (low + high) / 2
        short = {"testlen": words - cut, "reflen": refs, "guess": words - cut, "correct": right + gain * cut}
        low, high = (gain, high) if bleu1({k: v.sum() for k, v in short.items()})["bleu1"] < goal else (low, gain)
    return [Matched({k: Rows({**c, "bleu1": np.zeros(size)}) for k, c in enumerate((short, long))}, bleu1, ("bleu1",))]


def counts(make, given, judge):
    """How often ``judge`` says yes for each column, over simulations; skips nothing."""
    total = {}
    for seed in range(given.simulations):
        random = np.random.default_rng([seed, 7])
        for name, answers in judge(make(random), seed, given).items():
            total[name] = total.get(name, 0) + np.array(answers, float)
    return {name: value / given.simulations for name, value in total.items()}


def rejections(metrics, seed, given):
    found = differences(metrics, [PAIR], resamples=given.resamples, seed=seed)
    return {
        column: (
            d.p < 0.05, d.p_permutation < 0.05, d.p_bootstrap < 0.05, not d.low <= 0 <= d.high, d.test == "mcnemar",
        )
        for (_, _, column), d in found.items()
    }  # fmt: skip


def no_difference(given):
    population, short = real(), brevity_population()
    size = len(short[0].rows[0].columns["bleu1"])

    def exchanged(random, n):
        return drawn(population, random.integers(0, 5000, n), random.random(n) < 0.5)

    cases = [(f"means, normal, {n} images", lambda r, n=n: normal(r, n)) for n in (50, 200, 1000)]
    cases += [(f"means, skewed, {n} images", lambda r, n=n: skewed(r, n)) for n in (50, 200, 1000)]
    cases += [(f"hits, {n} images", lambda r, n=n: hits(r, n)) for n in (200, 1000)]
    cases += [(f"{n} galleries of 20", lambda r, n=n: galleries(r, n)) for n in (20, 50)]
    cases += [(f"real, exchanged, {n} images", lambda r, n=n: exchanged(r, n)) for n in (200, 1000)]
    cases += [(f"brevity, {n} images", lambda r, n=n: drawn(short, r.integers(0, size, n))) for n in (200, 1000)]
    print(
        f"| {given.simulations} simulations, ±{error(0.05, given)} | p used | randomisation | bootstrap | interval without 0 |"
    )
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, make in cases:
        for column, rates in counts(make, given, rejections).items():
            label = name if column == "x" else f"{name}: {column}"
            used = f"{rates[0]:.1%}" + (" (McNemar)" if rates[4] == 1 else "")
            print(f"| {label} | {used} | {rates[1]:.1%} | {rates[2]:.1%} | {rates[3]:.1%} |", flush=True)


def coverage(given):
    population = real()
    truth = {}
    for metric in population:
        sums = [UnitSums.of(metric.rows[k], metric.reduce) for k in PAIR]
        for column in metric.columns:
            truth[column] = [float(s.scores(s.totals())[column][0]) for s in sums]
    truth["x"] = [0.0, 0.0]

    def judge(metrics, seed, given):
        found = differences(metrics, [PAIR], resamples=given.resamples, seed=seed, test="bootstrap")
        alone = intervals_together([UnitSums.of(m.rows[0], m.reduce) for m in metrics], given.resamples, seed)
        return {
            c: (alone[k][c].low <= truth[c][0] <= alone[k][c].high, d.low <= truth[c][0] - truth[c][1] <= d.high)
            for (k, _, c), d in found.items()
        }

    cases = [(f"{n} images", lambda r, n=n: drawn(population, r.integers(0, 5000, n))) for n in (50, 200, 1000)]
    cases += [(f"{n} galleries of 20", lambda r, n=n: galleries(r, n)) for n in (10, 20, 50)]
    print(f"| {given.simulations} simulations, ±{error(0.95, given)} | one run | paired difference |")
    print("| --- | ---: | ---: |")
    for name, make in cases:
        for column, rates in counts(make, given, judge).items():
            label = name if column == "x" else f"{name}: {column}"
            print(f"| {label} | {rates[0]:.1%} | {rates[1]:.1%} |", flush=True)


def power(given):
    from capbench.significance import detectable, power_of

    population = real()
    whole = differences(population, [PAIR], resamples=4000)

    def judge(metrics, seed, given):
        found = differences(metrics, [PAIR], resamples=given.resamples, seed=seed)
        return {column: (d.p < 0.05,) for (_, _, column), d in found.items()}

    print(f"| {given.simulations} simulations, ±{error(0.8, given)} at 80% | true difference | predicted | found |")
    print("| --- | ---: | ---: | ---: |")
    for n in (50, 200, 1000):
        shift = detectable(1 / np.sqrt(n))
        rate = counts(lambda r, n=n, s=shift: normal(r, n, s), given, judge)["x"][0]
        print(f"| means, {n} images, the detectable one | {shift:.4f} | 80.0% | {rate:.1%} |", flush=True)
    for n in (1000, 2500):
        rates = counts(lambda r, n=n: drawn(population, r.integers(0, 5000, n)), given, judge)
        for (_, _, column), d in whole.items():
            expected = power_of(d.value, d.error * np.sqrt(5000 / n))
            print(f"| {column}, {n} images | {d.value:+.4f} | {expected:.1%} | {rates[column][0]:.1%} |", flush=True)


def exchange(seeds=200, resamples=999):
    """column -> (p below 5%, interval without 0) for each seed: two systems with half of their captions exchanged."""
    population = real()
    found = {}
    for seed in range(seeds):
        swap = np.random.default_rng([seed, 3]).permutation(5000) < 2500
        made = differences(drawn(population, np.arange(5000), swap), [PAIR], resamples=resamples, seed=seed)
        for (_, _, column), d in made.items():
            found.setdefault(column, []).append((d.p < 0.05, not d.low <= 0 <= d.high))
    return {column: np.array(answers) for column, answers in found.items()}


def show_exchange(given):
    print(f"| 200 seeds, ±{np.sqrt(0.05 * 0.95 / 200):.1%} | different verdicts (p) | different ranks (interval) |")
    print("| --- | ---: | ---: |")
    for column, answers in exchange(resamples=given.resamples).items():
        p, interval = answers.sum(axis=0)
        print(f"| {column} | {p} ({p / 200:.1%}) | {interval} ({interval / 200:.1%}) |", flush=True)


def error(rate, given):
    return f"{np.sqrt(rate * (1 - rate) / given.simulations):.1%}"


PARTS = {"null": no_difference, "cover": coverage, "power": power, "exchange": show_exchange}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--resamples", type=int, default=999)
    given = parser.parse_args()
    PARTS[given.part](given)


if __name__ == "__main__":
    main()
