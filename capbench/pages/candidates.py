"""What a captioner made of others could choose from, image by image, as data for their page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from capbench.combining import read_choices
from capbench.store import Run


def candidates_data(run: Run, ids: Sequence[str]) -> list[Any] | None:
    """For each item what could be chosen for its captions; None where the run chose nothing.

    An item's entry is one list a caption: [captioner, text, score, reason, place among those with a score or None] of
    every candidate, and in the end the remark on the caption that stands, "" for none.
    """
    choices = [] if run.folder is None else read_choices(run.folder)
    if not choices:
        return None
    remarks = {(c.id, c.sample): c.reason for c in run.captions if c.text is not None}
    found: dict[str, list[Any]] = {name: [] for name in ids}
    for choice in choices:
        places = {place: rank for rank, place in enumerate(choice.best)}
        listed = [[c.captioner, c.text, c.score, c.reason, places.get(k)] for k, c in enumerate(choice.candidates)]
        found[choice.id].append([*listed, remarks.get((choice.id, choice.sample), "")])
    return [found[name] for name in ids]
