"""The content-addressed store of derived values: one SQLite file, shared by all runs.

A value's key holds everything that can change it: the kind of need, the backend's fingerprint, the
need's parameters and the digest of the item. Values are written chunk by chunk, so that a killed run
keeps what it has paid for. Each value carries a checksum; a damaged one is computed again.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from capbench import paintings
from capbench.errors import BadData, cannot_write
from capbench.paths import ELSEWHERE, cache_root

SCHEMA = """
create table if not exists entries (
    key blob primary key, kind text not null, backend text not null,
    made real not null, sum blob not null, data blob not null
) without rowid
"""
REPLY = "reply"
OUTSIDE = f"look at the disk, its limits and who else uses the cache, or {ELSEWHERE}"
DAMAGED = ("SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_ERROR", "SQLITE_SCHEMA")
QUERY_SIZE = 500  # keys a query, below SQLite's oldest limit of 999 variables


@dataclass(frozen=True, slots=True)
class CacheLine:
    """What the cache holds of one kind and backend."""

    kind: str
    backend: str
    entries: int
    bytes: int


def value_key(kind: str, backend: str, params: str, item: str) -> bytes:
    """The address of a value."""
    text = "".join(f"{len(part)}:{part}" for part in (kind, backend, params, item))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).digest()


def checksum(data: bytes) -> bytes:
    """Eight bytes that notice damage."""
    return hashlib.blake2b(data, digest_size=8).digest()


class Cache:
    """An open cache, safe for several processes at once; or why there is none, which its first use raises."""

    def __init__(self, connection: sqlite3.Connection | BadData) -> None:
        self._connection = connection

    @property
    def _db(self) -> sqlite3.Connection:
        """The connection.

        Raises:
            BadData: the cache could not be made.
        """
        if isinstance(self._connection, BadData):
            raise self._connection
        return self._connection

    def require(self) -> None:
        """Complain now, not after hours of work.

        Raises:
            BadData: the cache could not be made.
        """
        _ = self._db

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The values that are there and whole."""
        found: dict[bytes, bytes] = {}
        for start in range(0, len(keys), QUERY_SIZE):
            part = keys[start : start + QUERY_SIZE]
            marks = ",".join("?" * len(part))
            query = f"select key, sum, data from entries where key in ({marks})"  # noqa: S608 -- only ? marks
            found |= {key: data for key, mark, data in self._db.execute(query, part) if checksum(data) == mark}
        return found

    def put(self, kind: str, backend: str, values: Mapping[bytes, bytes]) -> None:
        """Store values in one transaction."""
        if not values:
            return
        now = time.time()
        rows = [(key, kind, backend, now, checksum(data), data) for key, data in values.items()]
        with self._db:
            self._db.executemany("insert or replace into entries values (?, ?, ?, ?, ?, ?)", rows)

    def stats(self) -> list[CacheLine]:
        """Counts and sizes by kind and backend; of painted pictures with their files, a shared one for each."""
        query = "select kind, backend, count(*), sum(length(data)) from entries group by 1, 2 order by 1, 2"
        files: Counter[str] = Counter()
        for _, backend, picture in self._pictures():
            files[backend] += picture.size
        return [
            CacheLine(kind, backend, entries, size + (files[backend] if kind == paintings.KIND else 0))
            for kind, backend, entries, size in self._db.execute(query)
        ]

    def prune(self, days: float) -> int:
        """Drop values made more than this many days ago; how many went."""
        with self._db:
            gone = self._db.execute("delete from entries where made < ?", (time.time() - days * 86400,)).rowcount
        self._db.execute("vacuum")
        paintings.prune(days, {picture.digest for _, _, picture in self._pictures()})
        return gone

    def _pictures(self) -> Iterator[tuple[bytes, str, paintings.Kept]]:
        """Key, backend and file of each painted picture."""
        query = "select key, backend, sum, data from entries where kind = ?"
        for key, backend, mark, data in self._db.execute(query, (paintings.KIND,)):
            if checksum(data) == mark:
                yield key, backend, paintings.read(data)

    def damaged(self) -> Iterator[bytes]:
        """Keys of values that do not match their checksum, or whose picture is gone or another."""
        for key, mark, data in self._db.execute("select key, sum, data from entries"):
            if checksum(data) != mark:
                yield key
        yield from (key for key, _, picture in self._pictures() if not picture.whole())

    def drop(self, keys: Iterable[bytes]) -> None:
        """Forget these values."""
        with self._db:
            self._db.executemany("delete from entries where key = ?", [(key,) for key in keys])


class Shelf:
    """The replies of one judge, each kept as it comes. made: how many came."""

    def __init__(self, cache: Cache, backend: str) -> None:
        self._cache, self._backend, self.made = cache, backend, 0

    def get(self, names: Sequence[str]) -> dict[str, bytes]:
        """Those that are there and whole."""
        keys = {name: value_key(REPLY, self._backend, "", name) for name in names}
        found = self._cache.get(list(keys.values()))
        return {name: found[key] for name, key in keys.items() if key in found}

    def put(self, name: str, data: bytes) -> None:
        """Keep one, in a transaction of its own."""
        self._cache.put(REPLY, self._backend, {value_key(REPLY, self._backend, "", name): data})
        self.made += 1


def cache_file() -> Path:
    """Where the values are kept."""
    return cache_root() / "values.sqlite"


@contextmanager
def open_cache(path: Path | None = None) -> Iterator[Cache]:
    """Open (or make) the cache. One that cannot be made is refused when it is used: much needs none.

    Raises:
        BadData: the file is not a cache or is damaged as a whole; it may not be written, or not now.
        CannotWrite: the disk is full; what was kept is whole.
    """
    file = path or cache_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(file, timeout=60)
    except (OSError, sqlite3.Error) as error:
        why = error.strerror if isinstance(error, OSError) else error
        yield Cache(BadData(f"the cache {file} cannot be made: {why}", cure=ELSEWHERE))
        return
    try:
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = normal")
        connection.execute(SCHEMA)
        yield Cache(connection)
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", "")
        if name == "SQLITE_FULL":
            raise cannot_write(file, error) from error
        cure = f"remove it: rm {file}*" if name.startswith(DAMAGED) else OUTSIDE
        raise BadData(f"the cache {file} cannot be used: {error}", cure=cure) from error
    finally:
        connection.close()
