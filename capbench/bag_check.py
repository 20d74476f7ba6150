"""Whether bags that were mined are still those of their manifest, and fit a benchmark."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from capbench.bag_files import MANIFEST, read_bags
from capbench.bags import bag_digest
from capbench.benchmark import Benchmark
from capbench.errors import BadData, CheckFailed, Fault, MissingPart
from capbench.facts import facts_of
from capbench.images import ImageFault, load
from capbench.scoring import data_digest
from capbench.signature import file_digest
from capbench.types import Bag, ImageRef

SHOWN = 5


def bag_files(path: Path) -> list[Path]:
    """The files of bags that a path names: itself, or those of a folder's manifest.

    Raises:
        MissingPart: there is nothing. BadData: the manifest cannot be read.
    """
    if path.is_file():
        return [path]
    if not (path / MANIFEST).is_file():
        raise MissingPart(
            f"{path} is no file of bags and has no {MANIFEST}", "give the folder of 'bags build', or a file"
        )
    return [path / name for name in manifest_of(path)["files"]]


def manifest_of(folder: Path) -> dict[str, Any]:
    """The manifest of a folder; one without files where there is none.

    Raises:
        BadData: it cannot be read, or is not one.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return {"files": {}}
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        whole = isinstance(found["files"], dict) and isinstance(found["pictures"], dict)
        whole = whole and all({"file", "members", "size"} <= set(entry) for entry in found["files"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadData(f"{path} cannot be read: {type(error).__name__}: {error}", cure="build the bags again") from error
    if not whole:
        raise BadData(f"{path} is not a manifest of bags", cure="build the bags again")
    return found


def check(path: Path, benchmark: Benchmark) -> list[str]:
    """What holds, one line a file: members, digests, and that no picture is in two bags of a file.

    A file without a manifest is checked for its members and pictures alone, and the line says so.

    Raises:
        CheckFailed: something differs, with every fault. BadData, MissingPart: a file cannot be read.
    """
    manifest = manifest_of(path if path.is_dir() else path.parent)
    images = {s.id: s.image for s in benchmark.samples if s.image is not None}
    pictures = {id_: image.digest for id_, image in images.items()}
    lines, faults = [], []
    for file in bag_files(path):
        if not file.is_file():
            faults.append(Fault(str(file), "the manifest names it, and it is not there"))
            continue
        bags = read_bags(str(file), [s.id for s in benchmark.samples])
        entry = manifest["files"].get(file.name)
        faults += unreadable(file, bags, images, manifest.get("pictures", {}))
        if entry is not None:
            faults += against_manifest(file, bags, entry)
        known = "as the manifest says" if entry is not None else "no manifest names it: members only"
        lines.append(f"{file}: {len(bags)} bags, {sum(len(bag.members) for bag in bags)} members, {known}")
    if manifest["files"]:
        faults += against_benchmark(path, manifest, benchmark, pictures)
    if faults:
        raise CheckFailed("\n".join(["the bags are not what they were:", *(f"  {fault}" for fault in faults)]))
    return lines


def unreadable(
    file: Path, bags: Sequence[Bag], images: Mapping[str, ImageRef], encoded: Mapping[str, str]
) -> list[Fault]:
    """Members without a picture that can be read. Those ``encoded`` under their digest have been read before."""
    lacking: dict[str, None] = {}
    for member in dict.fromkeys(m for bag in bags for m in bag.members):
        image = images.get(member)
        try:
            if image is None:
                lacking[f"{member} (it has none)"] = None
            elif not image.digest or encoded.get(member) != image.digest:
                load(image)
        except ImageFault as fault:
            lacking[f"{member} ({fault.message})"] = None
    return [few(file, "cannot be read", lacking)] if lacking else []


def few(file: Path, what: str, ids: Mapping[str, Any]) -> Fault:
    """One fault for many pictures, the first of them named."""
    shown = ", ".join(list(ids)[:SHOWN])
    return Fault(str(file), f"{len(ids)} pictures {what}: {shown}{', ...' if len(ids) > SHOWN else ''}")


def against_manifest(file: Path, bags: Sequence[Bag], entry: Mapping[str, Any]) -> list[Fault]:
    """Bytes, members, sizes, and each picture at most once unless galleries have targets."""
    faults = []
    if file_digest(str(file)) != entry["file"]:
        faults.append(Fault(str(file), "its bytes have changed since the bags were built"))
    if bag_digest(bags) != entry["members"]:
        faults.append(Fault(str(file), "its members are not those that were built"))
    odd = {bag.id: None for bag in bags if len(bag.members) != entry["size"]}
    if odd:
        faults.append(Fault(str(file), f"{len(odd)} bags are not of {entry['size']}: {', '.join(list(odd)[:SHOWN])}"))
    counts = Counter(m for bag in bags if bag.targets is None for m in bag.members)
    again = {member: n for member, n in counts.items() if n > 1}
    return [*faults, *([few(file, "are in more than one bag", again)] if again else [])]


def against_benchmark(
    path: Path, manifest: Mapping[str, Any], benchmark: Benchmark, pictures: Mapping[str, str]
) -> list[Fault]:
    """Pictures and data as they were when the bags were built."""
    changed = {id_: None for id_, digest in manifest["pictures"].items() if pictures.get(id_) != digest}
    faults = [few(path, "are not the files that they were", changed)] if changed else []
    facts = facts_of(benchmark, int(manifest.get("benchmark", {}).get("items", 0)))
    texts = manifest.get("recipe", {}).get("by") != "image"
    if not changed and manifest.get("data") != data_digest(facts, references=texts, images=True):
        what = "the benchmark's ids, pictures or references are not those that the bags were mined from"
        faults.append(Fault(str(path), what, "give the same benchmark, or build the bags again"))
    return faults
