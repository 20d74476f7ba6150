"""The forms in which bags are published, read into one: TrueMatch, D3, ImageCoDe, and records.

    [[471601, 556966, 94038], ...]                                TrueMatch (Gaur et al. 2024): ids
    {"0": {"left": "./images/a.jpg", "right": "./images/b.jpg"}}  D3 (Gaur et al. 2024): pairs
    {"MSR-VTT-...": {"3": "a description"}, ...}                  ImageCoDe (Krojer et al. 2022): sets with targets
    {"id": "x", "members": [...], "targets": [...]}               records, as a JSON list or JSON lines

A name in a file is an id of the benchmark, or the path, file name, stem or COCO number of one.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from capbench.errors import BadData, Fault
from capbench.types import Bag

COCO_NAME = re.compile(r"(?:COCO_\w+_)?0*(\d+)")
MANIFEST = "manifest.json"
MEMBERS, NAMES = ("members", "images"), ("id", "bag")
FORM = "TrueMatch's form is [[id, id, id], ...]; D3's, ImageCoDe's and records with members are read too"


class Stated(NamedTuple):
    """A bag as a file has it: where, its name, and the names of its pictures (targets None: all)."""

    where: str
    id: str
    members: tuple[str, ...]
    targets: tuple[str, ...] | None = None


def read_bags(path: str, ids: Sequence[str], size: int = 0, *, skip: bool = False) -> tuple[Bag, ...]:
    """The bags of a file, with the benchmark's ids.

    size: only the first members of each bag, and only bags that have so many (0: all). skip: leave out bags
    with any picture that the benchmark lacks, be it among the first or not.

    Raises:
        BadData: not such a file, or bags that do not fit the benchmark, all of them together.
    """
    stated = forms(path, load(path), ids)
    find = finder(ids)
    made, faults = [], []
    for bag in stated:
        missing = [m for m in bag.members if find(m) is None]
        found = tuple(find(m) or m for m in bag.members)
        if len(set(found)) != len(found) or (len(found) < 2 and not missing):
            faults.append(Fault(bag.where, "a bag needs two or more different ids"))
        elif bag.targets is not None and not set(bag.targets) <= set(bag.members):
            faults.append(Fault(bag.where, "a target is no member of its bag"))
        elif missing and not skip:
            faults.append(Fault(bag.where, f"no image {', '.join(missing)} in the benchmark"))
        elif not missing and len(found) >= size:
            targets = None if bag.targets is None else tuple(find(t) or t for t in bag.targets)
            made += cut(Bag(bag.id, found, targets), size)
    faults += repeated(made, path)
    if faults:
        raise BadData(f"{path} does not fit this benchmark:", faults, "" if skip else "missing='skip' leaves bags out")
    return tuple(made)


def cut(bag: Bag, size: int) -> list[Bag]:
    """A bag's first members and the targets among them (0: all); nothing where no target is left."""
    members = bag.members[: size or None]
    targets = None if bag.targets is None else tuple(t for t in bag.targets if t in members)
    return [] if targets == () else [Bag(bag.id, members, targets)]


def repeated(bags: Sequence[Bag], path: str) -> list[Fault]:
    """Names that several bags have."""
    counts = Counter(bag.id for bag in bags)
    return [Fault(path, f"{n} bags are called {name!r}") for name, n in counts.items() if n > 1]


def load(path: str) -> Any:
    """JSON or JSON lines, perhaps gzip'ed.

    Raises:
        BadData: it cannot be read.
    """
    try:
        data = Path(path).read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8-sig")
    except (OSError, EOFError, ValueError) as error:
        raise BadData(f"cannot read bags from {path}: {error}") from error
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        if len(lines) < 2 or not lines[0].rstrip().endswith("}"):
            raise BadData(f"cannot read bags from {path}: {error}", cure=FORM) from error
    return [one_line(path, number, line) for number, line in enumerate(lines, 1)]


def one_line(path: str, number: int, line: str) -> Any:
    """A line of JSON lines."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadData(f"cannot read bags from {path}: record {number}: {error}", cure=FORM) from error


def forms(path: str, value: Any, ids: Sequence[str]) -> list[Stated]:
    """The bags of a file in whichever form it has.

    Raises:
        BadData: it has none of them.
    """
    if isinstance(value, dict) and set(value) & set(MEMBERS):
        value = [value]  # one line alone
    if isinstance(value, list) and all(isinstance(bag, list) and all(map(is_name, bag)) for bag in value):
        return [Stated(f"{path} bag-{k:04d}", f"bag-{k:04d}", names(bag)) for k, bag in enumerate(value)]
    if isinstance(value, list) and all(is_record(bag) for bag in value):
        return [record(path, k, bag) for k, bag in enumerate(value)]
    if isinstance(value, dict) and value and all(isinstance(bag, dict) for bag in value.values()):
        if all(set(bag) == {"left", "right"} and all(map(is_name, bag.values())) for bag in value.values()):
            return [Stated(f"{path} {uid}", uid, names((b["left"], b["right"]))) for uid, b in value.items()]
        if all(key.isdecimal() for bag in value.values() for key in bag):
            return described(path, value, ids)
    raise BadData(f"{path} is not a list of lists of ids", cure=FORM)


def is_name(value: Any) -> bool:
    """Whether a value can name a picture."""
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))


def is_record(value: Any) -> bool:
    """Whether a value is an object with a list of members, and perhaps one of targets."""
    if not isinstance(value, dict) or not set(value) & set(MEMBERS):
        return False
    lists = [value[key] for key in (*MEMBERS, "targets") if value.get(key) is not None]
    return all(isinstance(each, list) and all(map(is_name, each)) for each in lists)


def names(values: Iterable[Any]) -> tuple[str, ...]:
    """Ids as text."""
    return tuple(str(value) for value in values)


def record(path: str, number: int, bag: Mapping[str, Any]) -> Stated:
    """One object."""
    name = next((str(bag[key]) for key in NAMES if key in bag), f"bag-{number:04d}")
    members = next(bag[key] for key in MEMBERS if key in bag)
    return Stated(f"{path} {name}", name, names(members), None if bag.get("targets") is None else names(bag["targets"]))


def described(path: str, sets: Mapping[str, Mapping[str, Any]], ids: Sequence[str]) -> list[Stated]:
    """ImageCoDe: a set's members are the benchmark's pictures in the folder of that name, by their number.

    The descriptions themselves are not used: the captioner's take their place.
    """
    folders: dict[str, list[str]] = {}
    for id_ in ids:
        folders.setdefault(PurePosixPath(id_).parent.name, []).append(id_)
    made = []
    for name, descriptions in sets.items():
        members = sorted(folders.get(name, []), key=number_of)
        if all(int(k) < len(members) for k in descriptions):
            made.append(Stated(f"{path} {name}", name, tuple(members), tuple(members[int(k)] for k in descriptions)))
        else:
            made.append(Stated(f"{path} {name}", name, (*members, f"{name}/*")))
    return made


def number_of(name: str) -> tuple[int, str]:
    """The number in a file's name, and the name: img10 comes after img9."""
    digits = re.findall(r"\d+", PurePosixPath(name).stem)
    return (int(digits[-1]) if digits else -1, name)


def finder(ids: Sequence[str]) -> Callable[[str], str | None]:
    """From a name to the id that it means: the id itself, or the only one of that file name, stem or number."""
    exact = set(ids)
    others: dict[str, str | None] = {}
    for id_ in ids:
        for key in {*shorter(id_)} - {id_}:
            others[key] = None if others.get(key, id_) != id_ else id_  # None: two ids share it

    def find(name: str) -> str | None:
        """The id, or None."""
        if name in exact:
            return name
        return next((hit for key in shorter(name) if (hit := key if key in exact else others.get(key))), None)

    return find


def shorter(name: str) -> tuple[str, ...]:
    """A path, its file name, its stem, and the number of a COCO name."""
    path = PurePosixPath(name)
    number = COCO_NAME.fullmatch(path.stem)
    return (str(path), path.name, path.stem, *([number[1]] if number else []))
