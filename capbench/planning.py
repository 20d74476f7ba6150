"""What is to be run, and all that can be known and checked before any captioner runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from capbench import asking, combining, scoring, several, store
from capbench.benchmark import Benchmark, data_digests
from capbench.cache import open_cache
from capbench.errors import cannot_start
from capbench.facts import Facts, facts_of, leave_out, missing_facts
from capbench.protocols import Need, Problem
from capbench.resolve import Bound, bind, cached_share, closure, is_derived
from capbench.signature import Signature
from capbench.store import Identity
from capbench.types import Generation


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be run.

    samples: captions an image (0: as many as the file or the benchmark states, else one). retry_failed: whether
    captions that failed are asked for again. root: the folder of runs (None: nothing is written). executor: what
    captions and encodes elsewhere, as ``capbench.ray_executor.Ray`` does (None: this process).
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
    retry_failed: bool = False
    executor: Any = None


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
    named += [(f"executor {job.executor.name}", job.executor)] if job.executor is not None else []
    found = [(name, part.check()) for name, part in named]
    problems = [Problem(f"{name}: {problem.what}", problem.cure) for name, problem in found if problem is not None]
    if samples == 1:
        problems += [
            Problem(f"metric {part.spec}: it compares several captions of an image, and there is one", several.CURE)
            for part in job.parts
            if several.compares(closure(part.needs.values()))
        ]
    return problems


def needs_of(plan: Plan) -> list[Need]:
    """What captioner and metrics need, each once."""
    stated = [need for part in plan.job.parts for need in part.needs.values()]
    return closure([*combining.needs_of(plan.job.captioner), *stated])


def plan_lines(plan: Plan) -> list[str]:
    """The plan for people: what will be computed, by what, and how much of it is in the cache."""
    names = needs_of(plan)
    lines = [
        f"captioner  {plan.identity.captioner}",
        f"items      {len(plan.given.ids)}" + (f", {plan.samples} captions each" if plan.samples > 1 else ""),
        f"run        {plan.folder or '-'}",
        *([f"executor   {plan.job.executor.stated()}"] if plan.job.executor is not None else []),
        *(f"unused     {line}" for line in plan.unused),
    ]
    with open_cache() as cache:
        for need in names:
            if not is_derived(need):
                continue
            share = cached_share(need, plan.judged, plan.bound, cache)
            known = (
                "replies are kept one by one"
                if getattr(need, "replies", False)
                else "made in each run"
                if not need.cached
                else "after captioning"
                if share is None
                else f"{share[0]} of {share[1]} cached"
            )
            lines.append(f"need       {need} by {plan.bound[need.backend].fingerprint}: {known}")
    lines += [f"metric     {signature.text}" for signature in plan.signatures.values()]
    return lines


def key_of(metric: str, short: str) -> str:
    """The name of a metric's rows in scores.parquet."""
    return f"{metric}#{short}"
