"""Self-retrieval: does a caption find its own picture in a gallery?

RD100 (Dessi et al. 2023), TrueMatch bags (Gaur et al. 2024) and the full gallery are one metric over
different bag sets: every target's caption is compared with the pictures of its gallery.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from capbench.errors import UsageError
from capbench.needs import Bags, Captions, Images, Vectors
from capbench.protocols import Need
from capbench.types import Column, Rows

if TYPE_CHECKING:
    from capbench.types import Array, Floats, Galleries, Ints

CHUNK = 1024  # rows a matrix product, so that memory stays flat for large galleries
TIES = ("expected", "pessimistic", "optimistic")
DEPTHS = (1, 5, 10)


@dataclass(frozen=True, slots=True)
class SelfRetrieval:
    """R@K, rank and ties of each caption's own picture in its gallery.

    A target tied with k others counts the probability that a random order of the tied puts it in the
    top K; ``ties`` may be 'pessimistic' or 'optimistic' to reproduce others' scripts. A picture that
    could not be encoded is no distractor; ``short`` is the share of targets judged in such a gallery.
    R@K is left out where no gallery has more than K pictures. TrueMatch and RD100 use no prefix.
    """

    name: ClassVar[str] = "self_retrieval"
    version: ClassVar[int] = 1
    columns: ClassVar[Mapping[str, Column]] = {
        "r1": Column("R@1", low=0.0, high=1.0),
        "r5": Column("R@5", low=0.0, high=1.0),
        "r10": Column("R@10", low=0.0, high=1.0),
        "rank": Column("mean rank", better="low", low=1.0),
        "tied": Column("tied", better="none", low=0.0, high=1.0),
        "short": Column("short", better="none", low=0.0, high=1.0),
        "chance": Column("chance R@1", better="none", low=0.0, high=1.0),
    }

    bags: str = "rd100"
    encoder: str = "clip"
    prefix: str = ""
    ties: str = "expected"

    @property
    def needs(self) -> Mapping[str, Need]:
        """Vectors of pictures and captions, and the galleries."""
        if self.ties not in TIES:
            raise UsageError(f"self_retrieval: ties is one of {', '.join(TIES)}, not {self.ties!r}")
        return {
            "image": Vectors(Images(), self.encoder),
            "text": Vectors(Captions(), self.encoder, self.prefix),
            "galleries": Bags(self.bags),
        }

    def rows(self, image: Floats, text: Floats, galleries: Galleries) -> Rows:
        """One row a target; NaN where its picture or caption has no vector.

        image, text: unit rows (NaN rows: not encoded), items x width.
        """
        above, equal, size = count_rivals(image, text, galleries)
        columns: dict[str, Array] = {}
        widths = np.diff(galleries.offsets)[galleries.bags]
        for depth in DEPTHS:
            if (widths > depth).any():
                columns[f"r{depth}"] = self._recall(above, equal, depth)
        offset = {"expected": equal / 2, "pessimistic": equal, "optimistic": 0 * equal}[self.ties]
        columns["rank"] = 1 + above + offset
        columns["tied"] = np.where(np.isnan(equal), np.nan, equal > 0)
        columns["short"] = np.where(np.isnan(size), np.nan, size < widths)
        columns["chance"] = 1 / size
        return Rows(columns, galleries.targets, galleries.bags)

    def _recall(self, above: Array, equal: Array, depth: int) -> Array:
        """The chance that the target is in the top ``depth``."""
        if self.ties == "pessimistic":
            hit = above + equal < depth
        elif self.ties == "optimistic":
            hit = above < depth
        else:
            return np.clip((depth - above) / (equal + 1), 0, 1)
        return np.where(np.isnan(above), np.nan, hit)


def count_rivals(image: Floats, text: Floats, galleries: Galleries) -> tuple[Array, Array, Array]:
    """For each target: pictures above it, others equal to it, and pictures in its gallery.

    Equal pictures are reduced to one column before the product, so that identical vectors have the
    identical score whatever kernel or block size the matrix product takes.
    """
    usable = np.asarray(np.isfinite(image).all(axis=1))
    _, first, same = np.unique(row_bytes(image), return_index=True, return_inverse=True)
    distinct = image[first]
    n = len(galleries.targets)
    above, equal, size = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan)
    order = np.argsort(galleries.bags, kind="stable")
    bounds = np.searchsorted(galleries.bags[order], np.arange(len(galleries.offsets)))
    readable = usable & np.asarray(np.isfinite(text).all(axis=1))
    for g in range(len(galleries.offsets) - 1):
        members = galleries.members[galleries.offsets[g] : galleries.offsets[g + 1]]
        columns, copies = np.unique(same[members[usable[members]]], return_counts=True)
        rows = order[bounds[g] : bounds[g + 1]]
        rows = rows[readable[galleries.targets[rows]]]
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            targets = galleries.targets[part]
            own = np.searchsorted(columns, same[targets])
            above[part], equal[part] = against(text[targets], distinct[columns], own, copies)
            size[part] = copies.sum()
    return above, equal, size


def against(text: Floats, image: Floats, own: Ints, copies: Ints) -> tuple[Array, Array]:
    """Pictures above and equal for each text; own: the column of its picture; copies: how many share it."""
    scores = text @ image.T
    mine = scores[np.arange(len(text)), own][:, None]
    above = (scores > mine) @ copies
    equal = (scores == mine) @ copies - 1
    return above.astype(np.float64), equal.astype(np.float64)


def row_bytes(matrix: Floats) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """Each row as one opaque value, so that equality is of bits."""
    plain = np.ascontiguousarray(matrix) + np.float32(0)  # -0.0 becomes 0.0
    return plain.view(np.dtype((np.void, plain.dtype.itemsize * plain.shape[1]))).ravel()
