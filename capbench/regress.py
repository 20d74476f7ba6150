"""A run against a baseline: better, same, worse or not comparable, a column at a time.

A column is worse when its difference is significant (adjusted over the columns), goes the wrong way, and is
larger than what is allowed. What cannot be compared is never a pass. Nothing is run here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from capbench import paired, run_folders, store
from capbench.compare import Comparison, Line, compare_sides
from capbench.errors import BadData, CheckFailed, Fault, NotComparable, UsageError
from capbench.leaderboard import ENTRY_FILES, entry_files
from capbench.matching import Side, read_sides, wanted
from capbench.significance import ALPHA
from capbench.store import Run
from capbench.types import Summary

Verdict = Literal["better", "same", "worse", "not comparable"]
MAX_MISSING = 0.01
RUN, BASELINE = 0, 1  # places of the two sides: differences are run - baseline


@dataclass(frozen=True, slots=True)
class Check:
    """One column. line: the comparison (None: there is none); why: the reason in words for people."""

    summary: Summary
    verdict: Verdict
    why: str
    allowed: float
    line: Line | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """All columns of the baseline. new: labels that only the run has."""

    baseline: str
    run: str
    benchmark: str
    checks: tuple[Check, ...]
    new: tuple[str, ...]
    comparison: Comparison
    alpha: float

    def of(self, verdict: Verdict) -> list[Check]:
        """The columns with a verdict."""
        return [check for check in self.checks if check.verdict == verdict]

    def refuse(self) -> None:
        """Raise unless every column is better or the same.

        Raises:
            CheckFailed: a column is worse.
            NotComparable: none is worse, and one or more cannot be compared.
        """
        worse, unknown = self.of("worse"), self.of("not comparable")
        if worse:
            words = "; ".join(f"{c.summary.label} {c.why}" for c in worse)
            raise CheckFailed(
                f"worse than the baseline: {words}",
                "mend the captioner, allow it (--allow), or accept it: --update-baseline",
            )
        if unknown:
            faults = [Fault(", ".join(labels), why) for why, labels in reasons(unknown).items()]
            cure = "score both in the same way, or accept the run as a new baseline: --update-baseline"
            raise NotComparable("not comparable with the baseline:", faults, cure)


def reasons(checks: Sequence[Check]) -> dict[str, list[str]]:
    """The labels of the columns that have each reason."""
    found: dict[str, list[str]] = {}
    for check in checks:
        found.setdefault(check.why, []).append(check.summary.label)
    return found


def regress(
    baseline: Path | Run,
    run: Path | Run,
    *,
    allow: Mapping[str, float] | None = None,
    columns: Sequence[str] = (),
    alpha: float = ALPHA,
    max_missing: float = MAX_MISSING,
    resamples: int = paired.RESAMPLES,
    seed: int = 0,
) -> Report:
    """Judge every column of the baseline that has a direction.

    allow: column or label -> how much worse it may be. columns: only these. max_missing: the share of the
    baseline's scored rows that may have no score in the run before the column is not comparable.

    Raises:
        UsageError: an unknown column, or an allowance that is no positive number.
        BadData, MissingPart: a run cannot be read or is not finished.
    """
    sides = read_sides([run, baseline])
    allowances = allow or {}
    judged = [s for s in wanted(sides[BASELINE].summaries, columns) if s.better != "none"]
    check_words(sides[BASELINE], allowances, columns, judged)
    made = compare_sides(sides, [s.column for s in judged], [(RUN, BASELINE)], resamples, seed, "both", moved=3)
    found = {(line.summary.signature, line.summary.column): line for line in made.lines}
    checks = []
    for s in judged:
        line = found.get((s.signature, s.column))
        allowed = max((allowances[name] for name in {s.column, s.label} if name in allowances), default=0.0)
        if line is None:
            checks.append(Check(s, "not comparable", why_not(made, s), allowed))
        else:
            checks.append(judge(s, line, allowed, alpha, max_missing))
    known = {s.label for s in sides[BASELINE].summaries}
    new = tuple(s.label for s in sides[RUN].summaries if s.label not in known)
    return Report(sides[BASELINE].name, sides[RUN].name, made.benchmark, tuple(checks), new, made, alpha)


def check_words(
    baseline: Side, allowances: Mapping[str, float], columns: Sequence[str], judged: Sequence[Summary]
) -> None:
    """Refuse names that the baseline does not have, and odd allowances."""
    names = {name for s in baseline.summaries for name in (s.column, s.label)}
    unknown = [name for name in (*allowances, *columns) if name not in names]
    if unknown:
        shown = ", ".join(dict.fromkeys(s.column for s in baseline.summaries))
        raise UsageError(f"the baseline has no column {unknown[0]!r}", f"it has: {shown}")
    odd = {name: value for name, value in allowances.items() if not (math.isfinite(value) and value >= 0)}
    if odd:
        name, value = next(iter(odd.items()))
        raise UsageError(f"--allow {name}={value}: not a number of 0 or more", f"write --allow {name}=0.01")
    if not judged:
        raise UsageError("no column of the baseline has a better and a worse", "give others with -c")


def judge(summary: Summary, line: Line, allowed: float, alpha: float, max_missing: float) -> Check:
    """The verdict on a column that was compared."""
    d, gain = line.difference, line.gain
    if d.only_second > max_missing * (d.n + d.only_second):
        why = f"{d.only_second} of {d.n + d.only_second} rows that the baseline has a score for have none in the run"
        return Check(summary, "not comparable", why, allowed, line)
    if math.isnan(line.adjusted):
        return Check(summary, "not comparable", f"{d.units} galleries are too few for a test", allowed, line)
    size = f"by {abs(gain):.4g} (p {line.adjusted:.2g})"
    if line.adjusted >= alpha:
        return Check(summary, "same", "not significant" if gain else "equal", allowed, line)
    if abs(gain) <= allowed:
        return Check(summary, "same", f"{'better' if gain > 0 else 'worse'} {size}, {allowed:g} allowed", allowed, line)
    if gain > 0:
        return Check(summary, "better", size, allowed, line)
    return Check(summary, "worse", size + (f", {allowed:g} allowed" if allowed else ""), allowed, line)


def why_not(comparison: Comparison, summary: Summary) -> str:
    """The reason why a number of the baseline has no comparison."""
    own = [g for g in comparison.gaps if g.column == summary.column]
    return own[0].why if own else "the run has no such number"


def find_baseline(place: Path, run: Path | Run) -> Path:
    """The entry to compare a run with.

    place: an entry, or a folder of entries of which exactly one is of the run's benchmark and label.

    Raises:
        BadData: there is none, or there are several.
    """
    if (place / store.RUN).exists():
        return place
    record = run.record if isinstance(run, Run) else store.read_record(run)
    entries = alike(place, record)
    if len(entries) == 1:
        return entries[0]
    what = f"{record.label} on {record.identity.benchmark}"
    if not entries:
        raise BadData(f"{place} holds no baseline of {what}", cure="write one: --update-baseline")
    raise BadData(f"{place} holds {len(entries)} baselines of {what}", cure=f"give one: {entries[0]}")


def has_baseline(place: Path, run: Path) -> bool:
    """Whether there is anything to compare a run with."""
    return (place / store.RUN).exists() or bool(alike(place, store.read_record(run)))


def alike(place: Path, record: store.Record) -> list[Path]:
    """The entries below a folder that are of the same benchmark and label."""
    wanted_key = record.label, record.identity.benchmark
    found = run_folders.finished_runs(run_folders.find_runs(place))
    return [folder for folder, other in found if (other.label, other.identity.benchmark) == wanted_key]


def update_baseline(place: Path, run: Path, *, nested: bool = False) -> Path:
    """Write a finished run as an entry: a run folder without captions and log. Gives the entry's folder.

    place: an entry that is replaced, or a folder that is not there yet; a folder of entries gets one of the
    run's name, in the place of one of the same benchmark and label. nested: a new folder is one of entries.

    Raises:
        BadData: the entry there is of another benchmark.
        MissingPart: the run is not finished.
    """
    (side,) = read_sides([run])
    target = place
    old: list[Path] = []
    if (place / store.RUN).exists():
        there = store.read_record(place).identity.benchmark
        if there != side.record.identity.benchmark:
            raise BadData(f"{place} is a baseline of {there}, the run is of {side.record.identity.benchmark}")
    elif nested or (place.is_dir() and any(place.iterdir())):
        target = place / run.resolve().name
        old = [folder for folder in alike(place, side.record) if folder.resolve() != target.resolve()]
    if target.resolve() == run.resolve():
        return target
    store.make_folder(target)
    kept = entry_files(run)
    for name in set(ENTRY_FILES) - set(kept):
        (target / name).unlink(missing_ok=True)
    # run.json says that an entry is whole, so it goes last
    for name in sorted(kept, key=lambda name: name == store.RUN):
        store.write_file(target / name, (run / name).read_bytes())
    for folder in old:
        for name in ENTRY_FILES:
            (folder / name).unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()
    return target
