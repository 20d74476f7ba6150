"""From facts to features: needs are closed over their sources, shared, cached and computed.

Flattening of several values an item, sharing of equal items, cache look-up and folding of failures
back onto items happen here and nowhere else; a need only says what to do with one chunk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from capbench import plugins
from capbench.bags import galleries
from capbench.cache import Cache, value_key
from capbench.errors import CapbenchError, UsageError
from capbench.facts import Facts, all_captions, bag_set, first_captions
from capbench.needs import AllCaptions, Bags, Captions, Ids, Images, References, Tags, Tokens, Vector
from capbench.progress import progress
from capbench.protocols import DerivedNeed, Need, Problem
from capbench.ragged import Chosen, Ragged, Words
from capbench.signature import fields
from capbench.types import Failure, Galleries, ImageRef

if TYPE_CHECKING:
    from capbench.types import Ints

CHUNK = 256  # items a cache commit: what a killed run can lose of its encoding
CHEAP_CHUNK = 50_000  # items a call of needs that are not cached


@dataclass(frozen=True, slots=True)
class Bound:
    """A backend that a need's alias or spec stands for."""

    backend: Any
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Flat:
    """A need's values, flat. names: what identifies each; offsets: values an item (None: one each)."""

    values: Sequence[Any]
    names: Sequence[str]
    offsets: Ints | None = None

    def item_failures(self) -> dict[int, str]:
        """Item -> reason, for items of which any value is a Failure."""
        pairs = self.values.failures.items() if isinstance(self.values, Chosen) else enumerate(self.values)
        bad = [(i, value.reason) for i, value in pairs if isinstance(value, Failure)]
        if self.offsets is None:
            return dict(bad)
        owners = np.searchsorted(self.offsets, [i for i, _ in bad], side="right") - 1
        return {int(owner): reason for owner, (_, reason) in reversed(list(zip(owners, bad, strict=True)))}


@dataclass(frozen=True, slots=True)
class Work:
    """How many values of a need were made, and how many were found in the cache."""

    need: DerivedNeed
    made: int
    found: int


def is_derived(need: Need) -> TypeGuard[DerivedNeed]:
    """Whether a need is made from another one by a backend."""
    return hasattr(need, "of")


def closure(needs: Iterable[Need]) -> list[Need]:
    """The needs and all they are made of, each once, sources first."""
    ordered: dict[Need, None] = {}

    def visit(need: Need) -> None:
        if is_derived(need):
            visit(need.of)
        ordered.setdefault(need)

    for need in needs:
        visit(need)
    return list(ordered)


def root(need: Need) -> Need:
    """The fact that a need is made from in the end."""
    return root(need.of) if is_derived(need) else need


def bind(needs: Iterable[Need], aliases: Mapping[str, str]) -> tuple[dict[str, Bound], list[Problem]]:
    """The backend of each derived need by the name the need uses, and everything that is missing."""
    bound: dict[str, Bound] = {}
    problems: dict[str, Problem] = {}
    for need in needs:
        if not is_derived(need) or need.backend in bound or need.backend in problems:
            continue
        name = need.backend
        kind = need.backend_kind
        try:
            value, origin = plugins.load("backends", aliases.get(name, name))
        except UsageError as error:
            cure = error.cure
            if name not in aliases and error.message.startswith("no backend"):
                cure = f"bind it: --backend {name}=SPEC, for example --backend {name}=scenes; {cure}"
            problems[name] = Problem(f"{kind} {name!r}: {error.message}", cure)
            continue
        problem = value.check()
        if problem is None and value.kind != kind:
            problem = Problem(f"{name!r} is a {value.kind}, and a {kind} is needed", "bind a backend of that kind")
        if problem is not None:
            problems[name] = Problem(f"{kind} {name!r}: {problem.what}", problem.cure)
        else:
            bound[name] = Bound(value, value.fingerprint() + (f"+{origin}" if origin else ""))
    return bound, list(problems.values())


class Features:
    """The values of needs on one set of facts; made by ``resolve``."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.work: list[Work] = []
        self.shared: dict[str, Shared] = {}
        self._flat: dict[Need, Flat] = {}

    def argument(self, need: Need) -> Any:
        """What ``rows`` or ``captions`` gets for a need."""
        if isinstance(need, Bags):
            return self.galleries(need)
        flat = self.flat(need)
        if isinstance(need, Ids | Tags):
            return list(flat.values)
        if isinstance(need, Images):
            return [value if isinstance(value, ImageRef) else ImageRef("") for value in flat.values]
        if isinstance(need, Captions | AllCaptions):
            texts = ["" if isinstance(value, Failure) else value for value in flat.values]
            return texts if flat.offsets is None else Ragged(texts, flat.offsets)
        if isinstance(need, References):
            return self.facts.references
        if not is_derived(need):
            raise UsageError(f"nothing gives the need {need!r}")
        gathered = need.gather(flat.values)
        return gathered if flat.offsets is None else Ragged(gathered, flat.offsets)

    def galleries(self, need: Bags) -> Galleries:
        """The galleries of a bag set on these items."""
        return galleries(bag_set(self.facts, need.name), self.facts.ids)

    def failures(self, need: Need) -> dict[int, str]:
        """Item -> why the need has no value for it."""
        if isinstance(need, Bags):
            return {}
        failed = self.flat(need).item_failures()
        if isinstance(root(need), References):
            empty = np.flatnonzero(self.facts.references.counts == 0)
            failed |= {int(i): "the image has no reference" for i in empty}
        return failed

    def cut(self, need: Need) -> int:
        """How many captions the need's encoder truncated."""
        if not (isinstance(root(need), Captions | AllCaptions) and is_derived(need)):
            return 0
        values = self.flat(need).values
        return 0 if isinstance(values, Chosen) else sum(isinstance(v, Vector) and v.cut for v in values)

    def flat(self, need: Need) -> Flat:
        """The flat values of a fact or of a resolved need."""
        if need not in self._flat:
            self._flat[need] = fact_values(self.facts, need)
        return self._flat[need]

    def keep(self, need: Need, flat: Flat, work: Work) -> None:
        """Remember a derived need's values."""
        self._flat[need] = flat
        self.work.append(work)

    def has(self, need: Need) -> bool:
        """Whether a derived need can be made from this one now."""
        return need in self._flat or not is_derived(need)


def fact_values(facts: Facts, need: Need) -> Flat:
    """A fact as flat values with the names that identify them in the cache."""
    if isinstance(need, Images):
        return Flat([picture(image) for image in facts.images], [f"i:{i.digest}" if i else "" for i in facts.images])
    if isinstance(need, Captions | AllCaptions):
        several = isinstance(need, AllCaptions)
        texts = all_captions(facts) if several else first_captions(facts)
        names = ["" if isinstance(text, Failure) else f"t:{text}" for text in texts]
        return Flat(texts, names, np.arange(len(facts.ids) + 1, dtype=np.int64) * facts.each if several else None)
    if isinstance(need, References):
        values = facts.references.values
        return Flat(values, [f"t:{text}" for text in values], facts.references.offsets)
    if isinstance(need, Ids):
        return Flat(facts.ids, [f"n:{id_}" for id_ in facts.ids])
    if isinstance(need, Tags):
        return Flat(facts.tags, [f"g:{sorted(tags.items())}" for tags in facts.tags])
    raise UsageError(f"nothing gives the need {need!r}")


def picture(image: ImageRef | None) -> ImageRef | Failure:
    """The picture, or why there is none."""
    if image is None:
        return Failure("the benchmark has no picture for it")
    return image if image.digest else Failure(f"cannot read the picture {image.path}")


def resolve(
    features: Features, needs: Iterable[Need], bound: Mapping[str, Bound], cache: Cache, device: str = "cpu"
) -> Features:
    """Compute the needs into ``features``, one backend open at a time."""
    pending = [need for need in closure(needs) if is_derived(need) and not features.has(need)]
    while pending:
        chosen = next_backend(pending, features, bound)
        with ExitStack() as stack:
            session = Lazy(bound[chosen].backend, device, stack)
            # all captions before the first ones, which are among them
            for need in sorted(pending, key=lambda need: not isinstance(root(need), AllCaptions)):
                if bound[need.backend].fingerprint == bound[chosen].fingerprint and features.has(need.of):
                    derive(features, need, bound[chosen].fingerprint, session, cache)
                    pending.remove(need)
    return features


def next_backend(pending: Sequence[DerivedNeed], features: Features, bound: Mapping[str, Bound]) -> str:
    """Of the backends with something ready, the one that fewest unready needs still wait for.

    So a painter goes before the encoder that will also encode its paintings, and each is loaded once.
    """
    ready = sorted({need.backend for need in pending if features.has(need.of)})
    waiting = Counter(bound[need.backend].fingerprint for need in pending if not features.has(need.of))
    return min(ready, key=lambda name: waiting[bound[name].fingerprint])


class Lazy:
    """A session that is opened when the first item is missing from the cache, and not before."""

    def __init__(self, backend: Any, device: str, stack: ExitStack) -> None:
        self._backend, self._device, self._stack = backend, device, stack
        self._session: Any = None

    def get(self) -> Any:
        """The open session."""
        if self._session is None:
            context: AbstractContextManager[Any] = self._backend.open(self._device)
            self._session = self._stack.enter_context(context)
        return self._session


def derive(features: Features, need: Any, fingerprint: str, session: Lazy, cache: Cache) -> None:
    """One need's values: from the cache where they are there, from the session where not."""
    source = features.flat(need.of)
    expanded = [[v] if isinstance(v, Failure) else need.inputs(v) for v in source.values]
    several = any(len(inputs) != 1 for inputs in expanded)
    names = [
        f"{j}#{name}" if several else name
        for name, inputs in zip(source.names, expanded, strict=True)
        for j in range(len(inputs))
    ]
    items = [value for inputs in expanded for value in inputs]
    wanted = {name: item for name, item in zip(names, items, strict=True) if not isinstance(item, Failure)}
    params = parameters(need)
    shared = features.shared.setdefault(f"{need.kind}:{fingerprint}:{params}", Shared())
    stage = Stage(need, fingerprint, params, session, cache, shared)
    values: Any = stage.chosen(wanted, names, items)
    if values is None:
        known = stage.values(wanted)
        values = [item if isinstance(item, Failure) else known[name] for name, item in zip(names, items, strict=True)]
    keys = [f"d:{need.kind}:{fingerprint}:{params}:{name}" for name in names]
    offsets = source.offsets
    if several:
        ends = np.concatenate([[0], np.cumsum([len(inputs) for inputs in expanded])]).astype(np.int64)
        offsets = ends if offsets is None else ends[offsets]
    features.keep(need, Flat(values, keys, offsets), Work(need, stage.made, len(wanted) - stage.made))


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
        size = CHUNK if self.need.cached else CHEAP_CHUNK
        with progress(len(names), f"{self.need.kind} by {self.need.backend}") as bar:
            for start in range(0, len(names), size):
                part = names[start : start + size]
                known |= self._chunk({name: wanted[name] for name in part})
                bar.update(len(part))
        if not self.need.cached:
            self.shared.values |= known
        return known

    def _chunk(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """One chunk: look up, compute the rest, keep it."""
        known: dict[str, Any] = {}
        keys = {}
        if self.need.cached:
            keys = {name: value_key(self.need.kind, self.fingerprint, self.params, name) for name in wanted}
            stored = self.cache.get(list(keys.values()))
            known = {name: self.need.unpack(stored[key]) for name, key in keys.items() if key in stored}
        missing = [name for name in wanted if name not in known]
        if missing:
            made = self._compute([wanted[name] for name in missing])
            known |= dict(zip(missing, made, strict=True))
            self.made += len(missing)
        if self.need.cached and missing:
            kept = {keys[n]: self.need.pack(known[n]) for n in missing if not isinstance(known[n], Failure)}
            self.cache.put(self.need.kind, self.fingerprint, kept)
        return known

    def _compute(self, items: Sequence[Any]) -> Sequence[Any]:
        """One value an item."""
        session = self.session.get()
        name = f"backend {self.need.backend!r}"
        return one_each(lambda part: self.need.compute(session, part), items, name, proven=self.made > 0)


def one_each(
    call: Callable[[Sequence[Any]], Sequence[Any]], items: Sequence[Any], name: str, *, proven: bool
) -> Sequence[Any]:
    """Call a plugin on a batch; a batch that raises is tried item by item, so that one item costs only itself.

    proven: whether it has worked before; if not, failing on every item is its own fault and raises.

    Raises:
        CapbenchError: it never worked, or gave another number of values than items.
    """
    try:
        made = call(items)
        made = [made] if isinstance(made, str) else list(made)
    except CapbenchError:
        raise
    except Exception as error:
        made = [alone(call, item) for item in items]
        if not proven and all(isinstance(value, Failure) for value in made):
            raise CapbenchError(f"{name} failed on every item: {type(error).__name__}: {error}") from error
    if len(made) != len(items):
        raise CapbenchError(f"{name} gave {len(made)} values for {len(items)} items")
    return made


def alone(call: Callable[[Sequence[Any]], Sequence[Any]], item: Any) -> Any:
    """The value of one item, or a Failure with the exception's words."""
    try:
        return call([item])[0]
    except Exception as error:  # noqa: BLE001 -- whatever a plugin raises is this item's reason
        return Failure(f"{type(error).__name__}: {error}")


def parameters(need: Any) -> str:
    """A need's own parameters as part of a cache key; its source and backend have places of their own."""
    return ",".join(f"{k}={v!r}" for k, v in fields(need) if k not in ("of", "backend", need.backend_kind))


def cached_share(need: Any, facts: Facts, bound: Mapping[str, Bound], cache: Cache) -> tuple[int, int] | None:
    """How many of a need's values are in the cache, and of how many; None where that is not known yet."""
    if not need.cached or is_derived(need.of) or (isinstance(need.of, Captions | AllCaptions) and not facts.captions):
        return None
    names = {name for name in fact_values(facts, need.of).names if name}
    fingerprint = bound[need.backend].fingerprint
    keys = [value_key(need.kind, fingerprint, parameters(need), name) for name in sorted(names)]
    return len(cache.get(keys)), len(keys)
