"""A run's folder: written so that it can be killed at any moment, read back without running anything.

    run.json        what was run: identity (hashed, ends the folder's name), circumstance, plan, status
    captions.jsonl  one line a caption, appended and synced as they are made, put in order at the end
    scores.parquet  every number of every item, in long form
    summary.json    one record a number of the table
    tags.parquet    what the items are grouped by, where the dataset says so
    details/        what metrics say of each item beside their numbers (``capbench.details``)

Whole files are written under a fixed temporary name and renamed, so a kill leaves either the old or
the new one, and the next run overwrites the temporary one. ``docs/run-folder.md`` is the format.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capbench import codec
from capbench.errors import BadData, CapbenchError, Fault, UsageError, cannot_write
from capbench.signature import digest
from capbench.tables import Scored, from_table, item_names, long_table, safe, tag_table, tags_from
from capbench.types import Caption, Group, Summary

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
RUN, CAPTIONS, SCORES, SUMMARY = "run.json", "captions.jsonl", "scores.parquet", "summary.json"
TAGS = "tags.parquet"
STDOUT = 1
CAPTION_FIELDS = tuple(field.name for field in fields(Caption))


@dataclass(frozen=True, slots=True)
class Identity:
    """Everything that can change a caption; its hash ends the folder's name.

    data: digest of ids, references and pictures. items: how many of the benchmark's items, from the
    first. generation: decoding parameters. samples: captions an image.
    """

    benchmark: str
    version: int
    data: str
    captioner: str
    items: int
    samples: int = 1
    generation: Mapping[str, Any] = field(default_factory=dict)

    @property
    def short(self) -> str:
        """6 hex digits."""
        return digest([asdict(self)], 3)


@dataclass(frozen=True, slots=True)
class Stated:
    """A metric of the run: its spec, label, signature, and whether it heads the table."""

    spec: str
    label: str
    signature: str
    short: str
    headline: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """run.json."""

    status: str
    label: str
    identity: Identity
    circumstance: dict[str, Any]
    backends: dict[str, str] = field(default_factory=dict)
    metrics: list[Stated] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    schema: int = SCHEMA


@dataclass(frozen=True, slots=True)
class Run:
    """A run that is on disk, or (folder None) one that was only scored.

    tags: of each item of ``ids``. groups: the numbers in each group of a tag, where one was asked for.
    """

    record: Record
    summaries: tuple[Summary, ...]
    captions: tuple[Caption, ...]
    scored: tuple[Scored, ...]
    ids: tuple[str, ...]
    folder: Path | None = None
    tags: tuple[Mapping[str, str], ...] = ()
    groups: tuple[Group, ...] = ()

    def frame(self) -> pd.DataFrame:
        """One line an item, metric and column: id, sample, metric, column, value, bag, reason."""
        table: pd.DataFrame = long_table(self.scored, self.ids).to_pandas()
        return table

    def table(self) -> pd.DataFrame:
        """One line a number: metric, column, value, low, high, n, unscored, signature and the rest."""
        import pandas as pd

        return pd.DataFrame([asdict(summary) for summary in self.summaries])

    def value(self, column: str) -> float | None:
        """The value of a column by its name, as in ``run.value("cider")``.

        Raises:
            UsageError: no such column, or several metrics have one of that name.
        """
        found = [s for s in self.summaries if s.column == column]
        if len(found) != 1:
            names = ", ".join(s.column for s in self.summaries)
            raise UsageError(f"{len(found)} numbers are called {column!r}", f"there are: {names}")
        return found[0].value


def slug(text: str) -> str:
    """A text as part of a folder's name."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")[:60] or "run"


def write_file(path: Path, data: bytes) -> None:
    """Replace a file as a whole: temporary name, sync, rename. A link stays; a device or a pipe is written into.

    Raises:
        CannotWrite: the disk is full, or gone; the file is as it was.
    """
    stream = stream_at(path)
    if stream is not None:
        write_into(stream, path, data)
        return
    path = Path(os.path.realpath(path))
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise cannot_write(path, error) from error


def stream_at(path: Path) -> Path | int | None:
    """A device or a pipe, whose place no file may take, or a descriptor of what this process prints into."""
    found: Path | int | None = None
    with suppress(OSError):
        if path.exists() and not path.is_dir():
            found = None if path.is_file() else path
            # where stdout was closed from the start, its number is that of some file of ours
            if sys.__stdout__ is not None and os.path.samestat(path.stat(), os.fstat(STDOUT)):
                found = os.dup(STDOUT)
    return found


def write_into(stream: Path | int, path: Path, data: bytes) -> None:
    """Write to what ``stream_at`` found.

    Raises:
        CannotWrite: it takes no more.
    """
    try:
        with open(stream, "wb") as file:  # noqa: PTH123 -- it may be a descriptor
            file.write(data)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise cannot_write(path, error) from error


def make_folder(folder: Path) -> None:
    """Make a folder to write into, and those above it.

    Raises:
        UsageError: it cannot be made: a file is in its place, or it may not be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {folder}: {error.strerror}", "name another place") from error


def place_for(target: Path) -> None:
    """Make the folder that a file is to be written into.

    Raises:
        UsageError: as ``make_folder``, or the file's name is a folder's.
    """
    if target.is_dir():
        raise UsageError(f"{target} is a folder", f"name a file, as in {target / 'page.html'}")
    make_folder(target.parent)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder against a second writer; the system lets go when the process ends in any way."""
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise CapbenchError(f"another capbench is writing to {folder}", "wait for it, or stop it") from error
    finally:
        os.close(descriptor)


def write_record(folder: Path, record: Record) -> None:
    """Write run.json."""
    write_file(folder / RUN, (codec.to_json(record) + "\n").encode())


def read_record(folder: Path) -> Record:
    """Read run.json.

    Raises:
        BadData: no run there, made by a newer capbench, or damaged.
    """
    path = folder / RUN
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadData(f"{folder} is no run: it has no {RUN}", cure="give a folder that capbench run made") from error
    except ValueError as error:
        raise BadData(f"{path} is damaged: {error}", cure="run it again with --fresh") from error
    schema = data.get("schema") if isinstance(data, dict) else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise BadData(
            f"{folder} was made by a newer capbench (schema {schema}, here {SCHEMA})", cure="upgrade capbench"
        )
    return codec.structure(data, Record, str(path))


def caption_line(caption: Caption) -> str:
    """A line of captions.jsonl; every character that ends a line somewhere is escaped. ``noted`` stands where known."""
    values = {name: getattr(caption, name) for name in CAPTION_FIELDS if name != "noted" or caption.noted}
    return json.dumps(values, ensure_ascii=True, allow_nan=False) + "\n"


class CaptionLog:
    """captions.jsonl, open for appending; each batch is on the disk when ``append`` returns."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / CAPTIONS
        self._file = self._path.open("ab", buffering=0)

    def append(self, captions: Iterable[Caption]) -> None:
        """Write a batch and sync it; of one that cannot be written as a whole nothing stays.

        Raises:
            CannotWrite: the disk is full, or gone.
        """
        rest = memoryview("".join(map(caption_line, captions)).encode())
        size = os.fstat(self._file.fileno()).st_size
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._file.fileno(), size)
            raise cannot_write(self._path, error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def recover_captions(folder: Path) -> tuple[Caption, ...]:
    """The captions that are whole; a half-written last line, as a kill leaves it, is cut off.

    Raises:
        BadData: a line before the last cannot be read.
    """
    path = folder / CAPTIONS
    if not path.exists():
        return ()
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        with path.open("r+b") as file:
            file.truncate(whole)
    return parse_captions(data[:whole], path)


def parse_captions(data: bytes, path: Path) -> tuple[Caption, ...]:
    """The captions of captions.jsonl; of several lines of one id and sample the last counts, in the first's place."""
    captions, faults = {}, []
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        try:
            caption = codec.structure(json.loads(line), Caption, f"{path}:{number}")
        except (ValueError, BadData) as error:
            faults.append(Fault(f"{path}:{number}", str(error).replace("\n", " ")))
        else:
            captions[caption.id, caption.sample] = caption
    if faults:
        raise BadData(f"{path} is damaged:", faults, "run it again with --fresh")
    return tuple(captions.values())


def order_captions(folder: Path, captions: Sequence[Caption]) -> None:
    """Write captions.jsonl anew in the order given, unless it is so already: one line a caption, none replaced.

    Raises:
        CannotWrite: the disk is full, or gone; the file is as it was.
    """
    data = "".join(map(caption_line, captions)).encode()
    if (folder / CAPTIONS).read_bytes() != data:
        write_file(folder / CAPTIONS, data)


def write_scores(folder: Path, scored: Sequence[Scored], ids: Sequence[str]) -> None:
    """Write scores.parquet; the same rows give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(long_table(scored, ids), sink, compression="zstd", compression_level=15)
    write_file(folder / SCORES, sink.getvalue().to_pybytes())


def read_scores(folder: Path, ids: Sequence[str] | None = None) -> tuple[Scored, ...]:
    """The rows of each metric. ids: the run's items in order (default: as ``read_items`` gives them)."""
    return from_table(score_table(folder), ids)


def score_table(folder: Path) -> Any:
    """scores.parquet as an Arrow table.

    Raises:
        BadData: it is missing or damaged.
    """
    import pyarrow.parquet as pq

    try:
        return pq.read_table(folder / SCORES)
    except (OSError, ValueError) as error:
        raise BadData(f"cannot read {folder / SCORES}: {error}", cure="run it again with --fresh") from error


def read_items(folder: Path) -> list[str]:
    """The ids by which ``read_scores`` numbers the items."""
    return item_names(score_table(folder))


def write_tags(folder: Path, ids: Sequence[str], tags: Sequence[Mapping[str, str]]) -> None:
    """Write tags.parquet, unless it is there with these bytes; without any tag there is no such file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / TAGS
    if not any(tags):
        path.unlink(missing_ok=True)
        return
    sink = pa.BufferOutputStream()
    pq.write_table(tag_table(ids, tags), sink, compression="zstd")
    data = sink.getvalue().to_pybytes()
    if not path.exists() or path.read_bytes() != data:
        write_file(path, data)


def read_tags(folder: Path, ids: Sequence[str]) -> tuple[Mapping[str, str], ...]:
    """The tags of each of these items; empty where the folder has none.

    Raises:
        BadData: the file is damaged.
    """
    import pyarrow.parquet as pq

    path = folder / TAGS
    if not path.exists():
        return ()
    try:
        found = tags_from(pq.read_table(path))
    except (OSError, ValueError, KeyError) as error:
        raise BadData(f"cannot read {path}: {error}", cure="run the same command again: it writes it anew") from error
    return tuple(found.get(safe(name), {}) for name in ids)


def write_summary(folder: Path, summaries: Sequence[Summary]) -> None:
    """Write summary.json."""
    write_file(folder / SUMMARY, (codec.to_json(list(summaries)) + "\n").encode())


def read_summary(folder: Path) -> tuple[Summary, ...]:
    """Read summary.json.

    Raises:
        BadData: it is not there, or damaged.
    """
    try:
        return tuple(codec.read_json(folder / SUMMARY, list[Summary]))
    except (OSError, BadData) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise BadData(f"cannot read {folder / SUMMARY}: {why}", cure="run it again with --fresh") from error
