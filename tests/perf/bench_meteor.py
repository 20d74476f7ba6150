"""CPU time of METEOR: the reference program against the native engine, 5,000 images, tokenized before.

    python tests/perf/bench_meteor.py [--images 5000] [--runs 3]

Each run is a fresh process, the sides in turn. CPU is user + system time of the process and of the programs it
starts, from the start of the interpreter to its end, reading included. The index is built before.
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "coco"
SYSTEM = "Vinyals-et-al-2017"
SIDES = ("jar", "native")


def read(images):
    def rows(name):
        with gzip.open(DATA / name, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines][: images or None]

    references = {row["image_id"]: row["refs"] for row in rows("karpathy_test_refs.jsonl.gz")}
    outputs = rows("system_outputs_karpathy_test.jsonl.gz")

    def words(text):
        return " ".join("".join(c if c.isalnum() or c in " '" else " " for c in text.lower()).split())

    return [(words(row["outputs"][SYSTEM]), list(map(words, references[row["image_id"]]))) for row in outputs]


def once(side, images):
    from capbench.meteor import jar, resources, score

    items = read(images)
    if side == "jar":
        mean = sum(jar.run(items).scores) / len(items)
    else:
        index = resources.load()
        mean = sum(map(score.segment_score, score.best_rows(index, items))) / len(items)
    parts = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps({"cpu": sum(part.ru_utime + part.ru_stime for part in parts), "mean": mean}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--side", choices=SIDES)
    options = parser.parse_args()
    if options.side:
        once(options.side, options.images)
        return
    from capbench.meteor import resources

    resources.load()
    found = {side: [] for side in SIDES}
    for _ in range(options.runs):
        for side in SIDES:
            command = [sys.executable, __file__, "--side", side, "--images", str(options.images)]
            start = time.perf_counter()
            done = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            found[side].append((done["cpu"], time.perf_counter() - start, done["mean"]))
    for side, rows in found.items():
        cpu, wall, mean = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"{side:8} CPU {cpu:7.2f} s   wall {wall:7.2f} s   mean of segments {mean:.9f}")
    ratio = statistics.median(row[0] for row in found["jar"]) / statistics.median(row[0] for row in found["native"])
    print(f"the native engine takes {ratio:.1f} times less CPU")


if __name__ == "__main__":
    main()
