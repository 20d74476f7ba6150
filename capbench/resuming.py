"""A run's folder before and after the work: what it holds already, and what is new to be written."""

from __future__ import annotations

import contextlib
import datetime as dt
import platform
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np

from capbench import captioning, combining, several, store
from capbench.details import file_of, forget_details, write_details
from capbench.planning import Plan, key_of
from capbench.store import Record, Stated
from capbench.tables import Scored
from capbench.types import Caption, Summary


def previous(plan: Plan) -> tuple[Record | None, tuple[Scored, ...], tuple[Summary, ...]]:
    """What the folder holds already; nothing with --fresh, and no scores of an unfinished run."""
    folder = plan.folder
    if folder is None or not (folder / store.RUN).exists():
        return None, (), ()
    if plan.job.fresh:
        for name in (store.RUN, store.CAPTIONS, store.SCORES, store.SUMMARY, store.TAGS):
            (folder / name).unlink(missing_ok=True)
        forget_details(folder)
        combining.forget_candidates(folder)
        return None, (), ()
    record = store.read_record(folder)
    if record.status != "finished":
        return record, (), ()
    summaries = store.read_summary(folder)
    keys = {key_of(s.metric, s.short) for s in summaries}
    # a metric without any score failed as a whole; what was missing then may be there now
    kept = (s for s in store.read_scores(folder, plan.judged.ids) if s.key in keys)
    scored = tuple(s for s in kept if any(not np.isnan(c).all() for c in s.rows.columns.values()))
    return record, scored, tuple(s for s in summaries if key_of(s.metric, s.short) in {x.key for x in scored})


@contextlib.contextmanager
def started(plan: Plan, before: Record | None) -> Iterator[tuple[Record, Any, tuple[Caption, ...]]]:
    """run.json with status "started", the log to append captions to, and the captions that are there."""
    record = before or Record("started", plan.job.label, plan.identity, circumstance(plan))
    if plan.folder is None:
        yield record, forget, ()
        return
    if before is None:
        store.write_record(plan.folder, record)
    captions = store.recover_captions(plan.folder)
    log = store.CaptionLog(plan.folder)
    folder, status = plan.folder, record.status

    def keep(made: Sequence[Caption]) -> None:
        """Append; what was scored of other captions is no longer the run's."""
        nonlocal status
        if made and status == "finished":
            status = "started"
            store.write_record(folder, replace(record, status=status))
        log.append(made)

    try:
        yield record, keep, captions
    finally:
        log.close()


def before_scoring(
    plan: Plan, record: Record, captions: Sequence[Caption], *, changed: bool
) -> tuple[Record, tuple[str, ...]]:
    """The record without what was said of captions that are no more, and the specs of metrics that go with it.

    The file of captions is put in order.
    """
    if not changed and record.status == "finished":
        return record, ()
    shorts = {signature.short for signature in plan.signatures.values()}
    dropped = tuple(stated.spec for stated in record.metrics if stated.short not in shorts)
    if plan.folder is not None:
        store.order_captions(plan.folder, captions)
        for stated in record.metrics:
            file_of(plan.folder, key_of(stated.signature.partition("|")[0], stated.short)).unlink(missing_ok=True)
    return replace(record, metrics=[], notes=[]), dropped


def forget(_: Sequence[Caption]) -> None:
    """Keep nothing: the run is not written."""


def circumstance(plan: Plan) -> dict[str, Any]:
    """What is worth knowing and changes no number: versions, device, time. No host name and no paths."""
    versions = {name: version(name) for name in ("capbench", "numpy", "pillow", "pyarrow")}
    return {
        "started": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "device": plan.job.device,
        "executor": plan.job.executor.stated() if plan.job.executor is not None else "local",
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "versions": versions,
    }


def finish(
    plan: Plan,
    record: Record,
    captions: Sequence[Caption],
    scored: Sequence[Scored],
    summaries: Sequence[Summary],
    cautions: Sequence[str],
    *,
    changed: bool,
) -> Record:
    """Write what is new; run.json last, with status "finished". Notes of metrics that are kept are kept."""
    stated = {m.short: m for m in record.metrics}
    for i, part in enumerate(plan.job.parts):
        signature = plan.signatures[i]
        stated.setdefault(
            signature.short, Stated(part.spec, part.label, signature.text, signature.short, part.headline)
        )
    told = [*plan.unused, *several.notes_on(captions, plan.samples), *captioning.notes_on(captions)]
    notes = list(dict.fromkeys([*told, *record.notes, *cautions]))
    finished = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    timed = [c.seconds for c in captions if c.seconds > 0]
    speed = {"seconds_a_caption": round(sum(timed) / len(timed), 6)} if timed else {}
    done = replace(
        record, status="finished", metrics=list(stated.values()), notes=notes,
        backends=dict(record.backends) | {name: b.fingerprint for name, b in plan.bound.items()},
        circumstance={**record.circumstance, "finished": finished, **speed},
    )  # fmt: skip
    if plan.folder is not None:  # a run of an earlier capbench, or of other tags=, gets them without work
        store.write_tags(plan.folder, plan.judged.ids, plan.judged.tags)
    if not changed:
        return record
    if plan.folder is not None:
        write_details(plan.folder, scored)
        store.write_scores(plan.folder, scored, plan.judged.ids)
        store.write_summary(plan.folder, summaries)
        store.write_record(plan.folder, done)
    return done
