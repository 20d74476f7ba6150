"""CIDEr on sums worked by hand, and its edges."""

from __future__ import annotations

import math

import numpy as np
import pytest

from capbench.errors import BadData, UsageError
from capbench.metrics.cider import Cider
from capbench.metrics.frequencies import count, from_counts
from capbench.needs import Captions, Frequencies, References, Tokens
from capbench.ragged import Ragged, Words

LN2 = math.log(2)


def words_of(*items):
    candidates = Words.of(tuple(candidate.split()) for candidate, _ in items)
    references = Words.of(tuple(text.split()) for _, texts in items for text in texts)
    offsets = np.cumsum([0, *(len(texts) for _, texts in items)], dtype=np.int64)
    return candidates, Ragged(references, offsets)


def rows(*items, variant="d"):
    return Cider(variant).rows(*words_of(*items))["cider"]


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
        assert "idf='coco-val'" in raised.value.cure


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


# four documents: "the" is in all, "b" in two, "c" and "b c" in one
FROZEN = from_counts({("the",): 4, ("b",): 2, ("c",): 1, ("b", "c"): 1}, 4, "t/1")


def frozen_rows(*items, variant="d", table=FROZEN):
    return Cider(variant, idf="coco-val").rows(*words_of(*items), table)["cider"]


def test_frozen_frequencies_by_hand():
    # w(b) = ln 4 - ln 2 = ln 2, w(c) = ln 4 = 2 ln 2, w(d) = ln 4 though no document has it, w(the) = 0
    assert frozen_rows(("b c", ["b d"]))[0] == pytest.approx(10 / 4 * (1 / 5), abs=1e-12)
    assert frozen_rows(("the", ["the"]))[0] == 0
    assert frozen_rows(("the b d", ["b"]))[0] == pytest.approx(10 / 4 * math.exp(-4 / 72) / math.sqrt(5), abs=1e-12)
    # "b c" weighs ln 4 as "c b" does, which nobody has
    assert frozen_rows(("b c b", ["b c"]), variant="plain")[0] == pytest.approx(
        10 / 4 * ((2 * 1 + 2 * 2) / (math.sqrt(8) * math.sqrt(5)) + 1 / math.sqrt(2)), abs=1e-12
    )


@pytest.mark.parametrize("variant", ["d", "plain"])
def test_with_frozen_frequencies_a_row_does_not_depend_on_the_others(variant):
    items = [("the b c", ["b c the", "c"]), ("d e f g", ["d e f g"]), ("b", ["c"]), ("x y", []), ("", ["b"])]
    together = frozen_rows(*items, variant=variant)
    alone = [frozen_rows(item, variant=variant)[0] for item in items]
    np.testing.assert_array_equal(together, alone)
    assert together[1] == pytest.approx(10, abs=1e-12)
    assert np.isnan(together).tolist() == [False, False, False, True, False]


@pytest.mark.parametrize("variant", ["d", "plain"])
@pytest.mark.parametrize("seed", range(4))
def test_the_frozen_frequencies_of_the_very_set_change_nothing(seed, variant):
    draw = np.random.default_rng(seed)
    texts = [" ".join(draw.choice(list("abcdefghijkl"), draw.integers(0, 9))) for _ in range(120)]
    items = [(texts[i], texts[i + 1 : i + 1 + i % 4]) for i in range(0, 100, 3)]
    candidates, references = words_of(*items)
    own = count(references, "t/1")
    np.testing.assert_array_equal(
        Cider(variant, idf="file:x").rows(candidates, references, own)["cider"], rows(*items, variant=variant)
    )


def test_only_the_very_sets_frequencies_make_rows_depend_on_each_other():
    assert Cider().corpus
    assert not Cider(idf="coco-val").corpus


def test_it_asks_for_the_frequencies_that_are_not_its_own():
    assert Cider(tokenizer="t", idf="file:x").needs["frequencies"] == Frequencies("file:x", "t")
    assert "frequencies" not in Cider().needs
    for wrong in ("coco", "", "file", "Corpus"):
        with pytest.raises(UsageError, match="idf is corpus, coco-val or file:PATH, not"):
            _ = Cider(idf=wrong).needs


def test_a_handful_of_documents_is_a_reason_for_caution():
    def said(n, metric, table=None):
        return metric.caution(*words_of(*[("a", ["b"])] * n, ("a", [])), table)

    assert said(50, Cider()) is None
    found = said(49, Cider())
    assert found.mark == "idf of 49 images"
    assert "fewer than 50" in found.why
    assert "idf='coco-val'" in found.why
    assert said(100, Cider(idf="file:x"), FROZEN).mark == "idf of 4 images"
    assert said(1, Cider(idf="file:x"), from_counts({("a",): 50}, 50, "t")) is None


def test_a_frozen_table_of_one_document_is_refused():
    with pytest.raises(BadData, match=r"ln\(1/1\) = 0"):
        frozen_rows(("a", ["a"]), ("b", ["b"]), table=from_counts({("a",): 1}, 1, "t/1"))
