"""From facts to features: needs are closed over their sources, shared, cached and computed.

Flattening of several values an item, sharing of equal items, cache look-up and folding of failures
back onto items happen here and nowhere else; a need only says what to do with one chunk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from capbench import idf, plugins
from capbench.bags import galleries
from capbench.cache import Cache, value_key
from capbench.errors import UsageError
from capbench.facts import Facts, all_captions, bag_set, first_captions
from capbench.needs import AllCaptions, Bags, Captions, Frequencies, Ids, Images, References, Tags, Vector
from capbench.paintings import Painting
from capbench.picture_needs import Pair
from capbench.protocols import DerivedNeed, Need, Problem
from capbench.ragged import Chosen, Ragged
from capbench.signature import fields
from capbench.stage import Lazy, Shared, Stage
from capbench.types import Failure, Galleries, ImageRef

if TYPE_CHECKING:
    from capbench.types import Ints

RECORDED = "recorded_judge"
OTHER_NAME = "choose a name that no backend has, as in --backend mine=SPEC, and name it in the metric"
# of each kind of backend one that comes with capbench
EXAMPLES = {
    "encoder": "mini", "generator": "scenes_painter", "parser": "scenes_parser", "similarity": "ssim",
    "judge": "scripted_judge",
}  # fmt: skip


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
        owners = self.owners([i for i, _ in bad])
        return {owner: reason for owner, (_, reason) in reversed(list(zip(owners, bad, strict=True)))}

    def owners(self, places: Sequence[int]) -> list[int]:
        """The item that each of these values is of."""
        if self.offsets is None:
            return list(places)
        owners: list[int] = (np.searchsorted(self.offsets, places, side="right") - 1).tolist()
        return owners


@dataclass(frozen=True, slots=True)
class Work:
    """How many values of a need were made, and how many were found in the cache."""

    need: DerivedNeed
    made: int
    found: int


def is_derived(need: Need) -> TypeGuard[DerivedNeed]:
    """Whether a need is made from another one by a backend."""
    return hasattr(need, "of")


def frequencies_of(need: Frequencies, bound: Mapping[str, Bound]) -> idf.DocumentFrequencies:
    """The table that a need names, of the words of its tokenizer as it is bound."""
    tokenizer = bound[need.tokenizer]
    return idf.load(need.source, tokenizer.backend, tokenizer.fingerprint)


def closure(needs: Iterable[Need]) -> list[Need]:
    """The needs and all they are made of, each once, sources first."""
    ordered: dict[Need, None] = {}

    def visit(need: Need) -> None:
        for source in sources(need):
            visit(source)
        ordered.setdefault(need)

    for need in needs:
        visit(need)
    return list(ordered)


def sources(need: Need) -> list[Need]:
    """The needs that a need is made from: none, one, the two whose items it compares, or all that it looks at."""
    return [*(getattr(need, name) for name in ("of", "to") if hasattr(need, name)), *getattr(need, "also", ())]


def root(need: Need) -> Need:
    """The fact that a need is made from in the end."""
    return root(need.of) if is_derived(need) else need


def bind(needs: Iterable[Need], aliases: Mapping[str, str]) -> tuple[dict[str, Bound], list[Problem]]:
    """The backend of each derived need by the name the need uses, and everything that is missing."""
    bound: dict[str, Bound] = {}
    problems: dict[str, Problem] = {}
    for need in needs:
        if isinstance(need, Frequencies) and (lacks := idf.missing(need.source)) is not None:
            problems[need.source] = lacks
        if not (is_derived(need) or isinstance(need, Frequencies)) or need.backend in bound or need.backend in problems:
            continue
        name = need.backend
        kind = need.backend_kind
        if is_taken(name, aliases):
            problems[name] = Problem(
                f"{kind} {name!r}: a backend has this name, and may not stand for another", OTHER_NAME
            )
            continue
        try:
            value, origin = plugins.load("backends", aliases.get(name, name))
        except UsageError as error:
            cure = error.cure
            if name not in aliases and error.message.startswith("no backend"):
                cure = (
                    f"bind it: --backend {name}=SPEC, for example --backend {name}={EXAMPLES.get(kind, 'SPEC')}; {cure}"
                )
            problems[name] = Problem(f"{kind} {name!r}: {error.message}", cure)
            continue
        problem = value.check()
        if problem is None and value.kind != kind:
            what = f"{name!r} is {of_kind(value.kind)}, and {of_kind(kind)} is needed"
            problem = Problem(what, "bind a backend of that kind")
        if problem is not None:
            problems[name] = Problem(f"{kind} {name!r}: {problem.what}", problem.cure)
        else:
            bound[name] = Bound(value, value.fingerprint() + (f"+{origin}" if origin else ""))
    return bound, list(problems.values())


def is_taken(name: str, aliases: Mapping[str, str]) -> bool:
    """Whether an alias hides a backend: what is called ``factual`` or ``mini`` in a metric must be it.

    What it said before is it: recorded replies have the fingerprint of the judge that gave them.
    """
    if aliases.get(name, name) == name or plugins.parse(aliases[name]).target == RECORDED:
        return False
    return "(" in name or ":" in name or name.rpartition("/")[2] in plugins.installed("backends")


def of_kind(kind: str) -> str:
    """The word with its article."""
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


class Features:
    """The values of needs on one set of facts; made by ``resolve``."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.work: list[Work] = []
        self.shared: dict[str, Shared] = {}
        self.tables: dict[Frequencies, idf.DocumentFrequencies] = {}
        self._flat: dict[Need, Flat] = {}

    def argument(self, need: Need) -> Any:
        """What ``rows`` or ``captions`` gets for a need."""
        if isinstance(need, Bags):
            return self.galleries(need)
        if isinstance(need, Frequencies):
            return self.tables[need]
        if isinstance(need, References):
            return self.facts.references
        flat = self.flat(need)
        if isinstance(need, Ids | Tags | Images | Captions | AllCaptions):
            empty: Any = ImageRef("") if isinstance(need, Images) else ""
            values = [empty if isinstance(value, Failure) else value for value in flat.values]
        elif is_derived(need):
            values = need.gather(flat.values)
        else:
            raise UsageError(f"nothing gives the need {need!r}")
        return values if flat.offsets is None else Ragged(values, flat.offsets)

    def galleries(self, need: Bags) -> Galleries:
        """The galleries of a bag set on these items."""
        return galleries(bag_set(self.facts, need.name), self.facts.ids)

    def failures(self, need: Need) -> dict[int, str]:
        """Item -> why the need has no value for it."""
        if isinstance(need, Bags | Frequencies):
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
        if isinstance(values, Chosen):
            return 0
        cut = [i for i, value in enumerate(values) if isinstance(value, Vector | Painting) and value.cut]
        # a text that is painted with several seeds is cut once
        return len(set(self.flat(need).owners(cut))) if getattr(need, "several", False) else len(cut)

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

    def ready(self, need: Need) -> bool:
        """Whether a derived need can be made now."""
        return all(self.has(source) for source in sources(need))


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
    features: Features, needs: Iterable[Need], bound: Mapping[str, Bound], cache: Cache, device: str = "cpu",
    executor: Any = None,
) -> Features:  # fmt: skip
    """Compute the needs into ``features``, one backend open at a time. executor: as in ``stage.Lazy``."""
    wanted = closure(needs)
    features.tables |= {need: frequencies_of(need, bound) for need in wanted if isinstance(need, Frequencies)}
    pending = [need for need in wanted if is_derived(need) and not features.has(need)]
    while pending:
        chosen = next_backend(pending, features, bound)
        with ExitStack() as stack:
            session = Lazy(bound[chosen].backend, device, stack, executor)
            # all captions before the first ones, which are among them
            for need in sorted(pending, key=lambda need: not isinstance(root(need), AllCaptions)):
                if bound[need.backend].fingerprint == bound[chosen].fingerprint and features.ready(need):
                    derive(features, need, bound[chosen].fingerprint, session, cache)
                    pending.remove(need)
    return features


def next_backend(pending: Sequence[DerivedNeed], features: Features, bound: Mapping[str, Bound]) -> str:
    """Of the backends with something ready, the one that fewest unready needs still wait for.

    So a painter goes before the encoder that will also encode its paintings, and each is loaded once.
    """
    ready = sorted({need.backend for need in pending if features.ready(need)})
    waiting = Counter(bound[need.backend].fingerprint for need in pending if not features.ready(need))
    return min(ready, key=lambda name: waiting[bound[name].fingerprint])


def derive(features: Features, need: Any, fingerprint: str, session: Lazy, cache: Cache) -> None:
    """One need's values: from the cache where they are there, from the session where not."""
    source = joined(features, need) if hasattr(need, "also") else features.flat(need.of)
    source = pairs(features, need) if hasattr(need, "to") else source
    expanded = [[v] if isinstance(v, Failure) else need.inputs(v) for v in source.values]
    several = getattr(need, "several", False) or any(len(inputs) != 1 for inputs in expanded)
    own = getattr(need, "named", None)  # inputs that many items share are known by themselves
    names = [
        own(given) if own and not isinstance(given, Failure) else f"{j}#{name}" if several else name
        for name, inputs in zip(source.names, expanded, strict=True)
        for j, given in enumerate(inputs)
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
    if not isinstance(values, Chosen):  # a picture is known by its content, whoever has painted it
        keys = [f"i:{v.digest}" if isinstance(v, ImageRef) else key for v, key in zip(values, keys, strict=True)]
    offsets = source.offsets
    if several:
        ends = np.concatenate([[0], np.cumsum([len(inputs) for inputs in expanded])]).astype(np.int64)
        offsets = ends if offsets is None else ends[offsets]
    found = 0 if getattr(need, "replies", False) else len(wanted) - stage.made
    features.keep(need, Flat(values, keys, offsets), Work(need, stage.made, found))


def pairs(features: Features, need: Any) -> Flat:
    """Each value of ``need.of`` with its item's value of ``need.to``, of which an item has one."""
    first, second = features.flat(need.of), features.flat(need.to)
    counts = np.ones(len(first.values), np.int64) if first.offsets is None else np.diff(first.offsets)
    owners = np.repeat(np.arange(len(counts)), counts).tolist()
    values = [
        next((v for v in pair if isinstance(v, Failure)), Pair(*pair))
        for pair in ((value, second.values[owner]) for value, owner in zip(first.values, owners, strict=True))
    ]
    names = [f"{name}~{second.names[owner]}" for name, owner in zip(first.names, owners, strict=True)]
    return Flat(values, names, first.offsets)


def joined(features: Features, need: Any) -> Flat:
    """Each item's value of ``need.of`` and of every need in ``need.also``, as a tuple; a list where it has several."""
    columns: list[list[Any]] = []
    names: list[list[str]] = []
    for source in sources(need):
        flat = features.flat(source)
        failed = features.failures(source)
        spans = range(len(flat.values)) if flat.offsets is None else range(len(flat.offsets) - 1)
        own: list[Any] = []
        for i in spans:
            part = slice(i, i + 1) if flat.offsets is None else slice(flat.offsets[i], flat.offsets[i + 1])
            value = list(flat.values[part])
            own.append(Failure(failed[i]) if i in failed else value[0] if flat.offsets is None else value)
            if len(names) == i:
                names.append([])
            names[i] += flat.names[part]
        columns.append(own)
    values = [next((value for value in row if isinstance(value, Failure)), row) for row in zip(*columns, strict=True)]
    return Flat(values, ["".join(f"{len(name)}:{name}" for name in own) for own in names])


def parameters(need: Any) -> str:
    """A need's own parameters as part of a cache key; its source and backend have places of their own."""
    return ",".join(
        f"{k}={v!r}" for k, v in fields(need) if k not in ("of", "to", "also", "backend", need.backend_kind)
    )


def cached_share(need: Any, facts: Facts, bound: Mapping[str, Bound], cache: Cache) -> tuple[int, int] | None:
    """How many of a need's values are in the cache, and of how many; None where that is not known yet."""
    if not need.cached or is_derived(need.of) or (isinstance(need.of, Captions | AllCaptions) and not facts.captions):
        return None
    source = fact_values(facts, need.of)
    names = {name for name in source.names if name}
    if hasattr(need, "named"):
        values = (value for value in source.values if not isinstance(value, Failure))
        names = {need.named(given) for value in values for given in need.inputs(value)}
    fingerprint = bound[need.backend].fingerprint
    keys = [value_key(need.kind, fingerprint, parameters(need), name) for name in sorted(names)]
    return len(cache.get(keys)), len(keys)
