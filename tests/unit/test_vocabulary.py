"""Numbers of a set: vocabulary, type-token ratio, distinct-2, unique and novel captions, counted by hand."""

from __future__ import annotations

import gzip
import json
from collections import Counter

import numpy as np
import pytest

from capbench.metrics.novelty import Novelty, normal_form
from capbench.metrics.vocabulary import Vocabulary
from capbench.needs import AllCaptions, Captions, Tokens
from capbench.ragged import Ragged, Words, ragged
from capbench.signature import of_metric
from capbench.stats import intervals


def words(texts):
    return Words.of(text.lower().split() for text in texts)


def rows(*texts):
    return Vocabulary("whitespace").rows(list(texts), words(texts))


def values(found):
    folded = intervals(found, Vocabulary().reduce)
    return {name: folded[name].value for name in Vocabulary.columns}


def test_counted_by_hand():
    # a dog runs / a cat runs / a dog runs: 4 words, 4 pairs (a dog, dog runs, a cat, cat runs), 2 captions
    found = values(rows("a dog runs", "A cat runs.".removesuffix("."), "A dog runs"))
    assert found == pytest.approx({"vocabulary": 4, "distinct1": 4 / 9, "distinct2": 4 / 9, "unique": 2 / 3})


def test_each_row_is_the_share_of_its_item():
    found = rows("a dog", "a cat cat", "")
    # a is in two items, dog and cat in one
    assert found.columns["vocabulary"].tolist() == [1.5, 1.5, 0]
    assert found.columns["distinct1"].tolist() == [1.5 / 2, 1.5 / 3, 0]


def test_no_interval_is_given():
    found = intervals(rows(*(f"w{i} w{i // 2}" for i in range(200))), Vocabulary().reduce)["vocabulary"]
    assert found.value == pytest.approx(200)
    assert np.isnan([found.low, found.high]).all()


def test_the_sum_of_shares_is_the_vocabulary_for_any_texts():
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{k}" for k in rng.integers(0, 50, rng.integers(0, 12))) for _ in range(400)]
    every = [word for text in texts for word in text.split()]
    pairs = {pair for text in texts for pair in zip(text.split(), text.split()[1:], strict=False)}
    said = [text for text in texts if text]
    wanted = {
        "vocabulary": len(set(every)),
        "distinct1": len(set(every)) / len(every),
        "distinct2": len(pairs) / len(every),
        "unique": len(set(said)) / len(said),
    }
    assert values(rows(*texts)) == pytest.approx(wanted, abs=1e-9)


def test_the_order_of_items_changes_nothing():
    texts = ["a b c", "b c d", "a b", "e", ""]
    plain, turned = rows(*texts), rows(*texts[::-1])
    for name, column in plain.columns.items():
        assert turned.columns[name].tolist() == pytest.approx(column[::-1].tolist(), abs=1e-12)


def test_all_captions_of_an_image():
    texts = ragged([["a dog", "a cat"], ["a dog", "a dog"]])
    found = Vocabulary(every=True).rows(texts, Ragged(words(texts.values), texts.offsets))
    assert values(found) == pytest.approx({"vocabulary": 3, "distinct1": 3 / 8, "distinct2": 2 / 8, "unique": 2 / 4})
    assert found.columns["captions"].tolist() == [2, 2]


def test_empty_captions_are_not_unique():
    assert values(rows("", " ", "."))["unique"] == 1
    assert values(rows("", ""))["unique"] == 0
    assert values(rows("", ""))["distinct1"] == 0


def test_what_they_ask_for():
    assert Vocabulary().needs == {"texts": Captions(), "words": Tokens(Captions(), "ptb")}
    assert Vocabulary(every=True).needs == {"texts": AllCaptions(), "words": Tokens(AllCaptions(), "ptb")}
    assert Novelty().needs == {"texts": Captions()}


def test_normal_forms():
    assert normal_form("A dog runs.") == normal_form("a dog runs!?") == normal_form("...a dog runs") == "a dog runs"
    assert normal_form("a dog runs . ") == "a dog runs . "  # as MeasureDiversity has it
    assert normal_form(" a  dog\truns . ", fold=True) == "a dog runs"
    assert normal_form("?!") == ""


@pytest.fixture
def train(tmp_path):
    path = tmp_path / "train.json"
    path.write_text(json.dumps({"1": ["A dog runs.", "A cat"], "2": ["two  birds"], "3": ["x", None]}))
    return str(path)


def test_novel_captions(train):
    texts = ["a dog runs", "a dog", "A CAT!", "two birds", "", "None", "x"]
    assert Novelty(train).rows(texts)["novel"].tolist() == [0, 1, 0, 1, 1, 1, 0]
    assert Novelty(train, fold=True).rows(texts)["novel"].tolist() == [0, 1, 0, 0, 1, 1, 0]


def test_what_is_missing_is_said_with_a_cure(tmp_path, train):
    assert Novelty(train).check() is None
    assert "novelty(train=" in Novelty().check().cure
    assert "no.json" in Novelty(str(tmp_path / "no.json")).check().what
    bad = tmp_path / "bad.json"
    bad.write_text("[{]")
    assert "bad.json" in Novelty(str(bad)).check().what
    assert "nofield" in Novelty(train, field="nofield").check().what


def test_the_signature_is_of_the_training_captions_and_not_of_their_place(tmp_path, train):
    def text(metric):
        return of_metric(metric, "", {}, []).text

    (tmp_path / "other.json").write_bytes((tmp_path / "train.json").read_bytes())
    assert text(Novelty(train)) == text(Novelty(str(tmp_path / "other.json")))
    assert str(tmp_path) not in text(Novelty(train))
    before = text(Novelty(train))
    (tmp_path / "train.json").write_text('{"1": "other"}')
    assert text(Novelty(train)) != before
    assert Novelty(train).rows(["Other.", "a cat"])["novel"].tolist() == [0, 1]  # nor are the old ones kept


def test_real_captions_against_real_training_captions(shared):
    path = shared / "flickr8k/captions_train.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        known = {text.lower().strip(".?!") for line in lines for text in json.loads(line)["captions"]}
    with gzip.open(shared / "flickr8k/system_outputs.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["outputs"]["blip2_lora"] for line in lines]
    found = Novelty(str(path)).rows(texts)["novel"]
    assert found.tolist() == [text.lower().strip(".?!") not in known for text in texts]
    assert 0 < found.mean() < 1
    unique = values(Vocabulary().rows(texts, words(texts)))["unique"]
    assert unique == pytest.approx(len(Counter(text.lower().strip(".?!") for text in texts)) / len(texts))
