"""CIDEr and CIDEr-D (Vedantam, Zitnick, Parikh 2015, "CIDEr").

    w_t(g) = tf_t(g) * (ln N - ln max(1, df(g)))      tf: the count of g in text t
    plain: s_n(c, r) = sum_g w_c(g) w_r(g) / (|w_c| |w_r|)
    d:     s_n(c, r) = sum_g min(w_c(g), w_r(g)) w_r(g) / (|w_c| |w_r|) * exp(-(l_c - l_r)^2 / (2 * 6^2))
    score  = 10 * mean over n = 1..4 and over references r of s_n(c, r)

N: items with references; df(g): of those, how many have g in a reference; both of the very set that is scored,
or of another one and then frozen. l: a text's number of bigrams.
Norms are over the n-grams of one order and never clipped. What papers call CIDEr is variant d; they print
100 times this value. No stemming.

Sources: pycocoevalcap 1.2, ``cider/cider_scorer.py`` (d); vrama91/cider, ``pyciderevalcap/cider`` (plain) and its
mode ``coco-val-df`` (frozen).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from capbench import languages
from capbench.errors import BadData, UsageError, check_choice
from capbench.metrics.frequencies import DocumentFrequencies, Lookup, documents_of
from capbench.metrics.ngrams import ORDERS, Grams, Joined, Texts
from capbench.needs import FILE, FROZEN, Frequencies, words_of_both
from capbench.protocols import Need
from capbench.ragged import Ragged, Words
from capbench.types import Caution, Column

if TYPE_CHECKING:
    from capbench.types import Array, Ints

VARIANTS = ("d", "plain")
CORPUS = "corpus"
FEW = 50  # documents, below which the numbers are marked
MORE = "score more images together, or take frequencies that do not depend on the set: idf='coco-val'"
SIGMA = 6.0
SCALE = 10.0


@dataclass(frozen=True, slots=True)
class Cider:
    """CIDEr of each item, on its own scale of 0 to 10.

    variant: 'd' (CIDEr-D, what is published as CIDEr) or 'plain' (no clipping, no length penalty).
    idf: where document frequencies come from: 'corpus' (the references of the scored set, as in papers),
    'coco-val' (the 40,504 images of COCO val2014) or 'file:PATH' (a file that capbench idf made).
    """

    name: ClassVar[str] = "cider"
    version: ClassVar[int] = 1
    columns: ClassVar[Mapping[str, Column]] = {"cider": Column("CIDEr", low=0.0, high=SCALE)}

    variant: str = "d"
    tokenizer: str = ""
    lang: str = field(default=languages.DEFAULT, metadata=languages.WHEN_CHANGED)
    idf: str = field(default=CORPUS, metadata=languages.WHEN_CHANGED)

    def __post_init__(self) -> None:
        """Choose the tokenizer of the language where none is named."""
        languages.settle(self)

    @property
    def corpus(self) -> bool:
        """Whether a row depends on the other items."""
        return self.idf == CORPUS

    @property
    def needs(self) -> Mapping[str, Need]:
        """Words of the captions and of the references, and frequencies that are not theirs."""
        check_choice(self.name, "variant", self.variant, VARIANTS)
        words = words_of_both(self.tokenizer)
        if self.idf == CORPUS:
            return words
        if self.idf not in FROZEN and not self.idf.startswith(FILE):
            raise UsageError(f"cider: idf is {CORPUS}, {', '.join(FROZEN)} or {FILE}PATH, not {self.idf!r}")
        if self.idf in FROZEN and self.lang != languages.DEFAULT:
            raise UsageError(
                f"cider: {self.idf} is of English captions, and the language is {self.lang}",
                "make a file of captions in it: capbench idf REFERENCES OUT --lang CODE, and cider(idf='file:OUT')",
            )
        return words | {"frequencies": Frequencies(self.idf, self.tokenizer)}

    def rows(
        self, candidates: Words, references: Ragged[Words], frequencies: DocumentFrequencies | None = None
    ) -> Mapping[str, Array]:
        """One score an item; NaN without a reference.

        candidates: a text an item; references: texts an item; frequencies: None for those of the references.

        Raises:
            BadData: there is one document, so every n-gram is in every document and every weight is 0.
        """
        n = documents(references, frequencies)
        if n == 1:
            raise BadData("cider: one image has references, so every weight is ln(1/1) = 0", cure=MORE)
        joined = Joined.of(candidates, references)
        texts = joined.texts()
        lookup = None if frequencies is None else Lookup(frequencies, joined.vocabulary, texts)
        sums = np.zeros(len(texts.lengths))
        grams = Grams.first(texts)
        for order in ORDERS:
            known = None if lookup is None else lookup.documents(grams)
            sums += cosines(grams, np.log(max(n, 1)), known, clip=self.variant == "d")
            if order < ORDERS[-1]:
                grams = grams.longer()
        if self.variant == "d":
            sums *= length_penalty(texts)
        totals = np.bincount(texts.items, sums, len(references))
        with np.errstate(invalid="ignore"):
            means = SCALE * (totals / len(ORDERS) / references.counts)
        # rounding can leave a perfect match a last digit above the scale
        return {"cider": np.minimum(means, SCALE)}

    def caution(
        self, candidates: Words, references: Ragged[Words], frequencies: DocumentFrequencies | None = None
    ) -> Caution | None:
        """A word of caution where the document frequencies are those of a handful of images."""
        del candidates
        n = documents(references, frequencies)
        if not 0 < n < FEW:
            return None
        why = f"cider: document frequencies come from {n} images (fewer than {FEW}), and hardly tell words apart"
        return Caution(f"idf of {n} images", f"{why}; {MORE}")


def documents(references: Ragged[Words], frequencies: DocumentFrequencies | None) -> int:
    """How many documents the frequencies are of."""
    return int(np.count_nonzero(references.counts)) if frequencies is None else frequencies.n_documents


def cosines(grams: Grams, log_n: float, known: Ints | None, *, clip: bool) -> Array:
    """The cosine of each reference with its candidate over these n-grams; 0 for the candidates themselves.

    known: the document frequency of each distinct n-gram; None to count those of the references.
    """
    texts, is_candidate = grams.texts, grams.texts.is_candidate
    squares, products = np.zeros(len(texts.lengths)), np.zeros(len(texts.lengths))
    done = 0
    for counts in grams.counts():
        mine = is_candidate[counts.text]
        end = done + int(counts.gram[-1]) + 1
        frequency = documents_of(counts, mine) if known is None else known[done:end]
        done = end
        weight = counts.count * weights(frequency, log_n)[counts.gram]
        np.add.at(squares, counts.text, weight * weight)
        heads = counts.groups
        sizes = np.diff(heads, append=len(weight))
        own = np.repeat(np.where(mine[heads], weight[heads], 0.0), sizes)
        shared = np.flatnonzero((own > 0) & ~mine)
        own, weight = own[shared], weight[shared]
        np.add.at(products, counts.text[shared], (np.minimum(own, weight) if clip else own) * weight)
    norms = np.sqrt(squares)
    norms *= norms[texts.candidates][texts.items]
    return products / np.where(norms == 0, 1, norms)


def weights(frequency: Ints, log_n: float) -> Array:
    """The idf ln N - ln max(1, df) of n-grams by their document frequencies."""
    idf: Array = log_n - np.log(np.maximum(1, frequency))
    return idf


def length_penalty(texts: Texts) -> Array:
    """exp(-(l_c - l_r)^2 / (2 sigma^2)) of each text, where l is its number of bigrams."""
    bigrams = np.maximum(0, texts.lengths - 1)
    difference = (bigrams[texts.candidates][texts.items] - bigrams).astype(np.float64)
    penalty: Array = np.exp(-(difference**2) / (2 * SIGMA**2))
    return penalty
