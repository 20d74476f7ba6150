"""A table that is kept: README.md, table.csv and entries, generated, and checked against what they are made from."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from capbench import store
from capbench.errors import CheckFailed, UsageError
from capbench.leaderboard import reported
from capbench.leaderboard.boards import Board, gather
from capbench.leaderboard.markdown import markdown
from capbench.leaderboard.plain import csv_text
from capbench.leaderboard.text import escape

ENTRY_FILES = (store.RUN, store.SUMMARY, store.SCORES, store.TAGS)


def entry_files(run: Path) -> list[str]:
    """The files of a run that an entry has: all but its captions and log. Older runs have no tags."""
    return [name for name in ENTRY_FILES if name != store.TAGS or (run / name).exists()]


def write_board(boards: Sequence[Board], entries: Sequence[Path], target: Path, command: str) -> None:
    """Write README.md, table.csv and the entries (run folders without captions) below ``target``."""
    for source in entries:
        kept = target / "entries" / source.name
        kept.mkdir(parents=True, exist_ok=True)
        for name in entry_files(source):
            if kept.resolve() != source.resolve():
                shutil.copyfile(source / name, kept / name)
    shown = with_reported(boards, target / reported.NAME)
    store.write_file(target / "README.md", page(shown, command).encode())
    store.write_file(target / "table.csv", csv_text(shown).encode())


def with_reported(boards: Sequence[Board], path: Path, *, must: bool = False) -> list[Board]:
    """The tables, the first with what a file reports.

    Raises:
        UsageError: there is no such file, and ``must``.
        BadData: as ``read_reported``.
    """
    if not path.exists() and must:
        raise UsageError(f"there is no file {path}")
    if not path.exists():
        return list(boards)
    return [replace(boards[0], reported=reported.read_reported(path)), *boards[1:]]


def page(boards: Sequence[Board], command: str) -> str:
    """README.md of a leaderboard: generated, never edited."""
    title = escape(boards[0].benchmark)
    made = f"Made by:\n\n```\n{command}\n```\n"
    return f"# {title}\n\nGenerated; do not edit.\n\n{markdown(boards)}\n{made}"


def made_by(target: Path) -> str:
    """The commands that a written table names."""
    readme = target / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.exists() else ""
    return text.rpartition("Made by:\n\n```\n")[2].partition("\n```")[0]


def rewrite_board(target: Path) -> None:
    """Write a table again from its own entries."""
    write_board(gather([target / "entries"]), [], target, made_by(target))


def check_board(target: Path) -> None:
    """Refuse a written table that differs from what its entries give.

    Raises:
        CheckFailed: README.md or table.csv is stale.
    """
    boards = with_reported(gather([target / "entries"]), target / reported.NAME)
    wanted = {"README.md": page(boards, made_by(target)), "table.csv": csv_text(boards)}
    stale = [name for name, text in wanted.items() if not same_file(target / name, text)]
    if stale:
        what = f"{target} is stale: {' and '.join(stale)} are not what its entries give"
        raise CheckFailed(what, f"capbench leaderboard --rewrite {target}")


def same_file(path: Path, text: str) -> bool:
    """Whether a file is there and holds this text."""
    return path.exists() and path.read_bytes() == text.encode()
