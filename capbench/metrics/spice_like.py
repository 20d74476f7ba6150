"""SPICE's F-score of tuples, on the graphs of a parser of ours: named so that nobody takes it for SPICE.

    P = caption's tuples that some tuple of the references matches / caption's tuples
    R = references' tuples that some tuple of the caption matches / references' tuples
    F = 2 P R / (P + R)

of objects, (object, attribute) and (subject, relation, object) together, those of all references merged. After Anderson
et al. 2016, "SPICE", section 3; SPICE itself is another parser's (metric ``spice``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from capbench import languages
from capbench.elements import words
from capbench.elements.graph import KINDS, Graph, graph
from capbench.elements.match import levels_of
from capbench.errors import check_choice
from capbench.needs import Captions, Parsed, References
from capbench.protocols import Elements, Need, Problem
from capbench.ragged import Ragged
from capbench.types import Column

if TYPE_CHECKING:
    from capbench.types import Array

ENGLISH_ONLY = "its parsers and its synonyms are English"


@dataclass(frozen=True, slots=True)
class SpiceLike:
    """F-score of the tuples that a caption and its references share; precision and recall of the same.

    parser, synonyms: as for ``elements``.
    """

    name: ClassVar[str] = "spice_like"
    version: ClassVar[int] = 1
    columns: ClassVar[Mapping[str, Column]] = {
        "spice_like": Column("SPICE-like", low=0.0, high=1.0),
        "spice_like_precision": Column("SPICE-like P", low=0.0, high=1.0),
        "spice_like_recall": Column("SPICE-like R", low=0.0, high=1.0),
    }

    parser: str = "spacy"
    synonyms: str = field(default="auto", metadata={"signed": False})  # ``stated`` says which it is
    lang: str = field(default=languages.DEFAULT, metadata=languages.WHEN_CHANGED)

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        languages.english_only(self, ENGLISH_ONLY)
        check_choice(self.name, "synonyms", self.synonyms, words.SOURCES)

    @property
    def needs(self) -> Mapping[str, Need]:
        """The elements of captions and references."""
        return {"said": Parsed(Captions(), self.parser), "there": Parsed(References(), self.parser)}

    def check(self) -> Problem | None:
        """Whether the synonyms are there."""
        return words.missing(self.synonyms)

    def stated(self) -> Mapping[str, str]:
        """Whose synonyms they are."""
        return {"synonyms": words.vocabulary(self.synonyms).name}

    def rows(self, said: Sequence[Elements], there: Ragged[list[Elements]]) -> Mapping[str, Array]:
        """F, precision and recall of each item; NaN where the references say nothing, 0 where the caption does not."""
        known = words.vocabulary(self.synonyms)
        table = np.full((len(said), len(self.columns)), np.nan)
        for i, own in enumerate(said):
            texts = there.values[there.offsets[i] : there.offsets[i + 1]]
            table[i] = shared(graph([own], known), graph(texts, known), known)
        return dict(zip(self.columns, table.T, strict=True))


def shared(said: Graph, there: Graph, known: words.Vocabulary) -> tuple[float, float, float]:
    """F, precision and recall of two graphs."""
    ours, theirs = (sum(len(side[kind]) for kind in KINDS) for side in (said, there))
    if not theirs:
        return (np.nan,) * 3
    found = [levels_of(said[kind], there[kind], known) > 0 for kind in KINDS]
    precision = sum(int(table.any(axis=1).sum()) for table in found) / ours if ours else 0.0
    recall = sum(int(table.any(axis=0).sum()) for table in found) / theirs
    return (2 * precision * recall / (precision + recall) if precision else 0.0), precision, recall
