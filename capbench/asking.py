"""What a captioner is asked of each item: the benchmark's prompt, regions, history, lengths, and other pictures.

A captioner may say what of it can change its answers, in ``uses``; what is given and not used is told in the plan.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from capbench import prompts
from capbench.benchmark import Benchmark
from capbench.facts import Facts
from capbench.protocols import USES, Problem
from capbench.types import BagSet, Generation, ImageRef, Request, Sample


def generation_of(benchmark: Benchmark, asked: Generation) -> Generation:
    """The decoding parameters with the prompt that holds: the command's, else the benchmark's."""
    return replace(asked, prompt=asked.prompt or benchmark.prompt)


def requests_of(
    benchmark: Benchmark, given: Facts, params: Generation, samples: int, have: Collection[tuple[str, int]] = ()
) -> list[Request]:
    """One request an item and sample, one sample after the other, without those that are answered."""
    others = context_of(given, benchmark.context)
    items = benchmark.samples[: len(given.ids)]
    blank = [
        Request(
            s.id, s.image, others.get(s.id, ()), regions=s.regions, history=s.history, length=s.length
        )
        for s in items
    ]  # fmt: skip
    worded = [replace(request, prompt=prompts.rendered(params.prompt, request)) for request in blank]
    return [
        replace(request, sample=sample)
        for sample in range(samples)
        for request in worded
        if (request.id, sample) not in have
    ]


def context_of(given: Facts, bags: str) -> dict[str, tuple[ImageRef, ...]]:
    """The other pictures of each item's bag ("": of none); those that have no picture are left out."""
    if not bags:
        return {}
    images = dict(zip(given.ids, given.images, strict=True))
    return {
        target: tuple(ref for other in bag.members if other != target and (ref := images[other]) is not None)
        for bag in given.bag_sets[bags].bags
        for target in bag.targets or bag.members
    }


def problems(captioner: Any, benchmark: Benchmark, given: Facts, params: Generation) -> list[Problem]:
    """What keeps the items from being asked: no pictures, an item of two bags, a field of the prompt that some lack.

    A captioner that is made from the benchmark, or from a file, is asked nothing.
    """
    if not is_asked(captioner):
        return []
    found = []
    if given.ids and not any(given.images):
        found.append(
            Problem("there is no picture to describe: the benchmark has none", "give the folder: --images DIR")
        )
    if benchmark.context and (twice := repeated(given.bag_sets[benchmark.context])):
        what = f"{twice!r} is in several bags of {benchmark.context!r}: which are the other pictures it is told from?"
        found.append(Problem(f"benchmark {benchmark.name}: {what}", "context= wants bags in which each item is once"))
    filled = prompts.context_in(params.prompt)
    known: Mapping[str, Any] = {"context": context_of(given, benchmark.context) if not found else {"": ()}}
    items = benchmark.samples[: len(given.ids)]
    for name in sorted(filled):
        empty = [s.id for s in items if not (known[name].get(s.id) if name in known else getattr(s, name))]
        if empty and not (name == "history" and len(empty) < len(items)):  # the first turn has nothing before it
            what = f"the prompt speaks of {name}, and {len(empty)} of {len(items)} items have none, as {empty[0]!r}"
            found.append(Problem(what, f"give it in the data ({name}= of the dataset), or take another prompt"))
    return found


def is_asked(captioner: Any) -> bool:
    """Whether a captioner, or one inside it, gets requests at all."""
    if hasattr(captioner, "inner"):
        return any(is_asked(one.value) for one in captioner.inner)
    return not hasattr(captioner, "needs")


def repeated(bags: BagSet) -> str:
    """An item that is judged in several bags, or ""."""
    seen: set[str] = set()
    for bag in bags.bags:
        for target in bag.targets or bag.members:
            if target in seen:
                return target
            seen.add(target)
    return ""


def unused(captioner: Any, label: str, benchmark: Benchmark, params: Generation, items: int) -> tuple[str, ...]:
    """A line for what is given and cannot change this captioner's answers; none where it does not say what it uses."""
    if hasattr(captioner, "inner"):
        inside = (unused(one.value, one.label, benchmark, params, items) for one in captioner.inner)
        return tuple(line for lines in inside for line in lines)
    uses = getattr(captioner, "uses", None)
    if uses is None:
        return ()
    put = prompts.context_in(params.prompt) if "prompt" in uses else frozenset()
    given = stated(benchmark.samples[:items], benchmark.context, params)
    names = [name for name in given if name not in {*uses, *put}]
    return (f"captioner {label} cannot use: {', '.join(names)}",) if names else ()


def stated(samples: Iterable[Sample], context: str, params: Generation) -> list[str]:
    """What of a request says something, by its names in ``uses``."""
    there = {
        "prompt": bool(params.prompt),
        "max_tokens": params.max_tokens > 0,
        "temperature": params.temperature > 0,
        "beams": params.beams > 1,
        "seed": params.seed != 0,
        "context": bool(context),
        "regions": False,
        "history": False,
        "length": False,
    }
    for sample in samples:
        for name in ("regions", "history", "length"):
            there[name] |= bool(getattr(sample, name))
    return [name for name in USES if there[name]]


__all__ = ["context_of", "generation_of", "problems", "requests_of", "stated", "unused"]
