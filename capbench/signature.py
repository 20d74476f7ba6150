"""Signatures: what a number is, spelt out from the fields of its metric and the facts it used.

Nobody writes one by hand: a new field changes the signature by itself. Signatures are kept as
ordered pairs, rendered last, and never parsed to get data back.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capbench.errors import MissingPart

# fields that name a part of the run
NAMING_FIELDS = ("encoder", "generator", "similarity", "parser", "judge", "tokenizer", "bags", "idf", "model")


@dataclass(frozen=True, slots=True)
class Signature:
    """Ordered (key, value) pairs; equal signatures mean comparable numbers."""

    pairs: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        """cider|variant:d|tokenizer:ptb/...|refs:5|data:...|v:1 with | : % escaped."""
        head, *rest = self.pairs
        return "|".join([escape(head[1]), *(f"{escape(key)}:{escape(value)}" for key, value in rest)])

    @property
    def short(self) -> str:
        """The first 8 hex digits of the text's hash."""
        return short_hash(self.text)


def short_hash(text: str) -> str:
    """8 hex digits that stand for a text."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()


def differing(first: str, second: str) -> list[tuple[str, str, str]]:
    """The fields in which two signatures of one metric differ, with both values ("" where a field is absent).

    For messages only: nothing is computed from what a signature says.
    """
    ours, theirs = (dict(part.partition(":")[::2] for part in text.split("|")[1:]) for text in (first, second))
    fields_of_both = dict.fromkeys([*ours, *theirs])
    return [
        (unescape(name), unescape(ours.get(name, "")), unescape(theirs.get(name, "")))
        for name in fields_of_both
        if ours.get(name) != theirs.get(name)
    ]


def unescape(text: str) -> str:
    """The inverse of ``escape``."""
    return text.replace("%3A", ":").replace("%7C", "|").replace("%25", "%")


def escape(text: str) -> str:
    """Percent-escape the characters that separate pairs."""
    return text.replace("%", "%25").replace("|", "%7C").replace(":", "%3A")


def digest(values: Iterable[object], size: int = 8) -> str:
    """A hash of plain values in order, as 2 * size hex digits."""
    state = hashlib.blake2b(digest_size=size)
    for value in values:
        state.update(json.dumps(value, ensure_ascii=True).encode())
        state.update(b"\n")
    return state.hexdigest()


def of_metric(metric: Any, origin: str, parts: Mapping[str, str], facts: Iterable[tuple[str, str]]) -> Signature:
    """The signature of a metric on a benchmark.

    parts: alias or spec of each backend -> its fingerprint, and name of each bag set or source of frequencies
    -> its digest, which stand in the name's place. facts: what else the metric used of the benchmark: refs, data.
    """
    pairs = [("name", metric.name)]
    for name, value in fields(metric):
        named = name.endswith(NAMING_FIELDS) and value in parts
        pairs.append((name, parts[value] if named else render(value)))
    pairs += list(facts)
    if origin:
        kind, _, rest = origin.partition(":")
        pairs.append((kind, rest))
    pairs.append(("v", str(metric.version)))
    return Signature(tuple(pairs))


def fields(part: Any) -> list[tuple[str, Any]]:
    """The (name, value) pairs of a dataclass, in order; nothing for other objects.

    A field with ``metadata={"signed": False}``, such as a folder or a timeout, cannot change a number. One with
    ``metadata={"signed": "content"}`` names files, and what they hold stands for them wherever they lie. One with
    "unless default" is left out at its default: it came later, and older numbers stay comparable.
    """
    if not dataclasses.is_dataclass(part):
        return []
    pairs = [(f, getattr(part, f.name)) for f in dataclasses.fields(part)]
    return [(f.name, signed_value(f, value)) for f, value in pairs if is_signed(f, value)]


def is_signed(field: dataclasses.Field[Any], value: Any) -> bool:
    """Whether a field with this value stands in signatures."""
    signed = field.metadata.get("signed", True)
    return value != field.default if signed == "unless default" else bool(signed)


def signed_value(field: dataclasses.Field[Any], value: Any) -> Any:
    """What stands in signatures for a field's value: the value, or what the files hold that it names."""
    return content(value) if field.metadata.get("signed") == "content" else value


def content(paths: str | tuple[str, ...]) -> str:
    """The digests of files, in an order that does not depend on theirs; "" for no file.

    Raises:
        MissingPart: one of them cannot be read.
    """
    return "+".join(sorted(map(file_digest, filter(None, [paths] if isinstance(paths, str) else paths))))


def file_digest(path: str) -> str:
    """A hash of a file's bytes, as 16 hex digits."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()
    except OSError as error:
        raise MissingPart(f"cannot read {path}: {error.strerror}", "give the path of a file that is there") from error


def render(value: Any) -> str:
    """A field's value as text: strings bare, the rest as Python writes it."""
    return value if isinstance(value, str) else repr(value)


def set_besides(part: Any, plain: Any) -> str:
    """(name=value,...): the fields in which a part differs from a plain one of its kind; "" where it does in none."""
    known = dict(fields(plain))
    said = ",".join(f"{name}={value!r}" for name, value in fields(part) if value != known[name])
    return f"({said})" if said else ""


def fingerprint(part: Any, version: int = 1) -> str:
    """name(field=value, ...)@version for parts that nothing else can change."""
    inner = ",".join(f"{name}={value!r}" for name, value in fields(part))
    return f"{part.name}({inner})@{version}"
