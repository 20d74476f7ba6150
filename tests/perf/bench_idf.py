"""CPU time of CIDEr with frozen document frequencies: loading COCO's from the cache, and scoring with them.

    python tests/perf/bench_idf.py                 one system on the 5,000 Karpathy test images
    python tests/perf/bench_idf.py --repeats 5

Every number is the median over fresh processes, user + system time. ``load`` has everything that
``cider(idf='coco-val')`` needs and ``cider()`` does not: importing pyarrow, reading, checking the digest. The
first use, which counts the captions, is measured in a cache of its own.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "coco"
SYSTEM = "Vinyals-et-al-2017"


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def rows(name):
    with gzip.open(DATA / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def child():
    """One process: seconds of each part."""
    from capbench import idf
    from capbench.backends.ptb import Ptb
    from capbench.metrics.cider import Cider
    from capbench.needs import Captions, Tokens
    from capbench.ragged import Ragged, ragged

    start = cpu()
    frozen = idf.load("coco-val", Ptb(), Ptb().fingerprint())
    laps = {"load": cpu() - start}
    outputs = {row["image_id"]: row["outputs"][SYSTEM] for row in rows("system_outputs_karpathy_test.jsonl.gz")}
    images = rows("karpathy_test_refs.jsonl.gz")
    texts = ragged(row["refs"] for row in images)
    need = Tokens(Captions())
    with Ptb().open("cpu") as session:
        candidates = need.gather(need.compute(session, [outputs[row["image_id"]] for row in images]))
        references = Ragged(need.gather(need.compute(session, texts.values)), texts.offsets)
    for name, metric, table in (("corpus", Cider(), None), ("coco-val", Cider(idf="coco-val"), frozen)):
        start = cpu()
        laps[f"mean, {name}"] = float(metric.rows(candidates, references, table)["cider"].mean())
        laps[f"score, {name}"] = cpu() - start
    print(json.dumps(laps))


def measured(cache):
    done = subprocess.run(
        [sys.executable, __file__, "--child"], env={**os.environ, "CAPBENCH_CACHE": cache}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="processes")
    parser.add_argument("--child", action="store_true", help="measure in this process and print JSON")
    given = parser.parse_args()
    if given.child:
        child()
        return
    if not DATA.is_dir():
        sys.exit(f"no {DATA}: the shared data is to be in a folder `shared` beside the checkout")
    with tempfile.TemporaryDirectory() as cache:
        print(f"{'CPU s, first use':24}{measured(cache)['load']:10.2f}")
        found = [measured(cache) for _ in range(given.repeats)]
    for name in found[0]:
        label = name if name.startswith("mean") else f"CPU s, {name}"
        print(f"{label:24}{statistics.median(one[name] for one in found):10.3f}")


if __name__ == "__main__":
    main()
