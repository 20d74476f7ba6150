"""Self-retrieval: does a caption find its own picture in a gallery?

RD100 (Dessi et al. 2023), TrueMatch bags and D3 pairs (Gaur et al. 2024), ImageCoDe sets, hard negatives and
the full gallery are one metric over different bag sets: every target's caption is compared with the
pictures of its gallery.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from capbench.metrics.ranks import DEPTHS, check_ties, expected_rank, median, recall
from capbench.needs import Bags, Captions, Images, Vectors
from capbench.protocols import Need
from capbench.ragged import one_each
from capbench.similarity.products import distinct_rows, finite_rows
from capbench.similarity.rivals import Gallery, Rivals
from capbench.types import Column, Rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capbench.types import Array, Floats, Galleries, Ints


@dataclass(frozen=True, slots=True)
class SelfRetrieval:
    """R@K, rank and ties of each caption's own picture in its gallery.

    A target tied with k others counts the probability that a random order of the tied puts it in the
    top K; ``ties`` may be 'pessimistic' or 'optimistic' to reproduce others' scripts. A picture that
    could not be encoded is no distractor; ``short`` is the share of targets judged in such a gallery.
    R@K is left out where no gallery has more than K pictures. TrueMatch and RD100 use no prefix.

    whole: also the share of galleries in which every caption finds its picture, as D3 counts its pairs. A tie
    is no find (with 'optimistic' it is), so captions that are the same never win a pair. A gallery with
    anything unscored is unscored as a whole.
    """

    name: ClassVar[str] = "self_retrieval"
    version: ClassVar[int] = 2
    columns: ClassVar[Mapping[str, Column]] = {
        "whole": Column("all right", low=0.0, high=1.0),
        "r1": Column("R@1", low=0.0, high=1.0),
        "r5": Column("R@5", low=0.0, high=1.0),
        "r10": Column("R@10", low=0.0, high=1.0),
        "rank": Column("mean rank", better="low", low=1.0),
        "median": Column("median rank", better="none", low=1.0),
        "tied": Column("tied", better="none", low=0.0, high=1.0),
        "twins": Column("twins", better="none", low=0.0, high=1.0),
        "short": Column("short", better="none", low=0.0, high=1.0),
        "chance": Column("chance R@1", better="none", low=0.0, high=1.0),
    }

    bags: str = "rd100"
    encoder: str = "clip"
    prefix: str = ""
    ties: str = "expected"
    whole: bool = field(default=False, metadata={"signed": "unless default"})

    @property
    def needs(self) -> Mapping[str, Need]:
        """Vectors of pictures and captions, and the galleries."""
        check_ties(self.name, self.ties)
        return {
            "image": Vectors(Images(), self.encoder),
            "text": Vectors(Captions(), self.encoder, self.prefix),
            "galleries": Bags(self.bags),
        }

    def rows(self, image: Floats, text: Floats, galleries: Galleries) -> Rows:
        """One row a target; NaN where its picture or caption has no vector.

        image, text: unit rows (NaN rows: not encoded), items x width. One gallery alone is no unit to be
        resampled: then its targets are.
        """
        found = count_rivals(image, text, galleries)
        columns: dict[str, Array] = {}
        widths = np.diff(galleries.offsets)[galleries.bags]
        for depth in DEPTHS:
            if (widths > depth).any():
                columns[f"r{depth}"] = recall(found.rivals, depth, self.ties)
        above, equal, _ = found.rivals
        columns["rank"] = expected_rank(found.rivals, self.ties)
        known = ~np.isnan(above)
        columns["tied"] = np.where(known, equal > 0, np.nan)
        columns["twins"] = found.twins
        columns["short"] = np.where(known, found.size < widths, np.nan)
        columns["chance"] = 1 / found.size
        if self.whole:
            first = above == 0 if self.ties == "optimistic" else above + equal == 0
            columns |= whole_galleries(np.where(known, first, np.nan), galleries)
        alone = len(galleries.offsets) == 2
        return Rows(columns, galleries.targets, None if alone else galleries.bags)

    def reduce(self, sums: Mapping[str, Array]) -> Mapping[str, Array]:
        """The share of whole galleries; all else are means."""
        return {"whole": sums["whole"] / sums["galleries"]} if "galleries" in sums else {}

    def overall(self, columns: Mapping[str, Array]) -> Mapping[str, float]:
        """The median rank of all targets."""
        return {"median": median(columns["rank"])}


def whole_galleries(first: Array, galleries: Galleries) -> dict[str, Array]:
    """For each target its gallery's part of the sums: whole (1 or 0) and galleries, each divided by its targets."""
    n = len(galleries.offsets) - 1
    targets = np.bincount(galleries.bags, minlength=n)
    hits = np.bincount(galleries.bags, first, n)  # NaN where anything is unscored
    share = 1.0 / targets[galleries.bags]
    won = np.where(np.isnan(hits), np.nan, hits == targets)[galleries.bags]
    return {"whole": won * share, "galleries": np.where(np.isnan(won), np.nan, share)}


class Found(NamedTuple):
    """For each target, NaN where it has no vector or no caption.

    rivals: pictures above and equal. size: pictures in its gallery that have a vector. twins: 1 where
    another one has the very same vector, as the same file under two ids has.
    """

    rivals: Rivals
    size: Array
    twins: Array


def count_rivals(image: Floats, text: Floats, galleries: Galleries, queries: Ints | None = None) -> Found:
    """Each target's caption against the pictures of its gallery.

    image, text: items x width, NaN rows where there is no vector. queries: the item whose text asks for each target
    (default: the target's own). Memory beyond them is flat, but for a copy of the pictures where some are the same or
    not all are in one gallery.
    """
    queries = galleries.targets if queries is None else queries
    image, text = np.asarray(image, np.float32), np.asarray(text, np.float32)
    first, same = distinct_rows(image)
    distinct = image if len(first) == len(image) else image[first]
    usable = finite_rows(image)
    readable = usable[galleries.targets] & finite_rows(text)[queries]
    n = len(galleries.targets)
    above, equal, right, size, twins = (np.full(n, np.nan) for _ in range(5))
    for members, rows in each_gallery(galleries):
        columns, copies = np.unique(same[members[usable[members]]], return_counts=True)
        judged = rows[readable[rows]]
        if not len(judged):
            continue
        gallery = Gallery(distinct if len(columns) == len(distinct) else distinct[columns], copies)
        targets = galleries.targets[judged]
        own = np.searchsorted(columns, same[targets])
        above[judged], equal[judged], right[judged] = gallery.rivals(text, queries[judged], one_each(own))
        twins[judged] = copies[own] > 1
        size[judged] = copies.sum()
    return Found(Rivals(above, equal, right), size, twins)


def each_gallery(galleries: Galleries) -> Iterator[tuple[Ints, Ints]]:
    """The members of each gallery, and the rows to be judged in it."""
    order = np.argsort(galleries.bags, kind="stable")
    bounds = np.searchsorted(galleries.bags[order], np.arange(len(galleries.offsets)))
    for g in range(len(galleries.offsets) - 1):
        members = galleries.members[galleries.offsets[g] : galleries.offsets[g + 1]]
        yield members, order[bounds[g] : bounds[g + 1]]
