"""CIDEr on sums worked by hand, and its edges."""

from __future__ import annotations

import math

import numpy as np
import pytest

from capbench.errors import BadData, UsageError
from capbench.metrics.cider import Cider
from capbench.needs import Captions, References, Tokens
from capbench.ragged import Ragged, Words

LN2 = math.log(2)


def rows(*items, variant="d"):
    candidates = Words.of(tuple(candidate.split()) for candidate, _ in items)
    references = Words.of(tuple(text.split()) for _, texts in items for text in texts)
    offsets = np.cumsum([0, *(len(texts) for _, texts in items)], dtype=np.int64)
    return Cider(variant).rows(candidates, Ragged(references, offsets))["cider"]


def test_an_exact_match_of_four_words_is_ten_and_of_two_words_five():
    got = rows(("a b c d", ["a b c d"]), ("e f", ["e f"]))
    assert got.tolist() == pytest.approx([10, 5], abs=1e-12)
    assert got.max() <= 10


def test_rounding_does_not_lift_a_perfect_match_above_ten():
    # without care the second is 10 + 2e-15
    texts = ["b e d c", "d c f e i", "i d c d e"]
    assert rows(*((text, [text]) for text in texts)).max() <= 10


def test_one_word_in_common_by_hand():
    # N = 2, every reference word has df 1 and weight ln 2, "x" too; unigrams: a of (a, x) and (a, b)
    got = rows(("a x", ["a b"]), ("e", ["f"]))
    assert got[0] == pytest.approx(10 / 4 * LN2**2 / (math.sqrt(2) * LN2 * math.sqrt(2) * LN2), abs=1e-12)
    assert got[1] == 0


def test_a_word_of_every_image_weighs_nothing():
    got = rows(("a x", ["a b"]), ("a", ["a"]))
    assert got.tolist() == [0, 0]


def test_an_image_counts_once_in_the_frequencies_however_many_references_have_the_word():
    # df(a) = 1 of 2 though three references hold it
    got = rows(("a", ["a", "a", "a b a"]), ("q", ["r"]))
    third = 2 * 1 / math.sqrt(2**2 + 1)  # min(1, 2) * 2 / (1 * |2, 1|)
    third *= math.exp(-(2**2) / 72)
    assert got[0] == pytest.approx(10 / 4 * (1 + 1 + third) / 3, abs=1e-12)


def test_clipping_is_what_d_adds_to_plain():
    items = (("a a a b", ["a b"]), ("q", ["r"]))
    unigrams_plain = (3 * 1 + 1) / (math.sqrt(10) * math.sqrt(2))
    bigrams = 1 / (math.sqrt(2**2 + 1) * 1)
    assert rows(*items, variant="plain")[0] == pytest.approx(10 / 4 * (unigrams_plain + bigrams), abs=1e-12)
    unigrams_d = 2 / (math.sqrt(10) * math.sqrt(2))
    penalty = math.exp(-(2**2) / 72)
    assert rows(*items)[0] == pytest.approx(10 / 4 * penalty * (unigrams_d + bigrams), abs=1e-12)


def test_lengths_are_bigrams():
    # one word against none: both have no bigram, no penalty; one word against three: 0 against 2
    got = rows(("a", ["a b c"]), ("q", ["r"]))
    assert got[0] == pytest.approx(10 / 4 * math.exp(-4 / 72) / math.sqrt(3), abs=1e-12)


@pytest.mark.parametrize("variant", ["d", "plain"])
def test_empty_texts(variant):
    got = rows(("", ["a b"]), ("a b", [""]), ("", [""]), ("a", ["a", ""]), variant=variant)
    assert got[:3].tolist() == [0, 0, 0]
    assert 0 < got[3] <= 10 / 4


@pytest.mark.parametrize("variant", ["d", "plain"])
def test_an_item_without_references_is_unscored_and_left_out_of_the_frequencies(variant):
    items = [("a b c", ["a b d"]), ("e f", ["e g", "a"]), ("h", ["h i"])]
    full = rows(*items, variant=variant)
    got = rows(items[0], ("a b e f", []), *items[1:], ("", []), variant=variant)
    assert np.isnan(got).tolist() == [False, True, False, False, True]
    assert got[[0, 2, 3]].tolist() == full.tolist()


def test_one_image_is_refused_with_a_cure():
    for items in ([("a", ["a"])], [("a", ["a", "b"]), ("c", [])]):
        with pytest.raises(BadData, match=r"ln\(1/1\) = 0") as raised:
            rows(*items)
        assert "more images" in raised.value.cure


def test_nothing_at_all():
    assert len(rows()) == 0
    assert np.isnan(rows(("a", []), ("b", []))).all()


def test_unicode():
    assert rows(("日本 café ß 😀", ["日本 café ß 😀"]), ("e f", ["e f"]))[0] == pytest.approx(10, abs=1e-12)


def test_another_variant_is_an_error():
    with pytest.raises(UsageError, match="variant is one of d, plain, not 'r'"):
        _ = Cider("r").needs


def test_what_it_asks_for():
    assert Cider(tokenizer="whitespace").needs == {
        "candidates": Tokens(Captions(), "whitespace"),
        "references": Tokens(References(), "whitespace"),
    }
    assert Cider.corpus
