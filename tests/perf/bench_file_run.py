"""Wall and CPU time and memory of a whole run on captions from a file: 100,000 captions with 5 references each.

    python tests/perf/bench_file_run.py                  100,000 captions
    python tests/perf/bench_file_run.py --count 5000     as many as COCO's test images
    python tests/perf/bench_file_run.py --unlike         every text with words of its own: nothing is met twice

The captions are those of the system outputs on the Karpathy test images, one system after the other, with ids of
their own; a fresh process reads the files, scores BLEU, ROUGE-L and CIDEr with their intervals, and writes the run.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "coco"
METRICS = ("bleu", "rouge_l", "cider")
REFERENCES = 5
MIB = 1024


def read(name):
    with gzip.open(DATA / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def write(folder, count, unlike):
    """captions.jsonl and references.jsonl of so many items."""
    references = {row["image_id"]: row["refs"] for row in read("karpathy_test_refs.jsonl.gz")}
    outputs = read("system_outputs_karpathy_test.jsonl.gz")
    systems = sorted(outputs[0]["outputs"])
    with (folder / "captions.jsonl").open("w") as captions, (folder / "references.jsonl").open("w") as kept:
        for number in range(count):
            row, turn = outputs[number % len(outputs)], number // len(outputs)
            texts = references[row["image_id"]]
            mark = f" word{number % 5000} thing{number // 5000}" if unlike else ""
            five = [f"{t}{mark} {k}" if unlike else t for k, t in enumerate((texts * REFERENCES)[:REFERENCES])]
            captions.write(
                json.dumps({"id": str(number), "caption": row["outputs"][systems[turn % len(systems)]] + mark}) + "\n"
            )
            kept.write(json.dumps({"id": str(number), "references": five}) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--unlike", action="store_true")
    options = parser.parse_args()
    count = options.count
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write(folder, count, options.unlike)
        words = [sys.executable, "-m", "capbench", "run", "captions.jsonl", "-b", "folder(captions='references.jsonl')"]
        begun = time.perf_counter()
        done = subprocess.run(
            [*words, *(word for metric in METRICS for word in ("-m", metric))],
            cwd=folder, env={**os.environ, "CAPBENCH_CACHE": str(folder / "cache")}, check=True,
            capture_output=True, text=True,
        )  # fmt: skip
        wall = time.perf_counter() - begun
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(done.stdout)
    cpu = used.ru_utime + used.ru_stime
    print(f"{count} captions: {wall:.1f} s wall, {cpu:.1f} s CPU, peak {used.ru_maxrss / MIB:.0f} MiB")


if __name__ == "__main__":
    main()
