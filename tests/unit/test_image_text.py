"""Image-text retrieval and ECCV Caption: by hand, and against the eccv-caption package, which computes both."""

import contextlib
import gzip
import io
import json
import warnings

import numpy as np
import pytest

from capbench import api, engine, stats
from capbench.bags import galleries, make_bags
from capbench.errors import BadData, MissingPart, UsageError
from capbench.metrics.eccv import EccvCaption, texts_digest
from capbench.metrics.image_text import Retrieval
from capbench.metrics.ranks import recall
from capbench.ragged import Ragged, ragged
from capbench.similarity.rivals import Rivals


def where(n, recipe="full"):
    ids = [str(i) for i in range(n)]
    return galleries(make_bags("x", recipe, ids), ids)


def values(metric, image, text, counts=None, recipe="full"):
    image, text = np.asarray(image, np.float32), np.asarray(text, np.float32)
    texts = text if counts is None else Ragged(text, np.append(0, np.cumsum(counts)))
    found = metric.rows(image, texts, where(len(image), recipe))
    whole = {name: interval.value for name, interval in stats.intervals(found, metric.reduce).items()}
    return found, whole | dict(metric.overall(found.columns))


def test_two_texts_an_image_by_hand():
    # texts:      a1           a2           b1           b2           c1           c2
    text = [[1, 0, 0], [0, 0.9, 0.2], [0, 1, 0], [0.6, 0, 0.5], [0.8, 0.1, 0], [0, 0.5, 0.3]]
    # image a ranks a1 1.0 c1 .8 b2 .6: first is its own       -> rank 1
    # image b ranks b1 1.0: its own                            -> rank 1
    # image c ranks b2 .5, c2 .3, a2 .2: own is second         -> rank 2
    # text a1 -> a: 1; a2 -> b .9 before c .2 and a 0: a is third; b1 -> b: 1; b2 -> a .6, c .5, b 0: third;
    # c1 -> a .8, b .1, c 0: third; c2 -> b .5, c .3: second
    rows, found = values(Retrieval(each=0), np.eye(3), text, [2, 2, 2])
    assert rows.columns["i2t_rank"].tolist() == [1, 1, 2]
    assert rows.columns["t2i_rank"].tolist() == [(1 + 3) / 2, (1 + 3) / 2, (3 + 2) / 2]
    assert (found["i2t_r1"], found["t2i_r1"]) == (2 / 3, 2 / 6)
    assert (found["i2t_r5"], found["t2i_r5"], found["i2t_r10"]) == (1, 1, 1)
    assert found["rsum"] == pytest.approx(100 * (2 / 3 + 1 + 1 + 1 / 3 + 1 + 1))
    assert found["t2i_rank"] == pytest.approx((1 + 3 + 1 + 3 + 3 + 2) / 6)
    assert (found["i2t_rank"], found["i2t_median"]) == (4 / 3, 1)
    assert found["t2i_median"] == (2 + 3) / 2  # of 1, 1, 2, 3, 3, 3


def test_the_median_is_of_texts_and_not_of_images():
    # a1, a2, a3 find their image at once, b1 comes third of three: the texts' median is 1, the images' mean ranks 1 and 3
    text = [[1, 0, 0], [1, 0, 0], [1, 0, 0], [0.9, 0.1, 0.2]]
    rows, found = values(Retrieval(each=0), np.eye(3), text, [3, 1, 0])
    assert rows.columns["t2i_rank"][:2].tolist() == [1, 3]
    assert found["t2i_median"] == 1
    ranks = [rows.columns[f"t2i_rank_of_{k}"][:2] for k in (1, 2, 3)]
    np.testing.assert_array_equal(ranks, [[1, 3], [1, np.nan], [1, np.nan]])
    image = np.eye(3)
    image[0] = np.nan  # its texts are unscored: the other one is second of two that are left
    _, left = values(Retrieval(each=0), image, text, [3, 1, 0])
    assert left["t2i_median"] == 2


def test_every_text_counts_once_however_many_an_image_has():
    text = [[1, 0], [1, 0], [1, 0], [1, 0.0]]  # three of the first image, all right; one of the second, wrong
    _, found = values(Retrieval(each=0), np.eye(2), text, [3, 1])
    assert found["t2i_r1"] == 3 / 4
    _, first = values(Retrieval(each=1), np.eye(2), text, [3, 1])
    assert first["t2i_r1"] == 1 / 2
    _, two = values(Retrieval(each=2), np.eye(2), text, [3, 1])
    assert two["t2i_r1"] == 2 / 3


def test_ties_of_several_right_ones_by_counting_orders():
    # 2 right and 3 wrong ones are tied: the share of the 10 ways to place the right ones that have one in the top K
    ways = [(i, j) for i in range(5) for j in range(i + 1, 5)]
    rivals = Rivals(*(np.array([x]) for x in (1.0, 3.0, 2.0)))
    for depth in range(1, 8):
        assert recall(rivals, depth, "expected")[0] == pytest.approx(np.mean([1 + i < depth for i, _ in ways]))
    ranks = np.mean([1 + 1 + i for i, _ in ways])
    rows, _ = values(Retrieval(each=0), [[1, 0], [0, 1]], [[1, 1], [1, 1], [1, 1], [1, 1], [1, 1]], [2, 3])
    assert rows.columns["i2t_rank"].tolist() == [1 + 3 / 3, 1 + 2 / 4]
    assert ranks == 1 + 1 + 3 / 3


@pytest.mark.parametrize(("ties", "first"), [("pessimistic", 0), ("optimistic", 1)])
def test_ties_may_be_given_away_or_refused(ties, first):
    _, found = values(Retrieval(ties=ties), np.eye(4), np.zeros((4, 4)))
    assert (found["i2t_r1"], found["t2i_r1"]) == (first, first)


def test_captions_are_texts_too_and_what_says_nothing_is_at_chance():
    random = np.random.default_rng(0)
    image = random.normal(size=(40, 8))
    image /= np.linalg.norm(image, axis=1, keepdims=True)
    metric = Retrieval(texts="captions")
    _, perfect = values(metric, image, image)
    assert perfect["rsum"] == 600
    _, same = values(metric, image, np.tile(image[:1], (40, 1)))
    assert same["t2i_r1"] == 1 / 40  # one text for all
    assert same["i2t_r1"] == pytest.approx(1 / 40)  # and from an image they are all tied
    assert same["i2t_rank"] == 20.5


def test_what_has_no_vector_is_in_no_gallery():
    image, text = np.eye(4), np.eye(4)
    text[:3] = [0.1, 0.2, 0.3, 0.9]
    _, whole = values(Retrieval(), image, text, [1, 1, 1, 1])
    image[3] = np.nan
    rows, found = values(Retrieval(), image, text, [1, 1, 1, 1])
    assert np.isnan(rows.columns["i2t_r1"]).tolist() == [False] * 3 + [True]
    assert np.isnan(rows.columns["rsum"]).tolist() == [False] * 3 + [True]
    assert whole["t2i_rank"] == (4 + 3 + 2 + 1) / 4
    assert found["t2i_rank"] == (3 + 2 + 1) / 3  # the fourth picture was above all
    text[1] = np.nan
    rows, found = values(Retrieval(), image, text, [1, 1, 1, 1])
    assert np.isnan(rows.columns["t2i_r1"]).tolist() == [False, True, False, True]
    rows, found = values(Retrieval(), np.eye(2), [[1.0, 0]], [0, 1])
    assert np.isnan(rows.columns["t2i_r1"]).tolist() == [True, False]


def test_other_words_are_refused():
    for metric, words in (
        (Retrieval(texts="titles"), "references, captions, not 'titles'"),
        (Retrieval(each=-1), "0 .all. or more, not -1"),
        (Retrieval(ties="lucky"), "not 'lucky'"),
        (EccvCaption(way="both"), "i2t, t2i, not 'both'"),
    ):
        with pytest.raises(UsageError, match=words):
            _ = metric.needs


@pytest.fixture(scope="module")
def package():
    """The authors' metrics; the package warns that a faster JSON reader is not there."""
    pytest.importorskip("numpy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip("eccv_caption", reason="pip install 'capbench[eccv]': the oracle of this test")
        return module.Metrics()


@pytest.fixture(scope="module")
def split(package):
    """Random vectors for COCO's 5,000 images and 25,000 texts."""
    image_of = package.coco_gts["t2i"]
    texts = [int(i) for i in package.coco_ids]
    images = list(dict.fromkeys(image_of[t][0] for t in texts))
    random = np.random.default_rng(0)
    image = random.normal(size=(len(images), 24)).astype(np.float32)
    place = {id_: i for i, id_ in enumerate(images)}
    owner = np.array([place[image_of[t][0]] for t in texts])
    text = image[owner] + 1.6 * random.normal(size=(len(texts), 24)).astype(np.float32)
    return images, texts, image, text


def ranked(queries, vectors, names, depth=60):
    """The names of the best of each query, in numpy's own order of float64 scores."""
    found = []
    for start in range(0, len(queries), 1000):
        scores = queries[start : start + 1000].astype(np.float64) @ vectors.T.astype(np.float64)
        depth = min(depth, len(names))
        best = np.argpartition(-scores, depth - 1, axis=1)[:, :depth]
        order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1)
        found += [[names[j] for j in row] for row in np.take_along_axis(best, order, 1)]
    return found


def both_ways(split, size):
    """What the package is given: the best of each query in its own fold of ``size`` images."""
    images, texts, image, text = split
    i2t, t2i = {}, {}
    for start in range(0, len(images), size):
        part, own = slice(start, start + size), slice(5 * start, 5 * (start + size))
        i2t |= dict(zip(images[part], ranked(image[part], text[own], texts[own]), strict=True))
        t2i |= dict(zip(texts[own], ranked(text[own], image[part], images[part]), strict=True))
    return i2t, t2i


@pytest.mark.parametrize(("recipe", "name", "size"), [("full", "coco_5k", 5000), ("folds-1k", "coco_1k", 1000)])
def test_recalls_are_those_of_the_package_on_5k_and_on_the_folds_of_1k(package, split, recipe, name, size):
    with contextlib.redirect_stderr(io.StringIO()):
        theirs = package.compute_all_metrics(*both_ways(split, size), target_metrics=(f"{name}_recalls",))
    images, _, image, text = split
    _, ours = values(Retrieval(bags=recipe), image, text, [5] * len(images), recipe)
    for depth in (1, 5, 10):
        for way in ("i2t", "t2i"):
            assert ours[f"{way}_r{depth}"] == pytest.approx(theirs[f"{name}_r{depth}"][way], abs=1e-12)
            assert 0.01 < ours[f"{way}_r{depth}"] < 0.999
    shown = [theirs[f"{name}_r{depth}"] for depth in (1, 5, 10)]
    assert ours["rsum"] == pytest.approx(100 * sum(sum(both.values()) for both in shown))


@pytest.mark.parametrize("way", ["i2t", "t2i"])
def test_eccv_numbers_are_those_of_the_package(package, split, way, monkeypatch):
    images, _, image, text = split
    wanted = ("eccv_r1", "eccv_map_at_r", "eccv_rprecision")
    with contextlib.redirect_stderr(io.StringIO()):
        theirs = package.compute_all_metrics(*both_ways(split, 5000), target_metrics=wanted)
    order = np.random.default_rng(1).permutation(len(images))  # the benchmark's order is of no account
    texts = text.reshape(-1, 5, 24)[order].reshape(-1, 24)
    ends = np.arange(0, 25_001, 5)
    monkeypatch.setattr("capbench.metrics.eccv.TEXTS", texts_digest([""] * 25_000))
    ids = [str(images[i]) for i in order]
    rows = EccvCaption(way).rows(ids, Ragged([""] * 25_000, ends), image[order], Ragged(texts, ends))
    for ours, name in (("map_at_r", "eccv_map_at_r"), ("rprecision", "eccv_rprecision"), ("r1", "eccv_r1")):
        assert rows.columns[ours].mean() == pytest.approx(theirs[name][way], abs=1e-12)
        assert 0.01 < rows.columns[ours].mean() < 0.9
    assert len(rows.items) == {"i2t": 1261, "t2i": 1332}[way]
    answers = package.eccv_gts[way]
    first = next(iter(answers)) if way == "i2t" else package.coco_gts["t2i"][next(iter(answers))][0]
    assert ids[rows.items[0]] == str(first)


def test_the_texts_must_be_those_of_the_lists(package, shared):
    lines = gzip.open(shared / "coco" / "karpathy_test_refs.jsonl.gz", "rt", encoding="utf-8")
    rows = [json.loads(line) for line in lines]
    ids, references = [str(row["image_id"]) for row in rows], [row["refs"] for row in rows]
    image = np.zeros((len(ids), 2), np.float32)
    zeros = ragged(references)
    text = Ragged(np.zeros((len(zeros.values), 2), np.float32), zeros.offsets)
    assert len(EccvCaption().rows(ids, zeros, image, text).items) == 1332  # Karpathy's test split is
    references[17] = references[17][::-1]
    with pytest.raises(BadData, match="not the lists' texts in their order"):
        EccvCaption().rows(ids, ragged(references), image, text)
    with pytest.raises(BadData, match="1 of its 5000 images are missing"):
        EccvCaption().rows(["x", *ids[1:]], zeros, image, text)
    with pytest.raises(BadData, match="fewer references"):
        EccvCaption().rows(ids, ragged([r[:4] for r in references]), image, text)


def test_without_the_lists_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert EccvCaption().check().cure == "pip install 'capbench[eccv]'"
    assert EccvCaption().stated() == {}
    with pytest.raises(MissingPart, match="not installed"):
        EccvCaption().rows([], ragged([]), np.empty((0, 1)), Ragged(np.empty((0, 1)), np.zeros(1, np.int64)))
    assert "lacks coco_test_ids.npy" in EccvCaption(data=str(tmp_path)).check().what


def test_retrieval_runs_on_the_drawn_world_from_end_to_end():
    metrics = ["retrieval", "retrieval(texts='captions')", "retrieval(bags='blocks(size=10)')"]
    run = api.run("constant", "scenes(n=21)", metrics, backends={"clip": "scenes"}, runs=None)
    found = {(s.signature, s.column): s for s in run.summaries}
    assert len({signature for signature, _ in found}) == 3
    of_captions = [s for s in run.summaries if "texts:captions" in s.signature]
    by_column = {s.column: s for s in of_captions}
    assert by_column["t2i_r1"].value == pytest.approx(1 / 21)
    assert (by_column["i2t_median"].value, by_column["i2t_median"].low) == (11, None)
    assert {s.n for s in run.summaries if "blocks" not in s.signature} >= {21}
    of_references = {s.column: s.value for s in run.summaries if "texts:references" in s.signature}
    assert of_references["rsum"] == 600  # every reference of the drawn world says all there is
    assert engine.key_of("retrieval", of_captions[0].short) in {s.key for s in run.scored}
