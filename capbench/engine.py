"""The one module that sees everything: plan, caption, score, write.

A plan finds all that is missing before any captioner runs. Captions already in the run's folder are
kept, metrics already scored are kept, values already in the cache are kept; the rest is computed.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from capbench import asking, captioning, combining, scoring, several, store
from capbench.cache import Cache, open_cache
from capbench.details import by_id
from capbench.errors import CapbenchError, TooManyUnscored
from capbench.facts import facts_of
from capbench.needs import Ids, References
from capbench.planning import Job, Plan, key_of, needs_of, plan, plan_lines
from capbench.protocols import Need
from capbench.resolve import Features, Work, closure, is_derived, resolve
from capbench.resuming import before_scoring, finish, previous, started
from capbench.signature import Signature
from capbench.store import Run
from capbench.tables import Scored
from capbench.types import Caption, Failure, Summary

MAX_MISSING = 0.01
SHOWN_IDS = 60


class Result(NamedTuple):
    """A run, its summaries of this call's metrics, and what was computed for it.

    dropped: specs of metrics whose numbers went with captions that were replaced, and that this call did not name.
    """

    run: Run
    asked: tuple[Summary, ...]
    work: tuple[Work, ...]
    captioned: int
    scored: int
    dropped: tuple[str, ...] = ()


def run(plan: Plan) -> Result:
    """Do what the plan says."""
    with contextlib.ExitStack() as stack:
        if plan.folder is not None:
            plan.folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(store.locked(plan.folder))
        if plan.job.executor is not None:
            stack.callback(plan.job.executor.close)
        cache = stack.enter_context(open_cache())
        if any(is_derived(need) and need.cached for need in needs_of(plan)):
            cache.require()
        before, scored, summaries = previous(plan)
        with started(plan, before) as (record, keep, captions):
            made, told = caption(plan, captions, cache, keep)
        every = in_order(plan, [*captions, *made])
        record, dropped = before_scoring(plan, record, every, changed=bool(made))
        if made:
            scored, summaries = (), ()
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
    return Result(done, asked, tuple(work), len(made), len(new_scored), dropped)


def caption(plan: Plan, done: Sequence[Caption], cache: Cache, keep: Any) -> tuple[list[Caption], list[str]]:
    """The captions that are not there yet, and what a reader of the numbers should know of how they were made.

    Those that failed are made once more where that was asked for; what fails as before changes nothing.
    """
    notes: list[str] = []
    failed = {(c.id, c.sample): c.reason for c in done if c.text is None and plan.job.retry_failed}

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
            plan.job.retry_failed,
        )  # fmt: skip
        return combining.combine(captioner, samples, done, setting, keep)

    rest = [c for c in done if (c.id, c.sample) not in failed]
    made = make(plan.job.captioner, plan.samples, rest, lambda made: keep(captioning.unlike(made, failed)), plan.folder)
    return captioning.unlike(made, failed), notes


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
        features = resolve(
            Features(facts), captioner.needs.values(), plan.bound, cache, plan.job.device, plan.job.executor
        )
        wanted = {(id_, n) for id_ in plan.given.ids for n in range(samples)} - have
        made = [c for c in captioning.from_needs(captioner, features, samples) if (c.id, c.sample) in wanted]
        keep(made)
        return made
    requests = asking.requests_of(plan.job.benchmark, plan.given, plan.job.generation, samples, have)
    proven = any(c.text is not None for c in done)
    ask: Any = captioning.from_session if plan.job.executor is None else plan.job.executor.caption
    again = {"retried": True} if plan.job.retry_failed else {}
    made = ask(captioner, requests, plan.job.generation, plan.job.device, keep, proven=proven, **again)
    return list(made)


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
    features = resolve(Features(facts), needs, plan.bound, cache, plan.job.device, plan.job.executor)
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
        how_to_score(run, max(s.unscored / (s.n + s.unscored) for s in worst)),
    )


def how_to_score(run: Run, missing: float) -> str:
    """What to do about this share of unscored rows; captions of one split of the references are told apart."""
    splits = {id_: tag.get("split", "") for id_, tag in zip(run.ids, run.tags, strict=False)}
    captioned = {splits.get(caption.id, "") for caption in run.captions if caption.status == "ok"}
    if len(captioned) == 1 and "" not in captioned and captioned < set(splits.values()):
        name = captioned.pop()
        return f"all captions are of the split {name}: score --split {name}, or split={name!r} of coco(...)"
    return f"mend the captions or pictures, or allow it: --max-missing {math.ceil(missing * 100) / 100:g}"


__all__ = ["CapbenchError", "Job", "Plan", "Result", "key_of", "plan", "plan_lines", "refuse_unscored", "run"]
