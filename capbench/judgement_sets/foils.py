"""Sets of captions beside foils: the same with something wrong. The original is the preferred one.

References are the photo's captions without the original (word by word: case, blanks and punctuation aside);
rows for which none is left are left out and counted.

FOIL (Shekhar et al. 2017), ``foilv1.0_test_2017.json``: ``{"images": [{id, file_name}], "annotations": [{id,
image_id, caption, foil}]}``; annotations of one id are an original and its foils. ``--references 1`` is the
setting with one reference; without it there are about four. keio-smilab24/Polos ``validate/compute_foil.py``
pairs them in the same way and takes the original out of the references where the text is the same.

SugarCrepe (Hsieh et al. 2023): seven files ``{number: {filename, caption, negative_caption}}``, RAIVNLab/
sugar-crepe ``data/``; photos of COCO val2017. The group is the file. Or lines of ``kind, image_id, caption, foil``.

VALSE (Parcalabescu et al. 2022): ``foil-it.json`` and its like, ``{key: {image_file, caption, foil, mturk,
linguistic_phenomena}}``, Heidelberg-NLP/VALSE ``data/``. Only what two of three annotators found valid is kept,
as the authors ask (README). Or lines of ``image_id, caption, foil, annotators``, perhaps with ``refs``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from capbench.judgement_sets.captions import same_words
from capbench.judgement_sets.coco_ratings import of
from capbench.judgement_sets.entries import LeftOut, Rows, Work, Wrong, keyed, listed, part, text, texts
from capbench.judgement_sets.files import File
from capbench.records_raw import Row, quoted

VALID = 2  # of three annotators


def pair(
    image: str | int, original: str, foil: str, references: Sequence[str], work: Work, group: str = ""
) -> dict[str, Any]:
    """A row: the original first, and preferred."""
    others = [reference for reference in references if not same_words(reference, original)]
    row = {"image": image, "candidates": [original, foil], "references": work.kept(others), "preferred": 0}
    return row | ({"group": group} if group else {})


def is_foil(file: File) -> bool:
    """COCO's form with ``foil`` in the annotations."""
    notes = file.value.get("annotations") if isinstance(file.value, dict) else None
    return isinstance(notes, list) and bool(notes) and isinstance(notes[0], dict) and "foil" in notes[0]


def foil(files: Sequence[File], work: Work) -> Rows:
    """Each foil beside the original of its id."""
    found: Rows = []
    for file in files:
        notes = listed(file.value["annotations"], f"{file.name} annotations")
        names = {str(image.get("id")): image.get("file_name") for image in objects(file.value.get("images"))}
        originals: dict[str, str] = {}
        for note in objects(file.value["annotations"]):
            if note.get("foil") is False and "id" in note and isinstance(note.get("caption"), str):
                originals[str(note["id"])] = note["caption"]
        found += work.each(notes, foil_reader(originals, names, work))
    return found


def objects(values: Any) -> list[dict[str, Any]]:
    """The objects of a list; what is none is told where it is read."""
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def foil_reader(originals: Mapping[str, str], names: Mapping[str, Any], work: Work) -> Any:
    """What makes rows of an annotation of FOIL; originals make none of their own."""

    def rows_of(note: Any) -> Iterator[dict[str, Any]]:
        is_a_foil = part(note, "foil")
        if not isinstance(is_a_foil, bool):
            raise Wrong(f"foil is {quoted(repr(is_a_foil))}, neither true nor false")
        caption, number, image = text(note, "caption"), str(part(note, "id")), part(note, "image_id")
        if not is_a_foil:
            return
        if number not in originals:
            raise Wrong(f"no annotation of id {number} has foil false: the original is missing")
        references, name = of(image, work), names.get(str(image))
        yield pair(name if isinstance(name, str) else image, originals[number], caption, references, work)

    return rows_of


def is_sugarcrepe(file: File) -> bool:
    """As published."""
    return file.kind == "json" and {"filename", "caption", "negative_caption"} <= file.first.keys()


def sugarcrepe(files: Sequence[File], work: Work) -> Rows:
    """The pairs of each file."""

    def rows_of(value: Any) -> Iterator[dict[str, Any]]:
        group, entry = value
        image = text(entry, "filename")
        yield pair(image, text(entry, "caption"), text(entry, "negative_caption"), of(image, work), work, group)

    entries = [Row(entry.where, (file.stem, entry.value)) for file in files for entry in keyed(file.value, file.name)]
    return work.each(entries, rows_of)


def is_joined_sugarcrepe(file: File) -> bool:
    """JSON lines of all kinds."""
    return {"kind", "image_id", "caption", "foil"} <= file.first.keys()


def joined_sugarcrepe(files: Sequence[File], work: Work) -> Rows:
    """The same from one file."""

    def rows_of(value: Any) -> Iterator[dict[str, Any]]:
        image = part(value, "image_id")
        yield pair(image, text(value, "caption"), text(value, "foil"), of(image, work), work, text(value, "kind"))

    return work.each([row for file in files for row in file.rows], rows_of)


def is_valse(file: File) -> bool:
    """As published."""
    return file.kind == "json" and {"image_file", "caption", "foil", "mturk"} <= file.first.keys()


def valse(files: Sequence[File], work: Work) -> Rows:
    """The valid pairs."""

    def rows_of(value: Any) -> Iterator[dict[str, Any]]:
        refuse_invalid(value, "mturk")
        image = PurePosixPath(text(value, "image_file")).name
        group = text(value, "linguistic_phenomena")
        yield pair(image, text(value, "caption"), text(value, "foil"), of(image, work), work, group)

    return work.each([entry for file in files for entry in keyed(file.value, file.name)], rows_of)


def is_joined_valse(file: File) -> bool:
    """JSON lines, some with references."""
    return {"image_id", "caption", "foil", "annotators"} <= file.first.keys()


def joined_valse(files: Sequence[File], work: Work) -> Rows:
    """The same from one file; references are its own, else those of ``--captions``."""

    def rows_of(value: Any) -> Iterator[dict[str, Any]]:
        refuse_invalid(value, "annotators")
        image = part(value, "image_id")
        own = texts(value, "refs") if value.get("refs") is not None else ()
        references = own or (of(image, work) if work.captions.names else ())
        yield pair(image, text(value, "caption"), text(value, "foil"), references, work)

    return work.each([row for file in files for row in file.rows], rows_of)


def refuse_invalid(value: Any, key: str) -> None:
    """Leave out what the annotators did not find valid.

    Raises:
        LeftOut: fewer than two of them chose the caption, and the caption alone.
    """
    votes = part(part(value, key), "caption")
    if isinstance(votes, bool) or not isinstance(votes, int):
        raise Wrong(f"{key} has no number of votes for the caption")
    if votes < VALID:
        raise LeftOut("fewer than two annotators found the pair valid")
