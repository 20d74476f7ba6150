"""Document frequencies against a dictionary of counts, and tables that cannot be."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from capbench.errors import BadData
from capbench.metrics.frequencies import Lookup, count, from_columns, from_counts
from capbench.metrics.ngrams import ORDERS, Grams, Joined
from capbench.ragged import Ragged, Words


def grams_of(words):
    return {tuple(words[i : i + n]) for n in ORDERS for i in range(len(words) - n + 1)}


def counted(documents):
    """N-gram -> documents, the plain way."""
    return Counter(gram for texts in documents for gram in {g for text in texts for g in grams_of(text)})


def table_of(documents, tokenizer="t/1"):
    offsets = np.cumsum([0, *map(len, documents)], dtype=np.int64)
    return count(Ragged(Words.of([text for texts in documents for text in texts]), offsets), tokenizer)


def as_dict(table):
    rows = zip(*(column.tolist() for column in table.columns()), strict=True)
    documents = np.concatenate([level.documents for level in table.levels]).tolist()
    return {
        tuple(table.vocabulary[code] for code in row if code >= 0): n for row, n in zip(rows, documents, strict=True)
    }


def looked_up(table, texts):
    """N-gram -> what the table says of it, for every n-gram of these texts, half of them captions."""
    half = len(texts) // 2
    joined = Joined.of(
        Words.of(texts[:half]),
        Ragged(Words.of(texts[half:]), np.linspace(0, len(texts) - half, half + 1).astype(np.int64)),
    )
    placed = joined.texts()
    lookup, grams, found = Lookup(table, joined.vocabulary, placed), Grams.first(placed), {}
    for order in ORDERS:
        heads = grams.rank[grams.fresh]
        for head, n in zip(heads.tolist(), lookup.documents(grams).tolist(), strict=True):
            found[tuple(joined.vocabulary[int(i) - 1] for i in placed.words[head : head + order])] = n
        grams = grams.longer()
    return found


def drawn(seed, n_documents, n_words, longest):
    draw = random.Random(seed)
    words = [f"w{i}" for i in range(n_words)] + ["日本", "é", "\ud800"]
    return [
        [tuple(draw.choice(words) for _ in range(draw.randrange(longest + 1))) for _ in range(draw.randrange(4))]
        for _ in range(n_documents)
    ]


@pytest.mark.parametrize(("seed", "n_words", "longest"), [(0, 2, 6), (1, 30, 12), (2, 400, 20), (3, 3, 200)])
def test_counts_and_lookups_are_those_of_a_dictionary(seed, n_words, longest):
    documents = drawn(seed, 40, n_words, longest)
    table = table_of(documents)
    written = [[tuple(w.replace("\ud800", "\\ud800") for w in text) for text in texts] for texts in documents]
    expected = counted(written)
    assert as_dict(table) == expected
    assert table.size == len(expected)
    assert table.n_documents == sum(bool(texts) for texts in documents)
    others = [text for texts in drawn(seed + 10, 20, n_words + 2, longest) for text in texts]
    plain = counted(documents)
    found = looked_up(table, others)
    assert set(found) == {gram for text in others for gram in grams_of(text)}
    assert all(n == plain[gram] for gram, n in found.items())
    assert 0 in found.values()
    assert max(found.values()) > 1


def test_by_hand():
    table = table_of([[("a", "b"), ("a", "b", "a")], [("a",)], [], [("b", "a")]])
    assert table.n_documents == 3
    assert as_dict(table) == {("a",): 3, ("b",): 2, ("a", "b"): 1, ("b", "a"): 2, ("a", "b", "a"): 1}


def test_more_words_than_fit_in_16_bits_and_pairs_than_fit_in_32():
    documents = [[tuple(f"{i}-{j}" for j in range(30))] for i in range(3000)]
    table = table_of(documents)
    assert len(table.vocabulary) == 90_000
    assert as_dict(table) == counted(documents)
    assert from_counts(as_dict(table), 3000, "t/1").digest == table.digest
    assert set(looked_up(table, [("2999-28", "2999-29"), ("0-0", "2999-29")]).items()) == {
        (("2999-28",), 1), (("2999-29",), 1), (("0-0",), 1), (("2999-28", "2999-29"), 1), (("0-0", "2999-29"), 0),
    }  # fmt: skip


def test_nothing_at_all():
    for documents in ([], [[]], [[()], [()]]):
        table = table_of(documents)
        assert (table.size, table.n_documents) == (0, sum(map(bool, documents)))
        assert set(looked_up(table, [("a", "b")] * 4).values()) == {0}


def test_the_digest_is_of_the_content_and_of_nothing_else():
    documents = drawn(7, 30, 20, 9)
    table = table_of(documents)
    assert table_of(documents[::-1]).digest == table.digest
    spare = Words.of([("unused", "zzz"), *(text for texts in documents for text in texts)])
    offsets = np.cumsum([0, *map(len, documents)], dtype=np.int64)
    assert count(Ragged(spare.take(np.arange(1, len(spare))), offsets), "t/1").digest == table.digest
    assert from_counts(as_dict(table), table.n_documents, "t/1").digest == table.digest
    others = [table_of(documents, "t/2"), from_counts(as_dict(table), table.n_documents + 1, "t/1")]
    fewer = {gram: n for gram, n in as_dict(table).items() if len(gram) < 4}
    others += [from_counts(fewer, table.n_documents, "t/1"), table_of(documents[1:])]
    assert len({table.digest, *(other.digest for other in others)}) == 5
    assert table.fingerprint == f"frozen/{table.n_documents}@{table.digest}"


def test_counts_of_other_programs():
    # a defaultdict(float) that was asked for n-grams it does not have holds zeros
    table = from_counts({("b",): 2.0, ("a",): 1.0, ("a", "b"): 1.0, ("c",): 0.0}, 4, "t/1")
    assert as_dict(table) == {("a",): 1, ("b",): 2, ("a", "b"): 1}


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({("a", "b", "a"): 1, ("a",): 1, ("b",): 1}, "the beginning of an n-gram is missing"),
        ({("a",): 1, ("a", "b"): 1}, "a word of an n-gram is missing"),
        ({("a",): 5}, "in more than its beginning"),
        ({("a",): 2, ("b",): 3, ("a", "b"): 3}, "in more than its beginning"),
        ({("a",): 1.5}, "a number of documents is whole"),
        ({("a",) * 5: 1, ("a",): 1}, "an n-gram has 1 to 4 words"),
        ({(): 1}, "an n-gram has 1 to 4 words"),
    ],
)
def test_counts_that_cannot_be(counts, words):
    with pytest.raises(BadData, match=words):
        from_counts(counts, 4, "t/1")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ([[0, 0], [-1, -1], [-1, -1], [-1, -1]], "stands twice"),
        ([[0, 0], [-1, -1], [-1, 0], [-1, -1]], "has a hole"),
        ([[0, -1], [-1, 0], [-1, -1], [-1, -1]], "has a hole"),
        ([[0, -1], [-1, -1], [-1, -1], [-1, -1]], "has a hole"),
    ],
)
def test_columns_that_cannot_be(columns, words):
    with pytest.raises(BadData, match=words):
        from_columns(4, "t/1", ["a"], [np.array(column) for column in columns], np.array([2, 1]))
