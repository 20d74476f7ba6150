"""Self-CIDEr and best-of-k CIDEr on sums worked by hand, and their edges."""

from __future__ import annotations

import math

import numpy as np
import pytest

from capbench.errors import BadData, UsageError
from capbench.metrics.oracle import OracleCider
from capbench.metrics.self_cider import SelfCider
from capbench.needs import AllCaptions, References, Tokens
from capbench.ragged import Ragged, Words

VARIANTS = ("plain", "d")


def texts(lists):
    offsets = np.cumsum([0, *map(len, lists)], dtype=np.int64)
    return Ragged(Words.of(text.split() for own in lists for text in own), offsets)


def rows(metric, captions, references):
    return metric.rows(texts(captions), texts(references))


def score(captions, references=(["p q r s"], ["t u v w"]), variant="plain"):
    """Of the first image; the second has captions without a word in common with anything."""
    filler = [f"n{i} m{i}" for i in range(len(captions))]
    return rows(SelfCider(variant), [captions, filler], references)["self_cider"][0]


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_again_is_0_and_nothing_in_common_is_1(variant):
    # the square root lifts the rounding of an eigenvalue 0, of the order 1e-16, to 1e-8
    assert score(["a b c d"] * 3, variant=variant) == pytest.approx(0, abs=1e-7)
    assert score(["a b c d", "e f g h", "i j k l"], variant=variant) == pytest.approx(1, abs=1e-12)


def test_two_captions_by_hand():
    # unseen n-grams weigh ln 2 each. x y and x z: cosine 1/2 for words, 0 for pairs, so K = [[2, 1/2], [1/2, 2]] / 4
    high, low = math.sqrt(2.5 / 4), math.sqrt(1.5 / 4)
    assert score(["x y", "x z"]) == pytest.approx(-math.log(high / (high + low)) / math.log(2), abs=1e-12)


def test_weights_come_from_the_references():
    # "p" is in the references of both images: weight 0, so only y and z are left of the words, and both pairs are new
    assert score(["p y", "p z"], (["p"], ["p"])) == pytest.approx(1, abs=1e-12)
    # three images; x is in the references of two: weight ln 3/2 beside ln 3
    x, y = math.log(3 / 2), math.log(3)
    captions = [["x y", "x z"], ["k", "l"], ["k", "l"]]
    found = rows(SelfCider(), captions, [["x"], ["x"], ["o"]])["self_cider"][0]
    off = x * x / (x * x + y * y) / 4
    high, low = math.sqrt(0.5 + off), math.sqrt(0.5 - off)
    assert found == pytest.approx(-math.log(high / (high + low)) / math.log(2), abs=1e-12)


def test_what_variant_d_adds():
    # a a b has words, pairs and a triple: 3/4 with itself; a c has words and a pair: 2/4. They share the word a
    # only, min(2, 1) * 1 / (sqrt 5 * sqrt 2) with a c as the reference and min(1, 2) * 2 / (...) with a a b, and
    # their lengths differ by one pair. The eigenvalues of [[3/4, off], [off, 2/4]] are 5/8 +- hypot(1/8, off).
    for captions, clipped in ((["a a b", "a c"], 1), (["a c", "a a b"], 2)):
        off = clipped / math.sqrt(10) / 4 * math.exp(-1 / 72)
        high, low = math.sqrt(5 / 8 + math.hypot(1 / 8, off)), math.sqrt(5 / 8 - math.hypot(1 / 8, off))
        wanted = -math.log(high / (high + low)) / math.log(2)
        assert score(captions, variant="d") == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
def test_captions_without_words_are_all_the_same(variant):
    assert score(["", "", ""], variant=variant) == 0
    assert 0 <= score(["", "a b", "a b"], variant=variant) < 1e-6


def test_an_item_without_references_counts_for_no_frequency():
    captions = [["x y", "x z"], ["k", "l"], ["m", "n"]]
    plain = rows(SelfCider(), captions[:2], [["x"], ["o"]])["self_cider"]
    more = rows(SelfCider(), captions, [["x"], ["o"], []])["self_cider"]
    assert more[:2].tolist() == plain.tolist()


def test_one_image_with_references_is_refused():
    with pytest.raises(BadData, match="every weight is ln"):
        rows(SelfCider(), [["a", "b"], ["c", "d"]], [["a"], []])


def test_a_single_caption_is_refused():
    for metric in (SelfCider(), OracleCider()):
        with pytest.raises(BadData, match=f"{metric.name}: 1 captions an image"):
            rows(metric, [["a"], ["b"]], [["a"], ["b"]])


def test_variants():
    for metric in (SelfCider("x"), OracleCider("x")):
        with pytest.raises(UsageError, match=f"{metric.name}: variant is one of d, plain, not 'x'"):
            _ = metric.needs


def test_what_they_ask_for():
    wanted = {"captions": Tokens(AllCaptions(), "ptb"), "references": Tokens(References(), "ptb")}
    assert SelfCider().needs == OracleCider().needs == wanted


def test_the_best_of_three_by_hand():
    # an exact match of four words is 10, of two words 5, nothing in common 0 (all n-grams in one image of two)
    captions = [["q", "a b c d", "p"], ["e f", "z", "y"]]
    found = rows(OracleCider("plain"), captions, [["a b c d"], ["e f"]])
    assert found["oracle_cider"] == pytest.approx([10, 5], abs=1e-12)
    assert found["mean_cider"] == pytest.approx([10 / 3, 5 / 3], abs=1e-12)


def test_the_best_of_k_without_a_reference_is_unscored():
    found = rows(OracleCider(), [["a", "b"], ["a", "b"], ["a", "b"]], [["a"], [], ["c"]])
    assert np.isnan(found["oracle_cider"]).tolist() == np.isnan(found["mean_cider"]).tolist() == [False, True, False]
