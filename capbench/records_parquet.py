"""Rows of a Parquet file, as Hugging Face data sets are kept; columns of bytes, such as pictures, are not read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from capbench.errors import BadData
from capbench.records_raw import Parsed, Row

MAGIC = b"PAR1"


def is_parquet(path: Path) -> bool:
    """Whether a file begins as Parquet files do; a file that cannot be read does not."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def parquet(path: Path) -> Parsed:
    """The rows of a Parquet file.

    Raises:
        BadData: cut short or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        names = [column.name for column in file.schema_arrow if not holds_bytes(column.type)]
        rows = file.read(columns=names).to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadData(f"{path} is a damaged Parquet file: {error}", cure="fetch or write it again") from error
    return Parsed("table", tuple(Row(f"{path} row {i}", row) for i, row in enumerate(rows, 1)), value=names)


def holds_bytes(kind: Any) -> bool:
    """Whether a column's type is bytes, or an object that holds some (a picture with its name)."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return any(holds_bytes(kind.field(i).type) for i in range(kind.num_fields))
    return any(test(kind) for test in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary))


__all__ = ["is_parquet", "parquet"]
