"""Image-text retrieval both ways, as VSE++ and all after it report it (Faghri et al. 2018, fartashf/vsepp).

From an image to texts the rank is that of the best of its own texts; from a text it is that of its image.
On references this measures the encoder, on captions the captioner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from capbench.errors import UsageError, check_choice
from capbench.metrics.ranks import DEPTHS, check_ties, expected_rank, median, recall
from capbench.metrics.retrieval import each_gallery
from capbench.needs import Bags, Captions, Images, References, Vectors
from capbench.protocols import Need
from capbench.ragged import Ragged, one_each, spans
from capbench.similarity.products import distinct_rows, finite_rows
from capbench.similarity.rivals import Gallery, Rivals
from capbench.types import Column, Rows

if TYPE_CHECKING:
    from capbench.types import Array, Floats, Galleries, Ints

TEXTS = ("references", "captions")
WAYS = {"i2t": "image to text", "t2i": "text to image"}
OF_TEXTS = ("t2i_r1", "t2i_r5", "t2i_r10", "t2i_rank")
STATISTICS = (*(f"{name}_sum" for name in OF_TEXTS), "texts", "images")
TEXT_RANK = "t2i_rank_of_"  # and the number of the text: what the median of all texts needs
RECALLS = tuple(f"{way}_r{depth}" for way in WAYS for depth in DEPTHS)


@dataclass(frozen=True, slots=True)
class Retrieval:
    """R@K from images to texts and from texts to images, their sum, and mean and median ranks.

    texts: 'references' or 'captions'. each: the first so many references of an image (0: all); COCO's images
    have five to seven, of which the first five are used. bags: what is retrieved from: 'full', or
    'folds-1k' for COCO's five folds of 1,000 in file order, over which numbers are averaged.

    Every image counts once from image to text and every text once from text to image. ``rsum`` is the sum
    of the six recalls in percent. Ties count as in ``self_retrieval``; published numbers break them by
    position, which matters only where texts or images are the same.
    """

    name: ClassVar[str] = "retrieval"
    version: ClassVar[int] = 2
    corpus: ClassVar[bool] = True
    columns: ClassVar[Mapping[str, Column]] = {
        **{
            f"{way}_r{depth}": Column(f"{label} R@{depth}", low=0.0, high=1.0)
            for way, label in WAYS.items()
            for depth in DEPTHS
        },
        "rsum": Column("rsum", low=0.0, high=600.0),
        **{f"{way}_rank": Column(f"{label} mean rank", better="low", low=1.0) for way, label in WAYS.items()},
        **{f"{way}_median": Column(f"{label} median rank", better="none", low=1.0) for way, label in WAYS.items()},
    }

    texts: str = "references"
    bags: str = "full"
    each: int = 5
    encoder: str = "clip"
    prefix: str = ""
    ties: str = "expected"

    @property
    def needs(self) -> Mapping[str, Need]:
        """Vectors of pictures and texts, and the galleries."""
        check_ties(self.name, self.ties)
        check_choice(self.name, "texts", self.texts, TEXTS)
        if self.each < 0:
            raise UsageError(f"retrieval: each is 0 (all) or more, not {self.each}")
        source = References() if self.texts == "references" else Captions()
        return {
            "image": Vectors(Images(), self.encoder),
            "text": Vectors(source, self.encoder, self.prefix),
            "galleries": Bags(self.bags),
        }

    def rows(self, image: Floats, text: Ragged[Floats] | Floats, galleries: Galleries) -> Rows:
        """One row an image; NaN where it, or a text of its own, has no vector.

        image: items x width. text: rows of each item, or one row an item. What has no vector is in no gallery.
        """
        texts = text if isinstance(text, Ragged) else one_each(text)
        sides = Sides(np.asarray(image, np.float32), first_of_each(texts, self.each))
        n = len(galleries.targets)
        own = rank_names(int(sides.texts.counts.max(initial=0)))
        columns = {name: np.full(n, np.nan) for name in (*RECALLS, "i2t_rank", "t2i_rank", *STATISTICS, *own)}
        for members, rows in each_gallery(galleries):
            judged = rows[sides.known[galleries.targets[rows]]]
            if len(judged):
                for name, values in self._columns(*sides.both_ways(members, galleries.targets[judged])).items():
                    columns[name][judged] = values
        columns["rsum"] = 100 * np.sum([columns[name] for name in RECALLS], axis=0)
        return Rows(columns, galleries.targets)

    def _columns(self, i2t: Rivals, t2i: Rivals, offsets: Ints) -> dict[str, Array]:
        """The numbers of images; those of their texts as sums, and as means to be read."""
        made = {f"i2t_r{depth}": recall(i2t, depth, self.ties) for depth in DEPTHS}
        made["i2t_rank"] = expected_rank(i2t, self.ties)
        made["texts"], made["images"] = np.diff(offsets).astype(np.float64), np.ones(len(offsets) - 1)
        of_texts = {f"t2i_r{depth}": recall(t2i, depth, self.ties) for depth in DEPTHS}
        of_texts["t2i_rank"] = expected_rank(t2i, self.ties)
        for name, values in of_texts.items():
            made[f"{name}_sum"] = np.add.reduceat(values, offsets[:-1])
            made[name] = made[f"{name}_sum"] / made["texts"]
        made |= by_place(of_texts["t2i_rank"], offsets)
        return made

    def reduce(self, sums: Mapping[str, Array]) -> Mapping[str, Array]:
        """Means over texts where they are of texts, and the sum of the six recalls."""
        made = {name: sums[f"{name}_sum"] / sums["texts"] for name in OF_TEXTS}
        shares = [made[name] if name in made else sums[name] / sums["images"] for name in RECALLS]
        return {**made, "rsum": 100 * np.sum(shares, axis=0)}

    def overall(self, columns: Mapping[str, Array]) -> Mapping[str, float]:
        """Median ranks of images and of texts ("Med r")."""
        of_texts = [column for name, column in columns.items() if name.startswith(TEXT_RANK)]
        return {"i2t_median": median(columns["i2t_rank"]), "t2i_median": median(np.concatenate(of_texts))}


def rank_names(most: int) -> list[str]:
    """The columns of the ranks of an image's first, second, ... text."""
    return [f"{TEXT_RANK}{k}" for k in range(1, most + 1)]


def by_place(ranks: Array, offsets: Ints) -> dict[str, Array]:
    """The ranks of texts as a column for the first text of each image, one for the second, and so on; NaN: no such."""
    counts = np.diff(offsets)
    image = np.repeat(np.arange(len(counts)), counts)
    table = np.full((len(counts), int(counts.max())), np.nan)
    table[image, np.arange(len(ranks)) - offsets[image]] = ranks
    return dict(zip(rank_names(table.shape[1]), table.T, strict=True))


class Sides:
    """Pictures and the texts of each, ready to be retrieved from one another.

    image: items x width; texts: rows of each item. NaN rows have no vector.
    """

    def __init__(self, image: Floats, texts: Ragged[Floats]) -> None:
        self.image, self.texts = image, texts
        self.pictured = finite_rows(image)
        self.written = finite_rows(texts.values)
        unread = np.bincount(texts.owners[~self.written], minlength=len(texts))
        self.known = self.pictured & (texts.counts > 0) & (unread == 0)
        self._image_first, self._image_same = distinct_rows(image)
        self._text_first, self._text_same = distinct_rows(texts.values)

    def both_ways(self, members: Ints, targets: Ints) -> tuple[Rivals, Rivals, Ints]:
        """Rivals of each target from image to text, of each of its texts from text to image, and their offsets."""
        rows = self.rows_of(members)
        images, image_copies = np.unique(self._image_same[members[self.pictured[members]]], return_counts=True)
        texts, text_copies = np.unique(self._text_same[rows[self.written[rows]]], return_counts=True)
        own = self.rows_of(targets)
        offsets = np.append(0, np.cumsum(self.texts.counts[targets]))
        right_texts = Ragged(np.searchsorted(texts, self._text_same[own]), offsets)
        right_images = np.searchsorted(images, self._image_same[np.repeat(targets, self.texts.counts[targets])])
        of_texts = Gallery(self.texts.values[self._text_first[texts]], text_copies)
        of_images = Gallery(self.image[self._image_first[images]], image_copies)
        return (
            of_texts.rivals(self.image, targets, right_texts),
            of_images.rivals(self.texts.values, own, one_each(right_images)),
            offsets,
        )

    def rows_of(self, items: Ints) -> Ints:
        """The rows of the texts of some items."""
        return spans(self.texts.offsets[items], self.texts.counts[items])


def first_of_each(texts: Ragged[Floats], each: int) -> Ragged[Floats]:
    """The first ``each`` rows of each item; all where it is 0."""
    counts = np.minimum(texts.counts, each) if each else texts.counts
    if (counts == texts.counts).all():
        return Ragged(np.asarray(texts.values, np.float32), texts.offsets)
    kept = spans(texts.offsets[:-1], counts)
    return Ragged(np.asarray(texts.values[kept], np.float32), np.append(0, np.cumsum(counts)))
