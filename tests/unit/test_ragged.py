"""Flat lists know whose each value is."""

import numpy as np
import pytest

from capbench.ragged import Chosen, Ragged, Words, ragged, spans
from capbench.types import Failure

TEXTS = [("a", "b", "a"), (), ("b", "c"), ()]


def test_words_are_codes_in_order_of_first_use():
    words = Words.of(TEXTS)
    assert words.vocabulary == ("a", "b", "c")
    assert words.ids.tolist() == [0, 1, 0, 1, 2]
    assert words.offsets.tolist() == [0, 3, 3, 5, 5]
    assert (words.ids.dtype, words.offsets.dtype) == (np.int64, np.int64)


def test_words_read_back_as_they_were():
    words = Words.of(iter(TEXTS))
    assert list(words) == TEXTS
    assert len(words) == 4
    assert words[-2] == ("b", "c")
    with pytest.raises(IndexError):
        words[4]


def test_no_words_at_all():
    words = Words.of([])
    assert (len(words), list(words), words.vocabulary) == (0, [], ())


def test_ragged_lists_know_their_owners():
    lists = ragged([["x", "y"], [], ["z"], []])
    assert lists.values == ["x", "y", "z"]
    assert lists.offsets.tolist() == [0, 2, 2, 3, 3]
    assert lists.counts.tolist() == [2, 0, 1, 0]
    assert lists.owners.tolist() == [0, 0, 2]
    assert len(lists) == 4


def test_ragged_of_nothing():
    assert ragged([]).offsets.tolist() == [0]
    assert ragged([[]]).owners.tolist() == []


def test_any_value_can_be_ragged():
    matrix = Ragged(np.arange(6).reshape(3, 2), np.array([0, 1, 3]))
    assert matrix.values[matrix.owners == 1].tolist() == [[2, 3], [4, 5]]


def test_texts_can_be_taken_in_any_order():
    words = Words.of(TEXTS)
    taken = words.take(np.array([2, -1, 0, 0, 1]))
    assert list(taken) == [("b", "c"), (), ("a", "b", "a"), ("a", "b", "a"), ()]
    assert taken.offsets.dtype == taken.ids.dtype == np.int64
    assert list(words.take(np.array([], np.int64))) == []
    assert list(Words.of([]).take(np.array([-1]))) == [()]


def test_chosen_values_are_texts_or_failures():
    failure = Failure("no caption")
    chosen = Chosen(Words.of(TEXTS), np.array([2, -1, 0]), {1: failure})
    assert list(chosen) == [("b", "c"), failure, ("a", "b", "a")]
    assert (len(chosen), chosen[-2]) == (3, failure)


def test_spans():
    assert spans(np.array([5, 0, 9]), np.array([2, 0, 3])).tolist() == [5, 6, 9, 10, 11]
    assert spans(np.array([], np.int64), np.array([], np.int64)).tolist() == []
