"""Verdicts by asking a judge: every pair of runs on every item, in both orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from capbench import judging, recording
from capbench.arena.verdicts import Verdict, Verdicts, Winner
from capbench.benchmark import Benchmark
from capbench.errors import UsageError
from capbench.judging import Choice, OpenJudge
from capbench.matching import read_sides
from capbench.store import Run

WINNERS: Mapping[Choice, Winner] = {"first": "a", "second": "b", "tie": "tie"}
NO_CAPTION = "one of the two has no caption"


class Pair(NamedTuple):
    """Two runs on one item."""

    a: str
    b: str
    contest: judging.Contest


def pairs_of(runs: Sequence[Run], bench: Benchmark, limit: int = 0) -> tuple[list[Pair], int]:
    """What is to be asked, item after item, and how many pairs lack a caption. limit: the first so many items (0: all).

    Where a run has several captions of an item, the first one counts.

    Raises:
        UsageError: fewer than two runs, or a run that keeps no captions, as the entries of leaderboards.
    """
    if len(runs) < 2:
        raise UsageError("one run alone has no contests", "give two or more runs")
    names = [side.name for side in read_sides(runs)]
    texts = [{c.id: c.text for c in run.captions if c.sample == 0} for run in runs]
    for name, own in zip(names, texts, strict=True):
        if not own:
            raise UsageError(
                f"{name} keeps no captions", "a judge reads captions: give runs, not entries of leaderboards"
            )
    made: list[Pair] = []
    missing = 0
    for sample in bench.samples[: limit or None]:
        for i, j in combinations(range(len(runs)), 2):
            first, second = (texts[k].get(sample.id) for k in (i, j))
            if sample.id not in texts[i] and sample.id not in texts[j]:
                continue  # runs of the first items only
            if first is None or second is None:
                missing += 1
                continue
            contest = judging.Contest(sample.id, first, second, tuple(sample.references), sample.image)
            made.append(Pair(names[i], names[j], contest))
    return made, missing


def by_judge(
    runs: Sequence[Run],
    bench: Benchmark,
    judge: OpenJudge,
    rubric: str = judging.RUBRIC,
    limit: int = 0,
    *,
    replies: str | Path = "",
) -> Verdicts:
    """The judge's verdicts, two for each pair: one in each order. A pair with an answer that is none is left out.

    The judge is called by its fingerprint, which names the model that answers. replies: a file to write all its replies
    to, also those that are no answer.

    Raises:
        UsageError: as ``pairs_of``; also a rubric that is not of two captions.
        MissingPart: a recorded reply is missing.
        CapbenchError: the judge answers no more; the replies until then are kept.
    """
    pairs, missing = pairs_of(runs, bench, limit)
    unread = {NO_CAPTION: missing} if missing else {}
    rows: list[Verdict] = []
    asked = judging.ask_both_orders(judge, [p.contest for p in pairs], rubric)
    if replies:
        exchanges = [exchange for said in asked for exchange in said.exchanges]
        recording.export_asked(judge.name, judge.fingerprint, exchanges, Path(replies))
    for pair, said in zip(pairs, asked, strict=True):
        if said.shown is None or said.swapped is None:
            unread[said.reason] = unread.get(said.reason, 0) + 1
            continue
        about = Verdict(said.id, pair.a, pair.b, WINNERS[said.shown], judge.fingerprint, "a")
        rows += [about, Verdict(said.id, pair.a, pair.b, WINNERS[said.swapped], judge.fingerprint, "b")]
    return Verdicts(tuple(rows), unread)
