"""chrF (Popović 2015, "chrF: character n-gram F-score"), for any language: it needs no tokenizer.

    P = mean over n of matched / caption's n-grams     R = mean over n of matched / reference's n-grams
    chrF = 100 * (1 + beta^2) P R / (beta^2 P + R)

over the orders n of which both texts have n-grams; white space is left out. Of several references the one
with the highest score counts. The corpus value is the same fold of summed counts. As sacrebleu 2 has it.

The library itself is not called: it is no part of the base install, and its public calls give a sentence's or a
corpus's score but not the counts of each item, which the bootstrap draws. It is the oracle instead, run live.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from capbench.needs import Captions, References
from capbench.protocols import Need
from capbench.ragged import Ragged
from capbench.types import Column

if TYPE_CHECKING:
    from capbench.types import Array


@dataclass(frozen=True, slots=True)
class Chrf:
    """The chrF of each item and, from summed counts, of the corpus, on its own scale of 0 to 100."""

    name: ClassVar[str] = "chrf"
    version: ClassVar[int] = 1
    columns: ClassVar[Mapping[str, Column]] = {"chrf": Column("chrF", low=0.0, high=100.0)}

    order: int = 6
    beta: float = 2.0

    @property
    def needs(self) -> Mapping[str, Need]:
        """The raw texts."""
        return {"captions": Captions(), "references": References()}

    def rows(self, captions: Sequence[str], references: Ragged[list[str]]) -> Mapping[str, Array]:
        """The chrF of each item, and its counts (three an order); NaN without references."""
        counts = np.full((len(captions), 3 * self.order), np.nan)
        for i, caption in enumerate(captions):
            texts = references.values[references.offsets[i] : references.offsets[i + 1]]
            if texts:
                counts[i] = self._best(caption, texts)
        columns = {f"{kind}{n + 1}": counts[:, 3 * n + k] for n in range(self.order) for k, kind in enumerate(KINDS)}
        return {"chrf": self._score(columns), **columns}

    def reduce(self, sums: Mapping[str, Array]) -> Mapping[str, Array]:
        """The corpus value from summed counts."""
        return {"chrf": self._score(sums)}

    def _best(self, caption: str, texts: Sequence[str]) -> Array:
        """The counts against the reference with the highest score; the earlier one of equals."""
        own = [grams(caption, n) for n in range(1, self.order + 1)]
        found = np.array([compared(own, text) for text in texts], np.float64)
        columns = {f"{kind}{n + 1}": found[:, 3 * n + k] for n in range(self.order) for k, kind in enumerate(KINDS)}
        best: Array = found[int(np.argmax(self._score(columns)))]
        return best

    def _score(self, counts: Mapping[str, Array]) -> Array:
        """100 F from counts of any leading shape."""
        ours, theirs, matched = (np.stack([counts[f"{kind}{n + 1}"] for n in range(self.order)]) for kind in KINDS)
        usable = (ours > 0) & (theirs > 0)
        orders = np.maximum(usable.sum(axis=0), 1)
        precision = np.where(usable, matched / np.where(usable, ours, 1), 0).sum(axis=0) / orders
        recall = np.where(usable, matched / np.where(usable, theirs, 1), 0).sum(axis=0) / orders
        weighed = self.beta**2 * precision + recall
        score = 100 * (1 + self.beta**2) * precision * recall / np.where(weighed > 0, weighed, 1)
        return np.where(np.isnan(ours[0]), np.nan, score)


KINDS = ("ours", "theirs", "matched")


def grams(text: str, n: int) -> Counter[str]:
    """How often each sequence of n characters stands in a text without its white space."""
    line = "".join(text.split())
    return Counter(line[i : i + n] for i in range(len(line) - n + 1))


def compared(own: Sequence[Counter[str]], text: str) -> list[int]:
    """For each order: the caption's n-grams, the reference's, and those that both have."""
    found = []
    for n, ours in enumerate(own, start=1):
        theirs = grams(text, n)
        # where the reference is too short for an order, the caption's n-grams are not counted either (sacrebleu)
        found += [
            ours.total() if theirs else 0,
            theirs.total(),
            sum(min(count, theirs[gram]) for gram, count in ours.items()),
        ]
    return found
