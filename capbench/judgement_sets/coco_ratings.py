"""Two sets of ratings over photos of COCO: THumB 1.0 and CxC SITS.

THumB (Kasai et al. 2022): four systems and people, rated for precision and recall with penalties. The rating is
the total, ``human_score = (P + R) / 2 + Fl + Con + Inc``; the group is ``human`` or ``machine``; the corpus is
the system, for each is scored by itself. Source: jungokasai/THumB ``mscoco/mscoco_THumB-1.0.jsonl`` (``SYS,
seg_id, hyp, image, human_score``) with ``mscoco_references.json`` (lines of ``seg_id, refs``); or both joined
as lines of ``image_id, system, caption, total, refs``.

CxC SITS (Parekh et al. 2021): captions rated 0 to 5 against photos. A photo's own captions are left out; the
group is the way in which the pair was sampled. Source: google-research-datasets/Crisscrossed-Captions
``data/sits_val.csv`` (``caption,image,agg_score,sampling_method``; a caption is ``COCO_val2014:sentid:NUMBER``)
with Karpathy's ``dataset_coco.json`` or COCO's ``captions_val2014.json``; or joined as lines of ``image_id,
caption, rating, own_caption, sampling``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from capbench.judgement_sets.captions import photo
from capbench.judgement_sets.entries import LeftOut, Rows, Work, Wrong, part, rating, text, texts
from capbench.judgement_sets.files import File
from capbench.records_raw import Row, quoted, table

CXC_COLUMNS = ["caption", "image", "agg_score", "sampling_method"]
NOT_THERE = "the photo is not among the captions"
OWN = "the candidate is among the photo's own captions"


def is_thumb(file: File) -> bool:
    """As published."""
    return {"SYS", "hyp", "human_score"} <= file.first.keys()


def thumb(files: Sequence[File], work: Work) -> Rows:
    """Captions with their total; references by photo."""

    def rows_of(value: Any) -> Iterator[dict[str, Any]]:
        image = text(value, "image")
        total, refs = part(value, "human_score"), of(image, work)
        yield thumb_row(image, text(value, "SYS"), text(value, "hyp"), total, refs, work)

    return work.each([row for file in files for row in file.rows], rows_of)


def is_joined_thumb(file: File) -> bool:
    """With the references in each row."""
    return {"image_id", "system", "total", "refs"} <= file.first.keys()


def joined_thumb(files: Sequence[File], work: Work) -> Rows:
    """The same from one file."""

    def rows_of(value: Any) -> Iterator[dict[str, Any]]:
        image, refs = part(value, "image_id"), texts(value, "refs")
        yield thumb_row(image, text(value, "system"), text(value, "caption"), part(value, "total"), refs, work)

    return work.each([row for file in files for row in file.rows], rows_of)


def thumb_row(
    image: str | int, system: str, caption: str, total: Any, references: Sequence[str], work: Work
) -> dict[str, Any]:
    """A row of THumB."""
    return {
        "image": image, "candidate": caption, "references": work.kept(references), "ratings": [rating(total, "total")],
        "group": "human" if system == "Human" else "machine", "corpus": system,
    }  # fmt: skip


def is_cxc(file: File) -> bool:
    """As published."""
    return file.kind == "text" and file.content.partition("\n")[0].strip().split(",") == CXC_COLUMNS


def cxc(files: Sequence[File], work: Work) -> Rows:
    """Captions by their numbers."""

    def rows_of(value: Any) -> Iterator[dict[str, Any]]:
        number = text(value, "caption").rpartition(":")[2]
        if number not in work.captions.by_id:
            names = " or ".join(work.captions.names)
            raise Wrong(f"no caption number {quoted(number)} in {names}", "captions of the split that is rated")
        home, caption = work.captions.by_id[number]
        image, score = text(value, "image"), rating(part(value, "agg_score"), "agg_score")
        own = home == photo(image)
        yield cxc_row(image, caption, score, text(value, "sampling_method"), work, own=own)

    entries: list[Row] = []
    for file in files:
        parsed = table(file.content, file.name)
        work.faults += parsed.faults
        entries += parsed.rows
    return work.each(entries, rows_of)


def is_joined_cxc(file: File) -> bool:
    """With the text of the captions in each row."""
    return {"image_id", "rating", "own_caption", "sampling"} <= file.first.keys()


def joined_cxc(files: Sequence[File], work: Work) -> Rows:
    """The same with the captions' text."""

    def rows_of(value: Any) -> Iterator[dict[str, Any]]:
        image, score = part(value, "image_id"), rating(part(value, "rating"), "rating")
        own = part(value, "own_caption") is True
        yield cxc_row(image, text(value, "caption"), score, text(value, "sampling"), work, own=own)

    return work.each([row for file in files for row in file.rows], rows_of)


def cxc_row(image: str | int, caption: str, score: float, sampling: str, work: Work, *, own: bool) -> dict[str, Any]:
    """A row of CxC.

    Raises:
        LeftOut: the caption is one of the photo's own, by its number or word by word.
    """
    references = of(image, work)
    if own or caption in references:
        raise LeftOut(OWN)
    return {
        "image": image, "candidate": caption, "references": work.kept(references), "ratings": [score],
        "group": sampling,
    }  # fmt: skip


def of(image: str | int, work: Work) -> tuple[str, ...]:
    """The captions of a photo.

    Raises:
        LeftOut: there is none.
    """
    if isinstance(image, bool) or not isinstance(image, int | str):
        raise Wrong(f"the photo is {quoted(repr(image))}, neither a name nor a number")
    found = work.captions.of_photo.get(photo(image), ())
    if not found:
        raise LeftOut(NOT_THERE)
    return found
