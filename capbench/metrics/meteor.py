"""METEOR 1.5 for English (Denkowski and Lavie 2014, "Meteor Universal"), as coco-caption computes it.

Words are aligned by form, stem, synonym and paraphrase; the score is a weighted harmonic mean of precision and
recall, less a penalty for chunks. An item's best reference counts. A corpus score is the formula on the sums.

Source: pycocoevalcap 1.2, ``meteor/meteor-1.5.jar``. The formula stands in ``capbench.meteor.score``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from capbench import languages
from capbench.errors import check_choice
from capbench.meteor import jar, resources, score
from capbench.needs import words_of_both
from capbench.paths import ELSEWHERE, no_folder
from capbench.protocols import Need, Problem
from capbench.ragged import Ragged, Words
from capbench.types import Column

if TYPE_CHECKING:
    from capbench.types import Array

ENGINES = ("native", "jar")
STATISTICS = score.STATISTICS


@dataclass(frozen=True, slots=True)
class Meteor:
    """METEOR of each item and, from summed statistics, of the corpus.

    engine: 'native' (this package) or 'jar' (the reference program, started with Java).
    """

    name: ClassVar[str] = "meteor"
    version: ClassVar[int] = 1
    columns: ClassVar[Mapping[str, Column]] = {"meteor": Column("METEOR", low=0.0, high=1.0)}

    engine: str = "native"
    tokenizer: str = ""
    lang: str = field(default=languages.DEFAULT, metadata=languages.WHEN_CHANGED)

    def __post_init__(self) -> None:
        """Refuse other languages than English."""
        languages.english_only(self, "its stems, synonyms and paraphrases are English")

    @property
    def needs(self) -> Mapping[str, Need]:
        """Words of the captions and of the references."""
        check_choice(self.name, "engine", self.engine, ENGINES)
        return words_of_both(self.tokenizer)

    def check(self) -> Problem | None:
        """Whether the reference's files, and for its program Java, are there; nothing is imported for it."""
        if self.engine == "jar":
            return jar.check()
        if resources.find_files() is None:
            return Problem("METEOR's word lists and paraphrases, part of pycocoevalcap, are missing", resources.CURE)
        why = no_folder("meteor")
        return Problem(why, ELSEWHERE) if why else None

    def rows(self, candidates: Words, references: Ragged[Words]) -> Mapping[str, Array]:
        """The score of each item, and the statistics that ``reduce`` folds; NaN without a reference.

        candidates: a text an item; references: texts an item. One float64 an item in every column.
        """
        scored = np.flatnonzero(references.counts)
        items = [
            (
                jar.clean(" ".join(candidates[i])),
                [
                    jar.clean(" ".join(references.values[k]))
                    for k in range(references.offsets[i], references.offsets[i + 1])
                ],
            )
            for i in scored.tolist()
        ]
        found, scores = self.segments(items)
        table = np.full((len(STATISTICS) + 1, len(references)), np.nan)
        if items:
            table[:-1, scored] = score.addends(np.array(found, np.float64).T)
            table[-1, scored] = scores
        return {"meteor": table[-1], **dict(zip(STATISTICS, table, strict=False))}

    def segments(self, items: Sequence[tuple[str, Sequence[str]]]) -> tuple[Sequence[Sequence[float]], list[float]]:
        """Statistics and score of each item, by the engine that was asked for."""
        if self.engine == "jar":
            answer = jar.run(items)
            return answer.rows, answer.scores
        if not items:
            return [], []
        rows = score.best_rows(resources.load(), items)
        return rows, [score.segment_score(row) for row in rows]

    def reduce(self, sums: Mapping[str, Array]) -> Mapping[str, Array]:
        """METEOR of summed statistics: arrays of one shape in, an array of that shape out."""
        return {"meteor": score.summed_score(sums)}
