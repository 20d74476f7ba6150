"""Div-n and mutual BLEU: published toy values, sums worked by hand, and sets that cannot be compared."""

from __future__ import annotations

import math

import numpy as np
import pytest

from capbench.errors import BadData
from capbench.metrics.diversity import Diversity
from capbench.metrics.sets import each_and_others, side_by_side, texts_of
from capbench.needs import AllCaptions, Tokens
from capbench.ragged import Ragged, Words
from capbench.stats import intervals
from capbench.types import Rows

TOY = (
    ("a dog runs on grass", "a brown dog is running", "the dog plays in the park"),
    ("two cats sleep on a bed", "two cats on a bed", "a pair of cats sleeping"),
)


def sets(*items):
    offsets = np.cumsum([0, *map(len, items)], dtype=np.int64)
    return Ragged(Words.of(text.split() for texts in items for text in texts), offsets)


def rows(*items):
    return Diversity("whitespace").rows(sets(*items))


def corpus(*items):
    found = intervals(Rows(rows(*items)), Diversity().reduce, resamples=20)
    return {name: found[name].value for name in Diversity.columns}


def test_the_values_of_the_authors_scripts_on_two_images():
    found = corpus(*TOY)
    wanted = {"div1": 0.65625, "div2": 0.71875, "mbleu1": 0.536364, "mbleu2": 0.324305, "mbleu3": 0.221377}
    assert found == pytest.approx(wanted | {"mbleu4": 3.5708e-05}, abs=1e-6)
    assert found["mbleu4"] == pytest.approx(3.5708e-05, abs=5e-10)


def test_div_by_hand():
    # first image: 12 different words of 16 and 13 different pairs, which are divided by words too
    assert rows(*TOY)["div1"] == pytest.approx([12 / 16, 9 / 16], abs=1e-7)
    assert rows(*TOY)["div2"] == pytest.approx([13 / 16, 10 / 16], abs=1e-7)


def test_captions_that_are_all_the_same():
    found = rows(("a b c d", "a b c d"), ("x", "x"))
    assert found["div1"] == pytest.approx([1 / 2, 1 / 2], abs=1e-6)
    assert found["div2"] == pytest.approx([3 / 8, 0], abs=1e-6)
    assert found["mbleu4"][0] == pytest.approx(1, abs=1e-8)


def test_mutual_bleu_by_hand():
    # "a b" against "a b c": precision 1, brevity exp(1 - 3/2); "a b c" against "a b": 2 of 3 words
    found = rows(("a b", "a b c"), ("d e", "d e"))
    assert found["mbleu1"] == pytest.approx([(math.exp(-0.5) + 2 / 3) / 2, 1], abs=1e-6)
    # of the corpus: caption 0 has 4 of 4 words right and 4 words for 5; caption 1 has 4 of 5 words right
    assert corpus(("a b", "a b c"), ("d e", "d e"))["mbleu1"] == pytest.approx(
        (math.exp(1 - 5 / 4) + 4 / 5) / 2, abs=1e-6
    )


def test_three_captions_have_the_best_of_two_as_their_reference():
    # "a b" has its words in "a x" and "b y": clipped at the reference that has most, so both count
    assert rows(("a b", "a x", "b y"))["mbleu1"][0] == pytest.approx((1 + 0.5 + 0.5) / 3, abs=1e-6)


def test_empty_captions_are_no_error_and_not_diverse():
    found = rows(("", ""), ("", "a"))
    assert all(np.isfinite(column).all() for column in found.values())
    assert found["div1"] == pytest.approx([0, 1], abs=1e-5)


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([("a",), ("b",)], "diversity: 1 captions an image"),
        ([("a", "b"), ("b",)], "diversity: 1 or 2 captions an image"),
        ([("a", "b"), ()], "diversity: 0 or 2 captions an image"),
    ],
)
def test_sets_that_cannot_be_compared(items, words):
    with pytest.raises(BadData, match=words) as caught:
        rows(*items)
    assert "two or more" in caught.value.cure


def test_nothing_at_all():
    assert {len(column) for column in rows().values()} == {0}


def test_what_it_asks_for():
    assert Diversity().needs == {"captions": Tokens(AllCaptions(), "ptb")}


def test_ten_thousand_words_and_odd_characters():
    found = rows(("w " * 10_000, "\ud800 \U0001f600 é"), ("a", "b"))
    assert found["div1"][0] == pytest.approx(4 / 10_003, abs=1e-6)


def test_the_other_captions_of_each():
    pairs = list(each_and_others(sets(("a", "b", "c"), ("d", "e", "f")), 3))
    assert [(list(own), list(others.values)) for own, others in pairs] == [
        ([("a",), ("d",)], [("b",), ("c",), ("e",), ("f",)]),
        ([("b",), ("e",)], [("a",), ("c",), ("d",), ("f",)]),
        ([("c",), ("f",)], [("a",), ("b",), ("d",), ("e",)]),
    ]
    assert all(others.offsets.tolist() == [0, 2, 4] for _, others in pairs)


def test_two_lists_side_by_side():
    both = side_by_side(sets(("a b", "c"), ("a",)), sets((), ("d a", "", "e")))
    assert list(both.values) == [("a", "b"), ("c",), ("a",), ("d", "a"), (), ("e",)]
    assert both.offsets.tolist() == [0, 2, 6]
    texts = texts_of(both)
    assert (texts.items.tolist(), texts.lengths.tolist()) == ([0, 0, 1, 1, 1, 1], [2, 1, 1, 2, 0, 1])
