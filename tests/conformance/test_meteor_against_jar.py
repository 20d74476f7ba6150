"""METEOR against the reference program, live, and against recorded values of the reference implementation."""

from __future__ import annotations

import gzip
import json
import shutil

import numpy as np
import pytest

from capbench.backends.ptb import Ptb
from capbench.meteor import jar, resources, score

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(resources.find_files() is None, reason="needs pycocoevalcap: pip install 'capbench[coco]'"),
]
SYSTEM = "Vinyals-et-al-2017"


@pytest.fixture(scope="module")
def items(shared):
    """System -> 5,000 candidates with their references, in words."""
    with gzip.open(shared / "coco" / "karpathy_test_refs.jsonl.gz", "rt", encoding="utf-8") as file:
        references = {row["image_id"]: row["refs"] for row in map(json.loads, file)}
    with gzip.open(shared / "coco" / "system_outputs_karpathy_test.jsonl.gz", "rt", encoding="utf-8") as file:
        outputs = [(row["image_id"], row["outputs"]) for row in map(json.loads, file)]
    texts = [text for image, own in outputs for text in (*references[image], *own.values())]
    with Ptb().open("cpu") as session:
        words = dict(zip(texts, map(" ".join, session.words(texts)), strict=True))
    return {
        system: [(words[own[system]], [words[text] for text in references[image]]) for image, own in outputs]
        for system in outputs[0][1]
    }


@pytest.fixture(scope="module")
def rows(items):
    index = resources.load()
    return {system: score.best_rows(index, sets) for system, sets in items.items()}


def line(text):
    """A raw text as one line of the protocol."""
    return jar.clean(" ".join(text.split()))


def corpus(rows):
    sums = score.addends(np.array(rows, np.float64).T).sum(axis=1)
    return float(score.summed_score(dict(zip(score.STATISTICS, sums, strict=True))))


with_java = pytest.mark.skipif(shutil.which("java") is None, reason="needs Java")


@pytest.mark.java
@with_java
@pytest.mark.timeout(1800)
def test_segments_and_corpus_of_six_systems(items, rows):
    sets = [item for own in items.values() for item in own]
    assert len(sets) >= 30_000
    found = [row for own in rows.values() for row in own]
    answer = jar.run(sets)
    scores = np.array([score.segment_score(row) for row in found])
    assert [i for i, row in enumerate(found) if tuple(map(float, row)) != answer.rows[i]] == []
    assert scores == pytest.approx(answer.scores, abs=1e-12)
    assert corpus(found) == pytest.approx(answer.corpus, abs=1e-12)


@pytest.mark.java
@with_java
@pytest.mark.timeout(1800)
def test_long_captions_and_what_they_say_more(shared):
    # long texts fill the beam and hold paraphrases of five and more words; raw text has punctuation and capitals
    with gzip.open(shared / "detailed" / "pope_mllm_captions.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = list(map(json.loads, file))[:300]
    sets = [(line(text), list(map(line, row["refs"]))) for row in rows for text in row["long_prompt"].values()]
    found = score.best_rows(resources.load(), sets)
    answer = jar.run(sets)
    assert [tuple(map(float, row)) for row in found] == answer.rows
    assert [score.segment_score(row) for row in found] == pytest.approx(answer.scores, abs=1e-12)
    assert corpus(found) == pytest.approx(answer.corpus, abs=1e-12)


def test_recorded_corpus_scores(shared, rows):
    golden = json.loads((shared / "coco" / "golden_karpathy_test.json").read_text(encoding="utf-8"))
    systems = golden.get("systems", golden)
    for system, own in rows.items():
        assert corpus(own) == pytest.approx(systems[system]["METEOR"], abs=1e-6), system


def test_recorded_image_scores(shared, rows):
    with gzip.open(shared / "coco" / "golden_karpathy_test_per_image.jsonl.gz", "rt", encoding="utf-8") as file:
        golden = [row["METEOR"] for row in map(json.loads, file)]
    scores = [score.segment_score(row) for row in rows[SYSTEM]]
    assert scores == pytest.approx(golden, abs=1e-6)
