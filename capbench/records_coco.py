"""Records from the two documents that describe whole data sets: COCO annotations and Karpathy splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from capbench.errors import Fault
from capbench.records_keys import MISSING, Record, dig, id_text, image_name, row_texts, split_name, texts_of
from capbench.records_raw import Doubled
from capbench.types import Failure


@dataclass(slots=True)
class Found:
    """What was read of a file: its records, and what is wrong with the rest.

    joined: rows of one id belong together by the file's form.
    """

    records: list[Record] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    joined: bool = False


class Note(NamedTuple):
    """One annotation: the id of its image, its texts, its place."""

    id: str
    texts: tuple[str | Failure, ...]
    where: str


def is_coco(value: Mapping[str, Any]) -> bool:
    """Whether an object is ``{"images": [...], "annotations": [...]}``, perhaps without annotations."""
    images = value.get("images")
    return isinstance(images, list) and isinstance(value.get("annotations", []), list) and not is_karpathy(value)


def is_karpathy(value: Mapping[str, Any]) -> bool:
    """Whether an object is ``{"images": [{"sentences": [...]}]}``."""
    images = value.get("images")
    return isinstance(images, list) and any(isinstance(image, dict) and "sentences" in image for image in images)


def karpathy(value: Mapping[str, Any], name: str, id_field: str) -> Found:
    """One record an image; the id is cocoid, else filename, else imgid (its place in the list)."""
    found = Found()
    for i, image in enumerate(value["images"]):
        where = f"{name} images[{i}]"
        if not isinstance(image, dict):
            found.faults.append(Fault(where, "not an object"))
            continue
        keys = (id_field,) if id_field else ("cocoid", "filename", "imgid")
        raw = next((part for key in keys if (part := dig(image, key)) is not MISSING), MISSING)
        identity = checked_id(raw, where, " or ".join(keys), found)
        if identity is None:
            continue
        sentences = image.get("sentences")
        texts = texts_of(sentences) if isinstance(sentences, list) else ()
        found.records.append(record(identity, raw, texts, where, image))
    return found


def coco(value: Mapping[str, Any], name: str, field: str) -> Found:
    """One record an image, with the texts of its annotations in file order."""
    found = Found()
    images: dict[str, Record] = {}
    for i, image in enumerate(value["images"]):
        where = f"{name} images[{i}]"
        raw = image.get("id", MISSING) if isinstance(image, dict) else MISSING
        identity = checked_id(raw, where, "id", found)
        if identity is None:
            continue
        if identity in images:
            found.faults.append(Fault(where, f"image id {identity} is already at {images[identity].where}"))
        else:
            images[identity] = record(identity, raw, (), where, image)
    notes = notes_of(value.get("annotations", []), name, field, found)
    texts: dict[str, list[str | Failure]] = {identity: [] for identity in images}
    for note in notes:
        if note.id in texts:
            texts[note.id].extend(note.texts)
        else:
            found.faults.append(Fault(note.where, f"it belongs to image {note.id}, which is not among the images"))
    found.records = [replace(image, texts=tuple(texts[identity])) for identity, image in images.items()]
    return found


def notes_of(notes: Sequence[Any], name: str, field: str, found: Found) -> list[Note]:
    """What each annotation says of which image; an annotation id must not stand twice."""
    notes_read: list[Note] = []
    keys = (field or "caption",)
    seen: dict[str, str] = {}
    for i, note in enumerate(notes):
        where = f"{name} annotations[{i}]"
        raw = note.get("image_id", MISSING) if isinstance(note, dict) else MISSING
        identity = checked_id(raw, where, "image_id", found)
        if identity is None:
            continue
        own = repr(note["id"]) if note.get("id") is not None else ""
        if isinstance(note, Doubled):
            found.faults.append(Fault(where, f"the key {note.twice[0]!r} stands twice"))
        elif own and own in seen:
            found.faults.append(Fault(where, f"annotation id {own} is already at {seen[own]}"))
        else:
            seen[own] = where
            notes_read.append(Note(identity, row_texts(note, keys), where))
    return notes_read


def checked_id(raw: Any, where: str, key: str, found: Found) -> str | None:
    """The id as text; a fault is noted and None given where there is none."""
    if raw is MISSING:
        found.faults.append(Fault(where, f"no {key}"))
        return None
    try:
        return id_text(raw)
    except ValueError as error:
        found.faults.append(Fault(where, str(error)))
        return None


def record(identity: str, raw: Any, texts: tuple[str | Failure, ...], where: str, value: Mapping[str, Any]) -> Record:
    """A record with the split and the picture that its row names."""
    return Record(identity, texts, where, not isinstance(raw, str), split_name(value), image_name(value))


__all__ = ["Found", "checked_id", "coco", "is_coco", "is_karpathy", "karpathy", "record"]
