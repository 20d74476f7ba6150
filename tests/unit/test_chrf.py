"""chrF against sacrebleu run live, and sums worked by hand; sacrebleu's tokenizers as backends."""

import gzip
import json

import numpy as np
import pytest
from sacrebleu.metrics import CHRF

import capbench
from capbench.backends.sacre import SCHEMES, SacreBleu
from capbench.errors import UsageError
from capbench.metrics.chrf import Chrf
from capbench.ragged import ragged
from capbench.testing import check_backend


def theirs(captions, references):
    scorer = CHRF()
    width = max(map(len, references))
    columns = [[row[k] if k < len(row) else None for row in references] for k in range(width)]
    sentences = [scorer.sentence_score(c, r).score for c, r in zip(captions, references, strict=True)]
    return sentences, scorer.corpus_score(captions, columns).score


def ours(captions, references, metric=None):
    metric = metric or Chrf()
    rows = metric.rows(captions, ragged(references))
    return rows["chrf"], metric.reduce({name: column.sum() for name, column in rows.items()})["chrf"]


def same(captions, references):
    rows, corpus = ours(captions, references)
    expected, total = theirs(captions, references)
    np.testing.assert_allclose(rows, expected, atol=1e-9)
    assert corpus == pytest.approx(total, abs=1e-9)


def test_by_hand():
    # "ab" against "abc": orders 1 and 2 count; P = (2/2 + 1/1) / 2 = 1, R = (2/3 + 1/2) / 2 = 7/12
    rows, corpus = ours(["ab"], [["abc"]])
    assert rows[0] == corpus == pytest.approx(100 * 5 * (7 / 12) / (4 + 7 / 12))


@pytest.mark.parametrize("text", ["", " ", "x", "...", "\U0001f600", "一只狗", "a\u2028b"])
def test_odd_texts_are_as_sacrebleu_has_them(text):
    same([text, "a dog runs"], [["a dog"], ["the dog", "a dog ran"]])
    same(["a dog runs"], [[text, "a dog"]])


def test_random_corpora_agree():
    draw = np.random.default_rng(1)
    words = ["a", "dog", "runs", "grün", "狗", "two", "cats,", "bed."]
    line = lambda: " ".join(draw.choice(words, draw.integers(0, 9)))  # noqa: E731
    for _ in range(30):
        n = int(draw.integers(1, 12))
        same([line() for _ in range(n)], [[line() for _ in range(draw.integers(1, 5))] for _ in range(n)])


def test_real_captions_agree(shared):
    refs = [json.loads(x) for x in gzip.open(shared / "coco" / "karpathy_test_refs.jsonl.gz", "rt", encoding="utf-8")]
    rows = [
        json.loads(x)
        for x in gzip.open(shared / "coco" / "system_outputs_karpathy_test.jsonl.gz", "rt", encoding="utf-8")
    ]
    outputs = {row["image_id"]: row["outputs"]["Liu-et-al-2017"] for row in rows}
    some = [row for row in refs if row["image_id"] in outputs][:300]
    same([outputs[row["image_id"]] for row in some], [row["refs"] for row in some])


def test_no_reference_has_no_score():
    assert np.isnan(Chrf().rows(["x", "y"], ragged([[], ["y"]]))["chrf"]).tolist() == [True, False]


@pytest.mark.parametrize("scheme", ["13a", "char", "intl", "zh", "ja-mecab"])
def test_a_scheme_is_a_good_backend(scheme):
    assert check_backend(SacreBleu(scheme))


def test_schemes_cut_as_they_should():
    with SacreBleu("zh").open("cpu") as session:
        assert session.tokenize(["一只狗 runs"]) == [("一", "只", "狗", "runs")]
    with SacreBleu("char").open("cpu") as session:
        assert session.tokenize(["a b"]) == [("a", "b")]
    with SacreBleu("ja-mecab").open("cpu") as session:
        assert session.tokenize(["犬が走る\x00猫"]) == [("犬", "が", "走る", "猫")]
    assert set(SCHEMES) >= {"zh", "ja-mecab", "char"}
    with pytest.raises(UsageError, match="ja-mecab"):
        SacreBleu("klingon")


def test_the_scheme_stands_in_the_signature(tmp_path):
    (tmp_path / "p.json").write_text(json.dumps({"1": "一只狗在跑", "2": "两只猫"}))
    (tmp_path / "r.json").write_text(json.dumps({"1": ["一只狗跑"], "2": ["两只猫睡觉"]}))
    run = capbench.score(
        tmp_path / "p.json", tmp_path / "r.json", ["bleu(tokenizer=\"sacrebleu(scheme='zh')\")", "chrf"]
    )
    assert "tokenizer%" not in run.summaries[0].signature
    assert "|tokenizer:sacrebleu/zh/" in run.summaries[0].signature
    # by hand: 4 of 5 and 3 of 3 characters match, 8 against 4 + 5 = 9 of the references
    assert run.value("bleu1") == pytest.approx(7 / 8 * np.exp(1 - 9 / 8), abs=1e-9)
