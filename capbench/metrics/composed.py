"""Composed retrieval: from a picture and a condition to the picture that answers both, as GeneCIS asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from capbench.errors import UsageError, check_choice
from capbench.metrics.ranks import check_ties, expected_rank, recall
from capbench.metrics.retrieval import count_rivals
from capbench.needs import Bags, Captions, Images, References, Vectors
from capbench.protocols import Need
from capbench.types import Column, Galleries, Rows

if TYPE_CHECKING:
    from capbench.ragged import Ragged
    from capbench.types import Array, Floats

DEPTHS = (1, 2, 3)
QUERIES = ("image", "caption")


@dataclass(frozen=True, slots=True)
class ComposedRetrieval:
    """R@1, R@2, R@3 and rank of the picture that answers a query: a picture and the condition beside it.

    bags: one query a bag, its only target; the first other member is the answer, the rest are distractors, as the
    data set ``genecis`` makes them. The query's own picture is not retrieved from.
    query: 'image', the query's picture, or 'caption', what the captioner says of it: then a captioner is measured.
    weight: w of w * image + (1 - w) * condition, both unit vectors; 0 is the condition alone, 1 the picture alone.
    ties: as in ``self_retrieval``.
    """

    name: ClassVar[str] = "composed_retrieval"
    version: ClassVar[int] = 1
    columns: ClassVar[Mapping[str, Column]] = {
        **{f"r{depth}": Column(f"R@{depth}", low=0.0, high=1.0) for depth in DEPTHS},
        "rank": Column("mean rank", better="low", low=1.0),
        "chance": Column("chance R@1", better="none", low=0.0, high=1.0),
    }

    bags: str = "genecis"
    query: str = "caption"
    weight: float = 0.5
    encoder: str = "clip"
    prefix: str = ""
    ties: str = "expected"

    @property
    def needs(self) -> Mapping[str, Need]:
        """Vectors of pictures, conditions and perhaps captions, and the galleries."""
        check_ties(self.name, self.ties)
        check_choice(self.name, "query", self.query, QUERIES)
        if not 0 <= self.weight <= 1:
            raise UsageError(f"{self.name}: weight is from 0 to 1, not {self.weight:g}")
        source = Images() if self.query == "image" else Captions()
        return {
            "image": Vectors(Images(), self.encoder),
            "shown": Vectors(source, self.encoder, "" if self.query == "image" else self.prefix),
            "condition": Vectors(References(), self.encoder, self.prefix),
            "galleries": Bags(self.bags),
        }

    def rows(self, image: Floats, shown: Floats, condition: Ragged[Floats], galleries: Galleries) -> Rows:
        """One row a query; NaN where it, its condition or its answer has no vector.

        image, shown: unit rows, items x width (NaN rows: not encoded). condition: rows of each item, of which the
        first counts.

        Raises:
            UsageError: a gallery has several targets, or nothing but its query.
        """
        queries = galleries.targets
        asked = without_queries(galleries)
        texts = np.full_like(image, np.nan, np.float32)
        told = np.flatnonzero(condition.counts > 0)
        texts[told] = condition.values[condition.offsets[told]]
        mixed = self.weight * np.asarray(shown, np.float64) + (1 - self.weight) * texts.astype(np.float64)
        norms = np.linalg.norm(mixed, axis=1, keepdims=True)
        found = count_rivals(image, np.asarray(mixed / np.where(norms == 0, 1, norms), np.float32), asked, queries)
        columns: dict[str, Array] = {f"r{depth}": recall(found.rivals, depth, self.ties) for depth in DEPTHS}
        columns["rank"] = expected_rank(found.rivals, self.ties)
        columns["chance"] = 1 / found.size
        return Rows(columns, queries, galleries.bags)


def without_queries(galleries: Galleries) -> Galleries:
    """The galleries without their queries, and with the answers as targets.

    Raises:
        UsageError: as ``ComposedRetrieval.rows``.
    """
    sizes = np.diff(galleries.offsets)
    if not np.array_equal(galleries.bags, np.arange(len(sizes))) or (sizes < 2).any():
        raise UsageError(
            "composed_retrieval: each gallery needs one query as its only target, and an answer",
            "take bags of the data set genecis, or of its form: {members: [query, answer, ...], targets: [query]}",
        )
    owners = np.repeat(np.arange(len(sizes)), sizes)
    kept = galleries.members != galleries.targets[owners]
    if (np.bincount(owners[~kept], minlength=len(sizes)) != 1).any():
        raise UsageError("composed_retrieval: a query is no member of its own gallery, or stands there twice")
    offsets = np.append(0, np.cumsum(sizes - 1)).astype(np.int64)
    members = galleries.members[kept]
    return Galleries(members, offsets, members[offsets[:-1]], galleries.bags)
