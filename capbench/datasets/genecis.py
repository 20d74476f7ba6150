"""GeneCIS: a picture with a condition, and a gallery in which one picture answers both."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from capbench.bags import bag_digest
from capbench.datasets.build import pictures
from capbench.errors import BadData, Fault, MissingPart
from capbench.images import ImageFault, digest, load, reference
from capbench.paths import cache_root, keep
from capbench.types import Bag, BagSet, ImageRef, Sample

DILATION = 0.7  # of a box's width and height, as the authors' loader has it
COCO, GENOME = "val_image_id", "image_id"
KEYS = ("condition", "reference", "target", "gallery")
FORM = "a list of {condition, reference, target, gallery}, as focus_object.json or change_attribute.json"


@dataclass(frozen=True, slots=True)
class GeneCis:
    """GeneCIS (Vaze et al. 2023): each query is a picture with a condition; one picture of its gallery is the answer.

    annotations: ``focus_object.json``, ``change_object.json`` (pictures of COCO val2017), ``focus_attribute.json`` or
    ``change_attribute.json`` (objects of Visual Genome). images: the folder of those pictures.

    A query is an item ``query-00000`` with its picture, and its condition as the only reference; every other picture
    is an item without references. The bags ``genecis`` hold the query, the answer and the other pictures, in this
    order, with the query as target: ``composed_retrieval(bags='genecis')``. All templates are kept, whatever the size
    of their gallery. Tags: ``role``, query or picture.

    An object of Visual Genome is cut out with 0.7 of its box's size around it and laid on a black square, and kept in
    the cache folder, as the authors' loader shows it (facebookresearch/genecis, datasets/vaw_dataset.py).
    """

    name: ClassVar[str] = "genecis"

    annotations: str
    images: str

    def load(self) -> Sequence[Sample]:
        """Each query, followed by the pictures of its gallery that did not come before.

        Raises:
            MissingPart: no such file or folder.
            BadData: the file is not of this form; names every entry that is wrong.
        """
        find = Finder(self.images)
        made: dict[str, Sample] = {}
        for number, entry in enumerate(self.templates()):
            made[query(number)] = Sample(
                query(number), find.picture(entry["reference"]), (entry["condition"],), {"role": "query"}
            )
            for one in (entry["target"], *entry["gallery"]):
                if name_of(one) not in made:
                    made[name_of(one)] = Sample(name_of(one), find.picture(one), (), {"role": "picture"})
        if not any(sample.image is not None and sample.image.digest for sample in made.values()):
            raise BadData(f"none of the {len(made)} pictures of {self.annotations} is in {self.images}")
        return tuple(made.values())

    def bag_sets(self) -> Sequence[BagSet]:
        """The set ``genecis``."""
        bags = tuple(
            Bag(query(n), (query(n), *map(name_of, (entry["target"], *entry["gallery"]))), (query(n),))
            for n, entry in enumerate(self.templates())
        )
        return [BagSet("genecis", "genecis()", bag_digest(bags), bags)]

    def templates(self) -> list[Mapping[str, Any]]:
        """The entries of the file, checked."""
        try:
            value = json.loads(Path(self.annotations).read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise MissingPart(f"cannot read {self.annotations}: {error.strerror}", "give a file of GeneCIS") from error
        except (ValueError, RecursionError) as error:
            raise BadData(f"cannot read {self.annotations}: {error}", cure=FORM) from error
        if not isinstance(value, list) or not value:
            raise BadData(f"{self.annotations} is no list of templates", cure=FORM)
        faults = [Fault(f"{self.annotations} entry {n}", why) for n, one in enumerate(value) if (why := wrong(one))]
        if faults:
            raise BadData(f"{self.annotations} cannot be used, {len(faults)} fault(s):", faults, FORM)
        return value


def query(number: int) -> str:
    """query-00042."""
    return f"query-{number:05d}"


def wrong(entry: Any) -> str:
    """What is wrong with a template; "" for nothing."""
    if not isinstance(entry, dict) or set(KEYS) - set(entry):
        return f"it needs {', '.join(KEYS)}"
    if not isinstance(entry["condition"], str) or not entry["condition"].strip():
        return "its condition is no text"
    if not isinstance(entry["gallery"], list) or not entry["gallery"]:
        return "its gallery is no list of pictures"
    shown = (entry["reference"], entry["target"], *entry["gallery"])
    for one in shown:
        if not isinstance(one, dict) or not isinstance(one.get(COCO, one.get(GENOME)), int | str):
            return f"a picture has neither {COCO} nor {GENOME}"
        box = one.get("instance_bbox")
        if COCO not in one and not (isinstance(box, list) and len(box) == 4 and all(map(is_number, box))):
            return f"picture {one[GENOME]} has no instance_bbox of four numbers"
    names = [name_of(one) for one in shown[1:]]
    return "a picture stands twice in its gallery" if len(set(names)) < len(names) else ""


def is_number(value: Any) -> bool:
    """Whether a value can be a length in pixels."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e6


def name_of(one: Mapping[str, Any]) -> str:
    """A picture's id: COCO's number, or Visual Genome's with the box."""
    if COCO in one:
        return str(one[COCO])
    return f"{one[GENOME]}-{'-'.join(f'{value:g}' for value in one['instance_bbox'])}"


class Finder:
    """Pictures of the folder, whole or cut out."""

    def __init__(self, folder: str) -> None:
        self._there = pictures(folder)

    def picture(self, one: Mapping[str, Any]) -> ImageRef:
        """The picture of an entry; without a digest where it is not there or cannot be read."""
        number = str(one.get(COCO, one.get(GENOME)))
        found = self._there.find(number)
        whole = reference(self._there.folder / (found[0] if found else f"{number}.jpg"))
        if COCO in one or not whole.digest:
            return whole
        path = cache_root() / "genecis" / f"{digest(f'{whole.digest} {name_of(one)}'.encode())}.png"
        if not path.exists():
            try:
                data = cut_out(whole, one["instance_bbox"])
            except ImageFault:
                return ImageRef(whole.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            keep(path, data)
        return reference(path)


def cut_out(whole: ImageRef, box: Sequence[float]) -> bytes:
    """The object with what is around it, on a black square.

    box: left, top, width, height in pixels.

    Raises:
        ImageFault: the picture cannot be read, or nothing of the box is in it.
    """
    from PIL import Image

    image = load(whole)
    x, y, width, height = box
    left, top = round(max(0.0, x - DILATION * width)), round(max(0.0, y - DILATION * height))
    right = min(image.width, round(left + (1 + DILATION) * width))
    bottom = min(image.height, round(top + (1 + DILATION) * height))
    if left >= right or top >= bottom:
        raise ImageFault("the box lies outside the picture")
    part = image.crop((left, top, right, bottom))
    side = max(part.size)
    square = Image.new("RGB", (side, side))
    square.paste(part, ((side - part.width) // 2, (side - part.height) // 2))
    out = io.BytesIO()
    square.save(out, "PNG")
    return out.getvalue()
