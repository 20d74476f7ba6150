"""Correlations against scipy, by hand, and under resampling against rows that are written out."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from capbench.correlation import accuracy, bootstrapped, correlations, resamples_for
from capbench.stats import MIN_BAGS, RESAMPLES


def theirs(x, y):
    return {
        "tau_b": scipy_stats.kendalltau(x, y, variant="b")[0],
        "tau_c": scipy_stats.kendalltau(x, y, variant="c")[0],
        "pearson": scipy_stats.pearsonr(x, y)[0],
        "spearman": scipy_stats.spearmanr(x, y)[0],
    }


def ours(x, y):
    return {name: value[0] for name, value in correlations(np.asarray(x, float), np.asarray(y, float)).items()}


def columns(n, levels_x, levels_y, seed):
    random = np.random.default_rng(seed)
    x = random.normal(size=n)
    y = x + random.normal(size=n)
    cut = lambda v, k: v if k == 0 else np.floor(v.argsort().argsort() * k / n)  # noqa: E731
    return cut(x, levels_x), cut(y, levels_y)


@pytest.mark.parametrize("levels_x", [0, 2, 3, 17])
@pytest.mark.parametrize("levels_y", [0, 2, 4, 9])
@pytest.mark.parametrize("n", [7, 100, 1001])
def test_it_is_scipy(n, levels_x, levels_y):
    x, y = columns(n, levels_x, levels_y, n + levels_x)
    assert ours(x, y) == pytest.approx(theirs(x, y), abs=1e-12)
    assert ours(y, x) == pytest.approx(theirs(y, x), abs=1e-12)
    assert ours(-x, y) == pytest.approx({k: -v for k, v in ours(x, y).items()}, abs=1e-12)


def test_by_hand():
    # pairs: (1,2) concordant, (1,3) concordant, (2,3) discordant, no tie
    assert ours([1, 2, 3], [1, 3, 2]) == pytest.approx(
        {"tau_b": 1 / 3, "tau_c": 1 / 3, "pearson": 0.5, "spearman": 0.5}
    )
    # x: 1 1 2, y: 1 2 2. One pair tied in x, one in y, one concordant: b = 1 / sqrt(2 * 2), c = 2 * 2 / (9 * 1)
    found = ours([1, 1, 2], [1, 2, 2])
    assert found["tau_b"] == pytest.approx(1 / 2)
    assert found["tau_c"] == pytest.approx(4 / 9)
    # ranks 1.5 1.5 3 and 1 2.5 2.5
    assert found["spearman"] == pytest.approx(0.5)


def test_tau_b_and_tau_c_differ_where_one_side_is_coarse():
    x, y = columns(2000, 3, 0, 1)
    found = ours(x, y)
    assert found == pytest.approx(theirs(x, y), abs=1e-12)
    assert abs(found["tau_b"] - found["tau_c"]) > 0.02


def test_perfect_agreement_is_one():
    x = np.arange(50.0)
    assert ours(x, x**3)["tau_b"] == ours(x, x**3)["spearman"] == 1
    assert ours(x, -x) == pytest.approx(dict.fromkeys(("tau_b", "tau_c", "pearson", "spearman"), -1))


@pytest.mark.parametrize(("x", "y"), [([1, 1, 1], [1, 2, 3]), ([0.1, 0.1, 0.1], [1, 2, 3]), ([1], [2]), ([], [])])
def test_a_constant_column_has_no_correlation(x, y):
    assert np.isnan(list(ours(x, y).values())).all()
    assert np.isnan(list(ours(y, x).values())).all()


def test_weights_are_rows_written_out():
    random = np.random.default_rng(5)
    x, y = columns(60, 0, 4, 2)
    weights = random.poisson(1.0, (25, 60)).astype(float)
    found = correlations(x, y, weights)
    for k, counts in enumerate(weights.astype(int)):
        wanted = theirs(np.repeat(x, counts), np.repeat(y, counts))
        assert {name: value[k] for name, value in found.items()} == pytest.approx(wanted, abs=1e-12)


def test_accuracy_is_strict_and_a_tie_is_half_only_by_its_own_name():
    found = accuracy(np.array([0.5, 0.0, -1.0, 2.0]))
    assert {k: v[0] for k, v in found.items()} == {"accuracy": 0.5, "accuracy_ties_half": 0.625}
    assert np.isnan(accuracy(np.zeros(0))["accuracy"]).all()


def test_the_first_caption_wins_a_tie_only_by_that_name():
    first = np.array([1.0, 1.0, 0.0, 0.0])
    assert accuracy(np.array([0.0, -1.0, 0.0, 2.0]), first=first)["accuracy_ties_first"][0] == 0.5


def test_clusters_are_drawn_whole():
    x, y = columns(80, 0, 0, 3)
    alone, _ = bootstrapped(lambda w: correlations(x, y, w), np.arange(80))
    wide = np.repeat(x, 4), np.repeat(y, 4)
    whole, _ = bootstrapped(lambda w: correlations(*wide, w), np.repeat(np.arange(80), 4))
    loose, _ = bootstrapped(lambda w: correlations(*wide, w), np.arange(320))
    assert whole["pearson"] == pytest.approx(alone["pearson"], abs=1e-9)
    ratio = (whole["pearson"].high - whole["pearson"].low) / (loose["pearson"].high - loose["pearson"].low)
    assert ratio == pytest.approx(2, abs=0.4)


def test_the_interval_is_that_of_a_loop():
    x, y = columns(40, 0, 4, 4)
    units = np.repeat(np.arange(20), 2)
    found, drawn = bootstrapped(lambda w: correlations(x, y, w), units, seed=3)
    random = np.random.default_rng(3)
    picks = np.concatenate([random.integers(0, 20, (100, 20)) for _ in range(10)])
    for k in (0, 1, 999):
        rows = np.concatenate([np.flatnonzero(units == u) for u in picks[k]])
        assert drawn["tau_b"][k] == pytest.approx(theirs(x[rows], y[rows])["tau_b"], abs=1e-12)
    assert found["tau_b"][1:] == pytest.approx(tuple(np.quantile(drawn["tau_b"], [0.025, 0.975])))


def test_few_clusters_have_no_interval():
    found, drawn = bootstrapped(lambda w: correlations(*columns(20, 0, 0, 1), w), np.arange(20) % (MIN_BAGS - 1))
    assert np.isnan(found["tau_b"][1:]).all()
    assert not np.isnan(found["tau_b"].value)
    assert len(drawn["tau_b"]) == 0


def test_many_rows_get_fewer_resamples():
    assert [resamples_for(n) for n in (0, 4000, 20_000, 50_000, 10**9)] == [RESAMPLES, RESAMPLES, 1000, 400, 200]
