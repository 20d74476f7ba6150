"""Lengths, repetition and endings of captions, counted by hand, and what an encoder cuts off."""

from __future__ import annotations

import numpy as np
import pytest

from capbench.metrics.style import OPEN_WORDS, Style, Truncation, sentences
from capbench.needs import Captions, Cut, Failure, Tokens, Vector, Vectors
from capbench.ragged import Words


def rows(*texts):
    return Style().rows(list(texts), Words.of(text.split() for text in texts))


def test_lengths():
    found = rows("A dog runs.", "", "  a   b ")
    assert found["words"].tolist() == found["spaced_words"].tolist() == [3, 0, 2]
    assert found["characters"].tolist() == [11, 0, 5]
    assert found["sentences"].tolist() == [1, 0, 1]


def test_words_are_the_tokenizers():
    found = Style().rows(["A dog, runs."], Words.of([("a", "dog", "runs")]))
    assert (found["words"][0], found["spaced_words"][0]) == (3, 3)
    found = Style().rows(["don't - go"], Words.of([("do", "n't", "go")]))
    assert (found["words"][0], found["spaced_words"][0]) == (3, 3)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a dog", 1),
        ("A dog. A cat.", 2),
        ("A dog .", 1),
        ("A dog... A cat", 2),
        ('He says "stop!" And goes.', 2),
        ("It costs 3.50 in the U.S.A today", 1),
        ("...", 0),
        ("", 0),
        ("What?! Yes.", 2),
        ("一只狗。一只猫。", 2),
        ("first line\nsecond line", 1),
    ],
)
def test_sentences(text, count):
    assert sentences(text) == count


def test_repeated_4_grams():
    # a b a b a b: 4-grams abab, baba, abab: one of three was there before
    assert rows("a b a b a b")["repeated"][0] == pytest.approx(1 / 3)
    assert rows("x x x x x x x")["repeated"][0] == pytest.approx(3 / 4)
    assert rows("a b c d e", "a b c", "", "a b c d")["repeated"].tolist() == [0, 0, 0, 0]


def test_what_another_caption_said_is_no_repetition():
    assert rows("a b c d", "a b c d", "c d a b")["repeated"].tolist() == [0, 0, 0]


def test_endings():
    texts = ["a man with a", "a man on the", "a man on The", "the end", "", "in", "a table with it"]
    assert rows(*texts)["bad_ending"].tolist() == [1, 1, 1, 0, 0, 1, 0]
    assert len(OPEN_WORDS) == 17


def test_hostile_text():
    found = rows("w " * 10_000, "\ud800\x00 \U0001f600", "." * 10_000)
    assert all(np.isfinite(column).all() for column in found.values())
    assert found["repeated"][0] == pytest.approx(1 - 1 / 9_997)


def test_nothing_at_all():
    assert {len(column) for column in rows().values()} == {0}


def test_what_they_ask_for():
    assert Style().needs == {"texts": Captions(), "words": Tokens(Captions(), "ptb")}
    assert Truncation().needs == {"cut": Cut(Captions(), "clip", "")}


def test_truncation_is_the_share_of_texts_that_were_cut():
    vector = np.ones(3, np.float32)
    cut = Cut(Captions()).gather([Vector(vector, cut=True), Vector(vector), Failure("no")])
    assert Truncation().rows(cut)["truncated"].tolist() == [1, 0, 0]


def test_flags_and_vectors_are_two_needs_of_one_value():
    cut, vectors = Cut(Captions(), "clip", "x"), Vectors(Captions(), "clip", "x")
    assert cut != vectors
    assert cut.kind == vectors.kind
    value = Vector(np.array([0.6, 0.8], np.float32), cut=True)
    assert cut.gather([cut.unpack(vectors.pack(value))]).tolist() == [True]
