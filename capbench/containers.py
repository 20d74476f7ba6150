"""Pictures inside other files: members of tar shards, cells of Parquet and Arrow files.

The path of such a picture says where it is, so that one read fetches it and nothing is unpacked:
``SHARD.tar#NAME@OFFSET+SIZE``, ``FILE.parquet#COLUMN@ROW`` and ``FILE.arrow#COLUMN@ROW`` (rows from 0). A column
is one of bytes, or of Hugging Face's pictures, ``{"bytes": ..., "path": ...}``.
"""

from __future__ import annotations

import re
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

INSIDE = re.compile(r"(?P<file>.+?\.(?:tar|parquet|arrow))#(?P<name>.+)@(?P<at>\d+)(?:\+(?P<size>\d+))?", re.DOTALL)
BLOCK = 512  # of a tar file
READING = threading.Lock()  # two threads that want one row group read it once


@dataclass(frozen=True, slots=True)
class Place:
    """Where the bytes of a picture are. name: member or column; at: offset or row; size: bytes of a tar's member."""

    file: str
    name: str
    at: int
    size: int | None = None

    def __str__(self) -> str:
        """The path that stands for it in an ImageRef."""
        return f"{self.file}#{self.name}@{self.at}" + ("" if self.size is None else f"+{self.size}")


class Member(NamedTuple):
    """A file in a shard, read."""

    name: str
    data: bytes
    place: Place


def inside(path: str) -> Place | None:
    """The place that a path stands for; None for the path of a plain file."""
    match = INSIDE.fullmatch(path)
    if match is None or match["file"].endswith(".tar") != (match["size"] is not None):
        return None
    return Place(match["file"], match["name"], int(match["at"]), int(match["size"]) if match["size"] else None)


def fetch(place: Place) -> bytes:
    """The bytes at a place.

    Raises:
        OSError: no such file, or it cannot be read; nothing is there.
    """
    import pyarrow as pa

    if place.size is not None:
        with Path(place.file).open("rb") as shard:
            shard.seek(place.at)
            return shard.read(place.size)
    stat = Path(place.file).stat()
    stamp = (stat.st_mtime_ns, stat.st_size)
    try:
        with READING:
            if place.file.endswith(".arrow"):
                data = cell_bytes(arrow_table(place.file, stamp).column(place.name)[place.at].as_py())
            else:
                ends = group_ends(place.file, stamp)
                group = next(i for i, end in enumerate(ends) if place.at < end)
                begin = ends[group - 1] if group else 0
                data = cell_bytes(row_group(place.file, stamp, group, place.name)[place.at - begin].as_py())
    except (pa.ArrowException, KeyError, IndexError, StopIteration) as error:
        raise OSError(f"{place.file} has no row {place.at} with a column {place.name}: {error}") from error
    return data or b""


def cell_bytes(value: Any) -> bytes | None:
    """The bytes of a cell: as they are, or those of ``{"bytes": ...}``; None where there are none."""
    data = value.get("bytes") if isinstance(value, dict) else value
    return data if isinstance(data, bytes) else None


@lru_cache(maxsize=64)
def group_ends(file: str, stamp: tuple[int, int]) -> list[int]:  # noqa: ARG001 -- a changed file is another key
    """The number of the first row after each row group of a Parquet file."""
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(file)
    ends, total = [], 0
    for i in range(metadata.num_row_groups):
        total += metadata.row_group(i).num_rows
        ends.append(total)
    return ends


@lru_cache(maxsize=2)
def row_group(file: str, stamp: tuple[int, int], group: int, column: str) -> Any:  # noqa: ARG001 -- as group_ends
    """A column of one row group. Items are asked for in the file's order, so two groups at a time are enough."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as parquet:
        return parquet.read_row_group(group, columns=[column]).column(column)


@lru_cache(maxsize=64)
def arrow_table(file: str, stamp: tuple[int, int]) -> Any:  # noqa: ARG001 -- as group_ends
    """An Arrow file mapped into memory, in either of its two formats; its pages are the system's, not held here."""
    import pyarrow as pa

    mapped = pa.memory_map(file)
    try:
        return pa.ipc.open_stream(mapped).read_all()
    except pa.ArrowInvalid:
        return pa.ipc.open_file(mapped).read_all()


def members(file: str) -> Iterator[Member]:
    """The plain files of an uncompressed tar, in order, each with its place; links and folders are passed over.

    Raises:
        OSError: it cannot be read, is no uncompressed tar, or ends inside a member or without the mark that ends a tar.
    """
    try:
        with tarfile.open(file, "r:") as shard:
            while (entry := shard.next()) is not None:
                shard.members.clear()  # type: ignore[attr-defined] # not in typeshed; else it keeps every header
                if not entry.isreg() or entry.issparse():
                    continue
                stream = shard.extractfile(entry)
                data = stream.read() if stream is not None else b""  # less than its size raises
                yield Member(entry.name, data, Place(file, entry.name, entry.offset_data, entry.size))
            last = shard.offset
    except tarfile.ReadError as error:
        raise OSError(str(error)) from error
    with Path(file).open("rb") as raw:  # the reader takes whatever is no header for the end
        raw.seek(last)
        mark = raw.read(BLOCK)
    if mark != bytes(BLOCK):
        raise OSError("it ends without the mark that ends a tar" if len(mark) < BLOCK else f"no header at byte {last}")


__all__ = ["Member", "Place", "cell_bytes", "fetch", "inside", "members"]
