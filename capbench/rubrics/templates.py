"""Filling in a rubric's prompts. One pass: what a caption says in braces is never filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

FIELD = re.compile(r"\{\{|\}\}|\{(?P<name>[a-z]\w*(?:\.\w+)?)\}")


def names_in(template: str) -> list[str]:
    """The fields of a template."""
    return [match["name"] for match in FIELD.finditer(template) if match["name"]]


def filled(template: str, values: Mapping[str, Any]) -> str:
    """The template with each field's value; ``{{`` and ``}}`` stand for braces."""

    def value(match: re.Match[str]) -> str:
        if not match["name"]:
            return match[0][0]
        name, _, part = match["name"].partition(".")
        found = values.get(name, "")
        if part:
            found = found.get(part, "") if isinstance(found, Mapping) else ""
        return words(found)

    return FIELD.sub(value, template)


def words(value: Any) -> str:
    """A value as a judge reads it: a list as numbered lines, a question with its choices."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        if "question" in value:
            return str(value["question"])
        return json.dumps(dict(value), ensure_ascii=False)
    if isinstance(value, Sequence):
        return "\n".join(f"{i}. {one_line(words(entry))}" for i, entry in enumerate(value, 1))
    return f"{value:g}" if isinstance(value, float) else str(value)


def one_line(text: str) -> str:
    """A text without line breaks, so that it is one entry of a list whatever it holds."""
    return " ".join(text.split())
