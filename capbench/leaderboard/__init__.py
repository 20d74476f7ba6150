"""Tables from run folders: gathered, split by signature, ranked, written. Nothing is run here.

A rank is one more than the number of systems that are better beyond chance, so systems that cannot be
told apart share one. Numbers whose signatures differ never share a column.
"""

from capbench.leaderboard.boards import Board, Head, Line, board, disagreements, gather
from capbench.leaderboard.committed import (
    ENTRY_FILES,
    check_board,
    entry_files,
    rewrite_board,
    with_reported,
    write_board,
)
from capbench.leaderboard.entries import Entry, chosen_entries, read_entries
from capbench.leaderboard.exchange import export, model_index
from capbench.leaderboard.latex import latex
from capbench.leaderboard.markdown import markdown
from capbench.leaderboard.plain import csv_text, json_text, quoted
from capbench.leaderboard.text import escape, in_code, interval, show

__all__ = [
    "ENTRY_FILES", "Board", "Entry", "Head", "Line", "board", "check_board", "chosen_entries", "csv_text",
    "disagreements", "entry_files", "escape", "export", "gather", "in_code", "interval", "json_text", "latex",
    "markdown", "model_index", "quoted", "read_entries", "rewrite_board", "show", "with_reported", "write_board",
]  # fmt: skip
