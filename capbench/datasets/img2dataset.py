"""What img2dataset downloads: shards as tar files, folders or Parquet, each with a table of what became of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from capbench.containers import members
from capbench.datasets.rows import Columns, Found, columns_of, files, needed, opened, samples, take
from capbench.datasets.webdataset import AGAIN, picture_of, split_name
from capbench.errors import BadData, Fault
from capbench.images import reference
from capbench.records import names_in
from capbench.types import ImageRef, Sample

ENCODINGS = ("jpg", "png", "webp")  # img2dataset's --encode_format
DONE = "success"
UNFINISHED = "its download has not ended: run img2dataset again, or remove the shard"


@dataclass(frozen=True, slots=True)
class Img2Dataset:
    """A folder that img2dataset wrote with ``--output_format`` webdataset, files or parquet.

    path: the folder. field: the columns of captions in the tables, several with commas ("": ``caption``).
    tags: columns by which tables can be split. ids: a file that names the items to take, in its order.
    failed: keep rows whose picture was not downloaded as items whose picture cannot be read; else they are left out.

    An item's id is the column ``key``. Each shard's Parquet table says what became of every row (``status``); a
    picture that it says is there and is not is a fault, and so is a shard without a table.

    Sources of the form: rom1504/img2dataset, ``writer.py`` (a column ``jpg`` in Parquet shards; ``key.jpg`` in tar
    shards and folders) and ``downloader.py`` (``key``, ``status``: success, failed_to_download, failed_to_resize).
    """

    name: ClassVar[str] = "img2dataset"

    path: str
    field: str = ""
    tags: str = ""
    ids: str = ""
    failed: bool = False

    def load(self) -> Sequence[Sample]:
        """All samples, shard after shard by name, or in the order of ``ids``.

        Raises:
            MissingPart: no such file or folder.
            UsageError: the tables have no column that was named.
            BadData: every fault: shards that are damaged or not whole, keys that stand twice, rows without a
                caption, no row downloaded.
        """
        found, columns = Found(), None
        for table in files(self.path, ".parquet"):
            columns = columns or self.columns(table, found)
            if columns is not None:
                self.shard(table, columns, found)
        tables = {path.with_suffix("") for path in files(self.path, ".parquet")}
        for shard in sorted(Path(self.path).rglob("*.tar")):
            if shard.with_suffix("") not in tables:
                found.faults.append(Fault(str(shard), f"there is no {shard.stem}.parquet beside it", UNFINISHED))
        if columns is None or not (found.rows or found.faults):
            cure = "see the column error_message of the tables; failed=True keeps such rows"
            faults = found.faults or [Fault(self.path, "not one row was downloaded")]
            raise BadData(f"{self.path} cannot be used, {len(faults)} fault(s):", faults, cure)
        return samples(found, self.path, columns, self.ids)

    def columns(self, table: Path, found: Found) -> Columns | None:
        """The columns to read, by the first table that can be read."""
        import pyarrow as pa

        try:
            schema, _ = opened(table)
        except (pa.ArrowException, OSError, ValueError) as error:
            found.faults.append(Fault(str(table), f"damaged: {error}", AGAIN))
            return None
        for name in ("key", "status"):
            if name not in schema.names:
                raise BadData(f"{table} is no table of img2dataset: it has no column {name}", cure="use hf(source=...)")
        captions = self.field or next((name for name in ("caption", "txt") if name in schema.names), "")
        wanted = {"image": "", "field": captions, "id_field": "key", "tags": self.tags}
        chosen = columns_of(schema, self.path, wanted)
        inside = next((name for name in ENCODINGS if name in schema.names), "")
        return Columns(inside, names_in(captions), "key", chosen.tags)

    def shard(self, table: Path, columns: Columns, found: Found) -> None:
        """The rows of a shard into ``found``, with its faults."""
        import pyarrow as pa

        tar, folder = table.with_suffix(".tar"), table.with_suffix("")
        there: dict[str, ImageRef] = {}
        try:
            if tar.is_file():
                there = shard_pictures(tar)
            elif folder.is_dir():
                names = (path for path in folder.iterdir() if path.suffix[1:] in ENCODINGS)
                there = {path.stem: reference(path) for path in names}
        except OSError as error:
            found.faults.append(Fault(str(tar), f"it cannot be read as a tar: {error}", AGAIN))
            return
        try:
            schema, batches = opened(table)
            at = 0
            for batch in batches([*needed(columns, schema.names), "status"]):
                for row in batch.to_pylist():
                    self.row(found, table, at, row, columns, there)
                    at += 1
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            found.faults.append(Fault(str(table), f"damaged: {error}", AGAIN))
        if not columns.image:
            found.faults += [Fault(f"{tar} {key}", "the table does not list this picture") for key in there]

    def row(
        self, found: Found, table: Path, at: int, row: dict[str, Any], columns: Columns, there: dict[str, ImageRef]
    ) -> None:
        """One row of a table, if its picture was downloaded."""
        done = row.pop("status") == DONE
        picture = there.pop(str(row["key"]), None)
        if not done and not self.failed:
            return
        if columns.image:
            take(found, table, at, row, columns, table.parent, at)
            return
        where = f"{table} row {at + 1}"
        if done and picture is None:
            found.faults.append(Fault(where, f"the picture {row['key']} was downloaded and is not there", AGAIN))
        found.add(where, row, picture or ImageRef(f"{table.with_suffix('')}/{row['key']}"))


def shard_pictures(tar: Path) -> dict[str, ImageRef]:
    """The pictures of a shard by key."""
    every = ((split_name(member.name), member) for member in members(str(tar)))
    return {key: picture_of(member) for (key, extension), member in every if extension in ENCODINGS}
