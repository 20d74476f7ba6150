"""What the keys of caption files are called, and how ids and texts are taken from their values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from capbench.records_raw import quoted
from capbench.types import Failure

Want = Literal["captions", "references", "nothing"]

ID_KEYS = (
    "id", "image_id", "image", "file_name", "filename", "img_id", "cocoid", "image_name", "filepath",
    "image_path", "img", "file", "path", "key", "imgid",
)  # fmt: skip
IMAGE_KEYS = (
    "file_name", "filename", "image", "image_name", "filepath", "image_path", "img", "file", "path",
)  # fmt: skip
TEXT_KEYS: Mapping[Want, tuple[str, ...]] = {
    "captions": (
        "prediction", "pred", "generated_caption", "candidate", "hypothesis", "output", "caption", "text",
        "raw", "captions", "predictions", "candidates", "title", "comment", "description", "answer",
        "response", "refs", "references",
    ),
    "references": (
        "references", "refs", "reference", "captions", "sentences", "caption", "text", "raw", "title",
        "comment", "description",
    ),
    "nothing": (),
}  # fmt: skip
REASON_KEYS = ("reason", "error")
NUMBERED = re.compile(r"(caption|ref|reference|comment|sentence)[_ ]?\d+")
MISSING = object()
DEPTH = 4


@dataclass(frozen=True, slots=True)
class Record:
    """The texts of one picture, and the place in a file that they come from.

    id: as text, so that 1 and "1" are one id. number: whether the file has it as a JSON number.
    texts: a caption that is not text is a Failure with the reason.
    where: "FILE line 12", "FILE [3]" or "FILE entry 3". split, image: "" where the file has none.
    tags: what the row says under the keys that were asked for; a key that it lacks, or null, is left out.
    asked: the same for keys whose values are kept as they are, such as boxes.
    """

    id: str
    texts: tuple[str | Failure, ...]
    where: str
    number: bool = False
    split: str = ""
    image: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, Any] = field(default_factory=dict)


class Keys(NamedTuple):
    """The keys of a file: of the id, and of the texts (several for ``caption_1`` to ``caption_5``).

    tags: of what items are grouped by. without: of flags, one of which being true makes an annotation no reference.
    asked: of what is asked of a picture.
    """

    id: str
    texts: tuple[str, ...]
    tags: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()


def id_text(value: Any) -> str:
    """An id as text; a whole float is the integer it stands for.

    Raises:
        ValueError: null, not a number, empty, or a list or object.
    """
    if isinstance(value, str):
        if not value.strip():
            raise ValueError("the id is empty")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"the id is {kind_of(value)}")  # noqa: TRY004 -- one error for all that is no id
    if not math.isfinite(value):
        raise ValueError(f"the id is {value}")
    return str(int(value)) if value == int(value) else repr(value)


def kind_of(value: Any) -> str:
    """A JSON value in words."""
    words = {type(None): "null", bool: "true or false", list: "a list"}
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"a number ({value!r})"
    return words.get(type(value), "an object")


def texts_of(value: Any) -> tuple[str | Failure, ...]:
    """The texts of a caption value: a text, a list of texts, or Karpathy and coco-caption objects."""
    if isinstance(value, list):
        return tuple(one_text(part) for part in value)
    return (one_text(value),)


def one_text(value: Any) -> str | Failure:
    """A text as it is, the text inside ``{"raw": ...}`` or ``{"caption": ...}``, else a Failure."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        inner = next((value[key] for key in ("raw", "caption", "text") if isinstance(value.get(key), str)), None)
        if inner is not None:
            return str(inner)
    return Failure(f"the caption is {kind_of(value)}, not text")


def dig(value: Any, path: str) -> Any:
    """What stands under a dotted path, or MISSING; a key that holds dots itself comes first."""
    if not isinstance(value, dict):
        return MISSING
    if path in value:
        return value[path]
    for i, letter in enumerate(path):
        if letter == "." and path[:i] in value:
            found = dig(value[path[:i]], path[i + 1 :])
            if found is not MISSING:
                return found
    return MISSING


def row_texts(value: Mapping[str, Any], keys: Sequence[str]) -> tuple[str | Failure, ...]:
    """The texts under these keys of a row; what the row says of its own failure becomes the reason."""
    found = [part for key in keys if (part := dig(value, key)) is not MISSING]
    if found and None not in found:
        return tuple(text for part in found for text in texts_of(part))
    said = next((value[key] for key in REASON_KEYS if isinstance(value.get(key), str) and value[key]), "")
    if not found:
        return (Failure(said or f"no {' or '.join(map(repr, keys))} in this entry"),)
    if said and found == [None]:
        return (Failure(said),)
    return tuple(text for part in found for text in texts_of(part))


def tags_of(value: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    """What a row says under these keys, as text: true, false and numbers as JSON writes them.

    Raises:
        ValueError: a list or an object, which is no group.
    """
    found = {name: dig(value, name) for name in names}
    for name, part in found.items():
        if isinstance(part, list | dict):
            raise ValueError(f"the tag {name!r} is {kind_of(part)}")  # noqa: TRY004 -- as id_text
    return {name: tag_text(part) for name, part in found.items() if part is not None and part is not MISSING}


def tag_text(value: Any) -> str:
    """A scalar as the text of a tag."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return id_text(value) if isinstance(value, int | float) and math.isfinite(value) else str(value)


def scalar_paths(value: Any, prefix: str = "", depth: int = DEPTH) -> Iterator[str]:
    """The dotted paths of an object that lead to a text, a number, true or false."""
    if not isinstance(value, dict) or depth == 0:
        return
    for key, inner in value.items():
        if isinstance(inner, str | int | float):
            yield prefix + key
        yield from scalar_paths(inner, f"{prefix}{key}.", depth - 1)


def names_in(text: str) -> tuple[str, ...]:
    """``a, b`` as ("a", "b")."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def text_paths(value: Any, prefix: str = "", depth: int = DEPTH) -> Iterator[str]:
    """The dotted paths of an object that lead to something like a caption."""
    if not isinstance(value, dict) or depth == 0:
        return
    for key, inner in value.items():
        if isinstance(inner, str) or (isinstance(inner, list) and all(isinstance(part, str) for part in inner)):
            yield prefix + key
        yield from text_paths(inner, f"{prefix}{key}.", depth - 1)


def common_key(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """The first of ``names`` that half of the rows have, else the one that most have, else ""."""
    counts = {name: sum(name in row for row in rows) for name in names}
    usual = next((name for name, count in counts.items() if count and 2 * count >= len(rows)), "")
    most = max(counts, key=lambda name: counts[name])
    return usual or (most if counts[most] else "")


def numbered_keys(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """``caption_1`` to ``caption_5`` where a table has them."""
    return tuple(key for key in (rows[0] if rows else ()) if NUMBERED.fullmatch(key))


def image_name(value: Mapping[str, Any]) -> str:
    """The file name of a row's picture, with Karpathy's sub-folder, or ""."""
    name = next((value[key] for key in IMAGE_KEYS if isinstance(value.get(key), str)), "")
    folder = value.get("filepath") if "filename" in value else None
    if not isinstance(folder, str) or not folder or folder.endswith(name):
        return folder if isinstance(folder, str) and folder else name
    return f"{folder}/{name}"


def split_name(value: Mapping[str, Any]) -> str:
    """The split that a row says it belongs to, or ""."""
    split = value.get("split")
    return split if isinstance(split, str) else ""


__all__ = [
    "ID_KEYS", "MISSING", "TEXT_KEYS", "Keys", "Record", "Want", "common_key", "dig", "id_text", "image_name",
    "kind_of", "names_in", "numbered_keys", "quoted", "row_texts", "scalar_paths", "split_name", "tags_of",
    "text_paths", "texts_of",
]  # fmt: skip
