"""A grid of decoding parameters run point by point, and what is given up for what: two columns and their front.

Every point is a run like any other, in the folder that ``capbench run`` would use: the same sweep again computes
nothing, and a wider one only what is new. All points are planned before the first one runs, and one that fails costs
only itself.

On the front are the points that no other is at least as good as in both columns and better in one (Pareto). A point
off it counts as beaten where a point of the front, as good or better in both by value, is better beyond chance in one
of the two: the paired test of ``capbench compare``, at 5% after Holm over all that is tested. The rest are not told
apart from the front.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Unpack

from capbench import api, compare, engine, paired, plugins, scoring
from capbench.captioners.inner import label_of
from capbench.errors import CapbenchError, MissingPart, UsageError
from capbench.keeping import as_error, caption_all
from capbench.matching import read_sides
from capbench.needs import References
from capbench.resolve import root
from capbench.scoring import Part
from capbench.store import Run
from capbench.types import Generation, Summary
from capbench.varying import Point, grid, refuse_unused

Standing = Literal["front", "near", "beaten", ""]
STANDINGS = {"front": "on the front", "near": "not told apart", "beaten": "beaten", "": "-"}
Tell = Callable[[str], None]


class Head(NamedTuple):
    """A column of the table: the place of its metric, its name and label, and which way is better."""

    part: int
    column: str
    label: str
    better: str


@dataclass(frozen=True, slots=True)
class Planned:
    """A sweep that can start. columns: those of the table, the two that are traded first; rest: those of files only."""

    label: str
    names: tuple[str, ...]
    points: tuple[Point, ...]
    plans: tuple[engine.Plan, ...]
    columns: tuple[Head, ...]
    rest: tuple[Head, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """A point and its run. error: why it has none, or what is wrong with the one it has. standing: see the module.

    dropped: as in ``engine.Result``.
    """

    point: Point
    run: Run | None
    error: CapbenchError | None = None
    standing: Standing = ""
    dropped: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """What tables say of it."""
        if self.error is None:
            return STANDINGS[self.standing]
        return "failed" if self.run is None else f"{STANDINGS[self.standing]} (unscored)"

    def number(self, head: Head, plan: engine.Plan) -> Summary | None:
        """The point's number in a column."""
        if self.run is None:
            return None
        short = plan.signatures[head.part].short
        return next((s for s in self.run.summaries if (s.column, s.short) == (head.column, short)), None)


@dataclass(frozen=True, slots=True)
class Sweep:
    """All points in the order of the grid, what they were planned as, and what a reader should know."""

    planned: Planned
    points: tuple[Done, ...]
    notes: tuple[str, ...]

    @property
    def columns(self) -> tuple[Head, ...]:
        """The columns of the table; the first two are traded."""
        return self.planned.columns

    @property
    def benchmark(self) -> str:
        """Its name."""
        return self.planned.plans[0].job.benchmark.name

    @property
    def every(self) -> tuple[Head, ...]:
        """The columns of the table, and those that only files have."""
        return (*self.planned.columns, *self.planned.rest)

    @property
    def labels(self) -> tuple[str, ...]:
        """What each of ``every`` is called; of equal labels with the metric's spec."""
        own = [head.label for head in self.every]
        parts = self.planned.plans[0].job.parts
        return tuple(
            f"{head.label} ({parts[head.part].spec})" if own.count(head.label) > 1 else head.label
            for head in self.every
        )

    def cells(self, i: int) -> list[Summary | None]:
        """The numbers of point i in the order of the columns."""
        return self.numbers(i)[: len(self.columns)]

    def numbers(self, i: int) -> list[Summary | None]:
        """All numbers of point i that have a better side."""
        return [self.points[i].number(head, self.planned.plans[i]) for head in self.every]

    @property
    def failure(self) -> CapbenchError | None:
        """All that went wrong as one error; its exit code is theirs where they agree."""
        failed = [(done.point.label, done.error) for done in self.points if done.error is not None]
        if not failed:
            return None
        lines = [f"  {label}: {str(error).replace(chr(10), chr(10) + '    ')}" for label, error in failed]
        made = CapbenchError(
            f"{len(failed)} of {len(self.points)} points went wrong:\n" + "\n".join(lines),
            "the others are kept: the same command again runs only what is not finished",
        )
        codes = {error.exit_code for _, error in failed}
        if len(codes) == 1:
            made.exit_code = codes.pop()
        return made


def sweep(
    captioner: str,
    benchmark: str,
    vary: Mapping[str, Sequence[Any]],
    metrics: Sequence[str] = (),
    *,
    x: str = "",
    y: str = "",
    max_missing: float = 1.0,
    **options: Unpack[api.Options],
) -> Sweep:
    """Run a captioner with every combination of some parameters, and say which are on the front of two columns.

    vary: parameter -> values, of decoding (prompt, max_tokens, temperature, beams, seed) or a field of the captioner;
    the first varies slowest. x, y: the two columns, by name or label (default: the headline, and the first column of
    another metric). The rest is as for ``capbench.run``. Points that fail are in the answer with their error.

    Raises:
        UsageError, MissingPart, BadData: before any work, for all points together.
    """
    planned = plan(captioner, benchmark, vary, metrics, x=x, y=y, **options)
    return run(planned, max_missing)


def plan(
    captioner: str,
    benchmark: str,
    vary: Mapping[str, Sequence[Any]] | Iterable[str],
    metrics: Sequence[str] = (),
    *,
    x: str = "",
    y: str = "",
    **options: Unpack[api.Options],
) -> Planned:
    """Check everything that can be checked of every point before the first one runs.

    Raises:
        UsageError: an unknown parameter or column, or one that the captioner makes no use of.
        MissingPart: all that is missing, together.
    """
    points = grid(captioner, vary, options.get("generation", Generation()))
    names = tuple(name for name, _ in points[0].settings)
    options["generation"] = points[0].generation
    first = api.job_of(points[0].spec, benchmark, metrics, **options)
    columns = table_columns(first.parts, x, y)
    jobs = [first, *(job_at(first, point, options.get("name", "")) for point in points[1:])]
    for job in jobs:
        refuse_unused(job.label, job.captioner, points[0].decoding)
    plans, faults = [], dict[str, list[str]]()
    found: CapbenchError | None = None
    for job, point in zip(jobs, points, strict=True):
        try:
            plans.append(engine.plan(job))
        except CapbenchError as error:
            faults.setdefault(str(error), []).append(point.label)
            found = found or error
    if found is not None:
        raise found if len(faults) == 1 else missing_of(faults)
    labels = {job.label for job in jobs}
    label = labels.pop() if len(labels) == 1 else plugins.parse(points[0].spec).target
    rest = tuple(head for head in directed(first.parts) if head not in columns)
    return Planned(label, names, tuple(points), tuple(plans), columns, rest)


def job_at(first: engine.Job, point: Point, name: str) -> engine.Job:
    """The job of another point on the same benchmark."""
    loaded = plugins.load("captioners", point.spec)
    label = name or label_of(loaded.value, point.spec)
    return replace(first, captioner=loaded.value, origin=loaded.origin, label=label, generation=point.generation)


def missing_of(faults: Mapping[str, Sequence[str]]) -> MissingPart:
    """What keeps several points from starting, each with the points it is about."""
    lines = [f"{', '.join(labels)}:\n  {text.replace(chr(10), chr(10) + '  ')}" for text, labels in faults.items()]
    return MissingPart("the sweep cannot start:\n" + "\n".join(lines))


def directed(parts: Sequence[Part]) -> list[Head]:
    """Every column that has a better side."""
    return [
        Head(k, name, scoring.label_of(part, name), column.better)
        for k, part in enumerate(parts)
        for name, column in part.metric.columns.items()
        if column.better != "none"
    ]


def table_columns(parts: Sequence[Part], x: str, y: str) -> tuple[Head, ...]:
    """The two columns that are traded, then the first of every other metric that has a better side.

    Raises:
        UsageError: no such column, one without a better side, twice the same, or only one metric.
    """
    heads = directed(parts)
    leads = [next(head for head in heads if head.part == k) for k in dict.fromkeys(head.part for head in heads)]
    leads.sort(key=lambda head: not parts[head.part].headline)
    across = named(x, heads) if x else first_of(leads, y and named(y, heads), parts)
    up = named(y, heads) if y else first_of(leads, across, parts)
    if across == up:
        raise UsageError(f"{across.label} against itself trades nothing", "name two columns: --x CIDEr --y CLIPScore")
    return (across, up, *(head for head in leads if head.part not in (across.part, up.part)))


def first_of(leads: Sequence[Head], other: Head | Literal[""], parts: Sequence[Part]) -> Head:
    """The first column of another metric: of one that sees no references, where the other sees some.

    Raises:
        UsageError: there is no other metric.
    """
    if not other:
        if not leads:
            raise UsageError("no column has a better side", "name metrics: -m cider -m clipscore")
        return leads[0]
    sees = sees_references(parts[other.part])
    left = sorted(
        (head for head in leads if head.part != other.part), key=lambda h: sees_references(parts[h.part]) == sees
    )
    if not left:
        raise UsageError(
            "a trade-off has two columns, and there is one metric", "name another: -m clipscore, or --x and --y"
        )
    return left[0]


def sees_references(part: Part) -> bool:
    """Whether a metric is made from references."""
    return any(isinstance(root(need), References) for need in part.needs.values())


def named(word: str, heads: Sequence[Head]) -> Head:
    """The column of that name or label, in any case.

    Raises:
        UsageError: none, or several.
    """
    found = [head for head in heads if word.casefold() in (head.column.casefold(), head.label.casefold())]
    if len(found) == 1:
        return found[0]
    what = "several columns are" if found else "no column with a better side is"
    raise UsageError(f"{what} called {word!r}", f"there are: {', '.join(head.label for head in heads)}")


def run(planned: Planned, max_missing: float = 1.0, tell: Tell | None = None) -> Sweep:
    """Run the points: captions of those that share a model first, then each in order. tell: gets a line a point."""
    alike: dict[str, list[int]] = {}
    for i, point in enumerate(planned.points):
        alike.setdefault(point.spec, []).append(i)
    before = caption_all(dict(enumerate(planned.plans)), list(alike.values()))
    done = []
    for i, point in enumerate(planned.points):
        made, error = None, before.errors.get(i)
        if error is None:
            made, error = one(planned.plans[i] if i not in before.made else scoring_of(planned.plans[i]), max_missing)
        run_ = None if made is None else replace(made.run, summaries=made.asked)
        dropped = (*before.dropped.get(i, ()), *(made.dropped if made else ()))
        done.append(Done(point, run_, error, dropped=dropped))
        if tell is not None:
            captioned = before.made.get(i, 0) + (made.captioned if made else 0)
            words = f"{captioned} captions and {made.scored} metrics were computed" if made else "failed"
            tell(f"point {i + 1} of {len(planned.points)}, {point.label}: {words}")
    judged = with_standings(planned, done)
    return Sweep(planned, tuple(judged), tuple(notes_on(judged)))


def scoring_of(plan_: engine.Plan) -> engine.Plan:
    """A plan whose captions have been made: neither all nor those that failed are made once more."""
    return replace(plan_, job=replace(plan_.job, fresh=False, retry_failed=False))


def one(plan_: engine.Plan, max_missing: float) -> tuple[engine.Result | None, CapbenchError | None]:
    """The run of one point, or what went wrong; also where too much of it is unscored."""
    try:
        made = engine.run(plan_)
    except Exception as error:  # noqa: BLE001 -- a plugin may raise anything, and the other points go on
        return None, as_error(error)
    try:
        engine.refuse_unscored(made.run, made.asked, max_missing)
    except CapbenchError as error:
        return made, error
    return made, None


def with_standings(planned: Planned, done: Sequence[Done]) -> list[Done]:
    """The points with what can be said of them in the two columns."""
    heads = planned.columns[:2]
    pairs = [[d.number(head, p) for head in heads] for d, p in zip(done, planned.plans, strict=True)]
    known = {
        i: [s for s in pair if s is not None]
        for i, pair in enumerate(pairs)
        if all(s and s.value is not None for s in pair)
    }
    good = {i: [(-1 if s.better == "low" else 1) * (s.value or 0.0) for s in pair] for i, pair in known.items()}
    front = [i for i in known if not any(dominates(good[j], good[i]) for j in known)]
    rest = [i for i in known if i not in front]
    worse = beaten([(f, p) for p in rest for f in front if dominates(good[f], good[p])], done, known)
    standings: dict[int, Standing] = dict.fromkeys(front, "front")
    standings |= {i: "beaten" if i in worse else "near" for i in rest}
    return [replace(d, standing=standings.get(i, "")) for i, d in enumerate(done)]


def dominates(one_: Sequence[float], other: Sequence[float]) -> bool:
    """Whether one is at least as good in all, and better in some."""
    return all(a >= b for a, b in zip(one_, other, strict=True)) and list(one_) != list(other)


def beaten(pairs: Sequence[tuple[int, int]], done: Sequence[Done], known: Mapping[int, Sequence[Summary]]) -> set[int]:
    """The points that another one of a pair is better than beyond chance. pairs: (better by value, worse)."""
    if not pairs:
        return set()
    used = sorted({i for pair in pairs for i in pair})
    runs = [replace(made, summaries=tuple(known[i])) for i in used if (made := done[i].run) is not None]
    place = {i: k for k, i in enumerate(used)}
    asked = [(place[i], place[j]) for i, j in pairs]
    found = compare.compare_sides(read_sides(runs), (), asked, paired.RESAMPLES, 0, "both", 0)
    return {used[line.second] for line in found.lines if line.verdict == "better"}


def notes_on(done: Sequence[Done]) -> list[str]:
    """Which points gave the same captions, for then what differs between them changed nothing; and the runs' notes."""
    same: dict[tuple[Any, ...], list[str]] = {}
    notes = []
    for point in done:
        if point.run is not None:
            same.setdefault(tuple((c.id, c.sample, c.text) for c in point.run.captions), []).append(point.point.label)
            notes += [f"{point.point.label}: {note}" for note in point.run.record.notes]
    alike = [f"the same captions, to the letter: {' | '.join(labels)}" for labels in same.values() if len(labels) > 1]
    return [*alike, *notes]
