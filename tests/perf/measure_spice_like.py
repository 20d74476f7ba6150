"""How spice_like on our parser's graphs orders pairs of captions, against the same on the SPICE parser's own graphs.

    python tests/perf/measure_spice_like.py

The graphs are those that Stanford's parser, as SPICE uses it, gave for 1,743 captions (FactualSceneGraph's test data).
Pairs are 20,000 drawn from those of which both SPICE graphs have an object in common, so that there is something to
order; one caption stands for the candidate and one for the reference.
"""

from __future__ import annotations

import gzip
import json
import random
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau, spearmanr

from capbench import plugins
from capbench.elements.graph import graph
from capbench.elements.words import vocabulary
from capbench.metrics.spice_like import SpiceLike, shared
from capbench.protocols import Elements

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "graphs" / "spice_parser_outputs.jsonl.gz"
PAIRS = 20_000


def recorded(triples):
    """A graph of the file: "is" marks an attribute, one word alone an object."""
    names = {name for one in triples for name in ((one[0], one[2]) if len(one) == 3 and one[1] != "is" else one[:1])}
    attributes = tuple((a, c) for a, b, c in (t for t in triples if len(t) == 3) if b == "is")
    relations = tuple((a, b, c) for a, b, c in (t for t in triples if len(t) == 3) if b != "is")
    return Elements(tuple(sorted(names)), attributes, relations)


def main():
    with gzip.open(DATA, "rt", encoding="utf-8") as lines:
        rows = {row["caption"]: row["graph"] for row in map(json.loads, lines)}
    texts = list(rows)
    words = vocabulary("meteor")
    with plugins.load("backends", SpiceLike().parser).value.open("cpu") as session:
        ours = [graph([own], words) for own in session.parse(texts)]
    theirs = [graph([recorded(rows[text])], words) for text in texts]
    by_name = defaultdict(list)
    for i, own in enumerate(theirs):
        for element in own["objects"]:
            by_name[element.forms[0]].append(i)
    pairs = sorted({(i, j) for own in by_name.values() for i in own for j in own if i != j})
    pairs = random.Random(0).sample(pairs, min(PAIRS, len(pairs)))
    pairs = [(i, j) for i, j in pairs if any(ours[j].values())]
    scores = np.array([[shared(side[i], side[j], words)[0] for side in (theirs, ours)] for i, j in pairs])
    print(f"{len(texts)} captions, {len(pairs)} pairs, {(scores[:, 0] == scores[:, 1]).mean():.3f} with the same F")
    print(f"Spearman {spearmanr(*scores.T).statistic:.3f}, Kendall tau-b {kendalltau(*scores.T).statistic:.3f}")


if __name__ == "__main__":
    main()
