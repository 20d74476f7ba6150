"""Scores that the judgements bring along: another metric's numbers, compared and not computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from capbench.needs import Ids
from capbench.scoring import Part
from capbench.signature import digest
from capbench.types import Column

if TYPE_CHECKING:
    from capbench.protocols import Need
    from capbench.types import Array


@dataclass(frozen=True, slots=True)
class Given:
    """One score an item, as it was given. Its signature begins with ``given`` and names it and its values.

    score: the name it was given under. values: a digest of all of them. of: id -> score, NaN where there is none.
    """

    name: ClassVar[str] = "given"
    version: ClassVar[int] = 1

    score: str
    values: str
    of: Mapping[str, float] = field(metadata={"signed": False}, repr=False)

    @property
    def columns(self) -> Mapping[str, Column]:
        """One column, of the score's name; more is better."""
        return {self.score: Column(f"{self.score} (given)")}

    @property
    def needs(self) -> Mapping[str, Need]:
        """The ids of the items."""
        return {"ids": Ids()}

    def rows(self, ids: Sequence[str]) -> Mapping[str, Array]:
        """The score of each item."""
        return {self.score: np.array([self.of[id_] for id_ in ids], np.float64)}


def given_parts(scores: Mapping[str, Mapping[str, float]]) -> tuple[Part, ...]:
    """A metric for each name -> id -> score."""
    return tuple(
        Part(Given(name, digest(repr(pair) for pair in of.items()), of), "", f"given: {name}")
        for name, of in scores.items()
    )
