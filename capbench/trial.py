"""The small drawn world on which parts are tried, and the record of what holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from capbench import plugins
from capbench.bags import RECIPES, make_bags
from capbench.benchmark import Benchmark
from capbench.cache import Cache
from capbench.errors import CheckFailed
from capbench.facts import Facts, facts_of
from capbench.needs import Bags
from capbench.ragged import ragged
from capbench.resolve import Bound, Features, bind, closure, resolve
from capbench.scoring import Part, score_once
from capbench.several import compares
from capbench.types import BagSet, Rows, Sample

ITEMS = 28  # four families of seven look-alikes
SEVERAL = 3  # captions an image for metrics that compare them
BAGS = "blocks(size=7)"
WORLD = f"scenes(n={ITEMS}, seed=7)"
STAND_INS = {
    "encoder": "scenes",
    "generator": "scenes_painter",
    "similarity": "psnr",
    "parser": "scenes_parser",
    "tokenizer": "whitespace",
    "judge": "scripted_judge",
}


class Findings:
    """What holds and what does not."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.failed: list[str] = []

    def expect(self, holds: object, claim: str, otherwise: str = "") -> bool:
        """Record a claim; ``otherwise`` says more when it does not hold."""
        (self.passed if holds else self.failed).append(claim if holds else f"not so: {claim}. {otherwise}".rstrip(". "))
        return bool(holds)

    def close(self, name: str) -> list[str]:
        """All that holds.

        Raises:
            CheckFailed: something does not.
        """
        if self.failed:
            raise CheckFailed(
                "\n".join([f"{name} does not keep its promises:", *(f"  {line}" for line in self.failed)])
            )
        return self.passed


def small_world() -> tuple[Sample, ...]:
    """A few drawn pictures with references, made by the installed scenes dataset."""
    return tuple(plugins.load("datasets", WORLD).value.load())


def world_facts(each: int = 1) -> Facts:
    """Facts of the small world; the captions are each picture's own references, from the second on."""
    samples = small_world()
    facts = facts_of(Benchmark("check", 1, samples, ""), 0)
    return replace(facts, captions=tuple(text for s in samples for text in s.references[1 : 1 + each]), each=each)


class Trial:
    """A metric on the small world."""

    def __init__(self, metric: Any, cache: Cache) -> None:
        self.metric, self.cache = metric, cache
        needs = closure(metric.needs.values())
        self.facts = world_facts(SEVERAL if compares(needs) else 1)
        self.facts = replace(
            self.facts, bag_sets={n.name: blocks(self.facts, n.name) for n in needs if isinstance(n, Bags)}
        )
        self.bound = self._bound(needs)

    def _bound(self, needs: Sequence[Any]) -> dict[str, Bound]:
        """The backends, with stand-ins for names that are not installed."""
        own = plugins.installed("backends")
        names = {n.backend: n.backend_kind for n in needs if hasattr(n, "backend")}
        aliases = {
            name: STAND_INS[kind]
            for name, kind in names.items()
            if plugins.parse(name).target not in own and ":" not in name and kind in STAND_INS
        }
        bound, problems = bind(needs, aliases)
        if problems:
            raise CheckFailed("\n".join(f"{p.what}: {p.cure}" for p in problems))
        return bound

    def rows(self, facts: Facts | None = None) -> Rows:
        """The metric's rows, masked as in a run.

        Raises:
            CheckFailed: the metric raised, or gave another shape than it declares.
        """
        features = resolve(Features(facts or self.facts), self.metric.needs.values(), self.bound, self.cache)
        rows, items, reasons = score_once(Part(self.metric, "", self.metric.name), features)
        broken = [why for why in reasons.values() if why.startswith(f"{self.metric.name} failed")]
        if broken:
            raise CheckFailed(broken[0])
        return Rows(rows.columns, items, rows.bags)


def blocks(facts: Facts, name: str) -> BagSet:
    """Galleries of seven, whatever the metric's own are called; those of a recipe with a size are made as it says."""
    head, call, _ = name.partition("(")
    recipe = name if call and head in RECIPES else BAGS
    return replace(make_bags(recipe, recipe, facts.ids), name=name)


def subset(facts: Facts, order: Any) -> Facts:
    """The facts of some items in another order."""
    offsets, values = facts.references.offsets, facts.references.values
    return replace(
        facts,
        ids=tuple(facts.ids[i] for i in order),
        images=tuple(facts.images[i] for i in order),
        tags=tuple(facts.tags[i] for i in order),
        captions=tuple(text for i in order for text in facts.captions[i * facts.each : (i + 1) * facts.each]),
        references=ragged([values[offsets[i] : offsets[i + 1]] for i in order]),
    )
