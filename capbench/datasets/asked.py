"""What a file says is asked of a picture beside its references: regions, what was said before, how many words."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from capbench.errors import Fault
from capbench.records import Record
from capbench.types import Box

SIDES = (("x", "y", "w", "h"), ("x", "y", "width", "height"))


class Places(NamedTuple):
    """Where it stands in a row, dotted for nested objects; "" for nowhere."""

    regions: str = ""
    history: str = ""
    length: str = ""

    @property
    def named(self) -> tuple[str, ...]:
        """The keys to be read."""
        return tuple(filter(None, self))

    def of(self, record: Record, faults: list[Fault]) -> dict[str, Any]:
        """The fields of the sample; what cannot be read is a fault."""
        readers = {"regions": regions_of, "history": turns_of, "length": length_of}
        found: dict[str, Any] = {}
        for (name, read), key in zip(readers.items(), self, strict=True):
            if not key or key not in record.asked:
                continue
            try:
                found[name] = read(record.asked[key])
            except ValueError as error:
                faults.append(Fault(record.where, f"image {record.id}: {key} {error}"))
        return found


def regions_of(value: Any) -> tuple[Box, ...]:
    """One box or a list of them: left, top, width, height in pixels, as four numbers, as an object, or as JSON text.

    Raises:
        ValueError: anything else, or a box without an area.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError(f"is no box: {value!r:.60}") from None
    if isinstance(value, list) and value and isinstance(value[0], list | dict):
        return tuple(box_of(part) for part in value)
    return (box_of(value),)


def box_of(value: Any) -> Box:
    """Left, top, width and height.

    Raises:
        ValueError: it is no box.
    """
    if isinstance(value, Mapping):
        names = next((names for names in SIDES if value.keys() >= set(names)), ())
        value = [value[name] for name in names]
    numbers = [part for part in value if is_number(part)] if isinstance(value, Sequence) else []
    if len(numbers) != 4 or len(value) != 4:
        raise ValueError(f"is no box of left, top, width, height: {value!r:.60}")
    left, top, width, height = map(float, numbers)
    if width <= 0 or height <= 0:
        raise ValueError(f"is a box without an area: {value!r:.60}")
    return left, top, width, height


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def turns_of(value: Any) -> tuple[str, ...]:
    """A text, or a list of texts.

    Raises:
        ValueError: anything else.
    """
    turns = value if isinstance(value, list) else [value]
    if not all(isinstance(turn, str) for turn in turns):
        raise ValueError(f"is no list of texts: {value!r:.60}")
    return tuple(turns)


def length_of(value: Any) -> int:
    """A whole number of words, 1 or more.

    Raises:
        ValueError: anything else.
    """
    text = str(value)
    if isinstance(value, bool) or not (text.removesuffix(".0").isascii() and text.removesuffix(".0").isdigit()):
        raise ValueError(f"is no number of words: {value!r:.60}")
    words = int(text.removesuffix(".0"))
    if words < 1:
        raise ValueError("is 0 words")
    return words


__all__ = ["Places", "box_of", "length_of", "regions_of", "turns_of"]
