"""The one module that sees everything: plan, caption, score, write.

A plan finds all that is missing before any captioner runs. Captions already in the run's folder are
kept, metrics already scored are kept, values already in the cache are kept; the rest is computed.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from capbench import asking, captioning, combining, scoring, several, store
from capbench.benchmark import Benchmark, data_digests
from capbench.cache import Cache, open_cache
from capbench.details import by_id, forget_details, write_details
from capbench.errors import CapbenchError, TooManyUnscored, cannot_start
from capbench.facts import Facts, facts_of, leave_out, missing_facts
from capbench.needs import Ids, References
from capbench.protocols import Need, Problem
from capbench.resolve import Bound, Features, Work, bind, cached_share, closure, is_derived, resolve
from capbench.signature import Signature
from capbench.store import Identity, Record, Run, Stated
from capbench.tables import Scored
from capbench.types import Caption, Failure, Generation, Summary

MAX_MISSING = 0.01
SHOWN_IDS = 60


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be run.

    samples: captions an image (0: as many as the file or the benchmark states, else one).
    root: the folder of runs (None: nothing is written).
    """

    captioner: Any
    origin: str
    label: str
    benchmark: Benchmark
    parts: tuple[scoring.Part, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    generation: Generation = field(default_factory=Generation)
    samples: int = 0
    limit: int = 0
    device: str = "cpu"
    root: Path | None = None
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is known before work starts. given: facts for captioners; judged: for metrics.

    unused: in words, what the captioner is given and says it cannot use.
    """

    job: Job
    given: Facts
    judged: Facts
    bound: Mapping[str, Bound]
    signatures: Mapping[int, Signature]
    identity: Identity
    samples: int
    mark: str
    unused: tuple[str, ...] = ()

    @property
    def folder(self) -> Path | None:
        """Where the run is kept."""
        if self.job.root is None:
            return None
        return (
            self.job.root / store.slug(self.identity.benchmark) / f"{store.slug(self.job.label)}-{self.identity.short}"
        )


class Result(NamedTuple):
    """A run, its summaries of this call's metrics, and what was computed for it."""

    run: Run
    asked: tuple[Summary, ...]
    work: tuple[Work, ...]
    captioned: int
    scored: int


def plan(job: Job) -> Plan:
    """Check everything that can be checked before the captioner runs.

    Raises:
        MissingPart: all that is missing, together.
    """
    given = facts_of(job.benchmark, job.limit)
    params = asking.generation_of(job.benchmark, job.generation)
    job = replace(job, generation=params)
    samples = several.wanted_samples(job.captioner, job.label, job.benchmark, job.samples)
    fewer, mark = several.left_out(job.captioner, job.benchmark, samples)
    judged = leave_out(given, fewer) if fewer else given
    own_needs = combining.needs_of(job.captioner)
    stated = [need for part in job.parts for need in part.needs.values()]
    needs = closure([*own_needs, *stated])
    bound, problems = bind(needs, job.aliases)
    problems += missing_facts(needs, judged, fewer)
    problems = [*own_problems(job, samples), *problems, *asking.problems(job.captioner, job.benchmark, given, params)]
    if problems:
        raise cannot_start(problems)
    fingerprint = combining.fingerprint_of(job.captioner, job.origin, bound)
    data, _ = data_digests(job.benchmark)
    identity = Identity(
        job.benchmark.name,
        job.benchmark.version,
        data,
        fingerprint,
        len(given.ids),
        samples,
        asdict(job.generation),
    )
    signatures = {i: scoring.signature_of(part, judged, bound, samples) for i, part in enumerate(job.parts)}
    unused = asking.unused(job.captioner, job.label, job.benchmark, params, len(given.ids))
    return Plan(job, given, judged, bound, signatures, identity, samples, mark, unused)


def own_problems(job: Job, samples: int) -> list[Problem]:
    """What the captioner lacks, each metric that has a ``check``, and each that wants several captions of an image."""
    named: list[tuple[str, Any]] = [(f"captioner {job.label}", job.captioner)]
    named += [(f"metric {part.spec}", part.metric) for part in job.parts if hasattr(part.metric, "check")]
    found = [(name, part.check()) for name, part in named]
    problems = [Problem(f"{name}: {problem.what}", problem.cure) for name, problem in found if problem is not None]
    if samples == 1:
        problems += [
            Problem(f"metric {part.spec}: it compares several captions of an image, and there is one", several.CURE)
            for part in job.parts
            if several.compares(closure(part.needs.values()))
        ]
    return problems


def plan_lines(plan: Plan) -> list[str]:
    """The plan for people: what will be computed, by what, and how much of it is in the cache."""
    stated = [need for part in plan.job.parts for need in part.needs.values()]
    names = closure([*combining.needs_of(plan.job.captioner), *stated])
    lines = [
        f"captioner  {plan.identity.captioner}",
        f"items      {len(plan.given.ids)}" + (f", {plan.samples} captions each" if plan.samples > 1 else ""),
        f"run        {plan.folder or '-'}",
        *(f"unused     {line}" for line in plan.unused),
    ]
    with open_cache() as cache:
        for need in names:
            if not is_derived(need):
                continue
            share = cached_share(need, plan.judged, plan.bound, cache)
            known = (
                "made in each run"
                if not (need.cached or getattr(need, "replies", False))
                else "replies are kept one by one"
                if not need.cached
                else "after captioning"
                if share is None
                else f"{share[0]} of {share[1]} cached"
            )
            lines.append(f"need       {need} by {plan.bound[need.backend].fingerprint}: {known}")
    lines += [f"metric     {signature.text}" for signature in plan.signatures.values()]
    return lines


def run(plan: Plan) -> Result:
    """Do what the plan says."""
    with contextlib.ExitStack() as stack:
        if plan.folder is not None:
            plan.folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(store.locked(plan.folder))
        cache = stack.enter_context(open_cache())
        before, scored, summaries = previous(plan)
        with started(plan, before) as (record, keep, captions):
            made, told = caption(plan, captions, cache, keep)
        every = in_order(plan, [*captions, *made])
        new_scored, new_summaries, work, cautions = score(plan, every, cache, {s.key for s in scored})
        all_scored, all_summaries = (*scored, *new_scored), (*summaries, *new_summaries)
        record = finish(
            plan,
            record,
            every,
            all_scored,
            all_summaries,
            [*told, *cautions],
            changed=bool(made or new_scored) or record.status != "finished",
        )
        done = Run(record, all_summaries, every, all_scored, plan.judged.ids, plan.folder, plan.judged.tags)
    shorts = {signature.short for signature in plan.signatures.values()}
    asked = tuple(s for s in all_summaries if s.short in shorts)
    return Result(done, asked, tuple(work), len(made), len(new_scored))


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
    try:
        yield record, log.append, captions
    finally:
        log.close()


def forget(_: Sequence[Caption]) -> None:
    """Keep nothing: the run is not written."""


def circumstance(plan: Plan) -> dict[str, Any]:
    """What is worth knowing and changes no number: versions, device, time. No host name and no paths."""
    versions = {name: version(name) for name in ("capbench", "numpy", "pillow", "pyarrow")}
    return {
        "started": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "device": plan.job.device,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "versions": versions,
    }


def caption(plan: Plan, done: Sequence[Caption], cache: Cache, keep: Any) -> tuple[list[Caption], list[str]]:
    """The captions that are not there yet, and what a reader of the numbers should know of how they were made."""
    notes: list[str] = []

    def make(
        captioner: Any, samples: int, done: Sequence[Caption], keep: combining.Keep, folder: Path | None
    ) -> list[Caption]:
        if not combining.combines(captioner):
            return captions_by(plan, captioner, samples, done, cache, keep)
        own = plan.job.captioner is captioner
        lenders = (
            None if plan.job.root is None or plan.job.fresh else plan.job.root / store.slug(plan.identity.benchmark)
        )
        setting = combining.Setting(
            plan.identity, plan.judged, plan.bound, cache, plan.job.device, folder, lenders, make, notes if own else [],
        )  # fmt: skip
        return combining.combine(captioner, samples, done, setting, keep)

    return make(plan.job.captioner, plan.samples, done, keep, plan.folder), notes


def captions_by(
    plan: Plan, captioner: Any, samples: int, done: Sequence[Caption], cache: Cache, keep: Any
) -> list[Caption]:
    """The captions of one captioner that are not done yet."""
    have = {(c.id, c.sample) for c in done}
    if hasattr(captioner, "needs"):
        if len(have) >= len(plan.given.ids) * samples:
            return []
        # what asks for ids only, as a file does, sees all of them: with -n the others are no strangers to it
        only_ids = all(isinstance(need, Ids) for need in captioner.needs.values())
        facts = facts_of(plan.job.benchmark, 0) if only_ids else plan.given
        features = resolve(Features(facts), captioner.needs.values(), plan.bound, cache, plan.job.device)
        wanted = {(id_, n) for id_ in plan.given.ids for n in range(samples)} - have
        made = [c for c in captioning.from_needs(captioner, features, samples) if (c.id, c.sample) in wanted]
        keep(made)
        return made
    requests = asking.requests_of(plan.job.benchmark, plan.given, plan.job.generation, samples, have)
    proven = any(c.text is not None for c in done)
    return captioning.from_session(captioner, requests, plan.job.generation, plan.job.device, keep, proven=proven)


def in_order(plan: Plan, captions: Sequence[Caption]) -> tuple[Caption, ...]:
    """One caption an item and sample, in the benchmark's order."""
    by_key = {(c.id, c.sample): c for c in captions}
    return tuple(by_key[id_, sample] for id_ in plan.given.ids for sample in range(plan.samples))


def score(
    plan: Plan, captions: Sequence[Caption], cache: Cache, have: set[str]
) -> tuple[list[Scored], list[Summary], list[Work], list[str]]:
    """Rows and summaries of the metrics that are not there yet, and what users are to know of them."""
    summaries: list[Summary] = []
    cautions: list[str] = []
    parts = [(part, plan.signatures[i]) for i, part in enumerate(plan.job.parts)]
    parts = [(p, s) for p, s in parts if key_of(p.metric.name, s.short) not in have]
    needs = [need for part, _ in parts for need in part.needs.values()]
    texts = tuple(Failure(c.reason) if c.text is None else c.text for c in captions)
    facts = replace(plan.judged, captions=texts, each=plan.samples)
    features = resolve(Features(facts), needs, plan.bound, cache, plan.job.device)
    new: dict[str, tuple[scoring.Part, Signature]] = {}
    for part, signature in parts:
        new.setdefault(key_of(part.metric.name, signature.short), (part, signature))
    scored = {key: scoring.score(part, key, features) for key, (part, _) in new.items()}
    found = scoring.intervals([(part, scored[key]) for key, (part, _) in new.items()])
    for (key, (part, signature)), intervals in zip(new.items(), found, strict=True):
        own = closure(part.needs.values())
        cut = max((features.cut(need) for need in own), default=0)
        about = {"empty": several.empty_captions(own, captions), "cut": cut}
        details, why = scoring.details_of(part, features)
        scored[key] = replace(scored[key], details=by_id(details, plan.judged.ids))
        marks = [mark_of(plan, own)]
        cautions += filter(None, [why])
        caution = scoring.caution_of(part, scored[key], features)
        if caution is not None:
            marks.append(caution.mark)
            cautions.append(caution.why)
        mark = ", ".join(filter(None, marks))
        summaries += scoring.summarise(part, scored[key], intervals, signature, plan.judged, about, mark)
    return list(scored.values()), summaries, features.work, cautions


def mark_of(plan: Plan, needs: Sequence[Need]) -> str:
    """What sets a number apart from others of its column: references taken away, captions not looked at."""
    marks = [plan.mark] if References() in needs else []
    if plan.samples > 1 and not several.compares(needs) and several.looked_at(needs, plan.samples):
        marks.append(f"{several.looked_at(needs, plan.samples)} captions")
    return ", ".join(filter(None, marks))


def key_of(metric: str, short: str) -> str:
    """The name of a metric's rows in scores.parquet."""
    return f"{metric}#{short}"


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


def refuse_unscored(run: Run, asked: Sequence[Summary], allowed: float = MAX_MISSING) -> None:
    """Complain when some number leaves out more than this share of its rows.

    Raises:
        TooManyUnscored: with the reasons, how often each occurs, and the ids.
    """
    worst = [s for s in asked if s.unscored > allowed * (s.n + s.unscored)]
    if not worst:
        return
    keys = {key_of(s.metric, s.short) for s in worst}
    reasons: dict[str, dict[str, None]] = {}
    for metric in run.scored:
        if metric.key in keys:
            items = np.arange(len(run.ids)) if metric.rows.items is None else metric.rows.items
            for row, why in metric.reasons.items():
                reasons.setdefault(why, {}).setdefault(run.ids[items[row]])
    lines = []
    for why, ids in sorted(reasons.items(), key=lambda pair: -len(pair[1])):
        names = list(ids)
        more = f" ... and {len(names) - SHOWN_IDS} more" if len(names) > SHOWN_IDS else ""
        lines.append(f"  {len(names)} of {len(run.ids)} ids: {why}: {', '.join(names[:SHOWN_IDS])}{more}")
    columns = ", ".join(dict.fromkeys(s.label for s in worst))
    raise TooManyUnscored(
        f"more than {allowed:.0%} unscored in {columns}:\n" + "\n".join(lines),
        "mend the captions or pictures, or allow it: --max-missing 0.1",
    )


__all__ = ["CapbenchError", "Job", "Plan", "Result", "plan", "plan_lines", "refuse_unscored", "run"]
