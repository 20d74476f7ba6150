"""Files to dataclasses and back, strictly: the only module that knows cattrs.

An unknown key, a wrong type or a missing field is an error that says where ($.metrics[0].use).
"""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import cattrs
from cattrs.v import format_exception, transform_error

from capbench.errors import BadData, Fault

T = TypeVar("T")
SURROGATE = re.compile("[\ud800-\udfff]")


def strict(kind: Any) -> Any:
    """A hook that takes exactly this type (an int may stand for a float)."""

    def hook(value: Any, _: Any) -> Any:
        if type(value) is kind or (kind is float and type(value) is int):
            return kind(value)
        raise TypeError(f"expected {kind.__name__}, got {value!r}")

    return hook


def converter() -> cattrs.Converter:
    """A converter that refuses unknown keys and silent conversions."""
    made = cattrs.Converter(forbid_extra_keys=True)
    for kind in (str, int, float, bool):
        made.register_structure_hook(kind, strict(kind))
    made.register_structure_hook(int | float | str, number_or_text)
    return made


def number_or_text(value: Any, _: Any) -> int | float | str:
    """A value that may be any of these and is taken as it is."""
    if type(value) not in (int, float, str):
        raise TypeError(f"expected a number or text, got {value!r}")
    found: int | float | str = value
    return found


CONVERTER = converter()


def in_words(error: BaseException, kind: type | None) -> str:
    """What is wrong with one value; the hooks above say it themselves, with the value."""
    if isinstance(error, TypeError) and str(error).startswith("expected "):
        return str(error)
    if isinstance(error, AttributeError) or "argument of type" in str(error):
        return "expected an object"
    return format_exception(error, kind)


def structure(value: Any, kind: type[T], source: str) -> T:
    """Plain data as a dataclass.

    Raises:
        BadData: every difference, with its path in ``source``.
    """
    if dataclasses.is_dataclass(kind) and not isinstance(value, dict):
        raise BadData(
            f"{source} is not as it should be:", [Fault(source, f"expected an object, got {value!r:.80} @ $")]
        )
    try:
        return CONVERTER.structure(value, kind)
    except (
        cattrs.BaseValidationError,
        cattrs.errors.StructureHandlerNotFoundError,
        TypeError,
        ValueError,
        AttributeError,  # cattrs of a list or text where an object should be
    ) as error:
        faults = [Fault(source, line) for line in transform_error(error, format_exception=in_words)]
        raise BadData(f"{source} is not as it should be:", faults) from error


def plain(value: Any) -> Any:
    """A dataclass as plain data."""
    return CONVERTER.unstructure(value)


def read_toml(path: Path, kind: type[T]) -> T:
    """A TOML file as a dataclass.

    Raises:
        BadData: not TOML, or not of this form.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadData(f"{path} is not TOML: {error}") from error
    return structure(data, kind, str(path))


def read_json(path: Path, kind: type[T]) -> T:
    """A JSON file as a dataclass.

    Raises:
        BadData: not JSON, or not of this form.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadData(f"{path} is not JSON: {error}") from error
    return structure(data, kind, str(path))


def to_json(value: Any, *, indent: int | None = 1) -> str:
    """Canonical JSON: sorted keys, UTF-8 (lone surrogates escaped), and never NaN."""
    text = json.dumps(plain(value), ensure_ascii=False, sort_keys=True, indent=indent, allow_nan=False)
    return SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


__all__ = ["plain", "read_json", "read_toml", "structure", "to_json"]
