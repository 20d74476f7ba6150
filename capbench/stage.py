"""The making of one need's values by one backend: what is known, what the cache has, and the rest chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from capbench.cache import Cache, Shelf, value_key
from capbench.errors import CapbenchError, Midway
from capbench.needs import Tokens
from capbench.progress import progress
from capbench.ragged import Chosen, Words
from capbench.types import Failure

CHUNK = 256  # items a cache commit: what a killed run can lose of its encoding
CHEAP_CHUNK = 50_000  # items a call of needs that are not cached


def chunk_of(backend: Any) -> int:
    """Items a cache commit: fewer where the backend says that they are slow to make."""
    return int(getattr(backend, "chunk", CHUNK))


class Lazy:
    """A session that is opened when the first item is missing from the cache, and not before.

    executor: what computes values of cached needs elsewhere, in sessions of its own (None: this session does).
    """

    def __init__(self, backend: Any, device: str, stack: ExitStack, executor: Any = None) -> None:
        self._backend, self._device, self._stack, self.executor = backend, device, stack, executor
        self._session: Any = None

    @property
    def chunk(self) -> int:
        """Items a cache commit."""
        return chunk_of(self._backend)

    @property
    def recorded(self) -> bool:
        """Whether the backend reads what was made before, and makes nothing."""
        return bool(getattr(self._backend, "recorded", False))

    def get(self) -> Any:
        """The open session."""
        if self._session is None:
            context: AbstractContextManager[Any] = self._backend.open(self._device)
            self._session = self._stack.enter_context(context)
        return self._session

    def elsewhere(self, need: Any, items: Sequence[Any]) -> Iterator[tuple[Sequence[int], list[Any]]]:
        """The executor's values of items, in chunks: which items, and a value or Failure for each."""
        made: Iterator[tuple[Sequence[int], list[Any]]] = self.executor.compute(
            self._backend, need, items, self._device
        )
        return made


@dataclass(slots=True)
class Shared:
    """Values of needs that differ only in what they are of, and are not cached: made once for a text that both have.

    words: texts as integer words, each set of them with the number of a text by its name. values: name -> value.
    """

    words: list[tuple[Words, Mapping[str, int]]] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)


class Stage:
    """The making of one need's values by one backend."""

    def __init__(self, need: Any, fingerprint: str, params: str, session: Lazy, cache: Cache, shared: Shared) -> None:
        self.need, self.fingerprint, self.params = need, fingerprint, params
        self.session, self.cache, self.shared = session, cache, shared
        self.made = 0
        self.parts = bool(getattr(need, "replies", False))  # what is kept are the parts of its values
        self.room = Room(session.chunk if need.cached else CHEAP_CHUNK)

    def chosen(self, wanted: Mapping[str, Any], names: Sequence[str], items: Sequence[Any]) -> Chosen | None:
        """The values of all items as integer words, where the session gives such; else None."""
        if not wanted or not isinstance(self.need, Tokens) or not hasattr(self.session.get(), "words"):
            return None
        known = next((known for known in self.shared.words if wanted.keys() <= known[1].keys()), None)
        if known is None:
            try:
                words = self.need.compute(self.session.get(), list(wanted.values()))
            except Exception:  # noqa: BLE001 -- the way item by item finds whose fault it is
                return None
            if not isinstance(words, Words) or len(words) != len(wanted):
                return None
            known = words, {name: i for i, name in enumerate(wanted)}
            self.shared.words.append(known)
            self.made += len(wanted)
        failures = {i: item for i, item in enumerate(items) if isinstance(item, Failure)}
        index = [-1 if i in failures else known[1][name] for i, name in enumerate(names)]
        return Chosen(known[0], np.array(index, np.int64), failures)

    def values(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Name -> value or Failure for all that is wanted, kept chunk by chunk."""
        known = {name: self.shared.values[name] for name in wanted if name in self.shared.values}
        names = [name for name in wanted if name not in known]
        size = self.room.most
        with progress(len(names), f"{self.need.kind} by {self.need.backend}") as bar:
            missing: list[str] = []
            for start in range(0, len(names), size):
                part = names[start : start + size]
                found = self._stored(part)
                rest = [name for name in part if name not in found]
                if self.need.cached and self.session.executor is not None:
                    missing += rest
                elif rest:
                    found |= self._made(rest, [wanted[name] for name in rest])
                known |= found
                bar.update(len(found))
            for which, made in self.session.elsewhere(self.need, [wanted[n] for n in missing]) if missing else ():
                known |= self._keep([missing[i] for i in which], made)
                bar.update(len(made))
        if not self.need.cached:
            self.shared.values |= known
        return known

    def _stored(self, names: Sequence[str]) -> dict[str, Any]:
        """Those of these values that the cache has."""
        if not self.need.cached:
            return {}
        keys = {name: self._key(name) for name in names}
        stored = self.cache.get(list(keys.values()))
        found = {name: self.need.unpack(stored[key]) for name, key in keys.items() if key in stored}
        return {name: value for name, value in found.items() if value is not None}

    def _made(self, names: Sequence[str], items: Sequence[Any]) -> dict[str, Any]:
        """The values of items that this session makes, kept."""
        try:
            return self._keep(names, self._compute(items))
        except Midway as stop:  # what was made before the end is paid for
            self._keep([names[i] for i in stop.done], list(stop.done.values()))
            raise

    def _keep(self, names: Sequence[str], made: Sequence[Any]) -> dict[str, Any]:
        """Values that were made, by name; in the cache too, but for failures."""
        known = dict(zip(names, made, strict=True))
        if not self.parts:
            self.made += len(known)
        if self.need.cached:
            kept = {self._key(n): self.need.pack(v) for n, v in known.items() if not isinstance(v, Failure)}
            self.cache.put(self.need.kind, self.fingerprint, kept)
        return known

    def _key(self, name: str) -> bytes:
        """The address of a value in the cache."""
        return value_key(self.need.kind, self.fingerprint, self.params, name)

    def _compute(self, items: Sequence[Any]) -> Sequence[Any]:
        """One value an item."""
        if self.parts:
            shelf = Shelf(self.cache, self.fingerprint)
            try:
                return self._each(lambda part: self.need.compute(self.session, part, shelf), items, proven=True)
            finally:
                self.made += shelf.made
        session = self.session.get()
        return self._each(lambda part: self.need.compute(session, part), items, proven=self.made > 0)

    def _each(self, call: Any, items: Sequence[Any], *, proven: bool) -> Sequence[Any]:
        """One value an item, by this call of the session."""
        return one_each(call, items, f"backend {self.need.backend!r}", proven=proven, room=self.room)


class Room:
    """How many items a plugin is given at a time: a batch that needs more memory than there is makes all later smaller.

    An item that is too large alone says nothing of the others, so that batches are then as large as at first.
    """

    def __init__(self, size: int) -> None:
        self.size = self.most = size

    def overflowed(self, count: int) -> None:
        """So many items were too many."""
        self.size = min(self.size, count // 2) if count > 1 else self.most


def one_each(
    call: Callable[[Sequence[Any]], Sequence[Any]],
    items: Sequence[Any],
    name: str,
    *,
    proven: bool,
    room: Room | None = None,
) -> Sequence[Any]:
    """Call a plugin on a batch; one that raises is halved until the item is found, so that it costs only itself.

    proven: whether it has worked before; if not, failing on every item is its own fault and raises. room: what is known
    of how many items fit, for later batches too.

    Raises:
        CapbenchError: it never worked, or gave another number of values than items.
        Midway: it ended its work; what was made is in it by the index in ``items``.
    """
    made, error = in_parts(call, items, name, room or Room(len(items)), len(items))
    if error is not None and not proven and all(isinstance(value, Failure) for value in made):
        raise CapbenchError(f"{name} failed on every item: {words_of(error)}") from error
    return made


def attempt(
    call: Callable[[Sequence[Any]], Sequence[Any]], items: Sequence[Any], name: str
) -> tuple[Sequence[Any], Exception | None]:
    """The values of a batch, or what was raised; frames that would keep a full memory in use are let go."""
    try:
        made = call(items)
        made = [made] if isinstance(made, str) else list(made)
    except CapbenchError:
        raise
    except Exception as error:  # noqa: BLE001 -- whatever a plugin raises is halved until an item is left
        return [], error.with_traceback(None) if out_of_memory(error) else error
    if len(made) != len(items):
        raise CapbenchError(f"{name} gave {len(made)} values for {len(items)} items")
    return made, None


def in_parts(
    call: Callable[[Sequence[Any]], Sequence[Any]], items: Sequence[Any], name: str, room: Room, most: int
) -> tuple[list[Any], Exception | None]:
    """The values of items, at most so many at a time, and the first thing that was raised.

    A part that raises is halved; an item that raises alone is a Failure with its words.
    """
    values: list[Any] = []
    first = None
    while len(values) < len(items):
        part = items[len(values) : len(values) + min(most, room.size)]
        try:
            made, error = attempt(call, part, name)
            if error is not None:
                first = first or error
                if out_of_memory(error):
                    room.overflowed(len(part))
                if len(part) == 1:
                    made = [Failure(words_of(error))]
                else:
                    made, _ = in_parts(call, part, name, room, (len(part) + 1) // 2)
        except Midway as stop:
            done = {len(values) + i: value for i, value in stop.done.items()}
            raise Midway(stop.error, {**dict(enumerate(values)), **done}) from None
        values += made
    return values, first


def words_of(error: Exception) -> str:
    """An exception in words."""
    return f"{type(error).__name__}: {error}"


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that a batch was too large: MemoryError, or a class called OutOfMemoryError."""
    return isinstance(error, MemoryError) or any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)
