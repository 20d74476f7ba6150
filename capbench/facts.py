"""What benchmark and captioner give, as the facts that needs start from."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from capbench.bags import bag_digest, make_bags
from capbench.benchmark import Benchmark
from capbench.needs import Bags, Images, References
from capbench.protocols import Need, Problem
from capbench.ragged import Ragged, ragged
from capbench.types import BagSet, Failure, ImageRef

NO_CAPTION = Failure("the captioner has not answered")


@dataclass(frozen=True, slots=True)
class Facts:
    """What benchmark and captioner give: one entry an item, in the benchmark's order.

    captions: every caption, those of an item side by side; each: how many an item has.
    """

    ids: tuple[str, ...]
    images: tuple[ImageRef | None, ...]
    references: Ragged[list[str]]
    tags: tuple[Mapping[str, str], ...]
    bag_sets: Mapping[str, BagSet] = field(default_factory=dict)
    captions: tuple[str | Failure, ...] = ()
    each: int = 1


def facts_of(benchmark: Benchmark, limit: int) -> Facts:
    """The benchmark's items as facts; with a limit the first ones, and the bags that are whole in them."""
    samples = benchmark.samples[: limit or None]
    ids = tuple(sample.id for sample in samples)
    sets = benchmark.bag_sets
    if len(samples) < len(benchmark.samples):
        sets = {name: restricted(bags, set(ids)) for name, bags in sets.items()}
    return Facts(
        ids,
        tuple(s.image for s in samples),
        ragged([s.references for s in samples]),
        tuple(s.tags for s in samples),
        sets,
    )


def restricted(bags: BagSet, ids: set[str]) -> BagSet:
    """The bags of which every member is there."""
    kept = tuple(bag for bag in bags.bags if ids.issuperset(bag.members))
    return replace(bags, bags=kept, digest=bag_digest(kept))


def leave_out(facts: Facts, n: int) -> Facts:
    """The facts without the first n references of each item."""
    offsets = facts.references.offsets
    rest = [facts.references.values[min(a + n, b) : b] for a, b in itertools.pairwise(offsets)]
    return replace(facts, references=ragged(rest))


def first_captions(facts: Facts) -> list[str | Failure]:
    """The first caption of each item."""
    return list(facts.captions[:: facts.each]) or [NO_CAPTION] * len(facts.ids)


def all_captions(facts: Facts) -> list[str | Failure]:
    """The captions of all items; an item of which one failed has none, so that no set is compared in part."""
    captions = facts.captions or (NO_CAPTION,) * (facts.each * len(facts.ids))
    items = [captions[start : start + facts.each] for start in range(0, len(captions), facts.each)]
    failed = [next((text for text in item if isinstance(text, Failure)), None) for item in items]
    return [text if why is None else why for item, why in zip(items, failed, strict=True) for text in item]


def bag_set(facts: Facts, name: str) -> BagSet:
    """A bag set of the benchmark by name, or made by a recipe."""
    return facts.bag_sets[name] if name in facts.bag_sets else make_bags(name, name, facts.ids)


def missing_facts(needs: Sequence[Need], facts: Facts, taken: int = 0) -> list[Problem]:
    """Facts that some need wants and the benchmark has not. taken: references of each item that were left out."""
    problems = []
    if any(isinstance(n, Images) for n in needs) and not any(facts.images):
        problems.append(Problem("a metric needs pictures, and the benchmark has none", "give the folder: --images DIR"))
    if any(isinstance(n, References) for n in needs) and not facts.references.counts.any():
        what = f"a metric needs references, and there are none{f' beside the {taken} left out' if taken else ''}"
        cure = "use a benchmark with references"
        problems.append(Problem(what, f"{cure}, or fewer --samples" if taken > 1 else cure))
    for need in needs:
        if isinstance(need, Bags) and not bag_set(facts, need.name).bags:
            what = f"no bag of {need.name!r} is whole among the {len(facts.ids)} images"
            problems.append(Problem(what, "take more images, or smaller bags"))
    return problems
