"""SPIDEr (Liu et al. 2017, "Improved Image Captioning via Policy Gradient optimization of SPIDEr").

    SPIDEr = (CIDEr-D + SPICE) / 2     on their own scales, so CIDEr-D weighs most: 0 to 5.5

Both are the metrics of that name here; SPICE's program is started once where ``spice`` runs beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from capbench import languages
from capbench.metrics.cider import CORPUS, SCALE, Cider
from capbench.metrics.frequencies import DocumentFrequencies
from capbench.metrics.spice import ENGLISH_ONLY, UNSIGNED, Spice
from capbench.protocols import Need, Problem
from capbench.ragged import Ragged, Words
from capbench.types import Caution, Column

if TYPE_CHECKING:
    from capbench.types import Array


@dataclass(frozen=True, slots=True)
class Spider:
    """The mean of CIDEr-D and SPICE of each item. idf: as for ``cider``; jars, memory, seconds: as for ``spice``."""

    name: ClassVar[str] = "spider"
    version: ClassVar[int] = 1
    columns: ClassVar[Mapping[str, Column]] = {"spider": Column("SPIDEr", low=0.0, high=(SCALE + 1) / 2)}

    tokenizer: str = ""
    jars: str = field(default="", metadata=UNSIGNED)
    memory: str = field(default="8G", metadata=UNSIGNED)
    seconds: float = field(default=7200.0, metadata=UNSIGNED)
    lang: str = field(default=languages.DEFAULT, metadata=languages.WHEN_CHANGED)
    idf: str = field(default=CORPUS, metadata=languages.WHEN_CHANGED)

    def __post_init__(self) -> None:
        """Refuse other languages than English."""
        languages.english_only(self, ENGLISH_ONLY)

    @property
    def cider(self) -> Cider:
        """The one half."""
        return Cider(tokenizer=self.tokenizer, idf=self.idf)

    @property
    def spice(self) -> Spice:
        """The other."""
        return Spice(self.tokenizer, self.jars, self.memory, self.seconds)

    @property
    def corpus(self) -> bool:
        """Whether a row depends on the other items."""
        return self.cider.corpus

    @property
    def needs(self) -> Mapping[str, Need]:
        """Words of the captions and of the references, and what CIDEr wants besides."""
        return self.cider.needs

    def check(self) -> Problem | None:
        """What SPICE lacks."""
        return self.spice.check()

    def rows(
        self, candidates: Words, references: Ragged[Words], frequencies: DocumentFrequencies | None = None
    ) -> Mapping[str, Array]:
        """One score an item; NaN where CIDEr or SPICE has none.

        Raises:
            BadData: what CIDEr cannot do, as a single image. MissingPart, CapbenchError: as for ``spice``.
        """
        cider = self.cider.rows(candidates, references, frequencies)["cider"]
        return {"spider": (cider + self.spice.rows(candidates, references)["spice"]) / 2}

    def caution(
        self, candidates: Words, references: Ragged[Words], frequencies: DocumentFrequencies | None = None
    ) -> Caution | None:
        """What is to be known of CIDEr is to be known of it."""
        return self.cider.caution(candidates, references, frequencies)
