"""Bags of look-alikes from any benchmark with pictures: mined, written in TrueMatch's form, and checked again.

Nothing is random: the same pictures, texts and encoders give the same files to the byte.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from capbench.bag_files import MANIFEST
from capbench.bags import bag_digest
from capbench.benchmark import Benchmark
from capbench.cache import open_cache
from capbench.errors import UsageError, cannot_start
from capbench.facts import Facts, facts_of, missing_facts
from capbench.needs import Images, References, Vectors
from capbench.protocols import Need
from capbench.ragged import Ragged
from capbench.resolve import Bound, Features, bind, closure, resolve
from capbench.scoring import data_digest
from capbench.signature import file_digest
from capbench.similarity.lookalikes import Alike
from capbench.similarity.neighbours import nearest
from capbench.similarity.products import finite_rows, unit
from capbench.store import make_folder, write_file
from capbench.types import Bag

if TYPE_CHECKING:
    from capbench.types import Floats, Ints

SIDES = ("both", "image", "text")
SIZES = (3, 5, 7)
NEAR = 0.98
POOL = 50
FORMAT = 1
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Recipe:
    """How bags are mined.

    by: similarity of pictures, of references, or the mean of both. encoder: of pictures and texts;
    text_encoder: another one for texts. sizes: of bags; least: size -> the similarity that every pair of a
    bag must have. limit: how many bags of a size at most, the most alike (0: all). pool: how many neighbours
    of a picture are considered. near: from which cosine pictures are near-duplicates, which no bag has two
    of. hard: also a gallery for each picture, of itself and its nearest, of this size (0: none).
    """

    by: str = "both"
    encoder: str = "clip"
    text_encoder: str = ""
    sizes: tuple[int, ...] = SIZES
    least: Mapping[int, float] = field(default_factory=dict)
    limit: int = 0
    pool: int = POOL
    near: float = NEAR
    hard: int = 0

    def __post_init__(self) -> None:
        if self.by not in SIDES:
            raise UsageError(f"bags are mined by one of {', '.join(SIDES)}, not {self.by!r}")
        for size in (*self.sizes, *([self.hard] if self.hard else [])):
            if size < 2:
                raise UsageError(f"a bag has two pictures or more, not {size}")
        strange = sorted(set(self.least) - set(self.sizes))
        if strange:
            raise UsageError(f"no bags of {strange[0]} are asked for, so they have no least similarity")

    def needs(self) -> dict[str, Need]:
        """What the similarity is made from; pictures' vectors also tell near-duplicates."""
        made: dict[str, Need] = {}
        if self.by != "text":
            made["image"] = Vectors(Images(), self.encoder)
        if self.by != "image":
            made["text"] = Vectors(References(), self.text_encoder or self.encoder)
        return made


@dataclass(frozen=True, slots=True)
class Mined:
    """Bags by file name, as indices of items, their similarities, and why items are in none."""

    bags: Mapping[str, list[list[int]]]
    alike: Mapping[str, tuple[float, float]]
    left_out: Mapping[str, int]


def build(
    benchmark: Benchmark,
    recipe: Recipe,
    folder: Path,
    *,
    backends: Mapping[str, str] | None = None,
    limit: int = 0,
    device: str = "cpu",
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Mine bags and write them: 3.json and so on in TrueMatch's form, hard-100.json, and the manifest, which it gives.

    tell: is told which pictures cannot be encoded, and why.

    Raises:
        MissingPart: pictures, references or an encoder are not there. UsageError: no bag comes out.
    """
    facts = facts_of(benchmark, limit)
    needs = recipe.needs()
    bound, problems = bind(closure(needs.values()), {**benchmark.backends, **(backends or {})})
    problems += missing_facts(closure([*needs.values(), Images()]), facts)
    if problems:
        raise cannot_start(problems)
    with open_cache() as cache:
        features = resolve(Features(facts), needs.values(), bound, cache, device)
    image, text = (features.argument(needs[side]) if side in needs else None for side in ("image", "text"))
    unseen = features.failures(needs["image"]) if "image" in needs else {}
    for item, why in sorted(unseen.items())[:SHOWN]:
        tell(f"{facts.ids[item]}: {why}")
    if len(unseen) > SHOWN:
        tell(f"... and {len(unseen) - SHOWN} more")
    del features
    mined = mine(facts, image, None if text is None else mean_text(text), recipe)
    if not any(mined.bags.values()):
        raise UsageError(f"no bag comes out of {len(facts.ids)} images", "give smaller sizes, or a lower --least")
    return write(folder, benchmark, facts, recipe, bound, mined)


def mean_text(text: Ragged[Floats]) -> Floats:
    """The unit mean of each item's texts that have a vector; NaN where none has one or they cancel out."""
    whole = finite_rows(text.values)
    sums = np.zeros((len(text), text.values.shape[1]), np.float32)
    np.add.at(sums, text.owners[whole], text.values[whole])
    return unit(sums)


def mine(facts: Facts, image: Floats | None, text: Floats | None, recipe: Recipe) -> Mined:
    """Bags out of unit rows of pictures and texts (None: not looked at); ties fall to the smaller id."""
    order = np.array(sorted(range(len(facts.ids)), key=lambda i: facts.ids[i]), np.int64)
    sides = [side for side in (image, text) if side is not None]
    known = np.all([finite_rows(side) for side in sides], axis=0)
    kept, same = without_copies(facts, order[known[order]])
    vectors = np.hstack([side[kept] for side in sides])
    if len(sides) > 1:
        vectors *= np.float32(np.sqrt(0.5))
    alike = look_alike(vectors, None if image is None else image[kept], recipe)
    found = {f"{size}.json": alike.bags(size, recipe.least.get(size, -np.inf), recipe.limit) for size in recipe.sizes}
    if recipe.hard:
        found[f"hard-{recipe.hard}.json"] = alike.hard(recipe.hard)
    least = {name: similarities(alike, bags) for name, bags in found.items()}
    bags = {name: [kept[bag].tolist() for bag in each] for name, each in found.items()}
    return Mined(bags, least, {"without a vector": int((~known).sum()), "the same picture again": same})


def look_alike(vectors: Floats, images: Floats | None, recipe: Recipe) -> Alike:
    """The nearest of each vector, as many as bags may need."""
    deepest = max([*recipe.sizes, recipe.hard, recipe.pool + 1]) - 1
    found, scores = nearest(vectors, vectors, min(deepest, max(len(vectors) - 1, 0)), same=True)
    return Alike(vectors, images, found, scores, recipe.near)


def without_copies(facts: Facts, order: Ints) -> tuple[Ints, int]:
    """The items without those whose picture is the same file as an earlier one's, and how many these are."""
    seen: dict[str, int] = {}
    for i in order.tolist():
        image = facts.images[i]
        seen.setdefault(image.digest if image is not None and image.digest else f"none {i}", i)
    return np.array(list(seen.values()), np.int64), len(order) - len(seen)


def similarities(alike: Alike, bags: Sequence[Sequence[int]]) -> tuple[float, float]:
    """The least of all pairs and the mean over bags of each bag's least; NaN without bags."""
    lows = [alike.least_similar(bag) for bag in bags]
    return (min(lows), float(np.mean(lows))) if lows else (float("nan"), float("nan"))


def write(
    folder: Path, benchmark: Benchmark, facts: Facts, recipe: Recipe, bound: Mapping[str, Bound], mined: Mined
) -> dict[str, Any]:
    """The files and their manifest."""
    make_folder(folder)
    numbers = all(id_.isascii() and id_.isdigit() and str(int(id_)) == id_ for id_ in facts.ids)
    files = {}
    for name, bags in mined.bags.items():
        named = [[int(facts.ids[i]) if numbers else facts.ids[i] for i in bag] for bag in bags]
        hard = name.startswith("hard-")
        lines = [{"id": f"hard-{bag[0]}", "members": bag, "targets": bag[:1]} for bag in named] if hard else named
        text = "[\n" + ",\n".join(json.dumps(line) for line in lines) + "\n]\n"
        write_file(folder / name, text.encode())
        ids = [tuple(facts.ids[i] for i in bag) for bag in bags]
        low, mean = (None if np.isnan(x) else round(x, 6) for x in mined.alike[name])
        files[name] = {
            "size": recipe.hard if hard else int(Path(name).stem), "bags": len(bags), "least": low, "mean_least": mean,
            "file": file_digest(str(folder / name)),
            "members": bag_digest([Bag("", m, m[:1] if hard else None) for m in ids]),
        }  # fmt: skip
    used = sorted({i for bags in mined.bags.values() for bag in bags for i in bag})
    manifest = {
        "format": FORMAT,
        "made_by": f"capbench {version('capbench')}",
        "benchmark": {"name": benchmark.name, "version": benchmark.version, "items": len(facts.ids)},
        "data": data_digest(facts, references=recipe.by != "image", images=True),
        "encoders": {side: bound[need.backend].fingerprint for side, need in recipe.needs().items()},  # type: ignore[attr-defined] # Vectors
        "recipe": asdict(recipe) | {"least": {str(k): v for k, v in recipe.least.items()}},
        "left_out": dict(mined.left_out),
        "files": files,
        "pictures": {facts.ids[i]: image.digest for i in used if (image := facts.images[i]) is not None},
    }
    write_file(folder / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())
    return manifest
