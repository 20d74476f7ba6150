"""METEOR's score from its statistics, and the statistics of texts.

    P = sum_m w_m (d content_m + (1 - d) function_m) / (d (length - functions) + (1 - d) functions), R likewise
    F = 1 / ((1 - a) / P + a / R)
    score = F (1 - g frag^b),  frag = chunks / mean of the matched words, 0 for one chunk of everything

A corpus score is the same of sums; a text that is one chunk of everything adds no chunk.

with a = .85, b = .2, g = .6, d = .75 and weights 1, .6, .8, .6 for exact, stem, synonym and paraphrase.

Source: Denkowski and Lavie 2014; parameters "rank" for English in ``meteor-1.5.jar``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from capbench.meteor.align import align
from capbench.meteor.match import WEIGHTS, Batch, Match, Text
from capbench.meteor.resources import Index
from capbench.meteor.text import normalize

if TYPE_CHECKING:
    from capbench.types import Array

ALPHA, BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75
MODULES = ("exact", "stem", "synonym", "paraphrase")
SIDES = ("candidate", "reference")
STATISTICS = (
    *(f"{what}_{side}" for what in ("length", "functions") for side in SIDES),
    *(f"{module}_{what}_{side}" for module in MODULES for what in ("content", "function") for side in SIDES),
    "chunks",
    *(f"matched_{side}" for side in SIDES),
)
Row = tuple[int, ...]


def segment_score(row: Sequence[float]) -> float:
    """The score of one row of statistics, summed in the reference program's order."""
    weighted, totals = [], []
    for side in (0, 1):
        content = row[4 + side : 20 : 4]
        function = row[6 + side : 20 : 4]
        sums = 0.0
        for found, weight in zip(content, WEIGHTS, strict=True):
            sums += found * weight * DELTA
        for found, weight in zip(function, WEIGHTS, strict=True):
            sums += found * weight * (1 - DELTA)
        weighted.append(sums / (DELTA * (row[side] - row[2 + side]) + (1 - DELTA) * row[2 + side]) if sums else 0.0)
        totals.append(sum(content) + sum(function))
    precision, recall = weighted
    if not precision or not recall:
        return 0.0
    mean = 1 / ((1 - ALPHA) / precision + ALPHA / recall)
    whole = totals[0] == row[0] and totals[1] == row[1] and row[20] == 1
    frag = 0.0 if whole else row[20] / ((row[21] + row[22]) / 2)
    score: float = mean * (1 - GAMMA * frag**BETA)
    return max(score, 0.0)


def addends(table: Array) -> Array:
    """The statistics (23 x texts) as they are summed: one chunk of everything counts as no chunk.

    Source: behaviour of ``meteor-1.5.jar``, whose corpus scores differ in the fourth digit without it.
    """
    totals = [table[4 + side : 20 : 2].sum(axis=0) for side in (0, 1)]
    whole = (totals[0] == table[0]) & (totals[1] == table[1]) & (table[20] == 1)
    summed: Array = table.copy()
    summed[20, whole] = 0
    return summed


def summed_score(sums: Mapping[str, Array]) -> Array:
    """The score of sums of ``addends``: arrays of one shape in, an array of that shape out."""
    sides = []
    for side in SIDES:
        found = np.zeros(np.shape(sums["chunks"]))
        for part, share in (("content", DELTA), ("function", 1 - DELTA)):
            for module, weight in zip(MODULES, WEIGHTS, strict=True):
                found = found + sums[f"{module}_{part}_{side}"] * weight * share
        length, functions = sums[f"length_{side}"], sums[f"functions_{side}"]
        size = DELTA * (length - functions) + (1 - DELTA) * functions
        sides.append(np.divide(found, size, out=np.where(np.isnan(size), np.nan, 0.0), where=size > 0))
    precision, recall = sides
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = 1 / ((1 - ALPHA) / precision + ALPHA / recall)
        frag = sums["chunks"] / ((sums["matched_candidate"] + sums["matched_reference"]) / 2)
        score = np.maximum(mean * (1 - GAMMA * frag**BETA), 0.0)
    score = np.where(np.isnan(score), 0.0, score)
    result: Array = np.where(np.isnan(sums["chunks"]), np.nan, score)
    return result


def statistics(options: Sequence[Sequence[Match]], candidate: Text, reference: Text) -> Row:
    """The 23 numbers of one candidate and one reference, in the order of ``STATISTICS``."""
    matches, chunks = align(options)
    counts = [0] * 16
    matched = [0, 0]
    for module, i, n, j, m, _, _, _, _ in matches:
        for side, functions, start, length in ((0, candidate.functions, j, m), (1, reference.functions, i, n)):
            found = (functions >> start & ((1 << length) - 1)).bit_count()
            counts[4 * module + side] += length - found
            counts[4 * module + 2 + side] += found
            matched[side] += length
    sizes = len(candidate.keys), len(reference.keys)
    functional = candidate.functions.bit_count(), reference.functions.bit_count()
    return (*sizes, *functional, *counts, chunks, *matched)


def best_rows(index: Index, items: Sequence[tuple[str, Sequence[str]]]) -> list[Row]:
    """The statistics of each item's best reference, the first of equals.

    items: a candidate with its references, at least one; words stand between blanks.
    """
    numbers: dict[str, int] = {}
    for candidate, references in items:
        for line in (candidate, *references):
            numbers.setdefault(line, len(numbers))
    batch = Batch(index, [normalize(line, index.prefixes) for line in numbers])
    texts = batch.texts
    pairs = [(texts[numbers[own]], texts[numbers[line]]) for own, references in items for line in references]
    rows = map(statistics, batch.options(pairs), *zip(*pairs, strict=True)) if pairs else iter(())
    best = []
    for _, references in items:
        own_rows = list(islice(rows, len(references)))
        best.append(max(own_rows, key=segment_score) if len(own_rows) > 1 else own_rows[0])
    return best
