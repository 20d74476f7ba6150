"""BLEU, ROUGE-L and CIDEr against pycocoevalcap 1.2, run here and now, item by item and for the corpus.

Words are what stands between blanks on both sides, so neither a tokenizer nor Java has a part in it.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import random

import numpy as np
import pytest

from capbench.metrics.bleu import Bleu
from capbench.metrics.cider import Cider
from capbench.metrics.rouge import RougeL
from capbench.ragged import Ragged, Words

coco_bleu = pytest.importorskip("pycocoevalcap.bleu.bleu", reason="pip install 'capbench[coco]'")
coco_rouge = pytest.importorskip("pycocoevalcap.rouge.rouge")
coco_cider = pytest.importorskip("pycocoevalcap.cider.cider")

ORDERS = (1, 2, 3, 4)
CLOSE = {"rtol": 0, "atol": 1e-9}


def theirs(items):
    """The reference's numbers: column -> (corpus, per item). items: [(candidate, [references])]."""
    gts = {i: references for i, (_, references) in enumerate(items)}
    res = {i: [candidate] for i, (candidate, _) in enumerate(items)}
    with contextlib.redirect_stdout(io.StringIO()):
        corpus, each = coco_bleu.Bleu(4).compute_score(gts, res)
    found = {f"bleu{n}": (corpus[n - 1], np.array(each[n - 1])) for n in ORDERS}
    found["rouge_l"] = coco_rouge.Rouge().compute_score(gts, res)
    found["cider"] = coco_cider.Cider().compute_score(gts, res)
    return found


def ours(items):
    """The same by capbench."""
    candidates = Words.of(tuple(candidate.split()) for candidate, _ in items)
    references = Words.of(tuple(text.split()) for _, texts in items for text in texts)
    offsets = np.cumsum([0, *(len(texts) for _, texts in items)], dtype=np.int64)
    words = candidates, Ragged(references, offsets)
    rows = Bleu().rows(*words)
    corpus = Bleu().reduce({name: column.sum(keepdims=True) for name, column in rows.items()})
    found = {f"bleu{n}": (corpus[f"bleu{n}"][0], rows[f"bleu{n}"]) for n in ORDERS}
    for metric in (RougeL(), Cider()):
        (column,) = metric.rows(*words).values()
        found[metric.name] = (column.mean(), column)
    return found


def check(items):
    mine = ours(items)
    for name, (corpus, each) in theirs(items).items():
        np.testing.assert_allclose(mine[name][1], each, **CLOSE, err_msg=name)
        np.testing.assert_allclose(mine[name][0], corpus, **CLOSE, err_msg=name)


def text(draw, words, longest):
    return " ".join(draw.choice(words) for _ in range(draw.randrange(longest + 1)))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("n_words", "longest"), [(2, 6), (5, 12), (30, 12), (400, 20), (8, 150)])
def test_random_texts(seed, n_words, longest):
    draw = random.Random(f"{seed} {n_words} {longest}")
    words = [f"w{i}" for i in range(n_words)]
    n_items = draw.choice([2, 3, 10, 40]) if longest < 100 else 4
    check([
        (text(draw, words, longest), [text(draw, words, longest) for _ in range(draw.randrange(1, 7))])
        for _ in range(n_items)
    ])  # fmt: skip


def test_copies_of_references():
    draw = random.Random(5)
    words = ["a", "man", "rides", "his", "big", "red", "bike", "on", "the", "street"]
    items = []
    for _ in range(50):
        references = [text(draw, words, 14) for _ in range(5)]
        items.append((draw.choice(references), references))
    check(items)


def test_edges():
    check([
        ("", ["a b c", "d"]), ("", [""]), ("", ["", "x"]), ("a", [""]), ("a b", ["", "a b"]), ("a a a a a", ["a"]),
        ("a", ["a a a a a", "a a"]), ("x y z w", ["x y z w"]), ("日本 café", ["日本 café é"]), ("q r s t u v", ["no match"]),
        ("a b a b a b", ["b a b a b a", "a b a b"]),
    ])  # fmt: skip


def test_every_image_the_same():
    check([("a b c", ["a b c d"])] * 3)


@pytest.mark.parametrize("system", ["Vinyals-et-al-2017", "Shetty-et-al-2017"])
def test_500_real_images(shared, system):
    def read(name):
        with gzip.open(shared / "coco" / name, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    outputs = {row["image_id"]: row["outputs"][system] for row in read("system_outputs_karpathy_test.jsonl.gz")}
    rows = random.Random(11).sample(read("karpathy_test_refs.jsonl.gz"), 500)
    plain = [
        (" ".join(outputs[row["image_id"]].split()), [" ".join(one.split()) for one in row["refs"]]) for row in rows
    ]
    check(plain)
