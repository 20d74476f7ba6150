"""Tables as CSV and JSON, for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict

from capbench import codec
from capbench.leaderboard.boards import Board
from capbench.tables import safe
from capbench.types import Summary


def csv_text(boards: Sequence[Board]) -> str:
    """One line a number. Texts that a spreadsheet would run as a formula are quoted with '."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    about = ["benchmark", "version", "rank", "column_rank", "captioner", "run", "seconds_a_caption", "date"]
    writer.writerow([*about, *Summary.__dataclass_fields__])
    for b in boards:
        for line in b.lines:
            for rank, c in zip(line.ranks, line.cells, strict=True):
                if c is not None:
                    who = [b.benchmark, b.version, line.rank, rank, line.label, line.run, line.seconds, line.date]
                    writer.writerow([safe(quoted(v)) if isinstance(v, str) else v for v in [*who, *asdict(c).values()]])
    return out.getvalue()


def quoted(text: str) -> str:
    """A text that no spreadsheet takes for a formula, in one field: a lone CR would not be quoted."""
    plain = text.replace("\r", "\n")
    return f"'{plain}" if plain.startswith(("=", "+", "-", "@", "\t", "\n")) else plain


def json_text(boards: Sequence[Board]) -> str:
    """The tables as one JSON list."""
    return codec.to_json([asdict(b) for b in boards]) + "\n"
