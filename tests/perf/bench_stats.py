"""CPU time of 10,000 resamples of nine columns of a 5,000-image run, and of comparing two such runs.

    python tests/perf/bench_stats.py [--resamples 10000] [--systems 2]

BLEU-1..4, ROUGE-L and CIDEr are scored from real captions of COCO's Karpathy test split; METEOR's rows are
made (23 statistics, in its own shape: all that counts here is how many), so are CLIPScore and R@1, which
need photographs. Scoring is not timed: only what is done with stored rows.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from pathlib import Path

import numpy as np

from capbench import paired, stats
from capbench.metrics import bleu, cider, meteor, rouge
from capbench.types import Rows

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "coco"
SYSTEMS = ("Mun-et-al-2017", "Liu-et-al-2017", "Vinyals-et-al-2017", "Tavakoli-et-al-2017", "Dai-et-al-2017")


def texts(name):
    with gzip.open(DATA / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def parts_of(system, references, outputs):
    """(rows, fold, columns) of each metric of one system."""
    from capbench.backends.ptb import Ptb
    from capbench.needs import Captions, Tokens
    from capbench.ragged import Ragged, ragged

    need = Tokens(Captions())
    joined = ragged(references[row["image_id"]] for row in outputs)
    with Ptb().open("cpu") as session:
        candidates = need.gather(need.compute(session, [row["outputs"][system] for row in outputs]))
        words = Ragged(need.gather(need.compute(session, joined.values)), joined.offsets)
    for metric in (bleu.Bleu(), rouge.RougeL(), cider.Cider()):
        yield Rows(metric.rows(candidates, words)), getattr(metric, "reduce", None), tuple(metric.columns)
    random = np.random.default_rng(len(system))
    counts = random.integers(1, 9, (len(meteor.STATISTICS), len(outputs))).astype(float)
    columns = {"meteor": random.random(len(outputs)), **dict(zip(meteor.STATISTICS, counts, strict=True))}
    yield Rows(columns), meteor.Meteor().reduce, ("meteor",)
    yield Rows({"score": random.normal(0.75, 0.1, len(outputs))}), None, ("score",)
    yield Rows({"r1": (random.random(len(outputs)) < 0.3).astype(float)}), None, ("r1",)


def timed(work):
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resamples", type=int, default=paired.RESAMPLES)
    parser.add_argument("--systems", type=int, default=2, choices=range(2, len(SYSTEMS) + 1))
    given = parser.parse_args()
    if not DATA.is_dir():
        sys.exit(f"no {DATA}: the shared data is to be in a folder `shared` beside the checkout")
    references = {row["image_id"]: row["refs"] for row in texts("karpathy_test_refs.jsonl.gz")}
    outputs = texts("system_outputs_karpathy_test.jsonl.gz")
    systems = [list(parts_of(name, references, outputs)) for name in SYSTEMS[: given.systems]]
    columns = sum(len(names) for _, _, names in systems[0])
    held = sum(len(rows.columns) for rows, _, _ in systems[0])
    print(f"{len(outputs)} images, {columns} columns ({held} with their statistics), {given.resamples} resamples")
    sums = [stats.UnitSums.of(rows, reduce) for rows, reduce, _ in systems[0]]
    seconds, found = timed(lambda: stats.intervals_together(sums, given.resamples))
    print(f"intervals of one run                      {seconds:6.2f} s CPU")
    for one, (_, _, names) in zip(found, systems[0], strict=True):
        assert all(one[name].low < one[name].value < one[name].high for name in names)
    seconds, _ = timed(lambda: [stats.intervals(rows, reduce, given.resamples) for rows, reduce, _ in systems[0]])
    print(f"the same, a metric at a time              {seconds:6.2f} s CPU")
    matched = [
        paired.Matched({i: system[k][0] for i, system in enumerate(systems)}, systems[0][k][1], systems[0][k][2])
        for k in range(len(systems[0]))
    ]
    pairs = [(i, j) for i in range(len(systems)) for j in range(i)]
    seconds, found = timed(lambda: paired.differences(matched, pairs, resamples=given.resamples))
    print(f"{len(pairs):2} pairs: bootstrap and randomisation     {seconds:6.2f} s CPU")
    assert len(found) == columns * len(pairs)


if __name__ == "__main__":
    main()
