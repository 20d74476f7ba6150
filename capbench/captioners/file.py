"""Captions that were made elsewhere: any file of them, lined up with the benchmark by id, never by order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import ClassVar

from capbench.errors import BadData, Fault, MissingPart, UsageError
from capbench.images import digest
from capbench.needs import Ids
from capbench.protocols import Need, Problem
from capbench.records import Record, read
from capbench.types import Failure

SHOWN = 3
SWAPPED = "if these are the references, they stand second: capbench score PREDICTIONS REFERENCES"
DIGITS = re.compile(r"\d+", re.ASCII)
SAFE_DIGITS = 1000


@dataclass(frozen=True, slots=True)
class File:
    """The captions of a file in any known form (COCO results, JSON, JSON lines, CSV; perhaps gzip'ed).

    Sample logs of lmms-eval and lm-eval are such files.

    path: the file. field: where the caption stands, dotted for nested objects (``outputs.blip2``).
    samples: how many captions an image has; each must have exactly so many. With 1 it is as many as the run wants.
    extra: "error" refuses captions of images that the benchmark lacks, "ignore" passes over them.
    label: what stands for the file in identities and tables ("": its name). id_field: where the id stands.
    """

    name: ClassVar[str] = "file"

    path: str
    field: str = ""
    samples: int = 1
    extra: str = "error"
    label: str = ""
    id_field: str = ""

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        if self.samples < 1:
            raise UsageError(f"file: samples={self.samples} captions an image", "write samples=1 or more")
        if self.extra not in ("error", "ignore"):
            raise UsageError(f"file: extra={self.extra!r}", "write extra='error' or extra='ignore'")

    def fingerprint(self) -> str:
        """Label, digest of the file's bytes, and what is read of it; not the folder the file lies in.

        Raises:
            MissingPart: the file cannot be read.
        """
        try:
            content = digest(Path(self.path).read_bytes())
        except OSError as error:
            raise MissingPart(f"cannot read {self.path}: {error.strerror}", "give the path of the captions") from error
        parts = {
            "field": self.field,
            "id_field": self.id_field,
            "samples": self.samples if self.samples > 1 else "",
        }
        stated = "".join(f",{key}={value!r}" for key, value in parts.items() if value)
        return f"file({self.label or Path(self.path).name}@{content}{stated})@1"

    def check(self) -> Problem | None:
        """Whether the file is there."""
        if Path(self.path).is_file():
            return None
        return Problem(f"there is no file {self.path}", "give the path of the file with the captions")

    @property
    def needs(self) -> Mapping[str, Need]:
        """The ids to line up with."""
        return {"ids": Ids()}

    def captions(self, ids: Sequence[str]) -> list[str | Failure]:
        """The first caption of each item, in the order of ``ids``; a Failure where the file has none.

        Raises:
            MissingPart, UsageError: no such file or field.
            BadData: faults of the file, ids that the benchmark lacks, more captions an image than stated.
        """
        return [texts[0] for texts in self.sampled(self.samples, ids)]

    def sampled(self, samples: int, ids: Sequence[str]) -> list[list[str | Failure]]:
        """So many captions of each item, in the order of ``ids`` and, within one, of the file.

        Raises:
            MissingPart, UsageError, BadData: as for ``captions``.
        """
        if samples != self.samples:
            return replace(self, samples=samples).sampled(samples, ids)
        records = read(self.path, field=self.field, id_field=self.id_field, repeats=self.samples > 1)
        known = {record.id: record for record in records}
        wanted = set(ids)
        if ids and wanted.isdisjoint(known):
            raise BadData(
                f"not one id of {self.path} ({len(known)}) is an id of the benchmark ({len(wanted)})",
                cure=why_no_match(list(known), list(wanted)),
            )
        faults = [self.too_many(record) for record in records if record.id in wanted and not self.fits(record)]
        swapped = SWAPPED if self.samples == 1 and len(faults) == len(wanted) > 1 else ""
        if self.extra == "error":
            cure = "score --ignore-extra, or extra='ignore' of file(...), passes over such captions"
            faults += [
                Fault(r.where, f"the benchmark has no image {r.id!r}", cure) for r in records if r.id not in wanted
            ]
        if faults:
            raise BadData(f"{self.path} does not fit the benchmark, {len(faults)} fault(s):", faults, swapped)
        return [self.answers(known.get(id_)) for id_ in ids]

    def fits(self, record: Record) -> bool:
        """Whether an image has as many captions as stated, or says by a single failure why it has none."""
        failed = len(record.texts) <= 1 and not any(isinstance(text, str) for text in record.texts)
        return failed or len(record.texts) == self.samples

    def too_many(self, record: Record) -> Fault:
        """The fault of an image with another number of captions than stated."""
        count = len(record.texts)
        cure = f"--samples {count} if they are all of one system" if self.samples == 1 else "as many for each image"
        return Fault(record.where, f"image {record.id!r} has {count} caption(s), not {self.samples}", cure)

    def answers(self, record: Record | None) -> list[str | Failure]:
        """What the file says of one image, ``samples`` long."""
        if record is None:
            return [Failure(f"no caption in {Path(self.path).name}")] * self.samples
        if len(record.texts) == self.samples:
            return list(record.texts)
        return list(record.texts or (Failure("the list of captions is empty"),)) * self.samples


def numeral(text: str) -> str:
    """The last number in an id, without leading zeros: 42 of COCO_val2014_000000000042.jpg."""
    numbers = DIGITS.findall(text)
    return str(int(numbers[-1])) if numbers and len(numbers[-1]) < SAFE_DIGITS else text


GUESSES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("white space around the ids", str.strip),
    ("upper and lower case", str.casefold),
    ("a folder before the name", lambda text: PurePosixPath(text.replace("\\", "/")).name),
    ("the file extension", lambda text: text.removesuffix(PurePosixPath(text).suffix)),
    ("a folder and the file extension", lambda text: PurePosixPath(text.replace("\\", "/")).stem),
    ("numbers written as 42.0", lambda text: text.removesuffix(".0")),
    ("leading zeros, a prefix such as COCO_val2014_, or the extension", numeral),
)


def why_no_match(theirs: Sequence[str], ours: Sequence[str]) -> str:
    """Ids of both sides, and what seems to keep them apart."""
    sides = f"the file has {examples(theirs)}; the benchmark has {examples(ours)}"
    for what, change in GUESSES:
        changed = {change(id_): id_ for id_ in ours}
        pair = next(((id_, changed[change(id_)]) for id_ in theirs if change(id_) in changed), None)
        if pair is not None:
            return f"{sides}: they seem to differ in {what} ({pair[0]!r} and {pair[1]!r}); write them alike"
    return f"{sides}: another data set or split, or another key holds the id (id_field=...)"


def examples(ids: Iterable[str]) -> str:
    """The first few ids in order."""
    return ", ".join(repr(id_) for id_ in sorted(ids)[:SHOWN])
