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
        words = dict(zip(texts, map(" ".join, session.tokenize(texts)), strict=True))
    return {
        system: [(words[own[system]], [words[text] for text in references[image]]) for image, own in outputs]
        for system in outputs[0][1]
    }


@pytest.fixture(scope="module")
def rows(items):
    index = resources.load()
    return {system: score.best_rows(index, sets) for system, sets in items.items()}


def corpus(rows):
    sums = np.array(rows, np.float64).sum(axis=0)
    return float(score.summed_score(dict(zip(score.STATISTICS, sums, strict=True))))


@pytest.mark.java
@pytest.mark.skipif(shutil.which("java") is None, reason="needs Java")
@pytest.mark.timeout(1800)
def test_segments_and_corpus_of_six_systems(items, rows):
    sets = [item for own in items.values() for item in own]
    assert len(sets) >= 30_000
    found = [row for own in rows.values() for row in own]
    answer = jar.run(sets)
    scores = np.array([score.segment_score(row) for row in found])
    wrong = np.flatnonzero(np.abs(scores - answer.scores) > 1e-6)
    for i in wrong[:20]:
        print(sets[i], found[i], answer.rows[i], scores[i], answer.scores[i])
    other = sum(tuple(map(float, row)) != theirs for row, theirs in zip(found, answer.rows, strict=True))
    print(f"{len(sets)} sets: {len(wrong)} scores differ, {other} statistics differ")
    assert len(wrong) <= 0.001 * len(sets)
    assert corpus(found) == pytest.approx(answer.corpus, abs=1e-4)


def test_recorded_corpus_scores(shared, rows):
    golden = json.loads((shared / "coco" / "golden_karpathy_test.json").read_text(encoding="utf-8"))
    systems = golden.get("systems", golden)
    for system, own in rows.items():
        assert corpus(own) == pytest.approx(systems[system]["METEOR"], abs=1e-4), system


def test_recorded_image_scores(shared, rows):
    with gzip.open(shared / "coco" / "golden_karpathy_test_per_image.jsonl.gz", "rt", encoding="utf-8") as file:
        golden = [row["METEOR"] for row in map(json.loads, file)]
    scores = [score.segment_score(row) for row in rows[SYSTEM]]
    assert np.mean(np.abs(np.subtract(scores, golden)) > 1e-6) <= 0.001
