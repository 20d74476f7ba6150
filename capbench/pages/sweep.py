"""A sweep as the data that its page draws: the points with their standing, and the table of their runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from capbench.errors import UsageError
from capbench.leaderboard.boards import Board, board
from capbench.leaderboard.entries import Entry
from capbench.pages.board import board_data
from capbench.pages.document import document
from capbench.store import place_for, write_file
from capbench.sweeps import Sweep
from capbench.types import Summary
from capbench.varying import shown


def write_sweep(sweep: Sweep, target: Path) -> None:
    """Write a sweep as one page.

    Raises:
        UsageError: no point has a run, the runs were not kept, or no file can be written there.
    """
    place_for(target)
    title = f"{sweep.planned.label} on {sweep.benchmark}: a sweep - capbench"
    write_file(target, document(title, "sweep", {"sweep": sweep_data(sweep)}).encode())


def sweep_data(sweep: Sweep) -> dict[str, Any]:
    """Everything that the page shows."""
    table = board_of(sweep)
    lines = {line.run: n for n, line in enumerate(table.lines)}
    points = []
    for i, done in enumerate(sweep.points):
        folder = None if done.run is None else done.run.folder
        points.append(
            {
                "label": done.point.label,
                "settings": [shown(value) for _, value in done.point.settings],
                "line": None if folder is None else lines.get(folder.name),
                "cells": [cell_data(s) for s in sweep.cells(i)],
                "standing": done.standing,
                "said": done.said,
                "error": "" if done.error is None else str(done.error),
            }
        )
    return {
        "title": sweep.planned.label,
        "board": board_data(table, "t1"),
        "names": list(sweep.planned.names),
        "columns": [{"label": x, "better": h.better} for x, h in zip(sweep.labels, sweep.columns, strict=False)],
        "axes": [place_of(sweep, table, k) for k in (0, 1)],
        "points": points,
        "notes": list(sweep.notes),
    }


def board_of(sweep: Sweep) -> Board:
    """The table of the points' runs, each named by its point, the column across first.

    Raises:
        UsageError: no point has a run with numbers, or the runs were not kept.
    """
    entries = []
    for done in sweep.points:
        if done.run is not None and done.run.summaries:
            if done.run.folder is None:
                raise UsageError("a page is made from runs that are kept", "give a folder: runs='runs'")
            entries.append(Entry(done.run.folder, replace(done.run.record, label=done.point.label), done.run.summaries))
    if not any(s.value is not None for entry in entries for s in entry.summaries):
        raise UsageError("no point of the sweep has a number to show", "the errors say why")
    return board(entries, sweep.columns[0].label)


def place_of(sweep: Sweep, table: Board, k: int) -> int | None:
    """Where column k of the sweep stands in the table."""
    cells = (sweep.cells(i)[k] for i in range(len(sweep.points)))
    keys = [(column.column, column.signature) for column in table.columns]
    return next((keys.index(key) for s in cells if s is not None and (key := (s.column, s.signature)) in keys), None)


def cell_data(found: Summary | None) -> dict[str, Any] | None:
    """One number."""
    if found is None:
        return None
    return {"value": found.value, "low": found.low, "high": found.high, "unscored": found.unscored}
