"""Runs image by image, as the data that their page draws.

A run keeps captions and scores, and neither references nor pictures (``docs/run-folder.md``): those come from the
benchmark, when it is given, and only if it is the one that the runs were made with.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from capbench import api, run_folders, store
from capbench.benchmark import Benchmark
from capbench.contenders import OTHER_DATA, refuse_other_data
from capbench.errors import Fault, NotComparable, UsageError
from capbench.facts import Facts, facts_of
from capbench.leaderboard.boards import Board, board, in_order
from capbench.leaderboard.entries import Entry
from capbench.pages.board import board_data
from capbench.pages.candidates import candidates_data
from capbench.pages.document import document
from capbench.pages.elements import elements_data
from capbench.pages.galleries import galleries_data
from capbench.pages.judged import judged_data
from capbench.pages.paintings import paintings_data
from capbench.pages.pictures import thumbnails
from capbench.store import Run, place_for, write_file

if TYPE_CHECKING:
    from capbench.tables import Scored

DIGITS = 5  # of a score on one image


@dataclass(frozen=True, slots=True)
class Viewed:
    """Runs in the order of their table, with the ids that all of them are about."""

    runs: tuple[Run, ...]
    table: Board
    ids: tuple[str, ...]


def write_view(folders: Sequence[Path], target: Path, bench: Benchmark | None = None, *, sort: str = "",
               size: int = 384) -> int:  # fmt: skip
    """Write the page of some runs, and with a benchmark thumbnails beside it; how many of its pictures there are.

    folders: runs, or folders with runs below them. size: the longer side of a thumbnail, in pixels. The
    thumbnails of page.html are in page_files.

    Raises:
        BadData, MissingPart: no run there, a damaged or unfinished one.
        NotComparable: runs on other images than the first, or another benchmark than theirs.
        UsageError: no column is called ``sort``, or no file can be written there.
    """
    place_for(target)
    viewed = read_runs(folders, sort)
    facts = None if bench is None else facts_for(viewed, bench)
    if facts is not None:
        viewed = replace(viewed, ids=facts.ids)
    beside = target.with_name(f"{target.stem}_files")
    data = view_data(viewed, facts)
    pictures: list[str] = []
    if facts is not None and any(facts.images):
        pictures, unseen = thumbnails(facts.images, beside, size)
        data |= {"pictures": pictures, "unseen": unseen}
    data |= {"paintings": paintings_data(viewed.runs, viewed.ids, beside, size), "folder": beside.name}
    if facts is not None:
        data["leftOut"] = bench is not None and bench.refs == "leave-one-out"
    title = f"{viewed.table.benchmark}: {len(viewed.runs)} systems image by image - capbench"
    write_file(target, document(title, "view", {"view": data}).encode())
    return sum(map(bool, pictures))


def read_runs(folders: Sequence[Path], sort: str = "") -> Viewed:
    """The runs, each with the same items.

    Raises:
        as ``write_view``; UsageError: no column is called ``sort``.
    """
    found = list(dict.fromkeys(run for folder in folders for run in (run_folders.find_runs(folder) or [folder])))
    runs = {folder: with_ids(api.load_run(folder)) for folder in found}
    entries = [Entry(folder, run.record, run.summaries) for folder, run in runs.items()]
    if sort and not any(sort in (s.column, s.label) for e in entries for s in e.summaries):
        names = dict.fromkeys(s.column for e in entries for s in e.summaries)
        raise UsageError(f"no column is called {sort!r}", f"there are: {', '.join(names)}")
    refuse_strangers(runs)
    ordered = [entry.folder for entry, _ in in_order(entries, sort)]
    return Viewed(tuple(runs[folder] for folder in ordered), board(entries, sort), runs[found[0]].ids)


def with_ids(run: Run) -> Run:
    """A run that keeps no captions, as an entry of a leaderboard, with the ids of its scores."""
    return run if run.ids or run.folder is None else replace(run, ids=tuple(store.read_items(run.folder)))


def refuse_strangers(runs: Mapping[Path, Run]) -> None:
    """Raise NotComparable, naming all, where runs are not on the images of the first."""
    first, *others = runs.items()
    where, known = first[0], first[1].record.identity
    faults = []
    for folder, run in others:
        identity = run.record.identity
        if (identity.benchmark, identity.version) != (known.benchmark, known.version):
            faults.append(Fault(str(folder), f"is of {identity.benchmark} version {identity.version}"))
        elif set(run.ids) != set(first[1].ids):
            shared = len(set(run.ids) & set(first[1].ids))
            faults.append(Fault(str(folder), f"has {len(run.ids)} images, {shared} of them in common"))
        elif identity.data != known.data:
            faults.append(Fault(str(folder), f"has other references or pictures: data {identity.data}"))
    if faults:
        about = f"{known.benchmark} version {known.version}, {len(first[1].ids)} images, data {known.data}"
        raise NotComparable(f"a page shows runs on the same images; {where} is of {about}:", faults)


def facts_for(viewed: Viewed, bench: Benchmark) -> Facts:
    """The benchmark's references and pictures of the runs' items, in the benchmark's order.

    Raises:
        NotComparable: it is not the benchmark that the runs were made with.
    """
    refuse_other_data(viewed.runs, bench)
    facts = facts_of(bench, len(viewed.ids))
    if set(facts.ids) != set(viewed.ids):
        raise NotComparable(f"{bench.name} has other ids than the runs:", cure=OTHER_DATA)
    return facts


def view_data(viewed: Viewed, facts: Facts | None) -> dict[str, Any]:
    """Everything but the pictures."""
    items = {name: i for i, name in enumerate(viewed.ids)}
    captions, reasons = captions_data(viewed, items)
    lines = range(len(viewed.runs))
    scores = [[item_scores(viewed, line, k) for k in range(len(viewed.table.columns))] for line in lines]
    ranked = [k for k in range(len(viewed.table.columns)) if any(own[k] is not None for own in scores)]
    return {
        "board": board_data(viewed.table, "t1"),
        "ids": viewed.ids,
        "captions": captions,
        "reasons": reasons,
        "scores": scores,
        "firstColumn": ranked[0] if ranked else 0,
        "references": None if facts is None else references_data(facts),
        "leftOut": False,
        "pictures": None,
        "unseen": {},
        "folder": "",
        "candidates": [candidates_data(run, viewed.ids) for run in viewed.runs],
        "paintings": [None for _ in viewed.runs],
        "elements": [elements_data(run, viewed.ids) for run in viewed.runs],
        "judged": [judged_data(run, viewed.ids) for run in viewed.runs],
        "galleries": galleries_data(viewed.runs, viewed.ids, facts),
    }


def captions_data(viewed: Viewed, items: dict[str, int]) -> tuple[list[Any], list[dict[int, str]]]:
    """For each run its captions an item (a text, several, or None for a failed one; None: keeps none) and reasons."""
    captions: list[Any] = []
    reasons: list[dict[int, str]] = []
    for run in viewed.runs:
        texts: list[list[str | None]] = [[] for _ in items]
        for caption in run.captions:
            texts[items[caption.id]].append(caption.text)
        captions.append([own[0] if len(own) == 1 else own for own in texts] if run.captions else None)
        reasons.append({items[c.id]: c.reason for c in run.captions if c.text is None})
    return captions, reasons


def item_scores(viewed: Viewed, line: int, k: int) -> list[float | None] | None:
    """Each item's score in column k: the mean of its rows; None where it has none, or the run has no such column."""
    column, run = viewed.table.columns[k], viewed.runs[line]
    summary = viewed.table.lines[line].cells[k]
    found = next((s for s in run.scored if summary is not None and s.key == f"{summary.metric}#{summary.short}"), None)
    if found is None or column.column not in found.rows.columns:
        return None
    return means(found, column.column, places_of(run, viewed.ids), len(viewed.ids))


def places_of(run: Run, ids: Sequence[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The place in ``ids`` of each of the run's own items."""
    place = {name: i for i, name in enumerate(ids)}
    return np.array([place[name] for name in run.ids], np.int64)


def means(scored: Scored, column: str, places: np.ndarray[Any, np.dtype[np.int64]], n: int) -> list[float | None]:
    """The mean of each item's rows, over samples and galleries."""
    values = scored.rows.columns[column]
    own = np.arange(len(values)) if scored.rows.items is None else scored.rows.items
    there = ~np.isnan(values)
    items = places[own[there]]
    counts = np.bincount(items, minlength=n)
    sums = np.bincount(items, weights=values[there], minlength=n)
    return [float(f"{s / c:.{DIGITS}g}") if c else None for s, c in zip(sums.tolist(), counts.tolist(), strict=True)]


def references_data(facts: Facts) -> list[list[str]]:
    """The references of each item."""
    offsets = facts.references.offsets.tolist()
    return [list(facts.references.values[a:b]) for a, b in itertools.pairwise(offsets)]
