"""What the metric ``elements`` found in captions, as data for their page: what is supported, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from capbench.details import details_of
from capbench.elements.graph import KINDS, phrase
from capbench.store import Run

METRIC = "elements"


def elements_data(run: Run, ids: Sequence[str]) -> list[Any] | None:
    """For each item what the run's first ``elements`` found (None: nothing is known); None where it has none."""
    found = details_of(run, METRIC)
    if not found:
        return None
    texts = {caption.id: caption.text for caption in reversed(run.captions) if caption.text is not None}
    return [one_item(found[name], texts.get(name, "")) if name in found else None for name in ids]


def one_item(details: Mapping[str, Any], caption: str) -> list[Any]:
    """[marks, [supported, unsupported, label, missing] of each kind], as short as it can be said.

    marks: [start, end, 1 if supported else 0], in the units by which browsers count. supported: [said, "" or what it
    was taken for, its stage].
    """
    marks = [[units(caption[:a]), units(caption[:b]), int(mark == "supported")] for a, b, mark in details["marks"]]
    return [marks, [one_kind(details[kind]) for kind in KINDS]]


def one_kind(found: Mapping[str, Any]) -> list[Any]:
    """The elements of a kind as phrases."""
    supported = [
        [phrase(tuple(said)), "" if stage == "exact" else phrase(tuple(there)), stage if stage != "exact" else ""]
        for said, there, stage, _ in found["supported"]
    ]
    plain = [[phrase(tuple(form)) for form in found[name]] for name in ("unsupported", "label")]
    return [supported, *plain, [[phrase(tuple(form)), texts] for form, texts in found["missing"]]]


def units(text: str) -> int:
    """The length of a text in UTF-16."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
