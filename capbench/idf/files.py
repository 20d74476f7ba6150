"""Document frequencies as a Parquet file, written so that other programs can read and make it.

One row an n-gram: its words in the columns w1 to w4 (null behind the last) and ``documents``, in how many
documents it occurs. The schema's metadata has one key, ``capbench.idf``, with a JSON object: ``format`` (1),
``n_documents``, ``tokenizer`` (its fingerprint), and ``digest``, which need not be there and must be right.
docs/metrics/cider.md is the format.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from capbench.errors import BadData, MissingPart, UsageError
from capbench.metrics.frequencies import DocumentFrequencies, from_columns
from capbench.metrics.ngrams import ORDERS

FORMAT = 1
KEY = b"capbench.idf"
WORDS = tuple(f"w{order}" for order in ORDERS)
DOCUMENTS = "documents"
MAGIC = b"PAR1"
MOST_ROWS = 50_000_000
MOST_BYTES = 1 << 31
CURE = "make one: capbench idf REFERENCES OUT; docs/metrics/cider.md shows how to make one of a pickle"


def write(table: DocumentFrequencies, path: str | Path) -> None:
    """Write a file whole or not at all.

    Raises:
        UsageError: it cannot be written there.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    words = pa.array(table.vocabulary, pa.string())
    columns: dict[str, Any] = {
        name: pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=codes < 0), words)
        for name, codes in zip(WORDS, table.columns(), strict=True)
    }
    documents = np.concatenate([level.documents for level in table.levels])
    stated = {
        "format": FORMAT, "n_documents": table.n_documents, "tokenizer": table.tokenizer, "digest": table.digest,
    }  # fmt: skip
    arrow = pa.table({**columns, DOCUMENTS: pa.array(documents.astype(np.int32))})
    arrow = arrow.replace_schema_metadata({KEY: json.dumps(stated).encode()})
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise UsageError(f"cannot write {path}: it is no file", "give the name of a file")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}", "give a file in a folder that is there") from error
    try:
        with os.fdopen(handle, "wb") as file:
            pq.write_table(arrow, file, compression="zstd", compression_level=9, row_group_size=MOST_ROWS)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(target)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}", "give the name of a file") from error
    finally:
        Path(name).unlink(missing_ok=True)


def read(path: str | Path) -> DocumentFrequencies:
    """Read a file; nothing of it is executed.

    Raises:
        MissingPart: there is none.
        BadData: it is not of this form, damaged, or of a newer capbench.
    """
    import pyarrow as pa

    try:
        return parsed(Path(path))
    except FileNotFoundError as error:
        raise MissingPart(f"there is no file {path}", CURE) from error
    except (BadData, OSError, ValueError, TypeError, LookupError, OverflowError, MemoryError, pa.ArrowException) as e:
        said = str(e).partition("\n")[0][:200] or type(e).__name__
        raise BadData(f"{path} is no file of document frequencies, or damaged: {said}", cure=CURE) from e


def parsed(file: Path) -> DocumentFrequencies:
    """The table of a file.

    Raises:
        ValueError, and whatever pyarrow raises: it is none.
    """
    import pyarrow.parquet as pq

    with file.open("rb") as start:
        if start.read(len(MAGIC)) != MAGIC:
            raise ValueError("it is not Parquet")
    with pq.ParquetFile(file) as parquet:
        about = parquet.metadata
        claimed = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
        if not 0 <= about.num_rows <= MOST_ROWS or not 0 <= claimed <= MOST_BYTES:
            raise ValueError(f"{about.num_rows} rows of {claimed} bytes are too many")
        wanted = [*WORDS, DOCUMENTS]
        lacks = [name for name in wanted if parquet.schema_arrow.names.count(name) != 1]
        if lacks:
            raise ValueError(f"it has no column {' or '.join(lacks)}")
        n, tokenizer, digest = header((parquet.schema_arrow.metadata or {}).get(KEY, b"null"))
        table = from_arrow(parquet.read(columns=wanted), n, tokenizer)
    if digest not in (None, table.digest):
        raise ValueError("the digest differs")
    return table


def header(text: bytes) -> tuple[int, str, Any]:
    """The number of documents, the tokenizer and the digest, of the metadata's JSON.

    Raises:
        ValueError: not as it should be.
    """
    about = json.loads(text)
    stated = about.get("format") if isinstance(about, dict) else None
    if not isinstance(stated, int):
        raise ValueError(f"the schema's {KEY.decode()} states no format")  # noqa: TRY004 -- a fault of data
    if stated > FORMAT:
        raise ValueError(f"it was made by a newer capbench (format {stated}, here {FORMAT})")
    n, tokenizer = about.get("n_documents"), about.get("tokenizer")
    if type(n) is not int or n < 1 or not isinstance(tokenizer, str) or not tokenizer:
        raise ValueError(f"the schema's {KEY.decode()} states n_documents {n!r} and tokenizer {tokenizer!r}")
    return n, tokenizer, about.get("digest")


def from_arrow(arrow: Any, n_documents: int, tokenizer: str) -> DocumentFrequencies:
    """The table of a file's columns, whatever their dictionaries and the order of the rows."""
    import pyarrow as pa

    coded = [coded_words(arrow.column(name)) for name in WORDS]
    vocabulary = sorted({word for words, _ in coded for word in words})
    known = {word: i for i, word in enumerate(vocabulary)}
    columns = []
    for words, codes in coded:
        if len(codes) and not -1 <= int(codes.min()) <= int(codes.max()) < len(words):
            raise ValueError("a word is not in its dictionary")
        same = words == vocabulary
        columns.append(codes if same else np.array([*(known[word] for word in words), -1], np.int32)[codes])
    documents = arrow.column(DOCUMENTS).combine_chunks()
    if documents.null_count or not pa.types.is_integer(documents.type):
        raise ValueError(f"{DOCUMENTS} are not whole numbers")
    return from_columns(n_documents, tokenizer, vocabulary, columns, numbers(documents).astype(np.int64))


def coded_words(column: Any) -> tuple[list[str], Any]:
    """A column's distinct words, and the number of each row's word (-1: null)."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    array = column.unify_dictionaries().combine_chunks()
    words = array.dictionary.to_pylist()
    if not all(isinstance(word, str) for word in words):
        raise ValueError("a word is not text")
    return words, numbers(array.indices)


def numbers(array: Any) -> Any:
    """An Arrow array of integers as numpy, -1 for null; from its buffers, since pyarrow's own way imports pandas."""
    if not len(array):  # without buffers
        return np.zeros(0, np.int32)
    here = slice(array.offset, array.offset + len(array))
    mask, data = array.buffers()
    found = np.frombuffer(data, array.type.to_pandas_dtype())[here]
    if mask is None:
        return found
    return np.where(np.unpackbits(np.frombuffer(mask, np.uint8), bitorder="little")[here], found, -1)
