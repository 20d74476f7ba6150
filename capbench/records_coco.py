"""Records from the two documents that describe whole data sets: COCO annotations and Karpathy splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from capbench.errors import Fault
from capbench.records_keys import (
    MISSING,
    Keys,
    Record,
    dig,
    id_text,
    image_name,
    row_texts,
    scalar_paths,
    split_name,
    tags_of,
    texts_of,
)
from capbench.records_raw import LOOKED_AT, Doubled
from capbench.types import Failure


@dataclass(slots=True)
class Found:
    """What was read of a file: its records, and what is wrong with the rest.

    joined: rows of one id belong together by the file's form.
    columns: what the first rows have under which a tag could stand. flags: flags that some annotation has.
    """

    records: list[Record] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    joined: bool = False
    columns: dict[str, None] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)


class Note(NamedTuple):
    """One annotation: the id of its image, its texts (None: flagged, so no reference), its place."""

    id: str
    texts: tuple[str | Failure, ...] | None
    where: str


def is_coco(value: Mapping[str, Any]) -> bool:
    """Whether an object is ``{"images": [...], "annotations": [...]}``, perhaps without annotations."""
    images = value.get("images")
    return isinstance(images, list) and isinstance(value.get("annotations", []), list) and not is_karpathy(value)


def is_karpathy(value: Mapping[str, Any]) -> bool:
    """Whether an object is ``{"images": [{"sentences": [...]}]}``."""
    images = value.get("images")
    return isinstance(images, list) and any(isinstance(image, dict) and "sentences" in image for image in images)


def karpathy(value: Mapping[str, Any], name: str, keys: Keys) -> Found:
    """One record an image; the id is cocoid, else filename, else imgid (its place in the list)."""
    found = Found()
    for i, image in enumerate(value["images"]):
        where = f"{name} images[{i}]"
        if not isinstance(image, dict):
            found.faults.append(Fault(where, "not an object"))
            continue
        ids = (keys.id,) if keys.id else ("cocoid", "filename", "imgid")
        raw = next((part for key in ids if (part := dig(image, key)) is not MISSING), MISSING)
        identity = checked_id(raw, where, " or ".join(ids), found)
        if identity is None:
            continue
        sentences = image.get("sentences")
        texts = texts_of(sentences) if isinstance(sentences, list) else ()
        found.records.append(record(identity, raw, texts, where, image, keys, found))
    return found


def coco(value: Mapping[str, Any], name: str, keys: Keys) -> Found:
    """One record an image, with the texts of its annotations in file order.

    Annotations with a flag of ``keys.without`` are no references; an image that has no others is left out.
    """
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
            images[identity] = record(identity, raw, (), where, image, keys, found)
    notes = notes_of(value.get("annotations", []), name, keys, found)
    flagged = {note.id for note in notes if note.texts is None}
    texts: dict[str, list[str | Failure]] = {identity: [] for identity in images}
    for note in notes:
        if note.id in texts:
            texts[note.id].extend(note.texts or ())
        else:
            found.faults.append(Fault(note.where, f"it belongs to image {note.id}, which is not among the images"))
    found.records = [
        replace(image, texts=tuple(texts[identity]))
        for identity, image in images.items()
        if texts[identity] or identity not in flagged
    ]
    return found


def notes_of(notes: Sequence[Any], name: str, keys: Keys, found: Found) -> list[Note]:
    """What each annotation says of which image; an annotation id must not stand twice."""
    notes_read: list[Note] = []
    texts = keys.texts or ("caption",)
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
            flagged = is_flagged(note, where, keys, found)
            notes_read.append(Note(identity, None if flagged else row_texts(note, texts), where))
    return notes_read


def is_flagged(note: Mapping[str, Any], where: str, keys: Keys, found: Found) -> bool:
    """Whether a flag of ``keys.without`` is true; a flag that is neither true nor false is a fault."""
    flags = {key: note[key] for key in keys.without if key in note}
    found.flags.update(flags)
    for key, value in flags.items():
        if not isinstance(value, bool):
            found.faults.append(Fault(where, f"{key} is neither true nor false: {value!r:.40}"))
    return True in flags.values()


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


def record(
    identity: str, raw: Any, texts: tuple[str | Failure, ...], where: str, value: Mapping[str, Any], keys: Keys,
    found: Found,
) -> Record:  # fmt: skip
    """A record with the split, the picture and the tags that its row names; a tag that is none is noted."""
    tags: dict[str, str] = {}
    if keys.asked and len(found.records) < LOOKED_AT:
        found.columns.update(dict.fromkeys(value))
    if keys.tags:
        if len(found.records) < LOOKED_AT:
            found.columns.update(dict.fromkeys(scalar_paths(value)))
        try:
            tags = tags_of(value, keys.tags)
        except ValueError as error:
            found.faults.append(Fault(where, str(error)))
    asked = {key: part for key in keys.asked if (part := dig(value, key)) is not MISSING and part is not None}
    return Record(identity, texts, where, not isinstance(raw, str), split_name(value), image_name(value), tags, asked)


__all__ = ["Found", "checked_id", "coco", "is_coco", "is_karpathy", "karpathy", "record"]
