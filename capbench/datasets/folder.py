"""A folder of pictures with captions beside them, in whichever file they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from capbench.datasets.asked import Places
from capbench.datasets.build import build, pictures
from capbench.errors import BadData, UsageError
from capbench.records import Record, names_in, read
from capbench.types import Sample

METADATA = ("metadata.jsonl", "metadata.csv", "metadata.jsonl.gz", "metadata.csv.gz")


@dataclass(frozen=True, slots=True)
class Folder:
    """Pictures in a folder and their references in JSON lines, JSON, CSV or Parquet; either may be left out.

    captions: the file of references, perhaps gzip'ed; "" takes HF imagefolder's ``metadata.jsonl`` (or
    ``.csv``) from the image folder, and where there is none the items are the pictures by name, without
    references. images: the folder ("": samples have no pictures).
    ids: a file that names the items to take, in its order.
    field, id_field: where references and ids stand in the file, dotted for nested objects; several fields,
    with commas between them, are several references.
    tags: columns by which tables can be split, as in ``'category'``; several with commas.
    regions, history, length: keys of what a captioner is told of an item: a box ``[left, top, width, height]`` in
    pixels (or several) that the references are of, the turns of a talk before it, how many words are wanted.
    references: False for a file that only lists the pictures, as those of hidden test sets do.

    TextCaps is ``folder(captions='TextCaps_0.1_val.json', field='caption_str', id_field='image_id')``: a row a
    caption below ``data`` (facebookresearch/mmf, ``M4C_Captioner/scripts/textcaps_eval.py``, which takes every
    row's ``caption_str`` as a reference of its ``image_id``).

    An item's id is as the file gives it. Its picture is the file's own image name or else the id, with or
    without extension; the exact name comes first. Pictures that the file does not name are left out.
    """

    name: ClassVar[str] = "folder"

    captions: str = ""
    images: str = ""
    ids: str = ""
    field: str = ""
    id_field: str = ""
    tags: str = ""
    references: bool = True
    regions: str = ""
    history: str = ""
    length: str = ""

    def load(self) -> Sequence[Sample]:
        """All samples, in the file's order, by name where there is no file, or in that of ``ids``.

        Raises:
            MissingPart: no such file or folder.
            UsageError: neither captions nor images are given, or the file has no such field or tag.
            BadData: every fault of the files.
        """
        file = self.captions or self.metadata()
        for name, value in (("tags", self.tags), *self.places._asdict().items()):
            if value and not file:
                raise UsageError(f"there is no file for {name}={value!r} to stand in", "give it with captions=")
        records = self.read(file) if file else self.listed()
        return build(records, source=file or self.images, images=self.images, ids=self.ids, places=self.places)

    @property
    def places(self) -> Places:
        """Where it stands what is asked of an item."""
        return Places(self.regions, self.history, self.length)

    def read(self, file: str) -> Sequence[Record]:
        """The records of the captions file; several rows of one picture are its several references."""
        return read(
            file,
            field=names_in(self.field),
            id_field=self.id_field,
            want="references" if self.references else "nothing",
            repeats=True,
            tags=names_in(self.tags),
            asked=self.places.named,
        )

    def metadata(self) -> str:
        """The captions file that lies in the image folder, or ""."""
        if not self.images:
            raise UsageError("folder needs captions or images", "write folder(captions='refs.jsonl', images='photos')")
        found = [Path(self.images) / name for name in METADATA]
        return next((str(path) for path in found if path.is_file()), "")

    def listed(self) -> Sequence[Record]:
        """One record a picture, without references.

        Raises:
            BadData: the folder holds no pictures.
        """
        names = sorted(pictures(self.images).names)
        if not names:
            raise BadData(f"{self.images} holds no pictures", cure="give the folder that holds them")
        return [Record(name, (), f"{self.images}/{name}", image=name) for name in names]
