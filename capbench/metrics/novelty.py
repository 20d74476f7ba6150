"""The share of captions that are not among given training captions (van Miltenburg et al. 2018).

Two captions are the same when their normal forms are: lower case, without ``.``, ``?`` and ``!`` at either end.

Source: evanmiltenburg/MeasureDiversity, ``methods.py`` (``normalize_string``, ``sentence_stats``), for "Measuring the
diversity of automatic image descriptions", COLING 2018.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from capbench.errors import CapbenchError
from capbench.needs import Captions
from capbench.protocols import Need, Problem
from capbench.records import read
from capbench.types import Column

if TYPE_CHECKING:
    from capbench.types import Array

ENDS = ".?!"


@dataclass(frozen=True, slots=True)
class Novelty:
    """The share of captions that are not among given training captions.

    train: a file of captions or references in any known form. field: where the texts stand in it, if no usual key
    holds them. fold: also compare without regard to white space, which a tokenised caption ("a dog .") needs.
    """

    name: ClassVar[str] = "novelty"
    version: ClassVar[int] = 1
    columns: ClassVar[Mapping[str, Column]] = {"novel": Column("novel captions", low=0.0, high=1.0)}

    train: str = dataclasses.field(default="", metadata={"signed": "content"})
    field: str = ""
    fold: bool = False

    @property
    def needs(self) -> Mapping[str, Need]:
        """The captions."""
        return {"texts": Captions()}

    def check(self) -> Problem | None:
        """Whether the training captions are there and can be read."""
        if not self.train:
            return Problem("no training captions are given", "novelty(train='captions_train2014.json')")
        try:
            self.known()
        except CapbenchError as error:
            return Problem(error.message, error.cure or "give the path of a file of captions")
        return None

    def known(self) -> frozenset[str]:
        """The normal forms of the training captions.

        Raises:
            MissingPart, UsageError, BadData: as for ``records.read``.
        """
        path = Path(self.train)
        changed = path.stat().st_mtime_ns if path.is_file() else 0
        return training_forms(self.train, self.field, self.fold, changed)

    def rows(self, texts: Sequence[str]) -> Mapping[str, Array]:
        """1 for each caption that is not among the training captions, else 0.

        Raises:
            MissingPart, UsageError, BadData: the training captions cannot be read.
        """
        known = self.known()
        return {"novel": np.array([normal_form(text, fold=self.fold) not in known for text in texts], np.float64)}


def normal_form(text: str, *, fold: bool = False) -> str:
    """Lower case, without full stop, question or exclamation marks at either end; fold: nor blanks that differ."""
    if fold:
        return " ".join(text.lower().split()).strip(ENDS + " ")
    return text.lower().strip(ENDS)


@lru_cache(maxsize=4)
def training_forms(path: str, field: str, fold: bool, _changed: int) -> frozenset[str]:
    """The normal forms of all texts of a file; read once a run, as long as the file does not change."""
    records = read(path, field=field, want="references", repeats=True)
    return frozenset(
        normal_form(text, fold=fold) for record in records for text in record.texts if isinstance(text, str)
    )
