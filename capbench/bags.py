"""Galleries to be retrieved from: recipes that make them, the TrueMatch file form, and their digests.

A recipe is a spec, as every other part: ``blocks(size=100)`` is RD100 as Dessi et al. 2023 run it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from capbench.bag_files import read_bags
from capbench.errors import UsageError
from capbench.plugins import build, parse
from capbench.signature import digest, render
from capbench.signature import fields as fields_of
from capbench.types import Bag, BagSet, Galleries


class Recipe(Protocol):
    """Makes bags from ids in file order."""

    def bags(self, ids: Sequence[str]) -> tuple[Bag, ...]:
        """The bags."""
        ...


def counted_draws(seed: int, label: str, below: int, n: int) -> list[int]:
    """Draw n integers below ``below`` from a hash: the same on every machine and in every release."""
    draws: list[int] = []
    counter = 0
    while len(draws) < n:
        block = hashlib.blake2b(f"{seed}/{label}/{counter}".encode("utf-8", "surrogatepass"), digest_size=64).digest()
        draws += [int.from_bytes(block[i : i + 8], "big") % below for i in range(0, 64, 8)]
        counter += 1
    return draws[:n]


def unique(draws: Iterable[int]) -> Iterator[int]:
    """Each number when it first comes."""
    seen: set[int] = set()
    for draw in draws:
        if draw not in seen:
            seen.add(draw)
            yield draw


def shuffled(ids: Sequence[str], seed: int) -> list[str]:
    """A seeded permutation: ids sorted by a hash of the seed and the id."""
    keys = {i: hashlib.blake2b(f"{seed}/{i}".encode("utf-8", "surrogatepass")).digest() for i in ids}
    return sorted(ids, key=lambda i: (keys[i], i))


@dataclass(frozen=True, slots=True)
class Blocks:
    """Consecutive blocks of ``size``: in file order (RD100, Dessi et al. 2023) or order='random' (NDLB).

    The ids left over at the end are in no bag, as in the authors' code (drop_last).
    """

    size: int = 100
    order: str = "file"
    seed: int = 0

    def bags(self, ids: Sequence[str]) -> tuple[Bag, ...]:
        """len(ids) // size bags."""
        if self.order not in ("file", "random"):
            raise UsageError(f"blocks: order is 'file' or 'random', not {self.order!r}")
        line = list(ids) if self.order == "file" else shuffled(ids, self.seed)
        starts = range(0, len(line) - self.size + 1, at_least(self.size, 1, "blocks"))
        return tuple(Bag(f"block-{k:04d}", tuple(line[s : s + self.size])) for k, s in enumerate(starts))


@dataclass(frozen=True, slots=True)
class Draws:
    """For each image its own gallery: itself and ``size`` - 1 others, drawn evenly.

    replace: each draw by itself, so that a distractor may come more than once (i.i.d.); else all differ.
    """

    size: int = 100
    seed: int = 0
    replace: bool = field(default=False, metadata={"signed": "unless default"})

    def bags(self, ids: Sequence[str]) -> tuple[Bag, ...]:
        """One bag an id, with that id as its only target."""
        at_least(self.size, 2, "draws")
        least = 2 if self.replace else self.size
        if len(ids) < least:
            raise UsageError(f"draws(size={self.size}) needs {least} images or more; there are {len(ids)}")
        made = []
        for i, target in enumerate(ids):
            others = (draw for draw in self._stream(target, len(ids)) if draw != i)
            chosen = islice(others if self.replace else unique(others), self.size - 1)
            made.append(Bag(f"draw-{target}", (target, *(ids[j] for j in chosen)), (target,)))
        return tuple(made)

    def _stream(self, target: str, below: int) -> Any:
        """Endless draws for one target."""
        part = 0
        while True:
            yield from counted_draws(self.seed, f"{target}/{part}", below, 2 * self.size)
            part += 1


@dataclass(frozen=True, slots=True)
class Full:
    """One gallery of all images."""

    def bags(self, ids: Sequence[str]) -> tuple[Bag, ...]:
        """A single bag."""
        return (Bag("all", tuple(ids)),)


@dataclass(frozen=True, slots=True)
class BagFile:
    """Bags from a file: TrueMatch's [[id, id, id], ...], D3's pairs, ImageCoDe's sets, or records with members.

    size: only the first members of each bag (0: all). missing: 'skip' leaves out bags with a picture that the
    benchmark lacks, which is else an error. A path is looked for beside the benchmark's file first.
    """

    path: str
    size: int = field(default=0, metadata={"signed": "unless default"})
    missing: str = field(default="error", metadata={"signed": "unless default"})

    def bags(self, ids: Sequence[str]) -> tuple[Bag, ...]:
        """The file's bags, with the benchmark's ids."""
        if self.missing not in ("error", "skip"):
            raise UsageError(f"file: missing is 'error' or 'skip', not {self.missing!r}")
        if self.size:
            at_least(self.size, 2, "file")
        return read_bags(self.path, ids, self.size, skip=self.missing == "skip")


RECIPES: Mapping[str, type[Any]] = {"blocks": Blocks, "draws": Draws, "full": Full, "file": BagFile}
SHORT_NAMES = {
    "rd100": "blocks(size=100)",
    "rd100-random": "blocks(size=100, order='random')",
    "rd100-draws": "draws(size=100)",
    "rd100-iid": "draws(size=100, replace=True)",
    "full": "full()",
    "folds-1k": "blocks(size=1000)",
}


def at_least(value: int, least: int, name: str) -> int:
    """Refuse a size that makes no gallery."""
    if value < least:
        raise UsageError(f"{name}: size must be at least {least}, not {value}")
    return value


def make_bags(name: str, recipe: str, ids: Sequence[str], beside: Path | None = None) -> BagSet:
    """Build a bag set from a recipe's spec. beside: the folder in which a relative path is looked for first.

    Raises:
        UsageError: no such recipe, or no bag comes out.
        BadData: a bag file does not fit.
    """
    spec = parse(SHORT_NAMES.get(recipe, recipe))
    if spec.target not in RECIPES:
        raise UsageError(
            f"no bag set or recipe is called {recipe!r}",
            f"recipes: {', '.join(RECIPES)}; short names: {', '.join(SHORT_NAMES)}; or a name of the benchmark",
        )
    made = build(RECIPES[spec.target], spec, recipe)
    if isinstance(made, BagFile) and beside is not None and (beside / made.path).exists():
        made = replace(made, path=str(beside / made.path))
    bags = made.bags(ids)
    if not bags:
        raise UsageError(f"{recipe} makes no bag of {len(ids)} images", "give a smaller size or more images")
    text = f"{spec.target}({','.join(f'{k}={render(v)}' for k, v in fields_of(made) if k != 'path')})"
    return BagSet(name, text, bag_digest(bags), bags)


def bag_digest(bags: Sequence[Bag]) -> str:
    """A hash of members and targets, in order."""
    return digest([b.members, b.targets] for b in bags)


def galleries(bag_set: BagSet, ids: Sequence[str]) -> Galleries:
    """The bag set as indices into ``ids``; bags with members outside ``ids`` are left out whole."""
    import numpy as np

    index = {id_: i for i, id_ in enumerate(ids)}
    kept = [bag for bag in bag_set.bags if all(m in index for m in bag.members)]
    sizes = [len(bag.members) for bag in kept]
    targets = [[index[t] for t in (bag.members if bag.targets is None else bag.targets)] for bag in kept]
    return Galleries(
        members=np.array([index[m] for bag in kept for m in bag.members], np.int64),
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        targets=np.array([t for row in targets for t in row], np.int64),
        bags=np.repeat(np.arange(len(kept)), [len(row) for row in targets]).astype(np.int64),
    )
