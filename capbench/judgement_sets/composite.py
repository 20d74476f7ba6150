"""Composite (Aditya et al. 2018, "Image understanding using vision and reasoning through Scene Description Graph").

Captions of photos of Flickr8k, Flickr30k and COCO, rated 1 to 5 for correctness, and apart from that for
thoroughness. The files are tables of Mechanical Turk, separated by semicolons: ``8k_correctness.csv``,
``30k_correctness.csv``, ``coco_correctness.csv`` and the same with ``throughness`` (so spelt). Of each row
``Input.image_url``, ``Input.text1`` to ``Input.text4`` and ``Answer.Q1Answer`` to ``Answer.Q4Answer`` are read;
rows without a photo stand at the end. The first caption is a person's. The first three are taken, as published
work did (997 + 991 + 2,007 photos, 11,985 ratings); references are the photo's captions without the candidates
of any row of that photo, word by word. Groups are the files.

Form of the files: several public readers of ``AMT_eval`` that agree on columns, separator and last rows. The
authors' own files were not at hand, and which captions CLIPScore's table left out is not known from its code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from capbench.judgement_sets.captions import Photo, photo, same_words
from capbench.judgement_sets.coco_ratings import of
from capbench.judgement_sets.entries import LeftOut, Rows, Work, Wrong, rating, text
from capbench.judgement_sets.files import File
from capbench.records_raw import Row, split_cells

URL = "Input.image_url"
NUMBERS = (1, 2, 3)
SEPARATOR = ";"


def is_composite(file: File) -> bool:
    """A table of Mechanical Turk with photos and captions."""
    names = columns(file)
    return URL in names and "Input.text1" in names and "Answer.Q1Answer" in names


def columns(file: File) -> list[str]:
    """The header's cells."""
    head = file.content.partition("\n")[0] if file.kind == "text" else ""
    return [name.strip('" \r') for name in head.split(SEPARATOR)]


def composite(files: Sequence[File], work: Work) -> Rows:
    """Three captions of each photo with a rating each."""
    rows = [row for file in files for row in rows_below(file, work)]
    judged: dict[Photo, list[str]] = {}
    for _, cells in (row.value for row in rows):
        judged.setdefault(photo(cells.get(URL, "")), []).extend(cells.get(f"Input.text{k}", "") for k in NUMBERS)
    home: dict[str, str] = {}

    def rows_of(judgement: Any) -> Iterator[dict[str, Any]]:
        group, cells, k = judgement
        image = PurePosixPath(text(cells, URL).strip()).name
        if not image:
            raise LeftOut("the row has no photo")
        if home.setdefault(image, group) != group:
            raise Wrong(f"{image} is rated in {home[image]} too", "convert correctness and thoroughness apart")
        given = text(cells, f"Answer.Q{k}Answer").strip()
        if not given:
            raise LeftOut("the rating is empty")
        references = [r for r in of(image, work) if not any(same_words(r, one) for one in judged[photo(image)])]
        yield {
            "image": image, "candidate": text(cells, f"Input.text{k}"), "references": work.kept(references),
            "ratings": [rating(given, f"Answer.Q{k}Answer")], "group": group,
        }  # fmt: skip

    entries = [
        Row(row.where, (*row.value, k))
        for row in rows
        for k in (NUMBERS if row.value[1].get(URL, "").strip() else NUMBERS[:1])
    ]
    return work.each(entries, rows_of)


def rows_below(file: File, work: Work) -> list[Row]:
    """Each row as (name of the file, column -> cell); a row that is too short lacks its last columns."""
    cells = split_cells(file.content, SEPARATOR, file.name)
    work.faults += cells.faults
    names = columns(file)
    rows = [(line, dict(zip(names, row, strict=False))) for line, row in cells.rows[1:]]
    return [Row(f"{file.name} line {line}", (file.stem, row)) for line, row in rows]
