"""BLEU on sums worked by hand, and its edges."""

from __future__ import annotations

import math

import numpy as np
import pytest

from capbench.metrics.bleu import Bleu
from capbench.metrics.ngrams import Grams, Joined, stable_order
from capbench.needs import Captions, References, Tokens
from capbench.ragged import Ragged, Words
from capbench.stats import intervals
from capbench.types import Rows


def pack(items):
    """[(candidate, [references])] as the arguments of ``rows``; words stand between blanks."""
    candidates = Words.of(tuple(candidate.split()) for candidate, _ in items)
    references = Words.of(tuple(text.split()) for _, texts in items for text in texts)
    offsets = np.cumsum([0, *(len(texts) for _, texts in items)], dtype=np.int64)
    return candidates, Ragged(references, offsets)


def rows(*items):
    return Bleu().rows(*pack(items))


def test_counts_are_clipped_at_the_reference_that_has_the_ngram_most():
    got = rows(("the the the cat", ["the cat", "the the dog"]))
    assert [got[f"guess{n}"][0] for n in (1, 2, 3, 4)] == [4, 3, 2, 1]
    # the: min(3, 2), cat: 1; the-the: min(2, 1), the-cat: 1; the-the-cat: 0
    assert [got[f"correct{n}"][0] for n in (1, 2, 3, 4)] == [3, 2, 0, 0]
    assert got["bleu1"][0] == pytest.approx(3 / 4, abs=1e-9)
    assert got["bleu2"][0] == pytest.approx(math.sqrt(3 / 4 * 2 / 3), abs=1e-9)
    assert 0 < got["bleu3"][0] < 1e-4


def test_a_shared_prefix_and_suffix_do_not_make_a_longer_ngram():
    got = rows(("a b c", ["a b x", "y b c"]))
    assert [got[f"correct{n}"][0] for n in (1, 2, 3)] == [3, 2, 0]


def test_ngrams_do_not_cross_texts():
    got = rows(("a b", ["c a", "b c"]))
    assert got["correct2"][0] == 0


@pytest.mark.parametrize(
    ("lengths", "nearest"), [((3, 7), 3), ((7, 3), 3), ((6, 9), 6), ((5,), 5), ((0, 9), 9), ((1, 9), 1), ((0, 11), 0)]
)
def test_the_reference_length_is_the_nearest_and_the_shorter_of_two(lengths, nearest):
    got = rows(("w " * 5, ["w " * length for length in lengths]))
    assert got["reflen"][0] == nearest


def test_a_short_candidate_pays():
    got = rows(("a b", ["a b c d"]))
    assert got["bleu1"][0] == pytest.approx(math.exp(1 - 4 / 2), abs=1e-8)


def test_a_perfect_long_candidate_has_one():
    got = rows(("a b c d e", ["a b c d e"]))
    assert [round(got[f"bleu{n}"][0], 8) for n in (1, 2, 3, 4)] == [1, 1, 1, 1]


def test_empty_texts():
    got = rows(("", ["a b"]), ("a b", [""]), ("", [""]))
    assert got["bleu1"].tolist() == pytest.approx([0, 0, 0], abs=1e-9)
    assert got["testlen"].tolist() == [0, 2, 0]
    assert got["reflen"].tolist() == [2, 0, 0]
    assert np.isfinite(got["bleu4"]).all()


def test_an_item_without_references_is_unscored_and_not_counted():
    full = rows(("a b", ["a b"]), ("c d", ["c e"]))
    got = rows(("a b", ["a b"]), ("x y", []), ("c d", ["c e"]))
    for name, column in got.items():
        assert np.isnan(column[1]), name
        assert column[[0, 2]].tolist() == full[name].tolist()


def test_nothing_at_all():
    assert all(len(column) == 0 for column in rows().values())
    assert np.isnan(rows(("a", []))["bleu1"]).all()


def test_the_corpus_score_is_of_the_sums():
    got = rows(("a b c d", ["a b c x"]), ("a q", ["a b"]))
    scores = Bleu().reduce({name: column.sum(keepdims=True) for name, column in got.items()})
    assert scores["bleu1"][0] == pytest.approx(4 / 6, abs=1e-9)
    assert scores["bleu2"][0] == pytest.approx(math.sqrt(4 / 6 * 2 / 4), abs=1e-9)
    assert scores["bleu2"][0] != pytest.approx(got["bleu2"].mean(), abs=1e-3)


def test_intervals_use_the_statistics():
    items = [("a b c d e", ["a b c d x"]), ("a q r s t", ["a b c d e"]), ("u", [])] * 20
    got = intervals(Rows(rows(*items)), Bleu().reduce, resamples=200)
    assert got["bleu1"].value == pytest.approx(0.5, abs=1e-9)
    assert got["bleu1"].low < 0.5 < got["bleu1"].high


def test_vocabularies_are_joined_by_word():
    candidates = Words.of([("b", "a")])
    references = Ragged(Words.of([("a", "b"), ("zebra", "b", "a")]), np.array([0, 2], np.int64))
    assert candidates.vocabulary != references.values.vocabulary
    assert Bleu().rows(candidates, references)["correct2"][0] == 1


def test_unicode_words_are_words():
    got = rows(("日本 café 😀", ["日本 cafe 😀"]))
    assert got["correct1"][0] == 2


def test_chunks_cover_every_item_once(monkeypatch):
    items = [(f"w{i} a b", [f"w{i} a", f"v{i} b"][: i % 3]) for i in range(40)]
    whole = rows(*items)
    joined = Joined.of(*pack(items))
    assert [s for s, _ in joined.chunks(1)] == [slice(i, i + 1) for i in range(40)]
    plain = Joined.chunks
    monkeypatch.setattr(Joined, "chunks", lambda self: plain(self, 17))
    for name, column in rows(*items).items():
        np.testing.assert_array_equal(column, whole[name])


def test_a_large_vocabulary_is_sorted_too():
    n = 70_000
    items = [(" ".join(f"w{i}" for i in range(n)), [" ".join(f"w{i}" for i in range(n))])]
    got = rows(*items)
    assert [got[f"correct{k}"][0] for k in (1, 2, 3, 4)] == [n, n - 1, n - 2, n - 3]


def test_sorting_keeps_equal_values_in_place():
    values = np.array([70_000, 3, 70_000, 65_539, 3], np.uint32)
    assert stable_order(values).tolist() == [1, 4, 3, 0, 2]


def test_words_are_numbered_in_their_order():
    letters = "qwertyuiopasdfghjklzxcvbnm"
    texts = Joined.of(*pack([(" ".join(letters[:20]), [" ".join(letters[10:])])])).texts()
    assert texts.words.tolist() == [ord(letter) - ord("a") + 1 for letter in letters[:20] + letters[10:]]


def test_ngrams_are_in_order_of_their_words():
    texts = Joined.of(*pack([("b a b", ["a b c"])])).texts()
    grams = Grams.first(texts).longer()
    found = [tuple(texts.words[place : place + 2].tolist()) for place in grams.rank.tolist()]
    assert found == [(1, 2), (1, 2), (2, 1), (2, 3)]
    assert grams.fresh.tolist() == [True, False, True, True]


def test_what_it_asks_for():
    assert Bleu(tokenizer="whitespace").needs == {
        "candidates": Tokens(Captions(), "whitespace"),
        "references": Tokens(References(), "whitespace"),
    }
