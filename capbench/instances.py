"""COCO's instance files (``instances_val2014.json``): which categories were outlined in which picture."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from capbench.errors import BadData, Fault, MissingPart
from capbench.records_keys import id_text
from capbench.records_raw import SHORT, text_of

# COCO_val2014_000000000042.jpg, 000000000042.jpg and 42 are one picture
COCO_NAME = re.compile(r"(?:COCO_\w+_)?0*(\d+)(?:\.\w+)?", re.ASCII)
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Instances:
    """labels: image id as text -> names of the categories outlined in it. names: file name -> image id."""

    labels: Mapping[str, frozenset[str]]
    names: Mapping[str, str]

    @property
    def categories(self) -> frozenset[str]:
        """Every category that some picture has."""
        return frozenset().union(*self.labels.values())

    def of(self, id_: str) -> frozenset[str] | None:
        """The categories in a picture, by its id, its file name or the number in it; None: it is not there."""
        name = PurePosixPath(id_.replace("\\", "/")).name
        number = COCO_NAME.fullmatch(name)
        known = (id_, self.names.get(name, ""), number[1] if number else "")
        return next((self.labels[key] for key in known if key in self.labels), None)


def read_instances(paths: Sequence[str]) -> Instances:
    """The pictures of one or more files, each perhaps gzip'ed; one that stands in several has the labels of all.

    Raises:
        MissingPart: no such file.
        BadData: not an instance file, or one whose annotations name images or categories that it lacks.
    """
    labels: dict[str, frozenset[str]] = {}
    names: dict[str, str] = {}
    for path in paths:
        try:
            state = Path(path).stat()
        except OSError as error:
            raise MissingPart(f"cannot read {path}: {error.strerror}", "give the path of an instance file") from error
        one = read_one(path, state.st_mtime_ns, state.st_size)
        labels |= {key: own | labels.get(key, frozenset()) for key, own in one.labels.items()}
        names |= one.names
    return Instances(labels, names)


@lru_cache(maxsize=4)
def read_one(path: str, changed: int, size: int) -> Instances:  # noqa: ARG001 -- an edited file is read again
    """One file; it is read once for the check before a run and for the scores after it."""
    value = document(path)
    categories = {number(entry, "id"): entry.get("name") for entry in value["categories"]}
    faults = [
        Fault(f"{path} categories[{i}]", "no id or no name")
        for i, entry in enumerate(value["categories"])
        if not number(entry, "id") or not isinstance(entry.get("name"), str)
    ]
    labels: dict[str, set[str]] = {}
    names: dict[str, str] = {}
    for i, image in enumerate(value.get("images", ())):
        if key := number(image, "id"):
            labels[key] = set()
            if isinstance(image.get("file_name"), str):
                names[PurePosixPath(image["file_name"]).name] = key
        else:
            faults.append(Fault(f"{path} images[{i}]", "no id"))
    for i, note in enumerate(value["annotations"]):
        key, category = number(note, "image_id"), number(note, "category_id")
        if category not in categories:
            faults.append(Fault(f"{path} annotations[{i}]", f"no category has the id {category or 'that it lacks'}"))
        elif not key or ("images" in value and key not in labels):
            faults.append(Fault(f"{path} annotations[{i}]", f"no image has the id {key or 'that it lacks'}"))
        else:
            labels.setdefault(key, set()).add(categories[category])
    if faults:
        raise BadData(f"{path} cannot be used, {len(faults)} fault(s):", faults)
    return Instances({key: frozenset(own) for key, own in labels.items()}, names)


def document(path: str) -> dict[str, Any]:
    """The file's object, with lists of objects under categories, annotations and perhaps images.

    Raises:
        BadData: broken JSON, or something else.
    """
    text = text_of(Path(path))
    try:
        value = json.loads(text, object_hook=slim)
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip())
        what = "cut short" if cut else f"not JSON: {error.msg} at column {error.colno}"
        raise BadData(
            f"{path} is broken:", [Fault(f"{path} line {error.lineno}", what, SHORT if cut else "")]
        ) from error
    except RecursionError as error:
        raise BadData(f"{path} is broken: nested too deeply") from error
    have = value if isinstance(value, dict) else {}
    lists = [key for key in ("categories", "annotations") if not is_rows(have.get(key))]
    if lists or not is_rows(have.get("images", [])):
        lacks = f"it has no list {' and no list '.join(lists)}" if lists else "its images are no list of objects"
        raise BadData(
            f"{path} is no file of COCO instances: {lacks}", cure="give instances_val2014.json or one like it"
        )
    return have


def is_rows(value: Any) -> bool:
    """Whether a value is a list of objects."""
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


def slim(entry: dict[str, Any]) -> dict[str, Any]:
    """An object without its outline, which is nearly all of such a file."""
    entry.pop("segmentation", None)
    return entry


def number(entry: Mapping[str, Any], key: str) -> str:
    """An id as text, "" where there is none."""
    try:
        return id_text(entry.get(key))
    except ValueError:
        return ""
