"""The captions that people wrote of the photos, from the files that a data set of photos comes with.

COCO's ``captions_*.json``, Karpathy's ``dataset_*.json``, Flickr's ``*.token`` files, JSON lines, CSV. A COCO
photo is known by its number, however a file writes it (974, ``COCO_val2014_000000000974.jpg``,
``000000000974.jpg``); any other by its name up to the first dot. Numbers of COCO and names of Flickr30k that
look the same are different photos.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from capbench.errors import BadData, Fault
from capbench.judgement_sets.files import lines_if_one
from capbench.records import id_text, read
from capbench.records_raw import SPACE, Parsed, parse, text_of
from capbench.types import Failure

Photo = int | str
COCO_NAME = re.compile(r"(?:COCO_[a-z]+20\d\d_)?(\d{12})")
TOKEN_LINE = re.compile(r"([^\t#]+)#\d+\t(.*)")
WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Captions:
    """The captions of each photo, and photo and text of each caption that has an id (as text)."""

    names: tuple[str, ...] = ()
    of_photo: Mapping[Photo, tuple[str, ...]] = field(default_factory=dict)
    by_id: Mapping[str, tuple[Photo, str]] = field(default_factory=dict)


NO_CAPTIONS = Captions()


def photo(name: Photo) -> Photo:
    """What a photo is known by; a number without an extension is COCO's, also as text."""
    if isinstance(name, int) or name.isdecimal():
        return int(name)
    stem = PurePosixPath(name.replace("\\", "/")).name.partition(".")[0]
    match = COCO_NAME.fullmatch(stem)
    return int(match[1]) if match else stem


def same_words(one: str, other: str) -> bool:
    """Whether two captions differ at most in case, blanks and punctuation."""
    return WORD.findall(one.casefold()) == WORD.findall(other.casefold())


def read_captions(paths: Sequence[str | Path]) -> Captions:
    """The captions of several files as one.

    Raises:
        MissingPart, BadData: a file cannot be read, or holds no captions.
    """
    of_photo: dict[Photo, list[str]] = {}
    by_id: dict[str, tuple[Photo, str]] = {}
    for path in paths:
        name, content = str(path), text_of(Path(path))
        if TOKEN_LINE.match(content.lstrip(SPACE).partition("\n")[0]):
            ids = dict(token_lines(content, name))
            own = by_photo(ids)
        else:
            parsed = lines_if_one(parse(content, name), name)
            own, ids = from_records(path, parsed), dict(caption_ids(parsed))
        for key, captions in own.items():
            before = of_photo.get(key, [])  # a photo that several files have, as val2014 and val2017 do
            of_photo[key] = before + [one for one in captions if one not in before]
        by_id |= ids
    return Captions(tuple(map(str, paths)), {key: tuple(found) for key, found in of_photo.items()}, by_id)


def token_lines(content: str, name: str) -> Iterator[tuple[str, tuple[Photo, str]]]:
    """Caption id, photo and text of each line ``photo.jpg#0 TAB caption``."""
    faults = []
    for number, line in enumerate(content.split("\n"), 1):
        match = TOKEN_LINE.match(line.strip(SPACE))
        if match:
            yield line.partition("\t")[0].strip(SPACE), (photo(match[1]), match[2].strip())
        elif line.strip(SPACE):
            faults.append(Fault(f"{name} line {number}", "not photo.jpg#NUMBER, a tab, and a caption"))
    if faults:
        raise BadData(f"{name} cannot be used, {len(faults)} fault(s):", faults)


def by_photo(ids: Mapping[str, tuple[Photo, str]]) -> dict[Photo, list[str]]:
    """The captions of each photo in the file's order."""
    found: dict[Photo, list[str]] = {}
    for key, caption in ids.values():
        found.setdefault(key, []).append(caption)
    return found


def from_records(path: str | Path, parsed: Parsed) -> dict[Photo, list[str]]:
    """The captions of each photo of any other file that capbench reads references from."""
    segments = bool(parsed.rows) and "seg_id" in parsed.rows[0].value  # as in THumB's mscoco_references.json
    records = read(path, id_field="seg_id" if segments else "", want="references", repeats=True)
    faults = [Fault(record.where, one.reason) for record in records for one in record.texts if isinstance(one, Failure)]
    if faults:
        raise BadData(f"{path} cannot be used, {len(faults)} fault(s):", faults)
    return {photo(record.id): [str(one) for one in record.texts] for record in records}


def caption_ids(parsed: Parsed) -> Iterator[tuple[str, tuple[Photo, str]]]:
    """Id, photo and text of each caption that has an id of its own; the file is known to be in order."""
    value: Any = parsed.value if isinstance(parsed.value, dict) else {}
    for note in value.get("annotations", ()):
        if "id" in note and "caption" in note:
            yield str(note["id"]), (photo(id_text(note["image_id"])), note["caption"])
    for image in value.get("images", ()):
        for sentence in image.get("sentences", ()):
            if "sentid" in sentence and "raw" in sentence:
                name = image["cocoid"] if "cocoid" in image else image.get("filename", "")
                yield str(sentence["sentid"]), (photo(id_text(name)), sentence["raw"])
    for row in parsed.rows:
        ids = row.value.get("caption_ids")
        if isinstance(ids, list) and "image_id" in row.value:
            key = photo(id_text(row.value["image_id"]))
            yield from ((str(id_), (key, text)) for id_, text in zip(ids, row.value.get("refs", ()), strict=False))


__all__ = ["NO_CAPTIONS", "Captions", "Photo", "photo", "read_captions", "same_words"]
