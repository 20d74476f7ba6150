"""Splits of real captions by a real tag: the reference code, run on each group alone, gives the same numbers."""

import gzip
import json
from collections import Counter

import pytest
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.rouge.rouge import Rouge

from capbench import api
from capbench.backends.ptb import Ptb


@pytest.fixture(scope="module")
def photos(shared):
    with gzip.open(shared / "coco" / "photos.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.fixture(scope="module")
def system(photos):
    return next(name for name in photos[0]["outputs"] if name.startswith("Vinyals"))


@pytest.fixture(scope="module")
def run(shared, system):
    path = shared / "coco" / "photos.jsonl.gz"
    return api.score(path, path, ["bleu", "rouge_l"], field=f"outputs.{system}", by="license")


def test_groups_are_the_licences_as_they_are_counted(run, photos):
    counts = Counter(row["license"] for row in photos)
    assert len(counts) >= 4
    assert {group.value: group.items for group in run.groups[:-1]} == dict(counts)
    assert run.groups[-1].items == len(photos) == 128


def test_bleu_and_rouge_of_each_group_are_the_reference_codes_on_that_group(run, photos, system):
    with Ptb().open("cpu") as session:
        words = {text: " ".join(cut) for text, cut in cut_all(session, photos, system)}
    for group in run.groups[:-1]:
        mine = [row for row in photos if row["license"] == group.value]
        refs = {row["image_id"]: [words[text] for text in row["captions"]] for row in mine}
        said = {row["image_id"]: [words[row["outputs"][system]]] for row in mine}
        bleu, _ = Bleu(4).compute_score(refs, said, verbose=0)
        rouge, _ = Rouge().compute_score(refs, said)
        found = {score.column: score for score in group.scores}
        assert [found[f"bleu{n}"].value for n in (1, 2, 3, 4)] == pytest.approx(bleu, abs=1e-12)
        assert found["rouge_l"].value == pytest.approx(rouge, abs=1e-12)
        assert {score.n for score in group.scores} == {len(mine)}


def cut_all(session, photos, system):
    texts = sorted({text for row in photos for text in [*row["captions"], row["outputs"][system]]})
    return zip(texts, session.tokenize(texts), strict=True)


def test_pictures_by_category_in_another_language(shared):
    """tuxpaint: 71 kinds, most of few pictures; a language is a dotted field."""
    path = str(shared / "tuxpaint" / "photos.jsonl.gz")
    dataset = f"folder(captions={path!r}, field='translations.ja', id_field='image', tags='category')"
    metrics = ["chrf", "cider(tokenizer='whitespace')"]
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    assert {row["category"] for row in rows} >= {"animals/amphibians", "animals/birds"}
    run = api.run("shuffled", dataset, metrics, runs=None, by="category")
    assert len(run.groups) == len({row["category"] for row in rows}) + 1
    assert sum(group.items for group in run.groups[:-1]) == len(rows)
    frame = run.frame()
    frame = frame[frame["column"] == "cider"].set_index("item")["value"]
    for group in run.groups[:-1]:
        ids = [row["image"] for row in rows if row["category"] == group.value]
        cider = next(score for score in group.scores if score.column == "cider")
        assert cider.value == pytest.approx(frame[ids].mean(), abs=1e-12)
        assert (cider.low is None) == (len(ids) == 1)
