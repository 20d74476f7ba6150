"""What holds for metrics of several captions on any texts."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from capbench.metrics.cider import Cider
from capbench.metrics.diversity import Diversity
from capbench.metrics.oracle import OracleCider
from capbench.metrics.self_cider import SelfCider
from capbench.metrics.sets import one_of_each
from capbench.ragged import Ragged, Words

WORDS = st.sampled_from(["a", "b", "c", "dog", "é", "日本", "-lrb-"])
TEXTS = st.lists(WORDS, max_size=7).map(tuple)
METRICS = (Diversity(), SelfCider(), SelfCider("d"), OracleCider(), OracleCider("plain"))


@st.composite
def items(draw):
    """[(k captions, some references)] and an order of them."""
    k = draw(st.integers(2, 4))
    one = st.tuples(st.lists(TEXTS, min_size=k, max_size=k), st.lists(TEXTS, min_size=1, max_size=3))
    drawn = draw(st.lists(one, min_size=2, max_size=5))
    return drawn, draw(st.permutations(range(len(drawn)))), draw(st.permutations(range(k)))


def sets(lists):
    offsets = np.cumsum([0, *map(len, lists)], dtype=np.int64)
    return Ragged(Words.of(text for own in lists for text in own), offsets)


def rows(metric, drawn):
    needs = [sets([own for own, _ in drawn]), sets([theirs for _, theirs in drawn])]
    return dict(metric.rows(*needs[: len(metric.needs)]))


@given(items())
def test_scores_are_within_their_bounds(drawn):
    for metric in METRICS:
        found = rows(metric, drawn[0])
        for name, column in metric.columns.items():
            assert np.isfinite(found[name]).all(), (metric, name)
            assert (found[name] >= column.low).all(), (metric, name)
            assert (found[name] <= column.high + 1e-9).all(), (metric, name)


@given(items())
def test_the_order_of_images_changes_nothing(drawn):
    images, order, _ = drawn
    for metric in METRICS:
        plain, moved = rows(metric, images), rows(metric, [images[i] for i in order])
        for name in plain:
            np.testing.assert_allclose(moved[name], plain[name][list(order)], rtol=0, atol=1e-6, err_msg=name)


@given(items())
def test_the_order_of_captions_changes_no_score(drawn):
    images, _, order = drawn
    moved = [([own[i] for i in order], theirs) for own, theirs in images]
    for metric in (Diversity(), SelfCider(), OracleCider()):
        before, after = rows(metric, images), rows(metric, moved)
        for name in metric.columns:
            np.testing.assert_allclose(after[name], before[name], rtol=0, atol=1e-6, err_msg=name)


@given(items())
def test_the_same_caption_again_and_again_is_not_diverse(drawn):
    same = [([own[0]] * len(own), theirs) for own, theirs in drawn[0]]
    assert (rows(SelfCider(), same)["self_cider"] < 1e-6).all()
    best = rows(OracleCider(), same)
    np.testing.assert_allclose(best["oracle_cider"], best["mean_cider"], rtol=0, atol=1e-12)


@given(items())
def test_the_best_is_not_below_any(drawn):
    images = drawn[0]
    captions, references = sets([own for own, _ in images]), sets([theirs for _, theirs in images])
    best = OracleCider().rows(captions, references)["oracle_cider"]
    for number in range(len(images[0][0])):
        assert (best >= Cider().rows(one_of_each(captions, number), references)["cider"]).all()
