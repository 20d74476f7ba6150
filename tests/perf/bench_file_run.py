"""100,000 captions with five references each, from two files to BLEU, ROUGE-L and CIDEr by the command line.

    python tests/perf/bench_file_run.py                      100,000 images
    python tests/perf/bench_file_run.py --images 10000 --keep DIR

Captions and references are COCO's (Karpathy's test split and six systems), each with a word of its own, so that no text
is met twice and nothing can be shared that could not be shared in 100,000 photographs' captions. ``run`` reads the
references through ``folder`` and the captions through ``file`` and writes a run folder; ``score`` writes nothing. Each
is one fresh process: seconds of the clock, of the processors, and the peak of resident memory.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "coco"
METRICS = ("-m", "bleu", "-m", "rouge_l", "-m", "cider")


def rows(name):
    with gzip.open(DATA / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def write(folder, images):
    """predictions.jsonl and references.jsonl; the words that make texts differ are of a vocabulary of 5,000."""
    references = {row["image_id"]: row["refs"][:5] for row in rows("karpathy_test_refs.jsonl.gz")}
    outputs = rows("system_outputs_karpathy_test.jsonl.gz")
    systems = sorted(outputs[0]["outputs"])
    with (folder / "predictions.jsonl").open("w") as said, (folder / "references.jsonl").open("w") as written:
        for i in range(images):
            row = outputs[i % len(outputs)]
            mark = f"word{i % 5000} thing{i // 5000}"
            text = row["outputs"][systems[i // len(outputs) % len(systems)]]
            said.write(json.dumps({"image_id": i, "caption": f"{text} {mark}"}) + "\n")
            five = (references[row["image_id"]] * 5)[:5]
            written.write(
                json.dumps({"image_id": i, "references": [f"{r.rstrip(' .')} {mark} {k}." for k, r in enumerate(five)]})
                + "\n"
            )


def measured(words, folder):
    """One fresh process."""
    start = time.perf_counter()
    settings = os.environ | {"CAPBENCH_CACHE": str(folder / "cache")}
    done = subprocess.Popen(
        [sys.executable, "-m", "capbench", *words], cwd=folder, env=settings, stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(done.pid, 0)
    if status:
        sys.exit(f"{words[0]} failed with {os.waitstatus_to_exitcode(status)}")
    return {
        "wall": round(time.perf_counter() - start, 1), "cpu": round(used.ru_utime + used.ru_stime, 1),
        "peak_mib": round(used.ru_maxrss / 1024),
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--keep", help="write the files here and leave them")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(options.keep or scratch)
        folder.mkdir(parents=True, exist_ok=True)
        write(folder, options.images)
        benchmark = "folder(captions='references.jsonl')"
        for words in (
            ["score", "predictions.jsonl", "references.jsonl"],
            ["run", "predictions.jsonl", "-b", benchmark, "--fresh"],
        ):
            print(f"{words[0]:6} {options.images} x 5: {measured([*words, *METRICS], folder)}", flush=True)


if __name__ == "__main__":
    main()
