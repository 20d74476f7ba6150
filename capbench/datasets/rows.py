"""Rows with a picture in each, of several files: what shards, Parquet and Arrow data sets have in common."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capbench.containers import Place, cell_bytes
from capbench.datasets.build import reference_faults, subset
from capbench.errors import BadData, Fault, MissingPart, UsageError
from capbench.images import digest, reference
from capbench.records import Keys, Parsed, Record, Row, names_in, records_of
from capbench.records_keys import ID_KEYS, IMAGE_KEYS, NUMBERED, TEXT_KEYS, common_key
from capbench.types import ImageRef, Sample

BATCH = 64  # rows in memory with their pictures
LARGEST_GROUP = 2**30  # bytes of pictures in a row group; two groups are held when pictures are fetched
TWICE = "say which column is unique: id_field='COLUMN'"
IMAGES = ("image", "img", "jpg", "jpeg", "png", "webp", "picture", "photo", "image_bytes", "bytes", "binary")


@dataclass(slots=True)
class Found:
    """Rows without their pictures, the pictures by the row's place, and what is wrong with the rest."""

    rows: list[Row] = field(default_factory=list)
    pictures: dict[str, ImageRef | None] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def add(self, where: str, value: Any, picture: ImageRef | None) -> None:
        """One row more."""
        self.rows.append(Row(where, value))
        self.pictures[where] = picture


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns are read. image: "" for none; texts: () for none; id: "" for the row's number."""

    image: str
    texts: tuple[str, ...]
    id: str
    tags: tuple[str, ...]


def samples(found: Found, source: str, columns: Columns, ids: str = "", twice: str = TWICE) -> tuple[Sample, ...]:
    """One sample a row, in order or in that of ``ids``. twice: the cure where an id stands twice.

    Raises:
        UsageError: no row has a column.
        BadData: every fault: rows that could not be read, ids that stand twice, captions that are no text,
            rows without captions among rows that have some, ids that are not there.
    """
    keys = Keys(columns.id, columns.texts, columns.tags)
    parsed = Parsed("table", tuple(found.rows), faults=tuple(found.faults))
    records = records_of(parsed, source, keys, "references" if columns.texts else "nothing", twice=twice)
    if ids:
        records = subset(records, ids, source)
    faults = reference_faults(records)
    if faults:
        raise BadData(f"{source} cannot be used, {len(faults)} fault(s):", faults)
    return tuple(sample_of(record, found.pictures[record.where]) for record in records)


def sample_of(record: Record, picture: ImageRef | None) -> Sample:
    """A record with its picture."""
    texts = tuple(text for text in record.texts if isinstance(text, str))
    return Sample(record.id, picture, texts, dict(record.tags))


def files(folder: str, suffix: str, names: str = "") -> list[Path]:
    """The files of a folder with a suffix, by name, or the file itself. names: patterns as in ``train-*``; "": all.

    Raises:
        MissingPart: no such file or folder.
        BadData: there is none.
    """
    root = Path(folder)
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise MissingPart(f"there is no file or folder {folder}", f"give the folder that holds the {suffix} files")
    there = sorted(path for path in root.rglob(f"*{suffix}") if path.is_file() and not path.name.startswith("."))
    chosen = [path for path in there if not names or any(fnmatch.fnmatch(path.name, n) for n in names_in(names))]
    if not chosen:
        some = ", ".join(path.name for path in there[:3]) or ", ".join(sorted(p.name for p in root.iterdir())[:3])
        what = f"{names} " if names else f"*{suffix} "
        raise BadData(f"{folder} has no file {what.strip()}", cure=f"it has {some or 'nothing'}")
    return chosen


def columns_of(schema: Any, source: str, wanted: Mapping[str, str]) -> Columns:
    """The columns to read of an Arrow schema.

    wanted: image, field, id_field and tags as they were given ("": the usual).

    Raises:
        UsageError: a column that was named is not there.
    """
    names: list[str] = list(schema.names)
    texts, tags = names_in(wanted["field"]), names_in(wanted["tags"])
    for name in (*filter(None, (wanted["image"], wanted["id_field"])), *texts, *tags):
        if name.partition(".")[0] not in names and name not in names:
            raise UsageError(f"{source} has no column {name!r}", f"it has: {', '.join(names)}")
    kinds = {name: schema.field(name).type for name in names}
    image = wanted["image"] or usual_image(kinds)
    rest = [{name: None for name in names if name != image and not holds_pictures(kinds[name])}]
    known = common_key(rest, TEXT_KEYS["references"])
    texts = texts or ((known,) if known else tuple(name for name in rest[0] if NUMBERED.fullmatch(name)))
    return Columns(image, texts, wanted["id_field"] or common_key(rest, ID_KEYS), tags)


def usual_image(kinds: Mapping[str, Any]) -> str:
    """The column of pictures: a usual name that holds some, else the only column that does, else one of file names."""
    import pyarrow as pa

    holding = [name for name, kind in kinds.items() if holds_pictures(kind)]
    usual = next((name for name in IMAGES if name in holding), "")
    texts = [
        n for n in IMAGE_KEYS if n in kinds and (pa.types.is_string(kinds[n]) or pa.types.is_large_string(kinds[n]))
    ]
    return usual or (holding[0] if len(holding) == 1 else "") or (texts[0] if texts and not holding else "")


def holds_pictures(kind: Any) -> bool:
    """Whether a column's type is bytes, or Hugging Face's ``{"bytes", "path"}``."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return {"bytes", "path"} <= {kind.field(i).name for i in range(kind.num_fields)}
    return any(test(kind) for test in (pa.types.is_binary, pa.types.is_large_binary))


def read_tables(paths: Sequence[Path], root: Path, choose: Callable[[Any], Columns]) -> tuple[Found, Columns]:
    """The rows of Parquet or Arrow files of one data set. choose: an Arrow schema -> the columns to read.

    root: where pictures that are file names are looked for. A row's number counts on from file to file.

    Raises:
        BadData: a file is damaged, or has other columns than the first.
    """
    import pyarrow as pa

    found = Found()
    columns: Columns | None = None
    count = 0
    for path in paths:
        try:
            schema, batches = opened(path)
            columns = columns or choose(schema)
            wanted = needed(columns, schema.names)
            lacks = [name for name in wanted if name not in schema.names]
            if lacks:
                found.faults.append(Fault(str(path), f"it has no column {', '.join(lacks)}, and {paths[0]} has"))
                continue
            found.faults += large_groups(path, columns.image)
            at = 0
            for batch in batches(wanted):
                for row in batch.to_pylist():
                    take(found, path, at, row, columns, root, count + at)
                    at += 1
            count += at
        except (pa.ArrowException, OSError, ValueError) as error:
            cure = "fetch or write it again"
            found.faults.append(Fault(str(path), f"damaged: {error}", cure))
    if columns is None:
        raise BadData(f"{root} cannot be used, {len(found.faults)} fault(s):", found.faults)
    return found, columns if columns.id else Columns(columns.image, columns.texts, "row", columns.tags)


def needed(columns: Columns, names: Sequence[str]) -> list[str]:
    """The columns of a file that are read; a dotted name is of a nested one."""
    every = [name for name in (columns.image, columns.id, *columns.texts, *columns.tags) if name]
    return list(dict.fromkeys(name if name in names else name.partition(".")[0] for name in every))


def take(found: Found, path: Path, at: int, row: dict[str, Any], columns: Columns, root: Path, number: int) -> None:
    """One row: its picture by place and digest, the rest as it is."""
    where = f"{path} row {at + 1}"
    picture = None
    if columns.image:
        value = row.pop(columns.image)
        data = cell_bytes(value)
        name = value.get("path") if isinstance(value, dict) else value
        if data:
            picture = ImageRef(str(Place(str(path), columns.image, at)), digest(data))
        elif isinstance(name, str) and name:
            picture = reference(root / name)
            row.setdefault(columns.image, name)
        elif isinstance(value, list):
            found.faults.append(Fault(where, f"{columns.image} holds a list of pictures", "take one: image='COLUMN'"))
        else:
            picture = ImageRef(str(Place(str(path), columns.image, at)))  # no bytes: its item ends unscored
    if not columns.id:
        row["row"] = number
    found.add(where, row, picture)


def opened(path: Path) -> tuple[Any, Callable[[list[str]], Iterator[Any]]]:
    """The schema of a Parquet or Arrow file, and a function: columns -> batches of few rows."""
    import pyarrow.parquet as pq

    if path.suffix == ".parquet":
        parquet = pq.ParquetFile(path)
        return parquet.schema_arrow, lambda names: parquet.iter_batches(BATCH, columns=names)
    from capbench.containers import arrow_table

    stat = path.stat()
    table = arrow_table(str(path), (stat.st_mtime_ns, stat.st_size))
    return table.schema, lambda names: iter(table.select(names).to_batches(max_chunksize=BATCH))


def large_groups(path: Path, image: str) -> list[Fault]:
    """Row groups whose pictures are too many to be held when one of them is fetched."""
    if path.suffix != ".parquet" or not image:
        return []
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(path)
    for i in range(metadata.num_row_groups):
        group = metadata.row_group(i)
        every = [group.column(j) for j in range(group.num_columns)]
        size = sum(c.total_uncompressed_size for c in every if c.path_in_schema.split(".")[0] == image)
        if size > LARGEST_GROUP:
            what = f"row group {i} holds {size / 2**30:.1f} GiB of pictures, which are read together"
            return [Fault(str(path), what, "write the file again with row_group_size=100")]
    return []


__all__ = ["Columns", "Found", "columns_of", "files", "read_tables", "samples"]
