"""Metrics of several captions against pycocoevalcap 1.2 and scikit-learn, run here and now on real captions.

The six systems' captions of an image stand in for six captions of one system. pycocoevalcap's scorers are put
together as the authors' scripts do; scikit-learn counts n-grams and takes cosines for the plain kernel.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import itertools
import json

import numpy as np
import pytest

from capbench.metrics.cider import Cider
from capbench.metrics.diversity import Diversity
from capbench.metrics.oracle import OracleCider
from capbench.metrics.self_cider import SelfCider
from capbench.metrics.style import Style
from capbench.ragged import Ragged, Words
from capbench.stats import intervals
from capbench.types import Rows

coco_bleu = pytest.importorskip("pycocoevalcap.bleu.bleu", reason="pip install 'capbench[coco]'")
coco_cider = pytest.importorskip("pycocoevalcap.cider.cider")
scorer = pytest.importorskip("pycocoevalcap.cider.cider_scorer")
sklearn_text = pytest.importorskip("sklearn.feature_extraction.text")
sklearn_pairs = pytest.importorskip("sklearn.metrics.pairwise")

N = 300
K = 6
# average sentence length and its deviation: van Miltenburg et al. 2018, table 1 (Data/Output/main_table.txt)
PUBLISHED = {
    "Dai-et-al-2017": (9.8, 1.63),
    "Liu-et-al-2017": (10.3, 1.32),
    "Mun-et-al-2017": (9.4, 1.12),
    "Shetty-et-al-2017": (9.4, 1.31),
    "Tavakoli-et-al-2017": (9.2, 1.03),
    "Vinyals-et-al-2017": (10.1, 1.28),
}


def read(path):
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def plain(text):
    """Lower case, letters, digits and blanks: one kind of word on all sides."""
    return " ".join("".join(ch if ch.isalnum() else " " for ch in text.lower()).split())


@pytest.fixture(scope="module")
def images(shared):
    """[(six captions, five references)] of the first images."""
    references = {row["image_id"]: row["refs"] for row in read(shared / "coco/karpathy_test_refs.jsonl.gz")}
    outputs = read(shared / "coco/system_outputs_karpathy_test.jsonl.gz")[:N]
    assert all(len(row["outputs"]) == K for row in outputs)
    return [
        ([plain(text) for _, text in sorted(row["outputs"].items())], [plain(t) for t in references[row["image_id"]]])
        for row in outputs
    ]


def sets(lists):
    lists = list(lists)
    offsets = np.cumsum([0, *map(len, lists)], dtype=np.int64)
    return Ragged(Words.of(tuple(text.split()) for texts in lists for text in texts), offsets)


def ours(metric, images):
    captions = sets(own for own, _ in images)
    needs = (captions,) if isinstance(metric, Diversity) else (captions, sets(theirs for _, theirs in images))
    return metric.rows(*needs)


def test_mutual_bleu_is_the_mean_of_the_references_bleus(images):
    corpora, each = [], []
    for number in range(K):
        candidates = {i: [own[number]] for i, (own, _) in enumerate(images)}
        others = {i: own[:number] + own[number + 1 :] for i, (own, _) in enumerate(images)}
        with contextlib.redirect_stdout(io.StringIO()):
            corpus, items = coco_bleu.Bleu(4).compute_score(others, candidates)
        corpora.append(corpus)
        each.append(items)
    rows = ours(Diversity(), images)
    found = intervals(Rows(rows), Diversity().reduce, resamples=1)
    for n in range(4):
        assert found[f"mbleu{n + 1}"].value == pytest.approx(np.mean(corpora, axis=0)[n], abs=1e-9)
        np.testing.assert_allclose(rows[f"mbleu{n + 1}"], np.mean(each, axis=0)[n], rtol=0, atol=1e-9)


def test_div_counts_as_scikit_learn_counts(images):
    rows = ours(Diversity(), images)
    for n, name in ((1, "div1"), (2, "div2")):
        for i, (own, _) in enumerate(images):
            counter = sklearn_text.CountVectorizer(
                ngram_range=(n, n), tokenizer=str.split, token_pattern=None, lowercase=False
            )
            distinct = counter.fit_transform(own).shape[1]
            assert rows[name][i] == pytest.approx(distinct / (sum(len(c.split()) for c in own) + 1e-6), abs=1e-12)


def test_self_cider_d_from_the_references_scorer(images):
    reference = scorer.CiderScorer(n=4, sigma=6.0)
    for _, theirs in images:
        reference += (None, theirs)
    reference.compute_doc_freq()
    matrices = np.zeros((len(images), K, K))
    for a, b in itertools.combinations_with_replacement(range(K), 2):
        pairs = scorer.CiderScorer(n=4, sigma=6.0)  # as many pairs as images, so its ln N is the references'
        for own, _ in images:
            pairs += (own[a], [own[b]])
        pairs.document_frequency = reference.document_frequency
        matrices[:, a, b] = matrices[:, b, a] = pairs.compute_cider()
    values = np.linalg.svd(matrices / 10, compute_uv=False)
    shares = np.sqrt(values).max(axis=1) / np.sqrt(values).sum(axis=1)
    wanted = -np.log10(shares) / np.log10(K)
    # two systems often say the same; the square root of an eigenvalue 0 is rounding of the order 1e-8
    np.testing.assert_allclose(ours(SelfCider("d"), images)["self_cider"], wanted, rtol=0, atol=1e-6)
    assert 0.3 < wanted.mean() < 0.9


def test_self_cider_plain_from_scikit_learns_counts_and_cosines(images):
    kernels = np.zeros((len(images), K, K))
    for n in (1, 2, 3, 4):
        counter = sklearn_text.CountVectorizer(
            ngram_range=(n, n), tokenizer=str.split, token_pattern=None, lowercase=False
        )
        counter.fit(text for own, theirs in images for text in (*own, *theirs))
        there = np.array([np.asarray(counter.transform(theirs).max(axis=0).todense())[0] > 0 for _, theirs in images])
        weights = np.log(len(images)) - np.log(np.maximum(1, there.sum(axis=0)))
        for i, (own, _) in enumerate(images):
            kernels[i] += sklearn_pairs.cosine_similarity(counter.transform(own).multiply(weights).tocsr()) / 4
    values = np.clip(np.linalg.eigvalsh(kernels), 0, None)
    wanted = -np.log(np.sqrt(values[:, -1]) / np.sqrt(values).sum(axis=1)) / np.log(K)
    np.testing.assert_allclose(ours(SelfCider(), images)["self_cider"], wanted, rtol=0, atol=1e-6)


def test_the_best_and_the_mean_of_the_references_ciders(images):
    gts = {i: theirs for i, (_, theirs) in enumerate(images)}
    each = [
        coco_cider.Cider().compute_score(gts, {i: [own[number]] for i, (own, _) in enumerate(images)})[1]
        for number in range(K)
    ]
    rows = ours(OracleCider(), images)
    np.testing.assert_allclose(rows["oracle_cider"], np.max(each, axis=0), rtol=0, atol=1e-9)
    np.testing.assert_allclose(rows["mean_cider"], np.mean(each, axis=0), rtol=0, atol=1e-9)
    first = Cider().rows(sets([own[0]] for own, _ in images).values, sets(theirs for _, theirs in images))["cider"]
    assert (rows["oracle_cider"] >= first).all()


@pytest.mark.parametrize(("system", "published"), PUBLISHED.items())
def test_lengths_are_near_the_published_ones(shared, system, published):
    """Theirs are of all 40,504 images of val2014, of which these are 5,000: near, and not the same.

    They count a full stop as a word, which is glued to the last word in one system's captions alone.
    """
    texts = [row["outputs"][system] for row in read(shared / "coco/system_outputs_karpathy_test.jsonl.gz")]
    texts = [text.removesuffix(".") + " ." if text.endswith(".") else text for text in texts]
    found = Style().rows(texts, sets([text] for text in texts).values)["spaced_words"]
    assert (found.mean(), found.std()) == pytest.approx(published, abs=0.1)
