"""ROUGE-L on sums worked by hand, and its edges."""

from __future__ import annotations

import random

import numpy as np
import pytest

from capbench.metrics.rouge import BETA, MOST_BLOCKS, WIDTH, RougeL
from capbench.needs import Captions, References, Tokens
from capbench.ragged import Ragged, Words


def rows(*items):
    candidates = Words.of(tuple(candidate.split()) for candidate, _ in items)
    references = Words.of(tuple(text.split()) for _, texts in items for text in texts)
    offsets = np.cumsum([0, *(len(texts) for _, texts in items)], dtype=np.int64)
    return RougeL().rows(candidates, Ragged(references, offsets))["rouge_l"]


def f(precision, recall):
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision) if precision else 0


def lcs(a, b):
    row = [0] * (len(b) + 1)
    for x in a:
        row = step(row, x, b)
    return row[-1]


def step(row, x, b):
    new = [0]
    for j, y in enumerate(b):
        new.append(row[j] + 1 if x == y else max(row[j + 1], new[j]))
    return new


def test_one_reference():
    # police kill the gunman / police killed the gunman: police the gunman
    assert rows(("police kill the gunman", ["police killed the gunman"]))[0] == pytest.approx(
        f(3 / 4, 3 / 4), abs=1e-15
    )


def test_precision_and_recall_come_from_different_references():
    got = rows(("a b c d", ["a", "a b c x y z"]))[0]
    assert got == pytest.approx(f(3 / 4, 1 / 1), abs=1e-15)


def test_order_matters():
    assert rows(("a b", ["b a"]))[0] == pytest.approx(f(1 / 2, 1 / 2), abs=1e-15)


def test_duplicate_words_match_once_each():
    assert rows(("a a a", ["a a"]))[0] == pytest.approx(f(2 / 3, 1), abs=1e-15)


def test_an_empty_text_is_one_empty_word():
    assert rows(("", [""]), ("", ["a"]), ("a", [""]), ("", ["a b", ""])).tolist() == [1, 0, 0, 1]


def test_an_empty_reference_beside_another_costs_nothing():
    assert rows(("a b", ["a b", ""]))[0] == 1.0


def test_no_references_is_unscored():
    got = rows(("a b", ["a b"]), ("a b", []), ("a b", ["a c"]))
    assert np.isnan(got).tolist() == [False, True, False]
    assert got[0] == 1
    assert np.isnan(rows(("a", []))).all()
    assert len(rows()) == 0


def test_unicode():
    assert rows(("日本 café 😀", ["日本 cafe 😀"]))[0] == pytest.approx(f(2 / 3, 2 / 3), abs=1e-15)


@pytest.mark.parametrize(
    "length", [1, 63, 64, 65, 127, 128, 129, 200, WIDTH * MOST_BLOCKS, WIDTH * MOST_BLOCKS + 1, 700]
)
def test_candidates_of_any_length(length):
    draw = random.Random(length)
    candidate = [draw.choice("abcdef") for _ in range(length)]
    texts = [[draw.choice("abcdefg") for _ in range(draw.randrange(1, 2 * length + 2))] for _ in range(4)]
    common = [lcs(candidate, text) for text in texts]
    expected = f(max(common) / length, max(c / len(t) for c, t in zip(common, texts, strict=True)))
    got = rows(("a b", ["b"]), (" ".join(candidate), [" ".join(text) for text in texts]))[1]
    assert got == pytest.approx(expected, abs=1e-15)


def test_a_long_perfect_match_carries_through_every_block():
    for length in (64, 65, 300, 600):
        text = " ".join("a" for _ in range(length))
        assert rows((text, [text]))[0] == 1


def test_a_carry_passes_through_a_block_without_matches():
    # the best subsequence is "a" or "z", not both: "a" stands two blocks before "z"
    candidate = " ".join(["a", *["x"] * (WIDTH - 1), *["y"] * WIDTH, "z"])
    assert rows((candidate, ["z a"]))[0] == pytest.approx(f(1 / (2 * WIDTH + 1), 1 / 2), abs=1e-15)


def test_a_very_long_candidate_stays_cheap():
    got = rows((" ".join(f"w{i}" for i in range(100_000)), ["w5 w50 w99999 x"]))[0]
    assert got == pytest.approx(f(3 / 100_000, 3 / 4), abs=1e-15)


def test_what_it_asks_for():
    assert RougeL(tokenizer="whitespace").needs == {
        "candidates": Tokens(Captions(), "whitespace"),
        "references": Tokens(References(), "whitespace"),
    }
