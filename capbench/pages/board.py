"""A table as the data that its page draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from capbench.leaderboard.boards import Board, Line, common_n, disagreements, out_of_order
from capbench.pages.document import document
from capbench.store import place_for, write_file
from capbench.types import Summary


def write_boards(boards: Sequence[Board], target: Path) -> None:
    """Write tables as one page.

    Raises:
        UsageError: no file can be written there.
    """
    place_for(target)
    title = boards[0].benchmark if len(boards) == 1 else "Leaderboards"
    data = [board_data(board, f"t{n}") for n, board in enumerate(boards, start=1)]
    write_file(target, document(f"{title} - capbench", "boards", {"boards": data}).encode())


def board_data(board: Board, name: str) -> dict[str, Any]:
    """A board as plain data. name: what the ids of its elements begin with."""
    signatures = list(dict.fromkeys(c.signature for c in board.columns))
    in_galleries = any(column.metric == "self_retrieval" for column in board.columns)
    return {
        "id": name,
        "benchmark": board.benchmark,
        "version": board.version,
        "items": board.items,
        "n": common_n(board),
        "unit": "images (galleries for retrieval)" if in_galleries else "images",
        "sortedBy": board.sorted_by,
        "mark": board.mark,
        "signatures": signatures,
        "columns": [
            {"label": c.label, "metric": c.metric, "better": c.better, "note": signatures.index(c.signature) + 1}
            for c in board.columns
        ],
        "lines": [line_data(line) for line in board.lines],
        "timed": any(line.seconds is not None for line in board.lines),
        "dated": any(line.date for line in board.lines),
        "pairs": pairs_data(board),
        "outOfOrder": [asdict(found) for found in out_of_order(board)],
        "disagreements": [asdict(found) for found in disagreements(board)],
        "reported": [asdict(row) for row in board.reported],
    }


def line_data(line: Line) -> dict[str, Any]:
    """One system."""
    there = [c for c in line.cells if c is not None]
    return {
        "label": line.label,
        "run": line.run,
        "rank": line.rank,
        "ranks": line.ranks,
        "cells": [cell_data(c) for c in line.cells],
        "empty": max((c.empty for c in there), default=0),
        "cut": max((c.cut for c in there), default=0),
        "seconds": line.seconds,
        "date": line.date,
    }


def cell_data(found: Summary | None) -> dict[str, Any] | None:
    """One number."""
    if found is None:
        return None
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n, "unscored": found.unscored}


def pairs_data(board: Board) -> list[dict[str, Any]]:
    """For each column with ranks: how many pairs could be compared, and those that it cannot tell apart."""
    found = []
    for k, column in enumerate(board.columns):
        compared = board.compared(k)
        if column.better_pairs is not None and compared:
            same = [pair for pair in compared if not board.told_apart(k, *pair)]
            found.append({"column": k, "compared": len(compared), "same": same})
    return found
