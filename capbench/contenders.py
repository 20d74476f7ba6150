"""What ``compare`` is given, as runs: folders and names of runs as they are, captioners run after one plan for all.

A run that has no score on some set of bags is scored from the captions that it keeps; nothing is written into it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Unpack

from capbench import api, engine, plugins, run_folders, store
from capbench import benchmark as benchmarks
from capbench.bag_compare import Contender
from capbench.bags import RECIPES, SHORT_NAMES
from capbench.benchmark import Benchmark, data_digests
from capbench.captioners.inner import captioner_spec
from capbench.errors import BadData, CapbenchError, Fault, MissingPart, NotComparable, UsageError, cannot_start
from capbench.facts import Facts, bag_set
from capbench.metrics.retrieval import SelfRetrieval
from capbench.needs import Ids
from capbench.protocols import Need, Problem
from capbench.scoring import Part
from capbench.store import Run
from capbench.types import Bag, Caption, Failure

CAPTIONERS = "captioners"
ABSENT = Failure("the run has no caption of it")
OTHER_DATA = "give the benchmark, --dataset and --data that the runs were made with"
Told = Callable[[engine.Result], None]


@dataclass(frozen=True, slots=True)
class Kept:
    """The captions of a finished run, as a captioner: they are scored again, and nothing else is made."""

    name: ClassVar[str] = "kept"

    label: str
    made: Mapping[str, Sequence[Caption]]
    samples: int

    def fingerprint(self) -> str:
        """For a run that is written nowhere."""
        return f"kept({self.label})"

    def check(self) -> Problem | None:
        """They are there."""
        return None

    @property
    def needs(self) -> Mapping[str, Need]:
        """The ids to line up with."""
        return {"ids": Ids()}

    def captions(self, ids: Sequence[str]) -> list[str | Failure]:
        """The caption of each item."""
        return [answers[0] for answers in self.sampled(1, ids)]

    def sampled(self, samples: int, ids: Sequence[str]) -> list[list[str | Failure]]:
        """So many captions of each item."""
        return [self.answers(self.made[id_][:samples]) if id_ in self.made else [ABSENT] * samples for id_ in ids]

    def answers(self, captions: Sequence[Caption]) -> list[str | Failure]:
        """Texts, and failures with their reasons."""
        return [Failure(c.reason) if c.text is None else c.text for c in captions]


@dataclass(frozen=True, slots=True)
class Setting:
    """The benchmark on which captioners are run, and how: metrics and options as ``api.run`` takes them."""

    bench: Benchmark
    metrics: Sequence[str] = ()
    options: api.Options = field(default_factory=api.Options)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A set of bags: its name in tables, what ``self_retrieval`` is told, and the metric."""

    name: str
    recipe: str
    part: Part


def setting(benchmark: str, metrics: Sequence[str] = (), **options: Unpack[api.Options]) -> Setting:
    """The benchmark loaded once for all."""
    bench = benchmarks.load(benchmark, options.get("dataset", ""), options.get("data", ""), options.get("images", ""))
    return Setting(bench, metrics, options)


def told(words: Sequence[str], root: Path, given: Setting | None, extra: Sequence[str] = ()) -> list[Path | engine.Job]:
    """Each word as a run's folder or, with a benchmark, as a captioner's job. extra: metrics besides the setting's.

    A word that names a captioner is one, where there is a benchmark; the beginning of a run's name is a run else.

    Raises:
        UsageError: a word is neither; says how it was read.
    """
    return [one_told(word, root, given, extra) for word in words]


def one_told(word: str, root: Path, given: Setting | None, extra: Sequence[str]) -> Path | engine.Job:
    """One word."""
    is_run = (Path(word) / store.RUN).exists() or word == "latest"
    if given is not None and not is_run and names_captioner(word):
        parts = list(given.metrics) or [entry.use for entry in given.bench.metrics]
        if extra and not parts and any(sample.references for sample in given.bench.samples):
            parts = list(api.DEFAULT_METRICS)
        return api.job_of(word, given.bench, list(dict.fromkeys([*parts, *extra])), **given.options)
    try:
        return run_folders.pick_run(word, root)
    except UsageError as error:
        if names_captioner(word):
            cure = "name the benchmark to run the captioner on: -b BENCHMARK"
            raise UsageError(f"{error.message}, and a captioner needs a benchmark", cure) from error
        raise UsageError(f"{error.message}, and {no_captioner(word)}", error.cure) from error


def names_captioner(word: str) -> bool:
    """Whether a word can only be a captioner: one that is installed, a plugin's place, a call, a file of captions."""
    if Path(word).is_file():
        return True
    head, call, _ = word.partition("(")
    return bool(call) or ":" in head or head.strip().rpartition("/")[2] in plugins.installed(CAPTIONERS)


def no_captioner(word: str) -> str:
    """Why a word is no captioner either."""
    try:
        plugins.load(CAPTIONERS, captioner_spec(word))
    except CapbenchError as error:
        return error.message
    return "it is no captioner"


def run_all(jobs: Sequence[engine.Job], tell: Told) -> list[engine.Result]:
    """Plan all, then run one after the other. tell: is given each result when it is there.

    Raises:
        MissingPart: everything that any of them lacks, before any starts.
    """
    plans = plan_all(jobs)
    results = []
    for plan in plans:
        results.append(engine.run(plan))
        tell(results[-1])
    return results


def plan_all(jobs: Sequence[engine.Job]) -> list[engine.Plan]:
    """The plans.

    Raises:
        MissingPart: as ``run_all``.
    """
    plans, problems = [], dict[Problem, None]()
    for job in jobs:
        try:
            plans.append(engine.plan(job))
        except MissingPart as error:
            own: Sequence[Any] = error.problems or (Problem(error.message, error.cure),)
            problems |= dict.fromkeys(own)
    if problems:
        raise cannot_start(list(problems))
    return plans


def folders(words: Sequence[str], root: Path, given: Setting | None, tell: Told) -> list[Path]:
    """Each word's run, captioners run first.

    Raises:
        UsageError, MissingPart, BadData: before any captioner runs.
    """
    found = told(words, root, given)
    jobs = [one for one in found if isinstance(one, engine.Job)]
    made = iter(run_all(jobs, tell))
    return [one if isinstance(one, Path) else folder_of(next(made)) for one in found]


def folder_of(result: engine.Result) -> Path:
    """Where a captioner's run was written."""
    if result.run.folder is None:
        raise UsageError("runs that are compared are kept", "name a folder for them: --runs DIR")
    return result.run.folder


def bag_words(words: Sequence[str]) -> list[str]:
    """--bags as names: those between commas, but a recipe or a file's path is whole."""
    whole = [[word] if "(" in word or Path(word).is_file() else word.split(",") for word in words]
    return list(dict.fromkeys(name.strip() for names in whole for name in names if name.strip()))


def choose(names: Sequence[str], bench: Benchmark, encoder: str = "") -> list[Chosen]:
    """The metric of each set of bags: the benchmark's own, where it has one and no encoder is asked for.

    Raises:
        UsageError: the benchmark has no such set, and it is no file and no recipe.
    """
    stated = [part for part in api.metric_parts((), bench) if isinstance(part.metric, SelfRetrieval)]
    made: list[Chosen] = []
    for name in names:
        recipe = recipe_of(name, bench)
        own = [part for part in stated if part.metric.bags == recipe and not encoder]
        if not own:
            by = f", encoder={encoder!r}" if encoder else ""
            own = list(api.metric_parts([f"self_retrieval(bags={recipe!r}{by})"], bench))
        shown = Path(name).name if recipe != name else name
        made += [Chosen(shown if len(own) == 1 else f"{shown} by {p.metric.encoder}", recipe, p) for p in own]
    if len({chosen.name for chosen in made}) < len(made):  # files of one name in two folders
        made = [replace(chosen, name=f"{chosen.name} ({k})") for k, chosen in enumerate(made, 1)]
    return made


def recipe_of(name: str, bench: Benchmark) -> str:
    """What ``self_retrieval`` is told for a name: a set of the benchmark, a file, or a recipe.

    Raises:
        UsageError: it is none of them.
    """
    if name in bench.bag_sets:
        return name
    if Path(name).is_file():
        return f"file(path={name!r})"
    if name in SHORT_NAMES or plugins.parse(name).target in RECIPES:
        return name
    own = ", ".join(bench.bag_sets) or "none of its own"
    recipes = f"{', '.join(RECIPES)}; short names: {', '.join(SHORT_NAMES)}"
    raise UsageError(
        f"{bench.name} has no set of bags called {name!r}, and there is no such file",
        f"{bench.name} has: {own}; a file of bags; or a recipe: {recipes}",
    )


class Field(NamedTuple):
    """Runs with their scores on sets of bags, the bags of each set (empty: not known), and what is to be known."""

    contenders: list[Contender]
    bags: dict[str, Sequence[Bag]]
    notes: list[str]


def on_bags(words: Sequence[str], root: Path, given: Setting, bags: Sequence[str], encoder: str, tell: Told) -> Field:
    """Each word's run with its scores on the sets of bags, and the bags of each set.

    Captioners are run first; what a finished run lacks is scored from its captions.

    Raises:
        UsageError, MissingPart, BadData: before any captioner runs; also NotComparable: a run on other data.
    """
    chosen = choose(bags, given.bench, encoder)
    found = told(words, root, given, [c.part.spec for c in chosen])
    stored = {i: api.load_run(one) for i, one in enumerate(found) if isinstance(one, Path)}
    refuse_other_data(list(stored.values()), given.bench)
    plans = plan_all([again(stored[i], chosen, given) if isinstance(o, Path) else o for i, o in enumerate(found)])
    keys = [keys_of(plan, chosen) for plan in plans]
    refuse_other_items(plans)
    refuse_captionless([run for i, run in stored.items() if lacks(run, keys[i])])
    contenders = []
    for i, plan in enumerate(plans):
        if i in stored and not lacks(stored[i], keys[i]):
            contenders.append(Contender(stored[i], keys[i]))
            continue
        result = engine.run(plan)
        tell(result)
        run = joined(stored[i], result.run) if i in stored else result.run
        contenders.append(Contender(run, keys[i]))
    facts = plans[0].given
    sets: dict[str, Sequence[Bag]] = {c.name: whole_bags(facts, c) for c in chosen if c.name in keys[0]}
    stated = {c.name: len(given.bench.bag_sets[c.recipe].bags) for c in chosen if c.recipe in given.bench.bag_sets}
    notes = [
        f"{name}: {stated[name] - len(own)} of {stated[name]} bags are not whole among {len(facts.ids)} images"
        for name, own in sets.items()
        if len(own) < stated.get(name, 0)
    ]
    return Field(contenders, sets, notes)


def whole_bags(facts: Facts, chosen: Chosen) -> tuple[Bag, ...]:
    """The bags of a set that are whole among the items, in the order of its galleries."""
    known = set(facts.ids)
    return tuple(bag for bag in bag_set(facts, chosen.recipe).bags if known.issuperset(bag.members))


def again(run: Run, chosen: Sequence[Chosen], given: Setting) -> engine.Job:
    """The job that scores the captions of a run on bags, and writes nothing."""
    identity = run.record.identity
    made: dict[str, list[Caption]] = {}
    for caption in run.captions:
        made.setdefault(caption.id, []).append(caption)
    return engine.Job(
        captioner=Kept(run.record.label, made, identity.samples), origin="", label=run.record.label,
        benchmark=given.bench, parts=tuple(c.part for c in chosen),
        aliases={**given.bench.backends, **given.options.get("backends", {})}, samples=identity.samples,
        limit=identity.items, device=given.options.get("device", "cpu"), root=None,
    )  # fmt: skip


def keys_of(plan: engine.Plan, chosen: Sequence[Chosen]) -> dict[str, str]:
    """For each set the key of its scores in this plan's run; the same bags under two names are one set."""
    shorts = {plan.job.parts[i].spec: signature.short for i, signature in plan.signatures.items()}
    names: dict[str, str] = {}
    for c in chosen:
        names.setdefault(engine.key_of(c.part.metric.name, shorts[c.part.spec]), c.name)
    return {name: key for key, name in names.items()}


def lacks(run: Run, keys: Mapping[str, str]) -> bool:
    """Whether a run has no score on some set of bags."""
    return not set(keys.values()) <= {scored.key for scored in run.scored}


def joined(run: Run, scored: Run) -> Run:
    """A stored run with the scores that were made from its captions."""
    have = {s.key for s in run.scored}
    new = [s for s in scored.scored if s.key not in have]
    keys = {s.key for s in new}
    summaries = [s for s in scored.summaries if engine.key_of(s.metric, s.short) in keys]
    record = replace(run.record, metrics=[*run.record.metrics, *scored.record.metrics])
    return replace(run, record=record, scored=(*run.scored, *new), summaries=(*run.summaries, *summaries))


def refuse_other_data(runs: Sequence[Run], bench: Benchmark) -> None:
    """Raise NotComparable, naming all, where runs were made with other ids, references or pictures."""
    known = data_digests(bench)
    faults = [
        Fault(str(run.folder), f"was made with data {run.record.identity.data} of {run.record.identity.benchmark}")
        for run in runs
        if run.record.identity.data not in known
    ]
    if faults:
        raise NotComparable(f"{bench.name} has other ids, references or pictures than the runs:", faults, OTHER_DATA)


def refuse_other_items(plans: Sequence[engine.Plan]) -> None:
    """Raise NotComparable where runs have other numbers of the benchmark's items."""
    counts = {len(plan.given.ids) for plan in plans}
    if len(counts) > 1:
        faults = [Fault(plan.job.label, f"is of {len(plan.given.ids)} images") for plan in plans]
        cure = "-n N runs captioners on the first N images; a stored run has as many as it has"
        raise NotComparable("bags are compared on the same images:", faults, cure)


def refuse_captionless(runs: Sequence[Run]) -> None:
    """Raise BadData where captions are to be scored and a run keeps none, as an entry of a leaderboard."""
    faults = [Fault(str(run.folder), "has no score there and keeps no captions") for run in runs if not run.captions]
    if faults:
        raise BadData("these runs cannot be scored on the bags:", faults, "give the run itself, not its entry")


def stored_on_bags(found: Sequence[Path], bags: Sequence[str], encoder: str = "") -> Field:
    """Runs with the scores on bags that they hold, where no benchmark is given: its bags are then not known.

    Raises:
        NotComparable: a run has no score on some set; says which sets it has.
    """
    runs = [api.load_run(folder) for folder in found]
    faults, contenders = [], []
    for run in runs:
        known = known_sets(run, encoder)
        for name in bags:
            if len(known.get(name, ())) != 1:
                n = len(known.get(name, ()))
                what = (
                    f"has {n} scores on {name}" if n else f"has no score on {name}; it has: {', '.join(known) or '-'}"
                )
                faults.append(Fault(str(run.folder), what))
        contenders.append(Contender(run, {name: keys[0] for name, keys in known.items() if name in bags}))
    if faults:
        cure = "give the benchmark (-b), and they are scored from their captions; --encoder says by what"
        raise NotComparable("these runs cannot be compared on bags:", faults, cure)
    return Field(contenders, dict.fromkeys(bags, ()), [])


def known_sets(run: Run, encoder: str) -> dict[str, list[str]]:
    """The sets of bags on which a run has scores (by this encoder, if one is named), with the scores' keys."""
    made: dict[str, list[str]] = {}
    for stated in run.record.metrics:
        try:
            metric = plugins.load("metrics", stated.spec).value
        except CapbenchError:
            continue
        if isinstance(metric, SelfRetrieval) and encoder in ("", metric.encoder):
            made.setdefault(metric.bags, []).append(engine.key_of(metric.name, stated.short))
    return made
