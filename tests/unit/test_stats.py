"""Intervals against closed forms, scipy, and resampling by a plain loop."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from capbench.metrics.bleu import STATISTICS, Bleu
from capbench.stats import MIN_BAGS, intervals, paired_differences, resampled_weights
from capbench.types import Rows


def sample(n=400, seed=0):
    return np.random.default_rng(seed).normal(3, 2, n)


def mean(values, **kwargs):
    return intervals(Rows({"x": np.asarray(values, float)}), **kwargs)["x"]


def ratio(sums):
    return {"ratio": sums["hit"] / sums["all"]}


def ratio_rows(n=300, seed=0, bags=None):
    random = np.random.default_rng(seed)
    every = random.integers(1, 30, n).astype(float)
    hit = random.binomial(every.astype(int), 0.4).astype(float)
    return Rows({"hit": hit, "all": every, "ratio": hit / every}, None, bags)


def test_the_interval_of_a_mean_is_the_closed_form():
    x = sample()
    found = mean(x, resamples=4000)
    half = 1.959964 * x.std(ddof=0) / np.sqrt(len(x))
    assert found.value == pytest.approx(x.mean(), abs=1e-12)
    # the quantile of 4000 resamples is off by a standard error of 3.4% of the half width
    assert found.low == pytest.approx(x.mean() - half, abs=0.12 * half)
    assert found.high == pytest.approx(x.mean() + half, abs=0.12 * half)


def test_the_interval_is_that_of_scipy():
    x = np.random.default_rng(1).exponential(1, 200)
    found = mean(x, resamples=4000)
    theirs = scipy_stats.bootstrap(
        (x,), np.mean, n_resamples=4000, method="percentile", vectorized=True, rng=np.random.default_rng(2)
    ).confidence_interval
    half = (theirs.high - theirs.low) / 2
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.15 * half)


def test_it_covers_the_truth_about_95_times_in_100():
    inside = [(f := mean(sample(60, seed), resamples=300)).low <= 3 <= f.high for seed in range(300)]
    assert 0.90 <= np.mean(inside) <= 0.98


def test_it_is_the_same_again_and_another_with_another_seed():
    assert mean(sample()) == mean(sample())
    assert mean(sample(), seed=1).low != mean(sample()).low


def test_it_equals_resampling_by_a_loop():
    x = sample(37)
    drawn = [w @ x / 37 for chunk in resampled_weights(37, 250, 5) for w in chunk]
    found = mean(x, resamples=250, seed=5)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=1e-12)


def test_weights_are_counts_of_n_draws():
    chunks = list(resampled_weights(50, 230, 0))
    weights = np.concatenate(chunks)
    assert [len(chunk) for chunk in chunks] == [100, 100, 30]
    assert (weights.sum(axis=1) == 50).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(50), abs=0.35)
    assert weights.var() == pytest.approx(49 / 50, abs=0.05)  # binomial(50, 1/50)


def test_a_score_that_is_no_mean_folds_sums():
    rows = ratio_rows()
    found = intervals(rows, ratio, resamples=300)
    hit, every = rows.columns["hit"], rows.columns["all"]
    assert found["ratio"].value == pytest.approx(hit.sum() / every.sum(), abs=1e-12)
    assert abs(found["ratio"].value - rows.columns["ratio"].mean()) > 1e-4
    drawn = [(w @ hit) / (w @ every) for chunk in resampled_weights(300, 300, 0) for w in chunk]
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert found["ratio"][1:] == pytest.approx((low, high), abs=1e-12)
    assert found["hit"].value == pytest.approx(hit.mean())


def test_bleu_of_a_corpus_is_the_fold_of_its_sums():
    random = np.random.default_rng(3)
    columns = {name: random.integers(5, 20, 50).astype(float) for name in STATISTICS}
    for n in (1, 2, 3, 4):
        columns[f"correct{n}"] = np.minimum(columns[f"correct{n}"], columns[f"guess{n}"])
    rows = Rows({**columns, **{f"bleu{n}": np.zeros(50) for n in (1, 2, 3, 4)}})
    s = {name: column.sum() for name, column in columns.items()}
    precisions = [s[f"correct{n}"] / s[f"guess{n}"] for n in (1, 2, 3, 4)]
    penalty = min(1, np.exp(1 - s["reflen"] / s["testlen"]))
    found = intervals(rows, Bleu().reduce, resamples=50)
    assert found["bleu4"].value == pytest.approx(penalty * np.prod(precisions) ** 0.25, rel=1e-8)
    assert found["bleu4"].low < found["bleu4"].value < found["bleu4"].high


def test_unscored_rows_are_left_out_and_never_zero():
    x = np.array([1.0, np.nan, 3.0, np.nan, 8.0])
    found = mean(x)
    assert found.value == 4.0
    assert 1 <= found.low <= 4 <= found.high <= 8
    rows = Rows({"hit": np.array([1.0, np.nan]), "all": np.array([2.0, np.nan]), "ratio": np.array([0.5, np.nan])})
    assert intervals(rows, ratio)["ratio"].value == 0.5


@pytest.mark.parametrize("x", [[np.nan, np.nan], []])
def test_nothing_scored_has_no_value_and_no_interval(x):
    assert np.isnan(mean(x)).all()
    rows = Rows({name: np.array(x, float) for name in ("hit", "all", "ratio")})
    assert np.isnan(intervals(rows, ratio)["ratio"]).all()


def test_one_value_has_no_width():
    assert mean([2.5]) == (2.5, 2.5, 2.5)


def test_bags_are_drawn_whole():
    values = sample(25)
    bags = np.repeat(np.arange(25), 4)
    whole = intervals(Rows({"x": np.repeat(values, 4)}, None, bags))["x"]
    assert whole == pytest.approx(mean(values), abs=1e-12)
    loose = mean(np.repeat(values, 4))
    # rows that say the same four times are no more evidence: half the width if taken for independent
    assert (whole.high - whole.low) / (loose.high - loose.low) == pytest.approx(2, abs=0.3)


def test_bags_of_unequal_size_and_odd_numbers():
    bags = np.array([7] * 3 + [2] * 5 + [90] + [11] * 2 + list(range(100, 110)))
    rows = ratio_rows(len(bags), 4, bags)
    found = intervals(rows, ratio, resamples=120)["ratio"]
    names = sorted(set(bags.tolist()))
    hit = np.array([rows.columns["hit"][bags == b].sum() for b in names])
    every = np.array([rows.columns["all"][bags == b].sum() for b in names])
    drawn = [(w @ hit) / (w @ every) for chunk in resampled_weights(len(names), 120, 0) for w in chunk]
    assert found.value == pytest.approx(hit.sum() / every.sum())
    assert found[1:] == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=1e-12)


def test_few_galleries_have_a_value_and_no_interval():
    for n in (1, MIN_BAGS - 1):
        found = intervals(Rows({"x": np.arange(3.0 * n)}, None, np.repeat(np.arange(n), 3)))["x"]
        assert found.value == (3 * n - 1) / 2
        assert np.isnan(found[1:]).all()
    enough = intervals(Rows({"x": np.arange(30.0)}, None, np.repeat(np.arange(MIN_BAGS), 3)))["x"]
    assert enough.low < enough.value < enough.high


def test_equal_runs_differ_by_exactly_nothing():
    for rows, reduce in ((Rows({"x": sample()}), None), (ratio_rows(), ratio)):
        found = paired_differences(rows, rows, reduce)
        assert all(tuple(interval) == (0, 0, 0) for interval in found.values())


def test_a_constant_shift_is_found_without_doubt():
    x = sample()
    found = paired_differences(Rows({"x": x + 0.25}), Rows({"x": x}))["x"]
    assert tuple(found) == pytest.approx((0.25, 0.25, 0.25), abs=1e-12)


def test_a_paired_difference_is_the_interval_of_the_differences():
    first, second = sample(seed=1), sample(seed=2)
    found = paired_differences(Rows({"x": first}), Rows({"x": second}))["x"]
    assert tuple(found) == pytest.approx(tuple(mean(first - second)), abs=1e-12)
    back = paired_differences(Rows({"x": second}), Rows({"x": first}))["x"]
    assert (back.value, back.low, back.high) == pytest.approx((-found.value, -found.high, -found.low), abs=1e-12)


def test_a_pair_with_a_hole_is_left_out_of_both():
    first, second = np.array([1.0, 2, np.nan, 4]), np.array([0.0, np.nan, 5, 1])
    found = paired_differences(Rows({"x": first}), Rows({"x": second}))["x"]
    assert found.value == 2  # (1 - 0 + 4 - 1) / 2
    with pytest.raises(ValueError, match="different columns"):
        paired_differences(Rows({"x": first}), Rows({"y": second}))


def test_a_paired_difference_of_few_galleries_has_no_interval():
    bags = np.repeat(np.arange(3), 2)
    found = paired_differences(Rows({"x": np.ones(6)}, None, bags), Rows({"x": np.zeros(6)}, None, bags))["x"]
    assert found.value == 1
    assert np.isnan(found[1:]).all()
