"""How much the parsers are to be trusted: agreement with human graphs, coverage of human facts, speed.

    python tests/perf/measure_parser.py agreement [--half even|odd] [--pipeline NAME]
    python tests/perf/measure_parser.py coverage
    python tests/perf/measure_parser.py speed [--sets 1000]

agreement: F1 by type against FACTUAL's human graphs, beside SPICE's parser on the same captions, with paired 95%
bootstrap intervals over captions. Rules are tuned on the even half and reported on the odd half.
coverage: of each DeCapBench fact whose elements a caption has; the fact is parsed by the same parser.
speed: parsed many at a time against one at a time, matched in the same way. "Plain spaCy" is the loop that one writes
without capbench, with every component that the pipeline loads.
Everything is read from ../shared/data.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import re
import statistics
import time
from pathlib import Path

import numpy as np
import spacy

from capbench.backends.spacy_parser import SpacyParser, pipeline
from capbench.backends.spacy_parser.rules import elements
from capbench.backends.spacy_parser.trees import Trees
from capbench.elements.graph import KINDS, graph
from capbench.elements.match import levels_of
from capbench.elements.scores import matched
from capbench.elements.words import vocabulary

TESTS = Path(__file__).resolve().parents[1]
SHARED = TESTS.parents[1] / "shared" / "data"
SYSTEM = "Vinyals-et-al-2017"
NUMBERED = re.compile(r"_\d+\b")  # "wall_0" tells two walls apart


def module(name):
    """A module of the folder of tests."""
    spec = importlib.util.spec_from_file_location(name, TESTS / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def lines(name):
    """The JSON lines of a file of the shared data."""
    return [json.loads(line) for line in gzip.open(SHARED / name, "rt", encoding="utf-8")]


def agreement(args):
    """F1 by type, ours and SPICE's, and the paired difference."""
    found = module("graph_agreement").measured(SHARED, SpacyParser(args.pipeline), args.half)
    print(f"{args.half} half: {found.n} captions")
    for kind, d in found.differences.items():
        print(
            f"{kind:11} spacy {d.first:5.1f}  spice {d.second:5.1f}  difference {d.value:+5.1f} [{d.low:+.1f}, {d.high:+.1f}]"
        )


def coverage(args):
    """The share of facts all of whose elements a text has: human caption, IIW-P5B, another image's caption."""
    words = vocabulary("auto")
    facts, texts = lines("detailed/decapbench_facts.jsonl.gz"), lines("detailed/iiw400.jsonl.gz")
    by_model = {row["image/key"]: row.get("IIW-P5B") for row in texts}
    with SpacyParser(args.pipeline).open("cpu") as session:
        wanted = [session.parse([NUMBERED.sub("", fact) for fact in row["oracle_facts"]]) for row in facts]
        human = [row["oracle_caption"] for row in facts]
        sides = {
            "human caption": human,
            "IIW-P5B": [by_model.get(Path(row["image_name"]).stem) for row in facts],
            "another image's": human[1:] + human[:1],
        }
        counts = [sum(1 for fact in of_image if fact.objects) for of_image in wanted]
        print(
            f"{sum(counts)} facts with elements of {sum(map(len, wanted))}, {len(facts)} images; synonyms: {words.name}"
        )
        for side, said in sides.items():
            own = [i for i, text in enumerate(said) if text]
            graphs = dict(zip(own, (graph([one], words) for one in session.parse([said[i] for i in own])), strict=True))
            shares = {kind: [] for kind in ("facts", *KINDS)}
            for i in own:
                parts = [covered(graph([fact], words), graphs[i], words) for fact in wanted[i] if fact.objects]
                shares["facts"].append(np.mean([all(all(there) for there in part.values()) for part in parts]))
                for kind in KINDS:
                    there = [one for part in parts for one in part[kind]]
                    shares[kind].append(np.mean(there) if there else np.nan)
            print(f"{side:16} n={len(own):3}", *(f"{kind} {interval(values)}" for kind, values in shares.items()))


def covered(fact, said, words):
    """Kind -> for each element of a fact whether the text has it."""
    return {kind: levels_of(fact[kind], said[kind], words).any(axis=1).tolist() for kind in KINDS}


def interval(values):
    """Mean in per cent with a 95% bootstrap interval over images."""
    known = np.array(values)[~np.isnan(values)]
    drawn = np.random.default_rng(0).choice(known, (10_000, len(known))).mean(axis=1)
    low, high = np.percentile(100 * drawn, [2.5, 97.5])
    return f"{100 * known.mean():.1f} [{low:.1f}, {high:.1f}]"


def speed(args):
    """Processor seconds and seconds of the clock for captions and five references each, matching included."""
    refs = {row["image_id"]: row["refs"][:5] for row in lines("coco/karpathy_test_refs.jsonl.gz")}
    said = lines("coco/system_outputs_karpathy_test.jsonl.gz")[: args.sets]
    sets = [(row["outputs"][SYSTEM], refs[row["image_id"]]) for row in said]
    words = vocabulary("auto")
    found = pipeline.find(args.pipeline)
    with SpacyParser(args.pipeline, workers=1).open("cpu") as session:
        whole = spacy.load(found.folder)
        plain = Trees(whole)
        sides = {
            "all together": session.parse,
            "one at a time": lambda texts: [session.parse([text])[0] for text in texts],
            "one at a time, plain spaCy": lambda texts: [elements(plain.tree(whole(t)), session.lemmas) for t in texts],
        }
        took = {side: [] for side in sides}
        score(sets[:50], session.parse, words)
        for _ in range(args.runs):
            for side, parse in sides.items():
                took[side].append(timed(lambda parse=parse: score(sets, parse, words)))
    base = statistics.median(cpu for cpu, _ in took["all together"])
    for side, pairs in took.items():
        cpu, wall = (statistics.median(values) for values in zip(*pairs, strict=True))
        print(f"{side:27} processor {cpu:6.2f} s  clock {wall:6.2f} s  {cpu / base:4.1f} times  ({len(sets)} sets)")


def score(sets, parse, words):
    """Parse and match; the match is the metric's."""
    parsed = iter(parse([text for caption, refs in sets for text in (caption, *refs)]))
    for _caption, refs in sets:
        said = graph([next(parsed)], words)
        matched(said, graph([next(parsed) for _ in refs], words), words)


def timed(call):
    """Processor seconds of this process, and seconds of the clock."""
    start, cpu = time.perf_counter(), time.process_time()
    call()
    return time.process_time() - cpu, time.perf_counter() - start


def main():
    """Run one part."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("part", choices=("agreement", "coverage", "speed"))
    words.add_argument("--half", choices=("even", "odd"), default="even")
    words.add_argument("--pipeline", default=pipeline.DEFAULT)
    words.add_argument("--sets", type=int, default=1000)
    words.add_argument("--runs", type=int, default=3)
    args = words.parse_args()
    {"agreement": agreement, "coverage": coverage, "speed": speed}[args.part](args)


if __name__ == "__main__":
    main()
