"""Records from the sample logs of lmms-eval and lm-eval: ``samples_TASK.jsonl``, one object a document.

The answers are in ``filtered_resps`` (else ``resps``), the references in ``target``. What names the picture is where
the task put it: in the results of its metrics (COCO's tasks write ``image_id`` there), or in ``doc``, out of which
lmms-eval takes every key with "image" in it. ``doc_id`` is only a place in the data set, and the last resort.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from capbench.errors import UsageError
from capbench.records_coco import Found, checked_id, record
from capbench.records_keys import ID_KEYS, MISSING, Keys, Want, dig, row_texts, texts_of
from capbench.records_raw import Row
from capbench.types import Failure

ANSWERS = ("filtered_resps", "resps")
PLACES = ("image_id", "img_id", "cocoid", "question_id", "file_name", "filename", "id", "key")


def is_log(values: Sequence[Mapping[str, Any]]) -> bool:
    """Whether most rows are logged samples."""
    logged = [value for value in values if "doc_id" in value and any(key in value for key in ANSWERS)]
    return 2 * len(logged) > len(values) and not any(key in values[0] for key in ID_KEYS)


def task_in(value: Mapping[str, Any]) -> str:
    """The task of a whole result, ``{"samples": {TASK: [...]}}``; "" where it is something else.

    Raises:
        UsageError: it holds the samples of several tasks.
    """
    tasks = value.get("samples")
    if not isinstance(tasks, dict) or not all(isinstance(rows, list) and rows for rows in tasks.values()):
        return ""
    if not all(isinstance(rows[0], dict) and "doc_id" in rows[0] for rows in tasks.values()):
        return ""
    if len(tasks) > 1:
        raise UsageError(
            f"the file has samples of {len(tasks)} tasks: {', '.join(tasks)}",
            "give those of one, as samples_TASK.jsonl",
        )
    return next(iter(tasks), "")


def logged(rows: Sequence[Row], keys: Keys, want: Want) -> Found:
    """One record a sample."""
    found = Found()
    place = () if keys.id else common_place([row.value for row in rows])
    for row in rows:
        raw = dig(row.value, keys.id) if keys.id else at(row.value, place)
        identity = checked_id(raw, row.where, keys.id or ".".join(place), found)
        if identity is not None:
            texts = row_texts(row.value, keys.texts) if keys.texts else own_texts(row.value, want)
            found.records.append(record(identity, raw, texts, row.where, row.value, keys, found))
    return found


def common_place(values: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Where every sample names its picture: in a metric's result, in ``doc``, or, failing these, ``doc_id``."""
    inner = [name for name, part in values[0].items() if isinstance(part, dict) and name != "doc"]
    options = [(name, key) for key in PLACES for name in inner] + [("doc", key) for key in PLACES]
    return next((place for place in options if all(is_name(at(value, place)) for value in values)), ("doc_id",))


def at(value: Any, place: Sequence[str]) -> Any:
    """What stands at the end of a path of keys, or MISSING."""
    for key in place:
        if not isinstance(value, dict) or key not in value:
            return MISSING
        value = value[key]
    return value


def is_name(value: Any) -> bool:
    """Whether a value can be an id."""
    return isinstance(value, str | int) and not isinstance(value, bool) and value != ""


def own_texts(value: Mapping[str, Any], want: Want) -> tuple[str | Failure, ...]:
    """The answers of a sample, in order; or its references."""
    if want == "nothing":
        return ()
    if want == "references":
        return texts_of(value["target"]) if "target" in value else ()
    answers: list[Any] = next((found for key in ANSWERS if (found := flat(value.get(key, [])))), [])
    return texts_of(answers) or (Failure("the sample has no answer"),)


def flat(value: Any) -> list[Any]:
    """Lists in lists as one."""
    return [leaf for part in value for leaf in flat(part)] if isinstance(value, list) else [value]


__all__ = ["is_log", "logged", "task_in"]
