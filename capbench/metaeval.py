"""Metrics measured against people: how well each one agrees with a set of human judgements.

Each rating is an item of its own, as in the recipe of
Flickr8k-Expert (jmhessel/clipscore, ``flickr8k_example/compute_metrics.py``): a caption with three
ratings is scored three times, and CIDEr's document frequencies are over all of them. Of a pair, each
caption is an item. Items are scored by the engine, as any run is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from capbench import api, correlation, engine, stats
from capbench.benchmark import Benchmark, reference_digest
from capbench.datasets.build import build
from capbench.errors import UsageError
from capbench.judgements import ALL, Judgement, Kind, items_of, read
from capbench.leaderboard import escape, in_code, show
from capbench.needs import Ids
from capbench.records_keys import Record
from capbench.signature import Signature, digest
from capbench.tables import Scored
from capbench.types import Rows, Sample, Summary

if TYPE_CHECKING:
    from capbench.protocols import Need, Problem
    from capbench.store import Run
    from capbench.types import Array, Ints

STATISTICS: Mapping[Kind, tuple[str, ...]] = {
    "ratings": correlation.CORRELATIONS,
    "preferences": ("accuracy", "accuracy_ties_half"),
}
TITLES = {"tau_b": "tau-b", "tau_c": "tau-c", "pearson": "Pearson", "spearman": "Spearman"}
LEGEND = (
    "Brackets: 95% bootstrap interval over images ([-]: fewer than 10). A shared rank: the paired difference is not "
    "significant at 95%, uncorrected. Where less is better, the sign of the score is turned."
)


@dataclass(frozen=True, slots=True)
class Result:
    """One statistic of one column in one group (``all``: every row).

    low, high: the 95% bootstrap interval over images. n: ratings or pairs that were used; unscored: those
    that were left out because the metric gave no score. None: there is no such number.
    """

    metric: str
    column: str
    label: str
    statistic: str
    group: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    unscored: int
    signature: str
    short: str


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean score of a column over the captions of a group."""

    metric: str
    column: str
    group: str
    value: float | None
    n: int
    short: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that one call found. ranks: (metric's short signature, column) -> rank, the best first."""

    name: str
    kind: Kind
    rows: int
    images: int
    groups: tuple[str, ...]
    results: tuple[Result, ...]
    means: tuple[Mean, ...]
    ranks: Mapping[tuple[str, str], int]
    run: Run
    asked: tuple[Summary, ...]


@dataclass(frozen=True, slots=True)
class Candidates:
    """The captions that people judged, as a captioner."""

    name: ClassVar[str] = "candidates"
    texts: Mapping[str, str]

    def fingerprint(self) -> str:
        """A digest of the captions."""
        return f"candidates@{digest(self.texts.items())}"

    def check(self) -> Problem | None:
        """Nothing can be missing."""
        return None

    @property
    def needs(self) -> Mapping[str, Need]:
        """The ids of the items."""
        return {"ids": Ids()}

    def captions(self, ids: Sequence[str]) -> list[str]:
        """The caption of each item."""
        return [self.texts[id_] for id_ in ids]


def evaluate(
    path: str | Path,
    metrics: Sequence[str] = (),
    *,
    images: str | Path = "",
    backends: Mapping[str, str] | None = None,
) -> Evaluation:
    """Score every judged caption and measure how well each metric agrees with the people.

    metrics: specs (default: bleu, rouge_l and cider). images: the folder of the pictures, for metrics that
    look at them. Unscored items are left out of the statistics and counted; they do not raise.

    Raises:
        UsageError, MissingPart, BadData: before any work.
    """
    if not Path(path).is_file():
        raise UsageError(f"there is no file {path}")
    judged = by_corpus(read(path))
    name = Path(path).name.removesuffix(".gz").removesuffix(".jsonl")
    pictures: Mapping[str, Sample] = {}
    if str(images):
        firsts = {j.image: Record(j.image, (), j.where, image=j.image) for j in reversed(judged)}
        pictures = {s.id: s for s in build(list(firsts.values()), source=str(path), images=images)}
    texts: dict[str, str] = {}
    samples = []
    for judgement in judged:
        line = judgement.where.rpartition(" ")[2]
        picture = pictures[judgement.image].image if pictures else None
        for k, text in enumerate(items_of(judgement)):
            id_ = f"{judgement.image}@{line}.{k}"
            texts[id_] = text
            samples.append(Sample(id_, picture, judgement.references))
    bench = Benchmark(name, 1, tuple(samples), reference_digest(samples))
    parts = api.metric_parts(metrics, bench)
    job = engine.Job(Candidates(texts), "", name, bench, parts, aliases=backends or {})
    corpora = [j.corpus for j in judged for _ in items_of(j)]
    run, asked = scored(job, corpora)
    return measured(name, judged, run, asked)


def by_corpus(judged: Sequence[Judgement]) -> list[Judgement]:
    """Corpus after corpus, each in the file's order."""
    place = {name: i for i, name in enumerate(dict.fromkeys(j.corpus for j in judged))}
    return sorted(judged, key=lambda j: place[j.corpus])


def scored(job: engine.Job, corpora: Sequence[str]) -> tuple[Run, tuple[Summary, ...]]:
    """The items scored, each corpus by itself, and what was found laid end to end.

    corpora: the corpus of each sample, in order. The signature is that of all samples, with the number of
    corpora where there are several. Values of summaries are then None: only n and unscored are told.
    """
    plan = engine.plan(job)
    names = tuple(dict.fromkeys(corpora))
    if len(names) == 1:
        result = engine.run(plan)
        return result.run, result.asked
    plans = []
    for name in names:
        samples = tuple(s for s, corpus in zip(job.benchmark.samples, corpora, strict=True) if corpus == name)
        own = replace(job.benchmark, samples=samples, digest=reference_digest(samples))
        plans.append(engine.plan(replace(job, benchmark=own)))
    results = [engine.run(each) for each in plans]
    ids = tuple(id_ for result in results for id_ in result.run.ids)
    tables: dict[str, Scored] = {}
    asked: list[Summary] = []
    for i, part in enumerate(job.parts):
        signature = Signature((*plan.signatures[i].pairs, ("corpora", str(len(names)))))
        key = engine.key_of(part.metric.name, signature.short)
        shorts = [each.signatures[i].short for each in plans]
        if key in tables:
            continue
        tables[key] = end_to_end(
            key, [(r.run, engine.key_of(part.metric.name, s)) for r, s in zip(results, shorts, strict=True)]
        )
        for first in (s for s in results[0].asked if s.short == shorts[0]):
            holes = int(np.isnan(tables[key].rows.columns[first.column]).sum())
            n = len(tables[key].samples) - holes
            asked.append(
                replace(
                    first,
                    value=None,
                    low=None,
                    high=None,
                    n=n,
                    unscored=holes,
                    signature=signature.text,
                    short=signature.short,
                )
            )
    return replace(results[0].run, ids=ids, scored=tuple(tables.values()), summaries=tuple(asked)), tuple(asked)


def end_to_end(key: str, parts: Sequence[tuple[Run, str]]) -> Scored:
    """The rows of one metric in several runs as if they were of one. A column that one lacks is unscored there."""
    tables = [next(s for s in run.scored if s.key == own) for run, own in parts]
    names = list(dict.fromkeys(name for t in tables for name in t.rows.columns))
    columns = {
        name: np.concatenate([t.rows.columns.get(name, np.full(len(t.samples), np.nan)) for t in tables])
        for name in names
    }
    items, reasons, rows, ids = [], {}, 0, 0
    for table, (run, _) in zip(tables, parts, strict=True):
        own = np.arange(len(table.samples)) if table.rows.items is None else table.rows.items
        items.append(own + ids)
        reasons.update({row + rows: why for row, why in table.reasons.items()})
        rows, ids = rows + len(table.samples), ids + len(run.ids)
    samples = np.concatenate([t.samples for t in tables])
    return Scored(key, Rows(columns, np.concatenate(items)), reasons, samples)


@dataclass(frozen=True, slots=True)
class Measured:
    """A column beside what people said: one entry a rating, or a pair (x: preferred - other)."""

    summary: Summary
    x: Array
    means: Array
    keep: Any


def measured(name: str, judged: Sequence[Judgement], run: Run, asked: Sequence[Summary]) -> Evaluation:
    """Every statistic of every column that has a better side, overall and in each group."""
    kind = judged[0].kind
    repeats = [len(j.people) for j in judged]
    people = np.array([p for j in judged for p in j.people])
    images = np.repeat(np.unique([j.image for j in judged], return_inverse=True)[1], repeats)
    labels = np.repeat(np.array([j.group for j in judged], object), repeats)
    groups = (ALL, *sorted({g for g in labels if g}))
    columns = [column_of(s, run, people, kind) for s in asked if s.better != "none"]
    results, means = [], []
    draws: list[Array] = []
    for column in columns:
        s = column.summary
        for group in groups:
            inside = np.ones(len(people), bool) if group == ALL else labels == group
            used = inside & column.keep
            if group == ALL or inside.sum() < len(people):  # a group of all rows has the numbers of all
                found, drawn = agreement(kind, column.x[used], people[used], images[used])
            if group == ALL:
                draws.append(drawn[STATISTICS[kind][0]])
            counts = int(used.sum()), int(inside.sum() - used.sum())
            results += [
                Result(
                    s.metric, s.column, s.label, statistic, group, known(at.value), known(at.low), known(at.high),
                    *counts, s.signature, s.short,
                )
                for statistic, at in found.items()
            ]  # fmt: skip
            mean = known(column.means[used].mean()) if used.any() else None
            means.append(Mean(s.metric, s.column, group, mean, counts[0], s.short))
    ranks = ranked(kind, columns, draws, people, images)
    return Evaluation(
        name, kind, len(people), len(np.unique(images)), groups, tuple(results), tuple(means), ranks, run, tuple(asked)
    )


def column_of(summary: Summary, run: Run, people: Array, kind: Kind) -> Measured:
    """The scores of a column in the order of the judgements; the better side up."""
    key = engine.key_of(summary.metric, summary.short)
    rows = next(s.rows for s in run.scored if s.key == key)
    values = rows.columns[summary.column]
    items = np.arange(len(values)) if rows.items is None else rows.items
    has = ~np.isnan(values)
    sums = np.bincount(items[has], values[has], minlength=len(run.ids))
    counts = np.bincount(items[has], minlength=len(run.ids))
    with np.errstate(invalid="ignore"):
        scores = np.where(counts > 0, sums / counts, np.nan)
    up = -scores if summary.better == "low" else scores
    if kind == "ratings":
        return Measured(summary, up, scores, ~np.isnan(scores))
    pairs = up.reshape(-1, 2)
    first = people.astype(np.int64)
    each = np.arange(len(pairs))
    x = pairs[each, first] - pairs[each, 1 - first]
    return Measured(summary, x, scores.reshape(-1, 2).mean(axis=1), ~np.isnan(x))


def agreement(kind: Kind, x: Array, people: Array, images: Ints) -> tuple[Any, Any]:
    """The statistics with intervals, and their resampled values."""
    if kind == "preferences":
        return correlation.bootstrapped(lambda weights: correlation.accuracy(x, weights), images)
    return correlation.bootstrapped(lambda weights: correlation.correlations(x, people, weights), images)


def ranked(
    kind: Kind, columns: Sequence[Measured], draws: Sequence[Array], people: Array, images: Ints
) -> dict[tuple[str, str], int]:
    """1 + how many columns agree better beyond chance in the first statistic, on the rows that both have."""
    head = STATISTICS[kind][0]
    ranks = {}
    for i, mine in enumerate(columns):
        better = 0
        for j, theirs in enumerate(columns):
            if np.array_equal(mine.keep, theirs.keep):
                difference = draws[j] - draws[i]
            else:
                both = mine.keep & theirs.keep
                ours, others = (agreement(kind, c.x[both], people[both], images[both])[1] for c in (mine, theirs))
                difference = others[head] - ours[head]
            better += int(i != j and stats.percentile(0.0, [difference]).low > 0)
        ranks[mine.summary.short, mine.summary.column] = 1 + better
    return ranks


def known(value: float) -> float | None:
    """A finite number, or None."""
    return float(value) if np.isfinite(value) else None


def as_object(found: Evaluation) -> dict[str, Any]:
    """Plain data for --json."""
    return {
        "judgements": found.name,
        "kind": found.kind,
        "rows": found.rows,
        "images": found.images,
        "groups": list(found.groups),
        "results": [asdict(result) for result in found.results],
        "means": [asdict(mean) for mean in found.means],
        "ranks": [{"short": short, "column": name, "rank": n} for (short, name), n in found.ranks.items()],
        "notes": list(found.run.record.notes),
    }


def markdown(found: Evaluation) -> str:
    """A leaderboard of metrics: one table of preferences by group, or one of correlations for each group."""
    table = {(r.short, r.column, r.statistic, r.group): r for r in found.results}
    head = STATISTICS[found.kind][0]
    columns = [(r.short, r.column) for r in found.results if (r.statistic, r.group) == (head, ALL)]
    columns.sort(key=lambda c: (found.ranks[c], -(x if (x := table[*c, head, ALL].value) is not None else -math.inf)))
    notes = {short: i for i, short in enumerate(dict.fromkeys(short for short, _ in columns), 1)}
    labels = {c: f"{escape(table[*c, head, ALL].label)} [{notes[c[0]]}]" for c in columns}
    ranks = {c: str(found.ranks[c]) for c in columns}
    what = "pairs" if found.kind == "preferences" else "ratings"
    title = TITLES.get(head, head)
    parts = [f"**{escape(found.name)}**, {found.rows} {what} of {found.images} images, by {title}"]
    if found.kind == "preferences":
        rows = [["rank", "metric", *map(escape, found.groups), "n"]]
        rows += [
            [ranks[c], labels[c], *(cell(table[*c, head, g]) for g in found.groups), str(table[*c, head, ALL].n)]
            for c in columns
        ]
        parts.append(table_of(rows))
    for group in found.groups if found.kind == "ratings" else ():
        own = STATISTICS[found.kind]
        rows = [[*(["rank"] if group == ALL else []), "metric", *(TITLES[name] for name in own), "n"]]
        for c in columns:
            results = [table[*c, name, group] for name in own]
            rank = [ranks[c]] if group == ALL else []
            rows.append([*rank, labels[c], *map(cell, results), str(results[0].n)])
        parts += [*([] if group == ALL else [f"Group {escape(group)}:"]), table_of(rows)]
    signatures = {r.short: r.signature for r in found.results}
    footnotes = "  \n".join(f"[{i}] `{in_code(signatures[short])}`" for short, i in notes.items())
    return "\n\n".join([*parts, LEGEND, footnotes])


def cell(result: Result) -> str:
    """0.439 [0.421, 0.456], with the count of unscored rows beside it where there are any."""
    if result.value is None:
        return f"unscored ({result.unscored})" if not result.n else "-"
    bounds = "-" if result.low is None or result.high is None else f"{show(result.low)}, {show(result.high)}"
    missing = f" ({result.unscored} unscored)" if result.unscored else ""
    return f"{show(result.value)} [{bounds}]{missing}"


def table_of(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: names to the left, numbers to the right."""
    marks = ["---" if name == "metric" else "---:" for name in rows[0]]
    return "\n".join("| " + " | ".join(row) + " |" for row in [rows[0], marks, *rows[1:]])
