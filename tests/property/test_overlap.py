"""What holds for BLEU, ROUGE-L and CIDEr on any texts."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capbench.metrics.bleu import Bleu
from capbench.metrics.cider import Cider
from capbench.metrics.ngrams import Joined
from capbench.metrics.rouge import RougeL
from capbench.ragged import Ragged, Words

METRICS = (Bleu(), RougeL(), Cider(), Cider("plain"))
WORDS = st.sampled_from(["a", "b", "c", "dog", "é", "日本", "-lrb-"])
TEXTS = st.lists(WORDS, max_size=9).map(tuple)
ITEMS = st.lists(st.tuples(TEXTS, st.lists(TEXTS, min_size=1, max_size=4)), min_size=2, max_size=7)
MIXED = ITEMS.flatmap(
    lambda items: st.tuples(st.just(items), st.lists(TEXTS, max_size=2), st.permutations(range(len(items))))
)


def words(items):
    references = Words.of(text for _, texts in items for text in texts)
    offsets = np.cumsum([0, *(len(texts) for _, texts in items)], dtype=np.int64)
    return Words.of(candidate for candidate, _ in items), Ragged(references, offsets)


def rows(metric, items):
    return metric.rows(*words(items))


@given(MIXED)
def test_the_order_of_items_changes_no_bit(drawn):
    items, _, order = drawn
    for metric in METRICS:
        plain, moved = rows(metric, items), rows(metric, [items[i] for i in order])
        for name in plain:
            assert moved[name].tolist() == plain[name][order].tolist(), (metric, name)


@given(MIXED)
def test_items_without_references_change_no_bit(drawn):
    items, orphans, _ = drawn
    for metric in METRICS:
        plain = rows(metric, items)
        more = rows(metric, [*((text, []) for text in orphans), *items])
        for name in plain:
            assert np.isnan(more[name][: len(orphans)]).all()
            assert more[name][len(orphans) :].tolist() == plain[name].tolist(), (metric, name)


@given(ITEMS)
def test_bounds(items):
    for metric in METRICS:
        found = rows(metric, items)
        for name, column in metric.columns.items():
            assert (found[name] >= column.low).all(), (metric, name)
            assert (found[name] <= column.high).all(), (metric, name)


@given(ITEMS)
def test_one_more_copy_of_a_reference_costs_nothing(items):
    twice = [(candidate, [*texts, texts[0]]) for candidate, texts in items]
    for metric in (Bleu(), RougeL()):
        plain, more = rows(metric, items), rows(metric, twice)
        for name in plain:
            assert more[name].tolist() == plain[name].tolist(), (metric, name)


@given(ITEMS)
def test_a_candidate_that_is_a_reference_has_all_its_words(items):
    copied = [(texts[0], texts) for _, texts in items]
    assert rows(RougeL(), copied)["rouge_l"].tolist() == [1.0] * len(items)
    found = rows(Bleu(), copied)
    for n in (1, 2, 3, 4):
        assert found[f"correct{n}"].tolist() == found[f"guess{n}"].tolist()


@given(ITEMS, st.integers(1, 30))
def test_chunks_change_no_bit(items, size):
    whole = Joined.chunks
    plain = [rows(metric, items) for metric in METRICS]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Joined, "chunks", lambda self: whole(self, size))
        patch.setattr("capbench.metrics.ngrams.Grams.counts.__defaults__", (size,))
        for metric, found in zip(METRICS, plain, strict=True):
            for name, column in rows(metric, items).items():
                assert column.tolist() == found[name].tolist(), (metric, name)


@settings(deadline=None)
@given(ITEMS)
def test_equal_to_the_reference_implementation(items):
    bleu = pytest.importorskip("pycocoevalcap.bleu.bleu", reason="pip install 'capbench[coco]'")
    rouge = pytest.importorskip("pycocoevalcap.rouge.rouge")
    cider = pytest.importorskip("pycocoevalcap.cider.cider")
    gts = {i: [" ".join(text) for text in texts] for i, (_, texts) in enumerate(items)}
    res = {i: [" ".join(candidate)] for i, (candidate, _) in enumerate(items)}
    with contextlib.redirect_stdout(io.StringIO()):
        _, each = bleu.Bleu(4).compute_score(gts, res)
    expected = {f"bleu{n + 1}": column for n, column in enumerate(each)}
    expected["rouge_l"] = rouge.Rouge().compute_score(gts, res)[1]
    if any(text for _, texts in items for text in texts):  # it fails on a set without a word
        expected["cider"] = cider.Cider().compute_score(gts, res)[1]
    for metric in METRICS[:3]:
        found = rows(metric, items)
        for name in set(metric.columns) & set(expected):
            np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-9, err_msg=name)
