"""COCO and what is kept in its formats: annotation files, Karpathy's splits, references as JSON lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from capbench.datasets.build import build
from capbench.errors import UsageError
from capbench.records import Record, names_in, read
from capbench.types import Sample


@dataclass(frozen=True, slots=True)
class Coco:
    """Pictures with references: COCO annotations, a Karpathy ``dataset_*.json``, or references as JSON lines.

    annotations: the file, perhaps gzip'ed.
    images: the folder of the pictures ("": none are needed); Karpathy's ``filepath`` is tried first.
    split: train, restval, val or test, where the file has splits ("": all).
    ids: a file that names the images to take, in its order. An item's id is its image id as text.
    tags: keys of an image's entry by which tables can be split, as in ``'domain'`` (nocaps); several with commas.
    without: flags that make an annotation no reference where they are true, as in ``'is_rejected,
    is_precanned'`` (VizWiz); an image all of whose captions are flagged is left out.

    Sources of the forms: pycocotools (COCO); Karpathy and Li 2015, ``dataset_coco.json``,
    ``dataset_flickr8k.json``, ``dataset_flickr30k.json``; nocaps.org/download and readers of
    ``nocaps_val_4500_captions.json`` (images with ``domain``); Yinan-Zhao/vizwiz-caption,
    ``vizwiz_api/vizwiz.py`` (the flags, both ignored by default).
    """

    name: ClassVar[str] = "coco"

    annotations: str
    images: str = ""
    split: str = ""
    ids: str = ""
    tags: str = ""
    without: str = ""

    def load(self) -> Sequence[Sample]:
        """All samples, in the file's order or that of ``ids``.

        Raises:
            MissingPart: no such file or folder.
            UsageError: the file has no such split, tag or flag.
            BadData: every fault of the files: image ids that stand twice, annotations of unknown images,
                images without references, ids that are not there.
        """
        records = self.in_split(
            read(
                self.annotations,
                want="references",
                repeats=True,
                tags=names_in(self.tags),
                without=names_in(self.without),
            )
        )
        return build(records, source=self.annotations, images=self.images, ids=self.ids)

    def in_split(self, records: Sequence[Record]) -> Sequence[Record]:
        """The records of the split.

        Raises:
            UsageError: there is no such split; the cure lists those there are.
        """
        if not self.split:
            return records
        chosen = [record for record in records if record.split == self.split]
        if chosen:
            return chosen
        counts = Counter(record.split for record in records if record.split)
        there = ", ".join(f"{split} ({count})" for split, count in counts.items())
        cure = f"it has: {there}" if there else "it has no splits: leave split out"
        raise UsageError(f"{self.annotations} has no split {self.split!r}", cure)
