"""Judged captions scored by the engine, as any run is: each corpus by itself, and the rows laid end to end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from capbench import engine
from capbench.benchmark import reference_digest
from capbench.needs import Ids
from capbench.signature import Signature, digest
from capbench.store import Stated
from capbench.tables import Scored
from capbench.types import Rows, Summary

if TYPE_CHECKING:
    from capbench.protocols import Need, Problem
    from capbench.store import Run


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
    stated: list[Stated] = []
    for i, part in enumerate(job.parts):
        signature = Signature((*plan.signatures[i].pairs, ("corpora", str(len(names)))))
        key = engine.key_of(part.metric.name, signature.short)
        shorts = [each.signatures[i].short for each in plans]
        if key in tables:
            continue
        stated.append(Stated(part.spec, part.label, signature.text, signature.short, part.headline))
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
    record = replace(results[0].run.record, metrics=stated)
    made = replace(results[0].run, record=record, ids=ids, scored=tuple(tables.values()), summaries=tuple(asked))
    return made, tuple(asked)


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
    details = {id_: said for table in tables for id_, said in table.details.items()}
    return Scored(key, Rows(columns, np.concatenate(items)), reasons, samples, details)
