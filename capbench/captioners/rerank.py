"""The best of several captions of a picture, by a score of picture and caption.

Best of n with a reranker: sample, score each candidate against the picture, keep the best. It is no training and no
search, and what it costs is n captions. A score that reads references would give them away, so that is refused,
unless it is stated to be an upper bound (``oracle=True``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from capbench.captioners.inner import Inner, Scorer, lacking, load_inner, load_scorer
from capbench.errors import UsageError
from capbench.protocols import Problem


@dataclass(frozen=True, slots=True)
class Rerank:
    """Of all candidates of a picture the one that scores best; of equal ones the first.

    captioners: specs, or files with captions, in the order that decides between equal scores. by: the metric that
    scores; of several columns the first that has a better side. n: candidates from each captioner, with seeds as
    --samples gives them. oracle: allow a metric of references; what comes out is no captioner's result.

    A candidate that failed or has no score is passed over; a picture without any is a failure with every reason.

    Raises:
        UsageError: an unknown part, n below 1, or a metric that cannot choose.
    """

    name: ClassVar[str] = "rerank"

    captioners: tuple[str, ...]
    by: str = "clip_cosine"
    n: int = 1
    oracle: bool = False
    label: str = ""
    inner: tuple[Inner, ...] = field(init=False, repr=False)
    scorer: Scorer = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Load what the specs name, and refuse what means nothing."""
        if self.n < 1:
            raise UsageError(f"{self.name}: n={self.n} candidates from each captioner", "write n=1 or more")
        object.__setattr__(self, "inner", load_inner(self.name, self.captioners))
        object.__setattr__(self, "scorer", load_scorer(self.name, self.by, oracle=self.oracle))
        if not self.label:
            names = "+".join(one.label for one in self.inner)
            often = f" x{self.n}" if self.n > 1 else ""
            oracle = " (oracle)" if self.oracle else ""
            object.__setattr__(self, "label", f"{self.name} {names}{often} by {self.by}{oracle}")

    def fingerprint(self) -> str:
        """The captioners' fingerprints, how many candidates of each, and the signature of what chooses.

        Raises:
            MissingPart: a file of captions cannot be read.
        """
        parts = "; ".join(one.fingerprint for one in self.inner)
        oracle = ",oracle" if self.oracle else ""
        return f"{self.name}([{parts}],n={self.n},by={self.scorer.signature}{oracle})@1"

    def check(self) -> Problem | None:
        """What its captioners and its metric lack."""
        return lacking(self.inner, (self.by, self.scorer.metric))
