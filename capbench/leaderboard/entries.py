"""Finished runs below folders, and which of them may share a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capbench import run_folders, store
from capbench.errors import BadData, CapbenchError, Fault, UsageError
from capbench.store import Record
from capbench.types import Summary


@dataclass(frozen=True, slots=True)
class Entry:
    """One run as the table sees it."""

    folder: Path
    record: Record
    summaries: tuple[Summary, ...]


def read_entries(roots: Sequence[Path]) -> tuple[list[Entry], list[Fault]]:
    """Finished runs, and what is wrong with the others."""
    entries, faults = [], []
    for root in roots:
        for folder in run_folders.find_runs(root):
            try:
                record = store.read_record(folder)
                if record.status == "finished":
                    entries.append(Entry(folder, record, store.read_summary(folder)))
            except (CapbenchError, OSError) as error:
                faults.append(Fault(str(folder), str(error).replace("\n", " ")))
    return entries, faults


def chosen_entries(roots: Sequence[Path], benchmark: str = "", sort: str = "") -> list[Entry]:
    """The finished runs of a benchmark ("": of all), each fit to be shown.

    Raises:
        BadData: no run, or damaged ones (all of them named).
        UsageError: no column is called ``sort``.
    """
    entries, faults = read_entries(roots)
    if faults:
        raise BadData("some runs cannot be read:", faults)
    chosen = [e for e in entries if benchmark in ("", e.record.identity.benchmark) and e.summaries]
    if not chosen:
        what = f" of {benchmark}" if benchmark else ""
        raise BadData(
            f"no finished run{what} below {', '.join(map(str, roots))}",
            cure="capbench run CAPTIONER -b BENCHMARK",
        )
    if sort and not any(named(entry, sort) for entry in chosen):
        names = dict.fromkeys(s.column for entry in chosen for s in entry.summaries)
        raise UsageError(f"no column is called {sort!r}", f"there are: {', '.join(names)}")
    return chosen


def grouped(entries: Sequence[Entry], sort: str = "") -> list[list[Entry]]:
    """The runs of each table, in a fixed order."""
    groups: dict[tuple[Any, ...], list[Entry]] = {}
    for entry in entries:
        groups.setdefault(group_of(entry, sort), []).append(entry)
    return [group for _, group in sorted(groups.items(), key=lambda pair: pair[0][:3])]


def group_of(entry: Entry, sort: str) -> tuple[Any, ...]:
    """Runs share a table when they share a benchmark, its version, and the signature that they are sorted by."""
    identity = entry.record.identity
    head = headline(entry, sort)
    return identity.benchmark, identity.version, head.mark if head else "", head.signature if head else ""


def headline(entry: Entry, sort: str = "") -> Summary | None:
    """The number that a run is sorted by: the column asked for, else the stated headline, else the first."""
    if sort and named(entry, sort):
        return named(entry, sort)
    stated = [m.short for m in entry.record.metrics if m.headline]
    return next((s for s in entry.summaries if s.short in stated), entry.summaries[0] if entry.summaries else None)


def named(entry: Entry, name: str) -> Summary | None:
    """The first number whose column or label this is."""
    return next((s for s in entry.summaries if name in (s.column, s.label)), None)
