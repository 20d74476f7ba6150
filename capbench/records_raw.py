r"""Bytes to rows: gzip, UTF-8, and JSON, JSON lines or a table, recognised by content alone.

Lines end at \n and nowhere else. ``str.splitlines`` also breaks at VT, FF, NEL, U+2028 and U+2029,
which captions hold, and would move every later caption by one.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from capbench.errors import BadData, Fault, MissingPart

SPACE = " \t\r\n"
FOREIGN = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook", "unpack it, or save the sheet as CSV"),
    (b"PAR1", "a Parquet file", "write it as JSON lines or CSV"),
    (b"\xff\xfe", "UTF-16 text", "save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text", "save it as UTF-8"),
    (b"BZh", "compressed with bzip2", "unpack it, or compress it with gzip"),
    (b"\xfd7zXZ", "compressed with xz", "unpack it, or compress it with gzip"),
    (b"(\xb5/\xfd", "compressed with zstd", "unpack it, or compress it with gzip"),
    (b"\x80\x04", "a pickle, which runs code when it is read", "write it as JSON"),
)
SHORT = "the program that wrote it did not finish: write it again"
LOOKED_AT = 50


class Row(NamedTuple):
    """One entry of a file: where it stands, its value, and its key in a ``{id: value}`` object."""

    where: str
    value: Any
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """A file's content: ``rows`` of JSON lines or of a table, or the ``value`` of a JSON document.

    faults: the lines that could not be read; the others are in ``rows`` all the same.
    """

    form: Literal["json", "jsonl", "table"]
    rows: tuple[Row, ...] = ()
    value: Any = None
    faults: tuple[Fault, ...] = ()


class Doubled(dict[str, Any]):
    """A JSON object in which a key stands twice; ``pairs`` has every one."""

    pairs: Sequence[tuple[str, Any]] = ()

    @property
    def twice(self) -> list[str]:
        """The keys that stand more than once."""
        names = [name for name, _ in self.pairs]
        return [name for name in self if names.count(name) > 1]


def keep_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A plain dict, or a Doubled where a plain one would lose an entry."""
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    doubled = Doubled(made)
    doubled.pairs = pairs
    return doubled


# Not strict: a raw tab or carriage return in a string is against the standard but loses nothing.
DECODER = json.JSONDecoder(object_pairs_hook=keep_pairs, strict=False)


def text_of(path: Path) -> str:
    """A file as text: gzip undone, a byte order mark dropped.

    Raises:
        MissingPart: there is no such file, or it may not be read.
        BadData: not text, or not UTF-8; every line with a wrong byte is named.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = "is a folder" if path.is_dir() else error.strerror or str(error)
        raise MissingPart(f"cannot read {path}: {reason}", "give the path of a JSON, JSON lines or CSV file") from error
    if data[:2] == b"\x1f\x8b":
        data = unzipped(data, path)
    for magic, what, cure in FOREIGN:
        if data.startswith(magic):
            raise BadData(f"{path} is {what}, not captions", cure=cure)
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise BadData(f"{path} is not UTF-8:", wrong_bytes(data, path), "save the file as UTF-8") from error


def unzipped(data: bytes, path: Path) -> bytes:
    """The content of a gzip file.

    Raises:
        BadData: cut short or damaged.
    """
    try:
        return gzip.decompress(data)
    except EOFError as error:
        raise BadData(f"{path} is a gzip file that was cut short", cure=SHORT) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise BadData(f"{path} is a damaged gzip file: {error}", cure="fetch or write it again") from error


def wrong_bytes(data: bytes, path: Path) -> list[Fault]:
    """The first wrong byte of each line; UTF-8 has no newline inside a character, so lines stand alone."""
    faults, start = [], 0
    for number, line in enumerate(data.split(b"\n"), 1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            at = start + error.start
            faults.append(Fault(f"{path} line {number}", f"byte {at} (0x{data[at]:02x}): {error.reason}"))
        start += len(line) + 1
    return faults


def parse(text: str, name: str) -> Parsed:
    """Recognise the form of a text and take it apart.

    Raises:
        BadData: empty, or a JSON document that is broken.
    """
    begin = len(text) - len(text.lstrip(SPACE))
    start = text[begin : begin + 1]
    if not start:
        raise BadData(f"{name} is empty")
    if start not in "[{":
        return table(text, name)
    try:
        value, end = DECODER.raw_decode(text, begin)
    except (ValueError, RecursionError) as error:
        if start == "{" and has_json_lines(text):
            return json_lines(text, name)
        raise BadData(f"{name} is broken:", [broken(error, name, 1, text)]) from error
    rest = len(text) - len(text[end:].lstrip(SPACE))
    if rest == len(text):
        return Parsed("json", value=value)
    if start == "{" and has_json_lines(text):
        return json_lines(text, name)
    fault = Fault(f"{name} line {text.count(chr(10), 0, rest) + 1}", f"more text after the end: {quoted(text[rest:])}")
    raise BadData(f"{name} is broken:", [fault], "one JSON document a file, or one JSON object a line")


def has_json_lines(text: str) -> bool:
    """Whether at least half of the first lines are whole JSON objects on their own."""
    lines = [line for line in text.split("\n", LOOKED_AT)[:LOOKED_AT] if line.strip(SPACE)]
    return 2 * sum(is_object(line) for line in lines) >= len(lines)


def is_object(line: str) -> bool:
    """Whether a line is one JSON object."""
    try:
        return isinstance(DECODER.decode(line), dict)
    except (ValueError, RecursionError):
        return False


def json_lines(text: str, name: str) -> Parsed:
    """One JSON object a line; blank lines count but say nothing."""
    rows: list[Row] = []
    faults: list[Fault] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip(SPACE):
            continue
        where = f"{name} line {number}"
        try:
            value = DECODER.decode(line.strip(SPACE))
        except (ValueError, RecursionError) as error:
            faults.append(broken(error, name, number, line))
            continue
        if isinstance(value, dict):
            rows.append(Row(where, value))
        else:
            faults.append(Fault(where, f"not a JSON object: {quoted(line)}"))
    return Parsed("jsonl", tuple(rows), faults=tuple(faults))


def broken(error: Exception, name: str, first: int, text: str) -> Fault:
    """What is wrong with a piece of JSON that begins at line ``first``."""
    if isinstance(error, RecursionError):
        return Fault(f"{name} line {first}", "nested too deeply")
    if not isinstance(error, json.JSONDecodeError):
        return Fault(f"{name} line {first}", f"not JSON: {error}")
    where = f"{name} line {first + error.lineno - 1}"
    # An unterminated string is placed by the decoder at its start, all else at the point of failure.
    if error.pos >= len(text.rstrip(SPACE)) or error.msg.startswith("Unterminated string"):
        return Fault(where, f"cut short: {quoted(text.rstrip(SPACE)[-60:])}", SHORT)
    return Fault(where, f"not JSON: {error.msg} at column {error.colno}: {quoted(text[error.pos :])}")


def quoted(text: str, size: int = 60) -> str:
    """The beginning of a text on one line, for a message."""
    return repr(text if len(text) <= size else text[:size] + "…")


@dataclass(slots=True)
class Cells:
    """What the csv module made of a text: (first line, cells) a row, with ``faults`` beside."""

    rows: list[tuple[int, list[str]]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def table(text: str, name: str) -> Parsed:
    """Comma, tab, semicolon or bar separated values under a header."""
    if "\n" not in text:
        text = text.replace("\r", "\n")
    head = text.partition("\n")[0]
    delimiter = "\t" if "\t" in head else max(",;|", key=head.count)
    cells = split_cells(text, delimiter, name)
    if not cells.rows:
        return Parsed("table", faults=tuple(cells.faults))
    (_, names), *rest = cells.rows
    header = [column.strip(SPACE) for column in names]
    faults = [
        Fault(f"{name} line 1", f"two columns are called {column!r}")
        for column in dict.fromkeys(header)
        if header.count(column) > 1
    ]
    rows: list[Row] = []
    for line, row in rest:
        where = f"{name} line {line}"
        if len(row) == len(header):
            rows.append(Row(where, dict(zip(header, row, strict=True))))
            continue
        last = line == rest[-1][0] and not text.endswith("\n")
        what = f"{len(row)} cells where the header has {len(header)}"
        if len(row) < len(header):
            faults.append(Fault(where, f"cut short: {what}" if last else what, SHORT if last else ""))
        else:
            faults.append(Fault(where, what, 'put texts that hold the separator into "quotes"'))
    return Parsed("table", tuple(rows), value=header, faults=(*faults, *cells.faults))


def split_cells(text: str, delimiter: str, name: str) -> Cells:
    r"""Rows of cells, each with the line it begins on; an unreadable row is a fault and the rest go on.

    Python's writer (and pandas) with \n line ends leaves a lone carriage return unquoted, and its
    reader then refuses the row. So carriage returns that end no row are hidden while it reads.
    """
    hidden = next(chr(code) for code in range(0xF0000, 0xFFFFE) if chr(code) not in text)
    ends_crlf = text.partition("\n")[0].endswith("\r")
    text = re.sub("\r(?!\n)", hidden, text) if ends_crlf else text.replace("\r", hidden)
    lines = text.split("\n")
    reader = csv.reader([*(line + "\n" for line in lines[:-1]), *lines[-1:]], delimiter=delimiter, strict=True)
    cells = Cells()
    limit = csv.field_size_limit(sys.maxsize)
    try:
        while True:
            line = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return cells
            except csv.Error as error:
                open_quote = "unexpected end" in str(error)
                what = "a quote that opens here is never closed" if open_quote else f"not readable: {error}"
                cells.faults.append(Fault(f"{name} line {line}", what, 'double every quote inside "quotes"'))
                continue
            if row:
                cells.rows.append((line, [cell.replace(hidden, "\r") for cell in row]))
    finally:
        csv.field_size_limit(limit)


__all__ = ["Doubled", "Parsed", "Row", "parse", "quoted", "text_of"]
