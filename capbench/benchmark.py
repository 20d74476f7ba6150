"""What is measured, as data: a TOML file that names a dataset, backends, bag sets and metrics.

Relative paths in a dataset's parameters are looked for below ``--data`` (or $CAPBENCH_DATA), else
beside the TOML file, else where you are. A data set that may not be redistributed is named by the
digest of its ids and references, which is checked when it is loaded.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capbench import bags, codec, plugins, prompts
from capbench.errors import BadData, UsageError
from capbench.signature import digest
from capbench.types import BagSet, Sample

PATHS = ("annotations", "images", "captions", "ids", "path", "source")  # parameters of datasets that are paths
NAMES = ("source",)  # of these, those that may be something else: a name on the hub
REFS = ("all", "leave-one-out")


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """[dataset]: its spec, the digest of its ids and references, and where to get it."""

    use: str
    digest: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class BagsEntry:
    """[bags.NAME]: a recipe such as blocks(size=100)."""

    use: str


@dataclass(frozen=True, slots=True)
class MetricEntry:
    """[[metrics]]: a metric's spec, its label in tables, and whether tables are sorted by it."""

    use: str
    label: str = ""
    headline: bool = False


@dataclass(frozen=True, slots=True)
class BenchmarkFile:
    """A benchmark's TOML file. by: the tag by which its tables are split if nothing else is said.

    prompt: what captioners are asked if the command says nothing else, with fields (``capbench.prompts``).
    context: the bag set whose other pictures are given with each.
    """

    name: str
    version: int
    dataset: DatasetEntry
    description: str = ""
    refs: str = "all"
    samples: int = 1
    by: str = ""
    lang: str = ""
    prompt: str = ""
    context: str = ""
    backends: Mapping[str, str] = field(default_factory=dict)
    bags: Mapping[str, BagsEntry] = field(default_factory=dict)
    metrics: Sequence[MetricEntry] = ()


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A loaded benchmark: its samples in order, and everything that the file states.

    digest: of ids and references, in id order. bag_sets: those of the dataset and of the file. lang: the
    language of its captions ("": English).
    """

    name: str
    version: int
    samples: tuple[Sample, ...]
    digest: str
    refs: str = "all"
    captions_each: int = 1
    backends: Mapping[str, str] = field(default_factory=dict)
    bag_sets: Mapping[str, BagSet] = field(default_factory=dict)
    metrics: tuple[MetricEntry, ...] = ()
    by: str = ""
    lang: str = ""
    prompt: str = ""
    context: str = ""


def folder() -> Path:
    """Where the shipped benchmarks are: in the wheel, or beside the package in a checkout."""
    package = Path(__file__).parent
    inside = package / "_benchmarks"
    return inside if inside.is_dir() else package.parent / "benchmarks"


def shipped() -> dict[str, Path]:
    """The shipped benchmarks by name."""
    return {path.stem: path for path in sorted(folder().glob("*.toml"))}


def read(name: str) -> tuple[BenchmarkFile, Path]:
    """A benchmark's file by shipped name, by path of a TOML file, or made around a dataset's spec.

    Raises:
        UsageError: nothing is called that.
        BadData: the file is not as it should be.
    """
    if name in shipped():
        path = shipped()[name]
    elif name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise UsageError(f"there is no benchmark file {name}", "capbench list benchmarks shows the shipped ones")
    elif plugins.parse(name).target in plugins.installed("datasets") or ":" in name or "(" in name:
        title = re.sub(r"[^\w.-]+", "-", plugins.parse(name).target).strip("-")
        return BenchmarkFile(title, 1, DatasetEntry(name)), Path.cwd()
    else:
        cure = f"there are: {', '.join(shipped())}; or a .toml file, or a dataset's spec"
        if Path(name).exists():
            given = f"images={name!r}" if Path(name).is_dir() else f"captions={name!r}"
            cure = f"name what reads it: folder({given}), or coco(annotations=...) with images= and split="
        raise UsageError(f"no benchmark is called {name!r}", cure)
    made = codec.read_toml(path, BenchmarkFile)
    if made.refs not in REFS:
        raise BadData(f"{path}: refs is one of {', '.join(REFS)}, not {made.refs!r}")
    try:
        prompts.context_in(made.prompt)
    except UsageError as error:
        raise BadData(f"{path}: {error.message}", cure=error.cure) from error
    return made, path.parent


def load(name: str, dataset: str = "", data: str = "", images: str = "") -> Benchmark:
    """Load a benchmark. dataset: another spec for its data; data: the folder its paths are below.

    images: the folder of the pictures, in place of the dataset's own parameter of that name.

    Raises:
        UsageError, BadData: as ``read``; also the dataset's own faults, and a digest that differs.
    """
    made, beside = read(name)
    entry = dataclasses.replace(made.dataset, use=dataset) if dataset else made.dataset
    base = Path(data or os.environ.get("CAPBENCH_DATA", "")) if data_given(data) else beside
    source = load_dataset(entry, base, made, images)
    samples = tuple(source.load())
    if not samples:
        raise BadData(f"the dataset {entry.use} has no item")
    found = reference_digest(samples)
    if entry.digest and entry.digest != found:
        raise BadData(
            f"the data of {made.name} are not those of version {made.version}: digest {found}, not {entry.digest}",
            cure=entry.place or "get the data that the benchmark names",
        )
    ids = [sample.id for sample in samples]
    sets = {s.name: s for s in source.bag_sets()} if hasattr(source, "bag_sets") else {}
    sets |= {key: bags.make_bags(key, recipe.use, ids, base) for key, recipe in made.bags.items()}
    if made.context and made.context not in sets:
        raise BadData(
            f"{made.name}: context = {made.context!r} is no bag set of it",
            cure=f"there are: {', '.join(sets)}" if sets else f"name one below [bags.{made.context}]",
        )
    return Benchmark(
        made.name,
        made.version,
        samples,
        found,
        made.refs,
        made.samples,
        dict(made.backends),
        sets,
        tuple(made.metrics),
        by=made.by,
        lang=made.lang,
        prompt=made.prompt,
        context=made.context,
    )


def data_given(data: str) -> bool:
    """Whether the user says where data are."""
    return bool(data or os.environ.get("CAPBENCH_DATA"))


def load_dataset(entry: DatasetEntry, base: Path, made: BenchmarkFile, images: str = "") -> Any:
    """Build the dataset, its relative paths put below ``base`` where they are there."""
    value = plugins.load("datasets", entry.use).value
    if images:
        value = with_images(value, images, entry.use)
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    moved: dict[str, str] = {}
    for name in {f.name for f in dataclasses.fields(value)} & set(PATHS):
        path = getattr(value, name)
        if isinstance(path, str) and path and not Path(path).is_absolute() and (base / path).exists():
            moved[name] = str(base / path)
        elif isinstance(path, str) and path and name not in NAMES and not Path(path).exists():
            where = f"{base / path} or ./{path}" if base != Path.cwd() else path
            own = "--images DIR" if name == "images" else "--data DIR"
            cure = entry.place or f"say where the {'pictures' if name == 'images' else 'data'} are: {own}"
            raise BadData(f"{made.name}: {name}: there is no {where}", cure=cure)
    return dataclasses.replace(value, **moved)


def with_images(value: Any, images: str, use: str) -> Any:
    """The dataset with another folder of pictures.

    Raises:
        UsageError: it takes none.
    """
    if not dataclasses.is_dataclass(value) or "images" not in {f.name for f in dataclasses.fields(value)}:
        raise UsageError(f"the dataset {use} takes no folder of pictures", "leave out --images")
    made: Any = value
    return dataclasses.replace(made, images=images)


def reference_digest(samples: Sequence[Sample]) -> str:
    """A hash of ids and references, in id order."""
    return digest([s.id, list(s.references)] for s in sorted(samples, key=lambda s: s.id))


def data_digests(benchmark: Benchmark) -> tuple[str, str]:
    """Hashes of ids, references, pictures and what is asked of them: a run's identity; and one without pictures."""
    around = [benchmark.bag_sets[benchmark.context].digest] if benchmark.context else []
    with_pictures = ([s.id, s.image.digest if s.image else None, *asked_of(s)] for s in benchmark.samples)
    without = ([s.id, None, *asked_of(s)] for s in benchmark.samples)
    return digest([benchmark.digest, *around, *with_pictures]), digest([benchmark.digest, *around, *without])


def asked_of(sample: Sample) -> list[Any]:
    """What is asked of an item beside its picture; nothing for most."""
    said = [sample.regions, sample.history, sample.length]
    return [said] if any(said) else []
