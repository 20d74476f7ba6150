"""Records and a folder of pictures into samples: what every data set on disk has in common."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from capbench.datasets.asked import Places
from capbench.errors import BadData, Fault, MissingPart
from capbench.images import names_in, reference
from capbench.records import Record, read_ids
from capbench.types import Failure, Sample

COCO_NAME = re.compile(r"(?:COCO_[a-z]+\d{4}_)?0*(\d+)")
SHOWN = 3
READERS = 4
NOWHERE = Places()


@dataclass(frozen=True, slots=True)
class Pictures:
    """A folder of pictures, found by name as given, by base name, without extension, or by COCO number."""

    folder: Path
    names: frozenset[str]
    by_stem: Mapping[str, tuple[str, ...]]
    by_number: Mapping[str, tuple[str, ...]]

    def find(self, wanted: str) -> tuple[str, ...]:
        """Names in the folder that a name or id stands for: one, none, or several where it is not clear."""
        base = PurePosixPath(wanted.replace("\\", "/")).name
        for name in (wanted, base):
            if name in self.names:
                return (name,)
        return self.by_stem.get(wanted) or self.by_stem.get(base) or self.by_number.get(wanted, ())


def pictures(folder: str | Path) -> Pictures:
    """The pictures of a folder and its sub-folders, by name; other files and hidden ones are passed over.

    Raises:
        MissingPart: no such folder.
    """
    root = Path(folder)
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise MissingPart(f"the image folder {folder} {what}", "give the folder that holds the pictures")
    names = names_in(root)
    stems: dict[str, list[str]] = {}
    numbers: dict[str, list[str]] = {}
    for name in names:
        for stem in dict.fromkeys((PurePosixPath(name).stem, str(PurePosixPath(name).with_suffix("")))):
            stems.setdefault(stem, []).append(name)
        if match := COCO_NAME.fullmatch(PurePosixPath(name).stem):
            numbers.setdefault(match[1], []).append(name)
    return Pictures(root, frozenset(names), frozen(stems), frozen(numbers))


def frozen(lists: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    """The same with tuples."""
    return {key: tuple(values) for key, values in lists.items()}


def build(
    records: Sequence[Record], *, source: str, images: str | Path = "", ids: str = "", id_field: str = "",
    places: Places = NOWHERE,
) -> tuple[Sample, ...]:  # fmt: skip
    """One sample a record, in the file's order or that of ``ids``.

    images: the folder of the pictures; "" for samples without pictures. A picture that is not there is an
    ImageRef without a digest: its item stays, and ends unscored wherever a picture is needed.
    ids: a file that names the items to take, in its order. places: where regions, history and lengths stand.

    Raises:
        MissingPart: no such folder or file.
        BadData: references that are no text; items without references among items that have some; ids that
            the data set does not have; pictures whose name is not clear; or not one picture found.
    """
    chosen = subset(records, ids, source, id_field) if ids else list(records)
    faults = reference_faults(chosen)
    asked = [places.of(record, faults) for record in chosen]
    paths = found_pictures(chosen, images, source, faults) if str(images) else [None] * len(chosen)
    if faults:
        raise BadData(f"{source} cannot be used, {len(faults)} fault(s):", faults)
    with ThreadPoolExecutor(READERS) as readers:
        read = readers.map(reference, [path for path in paths if path is not None])
        refs = [None if path is None else next(read) for path in paths]
    return tuple(
        Sample(
            record.id,
            ref,
            tuple(text for text in record.texts if isinstance(text, str)),
            ({"split": record.split} if record.split else {}) | dict(record.tags),
            **said,
        )
        for record, ref, said in zip(chosen, refs, asked, strict=True)
    )


def reference_faults(records: Sequence[Record]) -> list[Fault]:
    """References that are no text, and items without any unless that is so for all."""
    faults = [
        Fault(record.where, f"image {record.id}: {text.reason.replace('the caption', 'a reference')}")
        for record in records
        for text in record.texts
        if isinstance(text, Failure)
    ]
    if any(record.texts for record in records):
        cure = "give it references, or leave it out with ids="
        faults += [Fault(r.where, f"image {r.id} has no references", cure) for r in records if not r.texts]
    return faults


def found_pictures(
    records: Sequence[Record], images: str | Path, source: str, faults: list[Fault]
) -> list[Path | None]:
    """The path of each picture, whether it is there or not; names that fit several files become faults."""
    there = pictures(images)
    places: list[Path | None] = []
    missing: list[str] = []
    for record in records:
        wanted = record.image or record.id
        names = there.find(wanted) or there.find(record.id)
        if len(names) > 1:
            what = f"image {wanted} may be {' or '.join(names[:SHOWN])}"
            faults.append(Fault(record.where, what, "write the whole file name"))
        if not names:
            missing.append(wanted)
        inside = PurePosixPath(wanted)
        tame = inside.name if inside.is_absolute() or ".." in inside.parts else wanted
        places.append(there.folder / (names[0] if names else tame))
    if len(missing) == len(records):
        holds = ", ".join(sorted(there.names)[:SHOWN]) or "no pictures at all"
        raise BadData(
            f"none of the {len(records)} pictures of {source} is in {images}",
            [*faults, Fault(str(images), f"it holds {holds}; wanted: {', '.join(missing[:SHOWN])}")],
            "give the folder that holds the pictures under these names",
        )
    return places


def subset(records: Sequence[Record], ids: str, source: str, id_field: str = "") -> list[Record]:
    """The records that a file of ids names, in its order.

    Raises:
        BadData: ids that the data set does not have.
    """
    known = {record.id: record for record in records}
    named = read_ids(ids, id_field=id_field)
    faults = [
        Fault(entry.where, f"{source} has no image {entry.id!r}", near(entry.id, known))
        for entry in named
        if entry.id not in known
    ]
    if faults:
        raise BadData(f"{ids} names {len(faults)} of {len(named)} ids that are not in the data set:", faults)
    return [known[entry.id] for entry in named]


def near(wanted: str, known: Iterable[str]) -> str:
    """A cure that names the id that was perhaps meant."""
    options = list(known)
    same_stem = [name for name in options if PurePosixPath(name).stem == PurePosixPath(wanted).stem]
    close = same_stem or difflib.get_close_matches(wanted, options[:1000], n=1)
    return f"did you mean {close[0]!r}?" if close else f"ids look like {options[0]!r}" if options else ""


__all__ = ["Pictures", "build", "pictures", "subset"]
