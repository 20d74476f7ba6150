"""ECCV Caption: retrieval on COCO's Karpathy test split against verified matches (Chun et al. 2022, "ECCV Caption").

COCO knows one image for a text and five texts for an image, though many more fit. The authors had people and
models find them for 1,332 texts and 1,261 images; their lists come with the package ``eccv-caption``.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from capbench.errors import BadData, MissingPart, check_choice
from capbench.needs import Ids, Images, References, Vectors
from capbench.protocols import Need, Problem
from capbench.ragged import Ragged
from capbench.signature import content
from capbench.similarity.neighbours import ABSENT, nearest
from capbench.similarity.products import finite_rows
from capbench.types import Column, Rows

if TYPE_CHECKING:
    from capbench.types import Array, Floats, Ints

PACKAGE = "eccv_caption"
CURE = "pip install 'capbench[eccv]'"
TEXT_IDS, IMAGE_OF = "coco_test_ids.npy", "original_caption_to_image.json"
ANSWERS = {"i2t": "eccv_image_to_caption.json", "t2i": "eccv_caption_to_image.json"}
# of the letters and digits of the 25,000 texts, one a line in the order of TEXT_IDS: that a text is the one of its id
TEXTS = "222f7e6d23c3c890"
NOWHERE = -2  # two right texts are an image's sixth: they count among the R and are never found
WANTED = "use coco(annotations='dataset_coco.json', split='test'), Karpathy's file, whole and in its order"


@dataclass(frozen=True, slots=True)
class EccvCaption:
    """mAP@R, R-Precision and R@1 against all that is known to fit; R is how many fit the query.

    way: 'i2t' has a row for each of the 1,261 images, 't2i' one for each of the 1,332 texts. data: a folder with
    the files of the package's folder ``data`` (default: those of the installed package). The texts are the first
    five references of each image; that they are the texts of the authors' numbers is checked. Equal scores
    stand in the order of the package's ids.
    """

    name: ClassVar[str] = "eccv_caption"
    version: ClassVar[int] = 1
    corpus: ClassVar[bool] = True
    columns: ClassVar[Mapping[str, Column]] = {
        "map_at_r": Column("ECCV mAP@R", low=0.0, high=1.0),
        "rprecision": Column("ECCV R-Precision", low=0.0, high=1.0),
        "r1": Column("ECCV R@1", low=0.0, high=1.0),
    }

    way: str = "t2i"
    encoder: str = "clip"
    prefix: str = ""
    data: str = field(default="", metadata={"signed": False})

    @property
    def needs(self) -> Mapping[str, Need]:
        """Vectors of pictures and references, and what tells which they are."""
        check_choice(self.name, "way", self.way, ANSWERS)
        return {
            "ids": Ids(),
            "references": References(),
            "image": Vectors(Images(), self.encoder),
            "text": Vectors(References(), self.encoder, self.prefix),
        }

    def check(self) -> Problem | None:
        """The package's files."""
        folder = self._folder()
        if folder is None:
            return Problem("the lists of ECCV Caption are not installed", CURE)
        absent = [name for name in (TEXT_IDS, IMAGE_OF, *ANSWERS.values()) if not (folder / name).is_file()]
        return Problem(f"{folder} lacks {', '.join(absent)}", CURE) if absent else None

    def stated(self) -> Mapping[str, str]:
        """A digest of the lists."""
        folder = self._folder()
        return {} if folder is None else {"answers": content(str(folder / ANSWERS[self.way]))}

    def rows(self, ids: Sequence[str], references: Ragged[list[str]], image: Floats, text: Ragged[Floats]) -> Rows:
        """One row a query, NaN where it has no vector. What has no vector is in no gallery.

        ids: of the items; references: their texts; image: items x width; text: rows of each item.

        Raises:
            MissingPart: the lists are not there. BadData: the items are not those of the lists.
        """
        folder = self._folder()
        if folder is None:
            raise MissingPart("the lists of ECCV Caption are not installed", CURE)
        split = split_of(folder, ids, references, verify=not self.data)
        answers = json.loads((folder / ANSWERS[self.way]).read_text(encoding="utf-8"))
        image = np.asarray(image[split.items], np.float32)
        texts = np.asarray(text.values[split.texts], np.float32)
        image_place, text_place = places(split.image_ids), places(split.text_ids)
        if self.way == "i2t":
            queries, gallery, own, other = image, texts, image_place, text_place
        else:
            queries, gallery, own, other = texts, image, text_place, image_place
        asked = np.array([own[query] for query in answers], np.int64)
        fits = [[other.get(str(answer), NOWHERE) for answer in dict.fromkeys(found)] for found in answers.values()]
        items = split.items[asked] if self.way == "i2t" else split.items[split.owners[asked]]
        return Rows(precisions(queries[asked], gallery, fits), items, None if self.way == "i2t" else items)

    def _folder(self) -> Path | None:
        """Where the lists are; the package itself is not imported for them."""
        if self.data:
            return Path(self.data)
        found = importlib.util.find_spec(PACKAGE)
        return None if found is None or found.origin is None else Path(found.origin).parent / "data"


class Split(NamedTuple):
    """The split in the package's order. items: of each image; texts: each text's row; owners: its image's place."""

    image_ids: list[str]
    text_ids: list[str]
    items: Ints
    texts: Ints
    owners: Ints


def split_of(folder: Path, ids: Sequence[str], references: Ragged[list[str]], *, verify: bool) -> Split:
    """Which item is which image of the lists, and which reference is which text.

    Raises:
        BadData: images are missing, have too few references, or other ones.
    """
    text_ids = [str(number) for number in np.load(folder / TEXT_IDS).tolist()]
    image_of: dict[str, Any] = json.loads((folder / IMAGE_OF).read_text(encoding="utf-8"))
    owner = [str(image_of[text][0]) for text in text_ids]
    image_ids = list(dict.fromkeys(owner))
    item, place = places(ids), places(image_ids)
    absent = [image for image in image_ids if image not in item]
    if absent:
        shown = ", ".join(absent[:5])
        raise BadData(f"eccv_caption: {len(absent)} of its {len(image_ids)} images are missing: {shown}", cure=WANTED)
    items = np.array([item[image] for image in image_ids], np.int64)
    owners = np.array([place[image] for image in owner], np.int64)
    nth = np.arange(len(owners)) - np.searchsorted(owners, owners)  # the texts of one image stand together
    if (nth >= references.counts[items[owners]]).any():
        raise BadData("eccv_caption: an image has fewer references than the lists know", cure=WANTED)
    texts = references.offsets[items[owners]] + nth
    if verify and texts_digest([references.values[row] for row in texts.tolist()]) != TEXTS:
        raise BadData("eccv_caption: the references are not the lists' texts in their order", cure=WANTED)
    return Split(image_ids, text_ids, items, texts, owners)


def places(names: Sequence[str]) -> dict[str, int]:
    """Where each name stands."""
    return {name: i for i, name in enumerate(names)}


def texts_digest(texts: Sequence[str]) -> str:
    """A hash of letters and digits, so that blanks and points at the end are of no account."""
    lines = ["".join(ch for ch in text.lower() if ch.isalnum()) + "\n" for text in texts]
    return hashlib.blake2b("".join(lines).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def precisions(queries: Floats, gallery: Floats, fits: Sequence[Sequence[int]]) -> dict[str, Array]:
    """mAP@R, R-Precision and R@1 of each query; fits: the rows of the gallery that are right for it."""
    made = {name: np.full(len(queries), np.nan) for name in EccvCaption.columns}
    asked, there = np.flatnonzero(finite_rows(queries)), np.flatnonzero(finite_rows(gallery))
    if not len(there):
        return made
    found, _ = nearest(queries[asked], gallery[there], max(map(len, fits), default=1))
    for query, columns in zip(asked.tolist(), found, strict=True):
        right = np.isin(np.where(columns == ABSENT, ABSENT, there[columns]), fits[query])[: len(fits[query])]
        precision = np.cumsum(right) / np.arange(1, len(right) + 1)
        made["map_at_r"][query] = (precision * right).mean()
        made["rprecision"][query] = right.mean()
        made["r1"][query] = right[0]
    return made
