"""Wall and CPU time of elements: all texts together against one text at a time through the same models.

    python tests/perf/bench_elements.py                        1,000 captions with five references each, two stages
    python tests/perf/bench_elements.py --parser "spacy(workers=1)"    the same in one process
    python tests/perf/bench_elements.py --soft sentences --sets 200    with the third stage

Captions are those of Vinyals-et-al-2017 on the Karpathy test images. One at a time: every text is parsed, every phrase
encoded and every item scored by a call of its own. Together: as a run does it, into an empty cache; again: from that
cache. Both sides use the same open sessions, which are warm before any clock starts, and give the same numbers, which
is checked.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import os
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from capbench import plugins
from capbench.benchmark import Benchmark
from capbench.cache import open_cache
from capbench.facts import facts_of
from capbench.metrics.elements import Elements
from capbench.ragged import Ragged
from capbench.resolve import Features, bind, closure, resolve
from capbench.scoring import Part, arguments
from capbench.types import Sample

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "coco"
SYSTEM = "Vinyals-et-al-2017"
WARM = 5  # seconds of parsing before the clock starts


def read(name):
    with gzip.open(DATA / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def load(sets):
    """Facts with five references an image, and the captions."""
    refs = {row["image_id"]: row["refs"][:5] for row in read("karpathy_test_refs.jsonl.gz")}
    rows = read("system_outputs_karpathy_test.jsonl.gz")[:sets]
    samples = tuple(Sample(str(row["image_id"]), None, tuple(refs[row["image_id"]])) for row in rows)
    return replace(facts_of(Benchmark("coco", 1, samples, ""), 0), captions=tuple(r["outputs"][SYSTEM] for r in rows))


class Opened:
    """A backend whose session is open."""

    def __init__(self, backend, session):
        self.backend, self.session = backend, session

    def open(self, device):
        return contextlib.nullcontext(self.session)

    def __getattr__(self, name):
        return getattr(self.backend, name)


def together(metric, facts, bound, cache):
    features = resolve(Features(facts), metric.needs.values(), bound, cache)
    return metric.rows(**arguments(Part(metric, "", "elements"), features))


def one_by_one(metric, facts, parser, encoder):
    """The same numbers, a text a call."""
    found = []
    offsets = facts.references.offsets
    phrases = {name: need for name, need in metric.needs.items() if name.endswith("_vectors")}
    for i, caption in enumerate(facts.captions):
        texts = facts.references.values[offsets[i] : offsets[i + 1]]
        said, there = parser.parse([caption]), [parser.parse([text])[0] for text in texts]
        vectors = {}
        for name, need in phrases.items():
            inputs = [p for own in (said if name.startswith("said") else there) for p in need.inputs(own)]
            vectors[name] = need.gather([need.compute(encoder, [phrase])[0] for phrase in inputs])
        found.append(metric.rows([caption], said, Ragged(there, np.array([0, len(there)])), **vectors))
    return {name: np.array([float(row[name][0]) for row in found]) for name in found[0]}


def cpu_time():
    """Of this process and of those that it has started and that still run."""
    own, ticks = os.getpid(), 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text("utf-8").rpartition(")")[2].split()
            ticks += (int(fields[11]) + int(fields[12])) * (int(fields[1]) == own)
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def timed(name, calls):
    """The last value, and the medians over the calls."""
    walls, cpus = [], []
    for call in calls:
        wall, cpu = time.perf_counter(), cpu_time()
        value = call()
        walls.append(time.perf_counter() - wall)
        cpus.append(cpu_time() - cpu)
    wall, cpu = statistics.median(walls), statistics.median(cpus)
    load = os.getloadavg()[0]
    print(f"{name:<16}{wall:9.2f} s wall{cpu:9.2f} s CPU  (load {load:.1f})", flush=True)
    return value, wall, cpu


def main():
    arguments_ = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments_.add_argument("--sets", type=int, default=1000)
    arguments_.add_argument("--parser", default=Elements().parser)
    arguments_.add_argument("--soft", default="")
    arguments_.add_argument("--runs", type=int, default=1, help="of each side; the medians count")
    options = arguments_.parse_args()
    metric = Elements(parser=options.parser, soft=options.soft)
    facts = load(options.sets)
    bound, problems = bind(closure(metric.needs.values()), {})
    assert not problems, problems
    runs = range(options.runs)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        os.environ["CAPBENCH_CACHE"] = folder
        start = time.perf_counter()
        sessions = {}
        for name in filter(None, (options.parser, options.soft)):
            backend = plugins.load("backends", name).value
            sessions[name] = stack.enter_context(backend.open("cpu"))
            bound[name] = replace(bound[name], backend=Opened(backend, sessions[name]))
        parser, encoder = sessions[options.parser], sessions.get(options.soft)
        warm = [text for row in read("karpathy_val_refs.jsonl.gz")[:400] for text in row["refs"]]
        while time.perf_counter() - start < WARM:  # until the parser's processes take part
            parser.parse(warm)
        if encoder is not None:
            encoder.texts(warm[:64])
        first, wall, cpu = timed("one at a time", [lambda: one_by_one(metric, facts, parser, encoder) for _ in runs])

        def fresh(run):
            os.environ["CAPBENCH_CACHE"] = str(Path(folder) / str(run))
            with open_cache() as cache:
                return together(metric, facts, bound, cache)

        second, *quick = timed("together", [lambda run=run: fresh(run) for run in runs])
        print(f"{'ratio':<16}{wall / quick[0]:8.1f} x wall{cpu / quick[1]:8.1f} x CPU")
        third, *again = timed("again", [lambda run=run: fresh(run) for run in runs])
        print(f"{'ratio':<16}{wall / again[0]:8.1f} x wall{cpu / again[1]:8.1f} x CPU")
    for name, column in first.items():
        np.testing.assert_allclose(second[name], column, atol=1e-5 if options.soft else 0)
        np.testing.assert_array_equal(third[name], second[name])
    print(f"{len(facts.ids)} sets, {len(facts.references.values) + len(facts.captions)} texts")


if __name__ == "__main__":
    main()
