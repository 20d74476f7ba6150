"""CPU time and memory of the metrics of several captions: Div, mutual BLEU, self-CIDEr, best-of-k CIDEr.

    python tests/perf/bench_sets.py                 ten captions of each of the 5,000 Karpathy test images
    python tests/perf/bench_sets.py --images 500    the first 500 images

Ten captions of an image: those of six systems, and of four systems for the next image in the file. All in one
process; CPU is user + system time, the tokenizer apart.
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

from capbench.backends.ptb import Ptb
from capbench.metrics.diversity import Diversity
from capbench.metrics.oracle import OracleCider
from capbench.metrics.self_cider import SelfCider
from capbench.metrics.vocabulary import Vocabulary
from capbench.ragged import Ragged, Words, ragged

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "coco"
SAMPLES = 10


def read(name):
    with gzip.open(DATA / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def load(images):
    """All captions and references, an item each."""
    outputs = [list(row["outputs"].values()) for row in read("system_outputs_karpathy_test.jsonl.gz")]
    references = [row["refs"] for row in read("karpathy_test_refs.jsonl.gz")]
    own = [(outputs[i] + outputs[(i + 1) % len(outputs)])[:SAMPLES] for i in range(len(outputs))]
    return ragged(own[:images]), ragged(references[:images])


def tokens(texts):
    with Ptb().open("cpu") as session:
        return Ragged(Words.of(session.tokenize(texts.values)), texts.offsets)


def timed(name, call):
    before = time.process_time()
    value = call()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:<24}{time.process_time() - before:8.2f} s CPU{peak:10.0f} MiB peak so far")
    return value


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5000)
    given = parser.parse_args()
    if not DATA.is_dir():
        sys.exit(f"no {DATA}: this measures real captions from there")
    texts, references = load(given.images)
    print(f"{len(texts)} images, {SAMPLES} captions each, {len(references.values)} references, numpy {np.__version__}")
    captions, theirs = timed("tokenizer", lambda: (tokens(texts), tokens(references)))
    timed("diversity", lambda: Diversity().rows(captions))
    timed("self_cider", lambda: SelfCider().rows(captions, theirs))
    timed("self_cider d", lambda: SelfCider("d").rows(captions, theirs))
    timed("oracle_cider", lambda: OracleCider().rows(captions, theirs))
    timed("vocabulary, all", lambda: Vocabulary(every=True).rows(texts, captions))


if __name__ == "__main__":
    main()
