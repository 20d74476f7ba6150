"""Flickr8k-Expert and Flickr8k-CF (Hodosh, Young and Hockenmaier 2013).

Expert: lines of image, caption id and three ratings, 1 to 4. Candidates that are among the photo's own
captions are left out; every rating is a row of the statistic. CF: lines of image, caption id, share of yes,
yes, no; the share is the rating, and each candidate is taken out of its photo's references for every row.

Source: jmhessel/clipscore ``flickr8k_example/download.py`` and ``compute_metrics.py`` (CLIPScore, appendix A),
whose ``flickr8k.json`` and ``crowdflower_flickr8k.json`` are read as well; ratings that are NaN are left out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from capbench.judgement_sets.captions import photo
from capbench.judgement_sets.entries import (
    LeftOut,
    Rows,
    Work,
    Wrong,
    keyed,
    lines_of,
    number,
    part,
    rating,
    text,
    texts,
)
from capbench.judgement_sets.files import File
from capbench.records_raw import quoted

COLUMNS = 5
SCALE = (1, 2, 3, 4)
EXACT = 1e-5  # clipscore's own tolerance for share = yes / (yes + no)


def is_expert(file: File) -> bool:
    """Lines of five cells, the last three of them ratings."""
    cells = first_annotation(file)
    return bool(cells) and not share_fits(cells)


def is_crowd(file: File) -> bool:
    """Lines of five cells, where the third is the share of the fourth in the last two."""
    cells = first_annotation(file)
    return bool(cells) and share_fits(cells)


def first_annotation(file: File) -> list[str]:
    """The cells of the first line, if it is an annotation of Flickr8k."""
    cells = file.content.strip().partition("\n")[0].split("\t") if file.kind == "text" else []
    return cells if len(cells) == COLUMNS and "#" in cells[1] else []


def share_fits(cells: Sequence[str]) -> bool:
    """Whether the third cell is the share of the fourth in the last two."""
    try:
        share, yes, no = map(float, cells[2:])
    except ValueError:
        return False
    return yes + no > 0 and abs(share - yes / (yes + no)) < EXACT


def expert(files: Sequence[File], work: Work) -> Rows:
    """Captions of other photos with three ratings each."""

    def rows_of(cells: Sequence[str]) -> Iterator[dict[str, Any]]:
        image, caption = judged(cells, work)
        references = own_captions(image, work)
        if caption in references:
            raise LeftOut("the candidate is among the photo's own captions")
        given = [number(cell, "a rating") for cell in cells[2:]]
        ratings = [one for one in given if not math.isnan(one)]
        if any(one not in SCALE for one in ratings):
            raise Wrong(f"ratings are {', '.join(cells[2:])}, and an expert's are 1 to 4")
        if not ratings:
            raise LeftOut("the rating is NaN")
        yield {"image": image, "candidate": caption, "references": work.kept(references), "ratings": ratings}

    return [row for file in files for row in work.each(lines_of(file.content, file.name), rows_of)]


def crowd(files: Sequence[File], work: Work) -> Rows:
    """Captions with the share of people who said yes; no candidate of a photo is among its references."""
    entries = [entry for file in files for entry in lines_of(file.content, file.name)]
    candidates: dict[str, Counter[str]] = {}
    for cells in (entry.value for entry in entries):
        if len(cells) == COLUMNS and cells[1] in work.captions.by_id:
            candidates.setdefault(cells[0], Counter())[work.captions.by_id[cells[1]][1]] += 1

    def rows_of(cells: Sequence[str]) -> Iterator[dict[str, Any]]:
        image, caption = judged(cells, work)
        if not share_fits(cells):
            raise Wrong(f"{cells[2]} is not the share of {cells[3]} yes and {cells[4]} no")
        references = list(own_captions(image, work))
        for candidate, times in candidates[image].items():
            for _ in range(min(times, references.count(candidate))):
                references.remove(candidate)
        yield {
            "image": image, "candidate": caption, "references": work.kept(references),
            "ratings": [rating(cells[2], "the share of yes")],
        }  # fmt: skip

    return work.each(entries, rows_of)


def judged(cells: Sequence[str], work: Work) -> tuple[str, str]:
    """The photo and the text of an annotation."""
    if len(cells) != COLUMNS:
        raise Wrong(f"{len(cells)} cells where {COLUMNS} are wanted", "cells are separated by tabs")
    if cells[1] not in work.captions.by_id:
        raise Wrong(f"no caption {quoted(cells[1])} in {' or '.join(work.captions.names)}", "give Flickr8k.token.txt")
    return cells[0], work.captions.by_id[cells[1]][1]


def own_captions(image: str, work: Work) -> tuple[str, ...]:
    """The captions of a photo."""
    found = work.captions.of_photo.get(photo(image), ())
    if not found:
        raise Wrong(f"no captions of {quoted(image)} in {' or '.join(work.captions.names)}", "give Flickr8k.token.txt")
    return found


def is_clipscore(file: File) -> bool:
    """``{id: {image_path, ground_truth, human_judgement}}``."""
    return file.kind == "json" and "human_judgement" in file.first


def clipscore(files: Sequence[File], work: Work) -> Rows:
    """Each judgement is a row."""

    def rows_of(pair: Any) -> Iterator[dict[str, Any]]:
        image, judgement = pair
        yield {
            "image": PurePosixPath(text(image, "image_path")).name, "candidate": text(judgement, "caption"),
            "references": work.kept(texts(image, "ground_truth")),
            "ratings": [rating(part(judgement, "rating"), "rating")],
        }  # fmt: skip

    images = [entry for file in files for entry in keyed(file.value, file.name)]
    return work.each(work.below(images, "human_judgement"), rows_of)
