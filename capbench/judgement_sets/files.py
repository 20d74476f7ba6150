"""The files of a published set, taken apart as far as their form goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from capbench.errors import BadData, MissingPart
from capbench.records_raw import Parsed, Row, parse, text_of

MATLAB = b"MATLAB "
HDF5 = b"MATLAB 7.3"
INSTALL = "pip install 'capbench[mat]'"


@dataclass(frozen=True, slots=True)
class File:
    """One file: ``value`` of a JSON document or a .mat file, ``rows`` of JSON lines, ``content`` of other text."""

    path: Path
    kind: Literal["json", "jsonl", "text", "mat"]
    value: Any = None
    rows: tuple[Row, ...] = ()
    content: str = ""

    @property
    def name(self) -> str:
        """The path as it was given."""
        return str(self.path)

    @property
    def stem(self) -> str:
        """The file's name up to the first dot."""
        return self.path.name.partition(".")[0]

    @property
    def first(self) -> dict[str, Any]:
        """The first object of JSON lines, or of a JSON object or list of objects; {} where there is none."""
        values = self.value.values() if isinstance(self.value, dict) else self.value or ()
        found = self.rows[0].value if self.rows else next(iter(values), None)
        return found if isinstance(found, dict) else {}


def load(path: Path) -> File:
    """A file by its content, never by its name.

    Raises:
        MissingPart: no such file, or a .mat file and scipy is not installed.
        BadData: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(len(HDF5))
    except OSError:
        head = b""  # what is wrong is said below
    if head.startswith(MATLAB):
        return File(path, "mat", value=matlab(path, head))
    content = text_of(path)
    if content.lstrip()[:1] not in ("{", "["):
        return File(path, "text", content=content)
    parsed = lines_if_one(parse(content, str(path)), str(path))
    if parsed.faults:
        raise BadData(f"{path} cannot be used, {len(parsed.faults)} fault(s):", parsed.faults)
    return File(path, "json" if parsed.form == "json" else "jsonl", parsed.value, parsed.rows)


def lines_if_one(parsed: Parsed, name: str) -> Parsed:
    """A document that is a single line of JSON lines as such: its first value is neither an object nor a list."""
    value = parsed.value
    alone = parsed.form == "json" and isinstance(value, dict) and bool(value) and "annotations" not in value
    if not alone or isinstance(next(iter(value.values())), dict | list):
        return parsed
    return Parsed("jsonl", (Row(f"{name} line 1", value),))


def matlab(path: Path, head: bytes) -> dict[str, Any]:
    """The variables of a .mat file of version 5.

    Raises:
        MissingPart: scipy is not installed.
        BadData: version 7.3, or damaged.
    """
    if head == HDF5:
        raise BadData(f"{path} is a .mat file of version 7.3", cure="save it with -v7")
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise MissingPart(f"{path} is a .mat file, and reading it needs scipy", INSTALL) from error
    try:
        found: dict[str, Any] = loadmat(str(path))
    except Exception as error:
        raise BadData(f"{path} is a damaged .mat file: {error}", cure="fetch it again") from error
    return found


__all__ = ["File", "lines_if_one", "load"]
