"""Tests of significance against scipy, statsmodels and sacrebleu, and against sums worked by hand."""

import gzip
import itertools
import json
import math

import numpy as np
import pytest
from sacrebleu.metrics import BLEU
from sacrebleu.significance import PairedTest
from scipy import stats as scipy_stats
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
from statsmodels.stats.multitest import multipletests

from capbench.metrics.bleu import Bleu
from capbench.needs import Captions, Tokens
from capbench.paired import Matched, bootstrapped, differences, prepare, swaps
from capbench.ragged import Ragged, ragged
from capbench.significance import detectable, holm, mcnemar, power_of, units_needed
from capbench.stats import MIN_BAGS, UnitSums, intervals, intervals_together, paired_differences
from capbench.types import Rows

NAN = float("nan")


def one(first, second, reduce=None, columns=("x",), bags=None, **options):
    """The differences of two systems in one metric, by column."""
    rows = {
        i: r if isinstance(r, Rows) else Rows({"x": np.asarray(r, float)}, None, bags)
        for i, r in enumerate((first, second))
    }
    found = differences([Matched(rows, reduce, columns)], [(0, 1)], **options)
    return {column: found[0, (0, 1), column] for column in columns}


def pair(n=60, shift=0.0, seed=0):
    random = np.random.default_rng(seed)
    base = random.exponential(1, n)
    return base + random.normal(shift, 1, n), base


@pytest.mark.parametrize("n", [40, 300])
@pytest.mark.parametrize("shift", [0.0, 0.2, 0.35])
def test_the_permutation_p_is_that_of_scipy(n, shift):
    first, second = pair(n, shift)
    found = one(first, second, test="permutation")["x"]
    theirs = scipy_stats.permutation_test(
        (first, second), lambda a, b, axis: (a - b).mean(axis=axis), permutation_type="samples", vectorized=True,
        n_resamples=9_999, rng=np.random.default_rng(1),
    )  # fmt: skip
    # two Monte-Carlo estimates of one p with 10,000 draws each; scipy doubles one tail, we count both
    tolerance = 4 * math.sqrt(2 * theirs.pvalue * (1 - theirs.pvalue) / 10_000) + 2e-4
    assert found.p == pytest.approx(theirs.pvalue, abs=tolerance)
    assert found.value == pytest.approx(theirs.statistic, abs=1e-12)
    assert found.test == "permutation"


def test_the_permutation_p_is_that_of_every_swap_by_hand():
    gaps = np.array([0.3, -0.1, 0.4, 0.25, 0.05, 0.2, -0.15, 0.35])
    every = [abs(np.dot(signs, gaps)) for signs in itertools.product((1, -1), repeat=8)]
    exact = np.mean(np.array(every) >= abs(gaps.sum()) - 1e-12)
    found = one(gaps, np.zeros(8), test="permutation")["x"]
    assert found.p == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 10_000))


def test_the_larger_p_of_two_tests_counts():
    first, second = pair(80, 0.25)
    both = one(first, second)["x"]
    alone = [one(first, second, test=test)["x"] for test in ("permutation", "bootstrap")]
    assert (both.p_permutation, both.p_bootstrap) == (alone[0].p, alone[1].p)
    assert (both.p, both.test) == (max(alone[0].p, alone[1].p), "both")
    assert np.isnan([alone[0].p_bootstrap, alone[1].p_permutation]).all()


def test_a_score_that_depends_on_length_needs_the_bootstrap():
    # BLEU-1: one system says a word less on a tenth of the items and gains precision; whether the corpus is then
    # too short for its references depends on which images were taken
    random = np.random.default_rng(0)
    words = random.integers(6, 14, 2000).astype(float)
    hits = np.floor(0.7 * words + random.random(2000))
    references = words + random.normal(-0.1, 2.5, 2000)
    fewer = (np.arange(2000) % 10 == 0).astype(float)

    def rows(cut):
        columns = {"hits": hits - 0.55 * cut, "words": words - cut, "references": references, "score": np.zeros(2000)}
        return Rows(columns)

    def fold(sums):
        brevity = np.exp(np.minimum(0, 1 - sums["references"] / sums["words"]))
        return {"score": sums["hits"] / sums["words"] * brevity}

    found = one(rows(fewer), rows(0 * fewer), fold, ("score",))["score"]
    assert found.p_permutation < 0.001
    assert found.p == found.p_bootstrap > 0.05
    assert found.low < 0 < found.high


def test_swaps_are_fair_coins():
    drawn = np.concatenate(list(swaps(33, 250, 0)))
    assert drawn.shape == (250, 33)
    assert set(np.unique(drawn)) == {0.0, 1.0}
    assert drawn.mean() == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(drawn.size))


def test_the_interval_is_that_of_a_paired_bootstrap_by_scipy():
    first, second = pair(200, 0.3)
    found = one(first, second)["x"]
    theirs = scipy_stats.bootstrap(
        (first, second), lambda a, b, axis: (a - b).mean(axis=axis), paired=True, method="percentile",
        vectorized=True, n_resamples=9_999, rng=np.random.default_rng(3),
    )  # fmt: skip
    half = (theirs.confidence_interval.high - theirs.confidence_interval.low) / 2
    assert (found.low, found.high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.07 * half)
    assert found.error == pytest.approx(theirs.standard_error, rel=0.04)
    assert found.error == pytest.approx((first - second).std() / math.sqrt(200), rel=0.03)


def test_the_bootstrap_p_is_about_that_of_the_t_test():
    first, second = pair(400, 0.12)
    found = one(first, second, test="bootstrap")["x"]
    assert found.test == "bootstrap"
    assert found.p == pytest.approx(scipy_stats.ttest_rel(first, second).pvalue, abs=0.012)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (5, 5), (3, 12), (40, 61), (0, 30), (700, 810), (4000, 4100)])
def test_mcnemar_is_that_of_statsmodels_and_binomtest(b, c):
    theirs = their_mcnemar([[10, b], [c, 10]], exact=True).pvalue if b + c else 1.0
    assert mcnemar(b, c) == pytest.approx(theirs, abs=1e-10)
    if b + c:
        assert mcnemar(c, b) == pytest.approx(scipy_stats.binomtest(b, b + c).pvalue, abs=1e-10)


def test_a_column_of_hits_has_mcnemars_test():
    first, second = np.array([1.0] * 20 + [0.0] * 10), np.array([1.0] * 5 + [0.0] * 23 + [1.0] * 2)
    found = one(first, second)["x"]
    assert (found.test, found.higher, found.equal, found.lower) == ("mcnemar", 15, 13, 2)
    assert found.p == pytest.approx(2 * sum(math.comb(17, k) for k in range(3)) / 2**17, abs=1e-12)
    half = first.copy()
    half[0] = 0.5  # an expected value of tied pictures: not 0 or 1
    assert one(half, second)["x"].test == "both"
    assert one(first, second, bags=np.repeat(np.arange(10), 3))["x"].test == "both"
    assert one(first, second, bags=np.arange(30)[::-1].copy())["x"].test == "mcnemar"


@pytest.mark.parametrize("seed", range(5))
def test_holm_is_that_of_statsmodels(seed):
    p = np.random.default_rng(seed).random(12) ** 3
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], abs=1e-12)


def test_holm_by_hand_and_what_is_not_tested():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    found = holm([NAN, 0.02, NAN, 0.03])
    assert np.isnan([found[0], found[2]]).all()
    assert [found[1], found[3]] == pytest.approx([0.04, 0.04])
    assert holm([]) == []


def test_power_by_hand():
    assert detectable(1.0) == pytest.approx(1.959964 + 0.841621, abs=1e-5)
    assert power_of(detectable(0.3), 0.3) == pytest.approx(0.8, abs=1e-4)
    assert power_of(0.0, 0.3) == pytest.approx(0.05)
    assert (power_of(0.0, 0.0), power_of(0.1, 0.0)) == (0.0, 1.0)
    assert units_needed(detectable(0.3), 0.3, 1000) == 1000
    assert units_needed(detectable(0.3) / 2, 0.3, 1000) == 4000
    assert math.isinf(units_needed(0.0, 0.3, 1000))
    assert math.isnan(units_needed(0.1, math.nan, 1000))  # too few galleries to know


def test_power_is_that_of_statsmodels():
    from statsmodels.stats.power import TTestPower

    # the t distribution of 399 degrees of freedom is nearly normal
    assert power_of(0.1, 1 / math.sqrt(400)) == pytest.approx(TTestPower().power(0.1, 400, 0.05), abs=0.003)


def test_the_effect_is_cohens_d_of_the_differences():
    first, second = pair(500, 0.3)
    found = one(first, second)["x"]
    gap = first - second
    assert found.effect == pytest.approx(gap.mean() / gap.std(), rel=0.03)
    assert found.detectable(125) == pytest.approx(2 * found.detectable(), rel=1e-9)
    assert one(first, first)["x"].effect == 0


@pytest.fixture(scope="module")
def bleu_case(shared):
    """Two systems on 150 photographs, cut at spaces."""

    def lines(name):
        with gzip.open(shared / "coco" / name, "rt", encoding="utf-8") as file:
            return [json.loads(line) for line in itertools.islice(file, 150)]

    references = {
        row["image_id"]: [" ".join(r.lower().split()) for r in row["refs"][:5]]
        for row in lines("karpathy_test_refs.jsonl.gz")
    }
    outputs = lines("system_outputs_karpathy_test.jsonl.gz")
    refs = [references[row["image_id"]] for row in outputs]
    systems = [[row["outputs"][name] for row in outputs] for name in ("Vinyals-et-al-2017", "Liu-et-al-2017")]
    return systems, refs


def word_table(texts):
    return Tokens(Captions(), "whitespace").gather([tuple(text.split()) for text in texts])


def bleu_rows(system, refs):
    joined = ragged(refs)
    return Rows(Bleu().rows(word_table(system), Ragged(word_table(joined.values), joined.offsets)))


def test_bleu_is_judged_as_sacrebleu_judges_it(bleu_case):
    systems, refs = bleu_case
    found = one(*(bleu_rows(s, refs) for s in systems), Bleu().reduce, ("bleu4",), resamples=4000, test="permutation")[
        "bleu4"
    ]
    streams = [list(stream) for stream in zip(*refs, strict=True)]
    named = list(zip(("baseline", "system"), systems, strict=True))
    metrics = {"BLEU": BLEU(tokenize="none", smooth_method="none", references=streams)}
    _, scores = PairedTest(named, metrics, None, test_type="ar", n_samples=4000)()
    first, second = scores["BLEU"]
    assert (found.first, found.second) == pytest.approx((first.score / 100, second.score / 100), abs=1e-8)
    spread = math.sqrt(2 * second.p_value * (1 - second.p_value) / 4000)
    assert found.p == pytest.approx(second.p_value, abs=4 * spread + 1e-3)
    assert 0.001 < second.p_value < 0.999  # a case in which both say something
    # its bootstrap test counts |d*| - mean |d*| > |d|: the same of our resamples
    _, scores = PairedTest(named, metrics, None, test_type="bs", n_samples=4000)()
    metric = Matched(dict(enumerate(bleu_rows(s, refs) for s in systems)), Bleu().reduce, ("bleu4",))
    (drawn,) = bootstrapped(prepare([metric], [0], [(0, 1)], len(refs)), 4000, 0).values()
    size = np.abs(np.concatenate(drawn))
    theirs = scores["BLEU"][1].p_value
    ours = np.mean(size - size.mean() > abs(found.value))
    assert ours == pytest.approx(theirs, abs=4 * math.sqrt(2 * theirs * (1 - theirs) / 4000))
    assert scores["BLEU"][0].score == pytest.approx(100 * found.first, abs=1e-6)


def test_an_identical_run_differs_by_nothing_and_is_never_significant():
    random = np.random.default_rng(0)
    x = random.normal(5, 2, 700)
    for test in ("permutation", "bootstrap"):
        found = one(x, x.copy(), test=test)["x"]
        assert (found.value, found.low, found.high, found.p, found.error) == (0, 0, 0, 1, 0)
        assert (found.higher, found.equal, found.lower) == (0, 700, 0)


def test_the_interval_is_that_of_paired_differences_and_the_other_way_round_it_is_negated():
    first, second = pair(80, 0.1)
    found, back = one(first, second)["x"], one(second, first)["x"]
    alone = paired_differences(Rows({"x": first}), Rows({"x": second}), None, 10_000)["x"]
    assert (found.value, found.low, found.high) == pytest.approx(tuple(alone), abs=1e-12)
    assert (back.value, back.low, back.high) == pytest.approx((-found.value, -found.high, -found.low), abs=1e-12)
    assert back.p == found.p
    assert (back.higher, back.lower) == (found.lower, found.higher)


def test_a_system_with_holes_changes_only_its_own_pairs():
    random = np.random.default_rng(4)
    a, b, c = (random.normal(k / 5, 1, 90) for k in range(3))
    holes = c.copy()
    holes[:30] = NAN
    pairs = [(0, 1), (0, 2), (1, 2)]

    def all_pairs(third):
        rows = {i: Rows({"x": x}) for i, x in enumerate((a, b, third))}
        return differences([Matched(rows, None, ("x",))], pairs, resamples=2000)

    full, partly = all_pairs(c), all_pairs(holes)
    assert partly[0, (0, 1), "x"] == full[0, (0, 1), "x"]
    found = partly[0, (0, 2), "x"]
    assert (found.n, found.only_first, found.only_second) == (60, 30, 0)
    assert found.first == pytest.approx(a[30:].mean())
    assert found.value == pytest.approx((a - c)[30:].mean())
    assert found.error == pytest.approx((a - c)[30:].std() / math.sqrt(60), rel=0.1)


def test_metrics_that_one_system_lacks_are_left_out_of_its_pairs():
    random = np.random.default_rng(5)
    x = [random.normal(0, 1, 50) for _ in range(4)]
    metrics = [
        Matched({0: Rows({"x": x[0]}), 1: Rows({"x": x[1]}), 2: Rows({"x": x[2]})}, None, ("x",)),
        Matched({0: Rows({"x": x[3]}), 2: Rows({"x": x[1]})}, None, ("x",)),
    ]
    found = differences(metrics, [(0, 1), (0, 2), (1, 2)], resamples=300)
    assert set(found) == {(0, (0, 1), "x"), (0, (0, 2), "x"), (0, (1, 2), "x"), (1, (0, 2), "x")}
    assert found[1, (0, 2), "x"].value == pytest.approx((x[3] - x[1]).mean())


def test_rows_of_one_gallery_are_swapped_together():
    random = np.random.default_rng(6)
    gaps = random.normal(0.3, 1, 24)
    bags = np.repeat(np.arange(24), 5)
    whole = one(np.repeat(gaps, 5), np.zeros(120), bags=bags)["x"]
    single = one(gaps, np.zeros(24))["x"]
    assert (whole.value, whole.p, whole.units) == (pytest.approx(single.value), single.p, 24)
    assert (whole.low, whole.high) == pytest.approx((single.low, single.high))
    loose = one(np.repeat(gaps, 5), np.zeros(120))["x"]
    assert loose.p < whole.p / 2  # rows that say the same five times would pass for evidence


def test_too_few_galleries_have_no_test():
    bags = np.repeat(np.arange(MIN_BAGS - 1), 4)
    found = one(np.ones(len(bags)), np.zeros(len(bags)) + 0.5, bags=bags)["x"]
    assert found.value == 0.5
    assert np.isnan([found.low, found.high, found.p, found.error]).all()
    assert found.test == ""


def test_nothing_in_common_is_no_difference():
    found = one([1.0, NAN], [NAN, 1.0])["x"]
    assert (found.n, found.only_first, found.only_second) == (0, 1, 1)
    assert np.isnan([found.value, found.p]).all()


def test_rounding_is_no_win():
    x = np.full(20, 0.1 + 0.2)
    found = one(x, np.full(20, 0.3))["x"]
    assert (found.higher, found.equal, found.lower) == (0, 20, 0)
    assert (found.value, found.p) == (0, 1)


def test_the_same_seed_is_the_same_again():
    first, second = pair(50, 0.3)
    assert one(first, second, resamples=500) == one(first, second, resamples=500)
    assert one(first, second, resamples=500, seed=1)["x"].low != one(first, second, resamples=500)["x"].low


def test_metrics_scored_together_have_the_intervals_they_have_alone():
    random = np.random.default_rng(7)
    parts = [
        (Rows({"x": random.normal(0, 1, 120)}), None),
        (Rows({"hit": random.random(120), "all": random.random(120) + 1, "ratio": random.random(120)}),
         lambda sums: {"ratio": sums["hit"] / sums["all"]}),
        (Rows({"x": random.random(60)}, None, np.repeat(np.arange(20), 3)), None),
        (Rows({"x": random.random(20)}, None, np.repeat(np.arange(2), 10)), None),
    ]  # fmt: skip
    together = intervals_together([UnitSums.of(*part) for part in parts], 400)
    for (rows, reduce), found in zip(parts, together, strict=True):
        for name, interval in intervals(rows, reduce, 400).items():
            assert tuple(found[name]) == pytest.approx(tuple(interval), abs=1e-13, nan_ok=True)
