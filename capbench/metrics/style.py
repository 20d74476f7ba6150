"""The form of a caption: length, repetition, and whether it breaks off.

    repeated   = 1 - distinct 4-grams / 4-grams of the caption; 0 below four words
                 (seq-rep-4 of Welleck et al. 2020, "Neural text generation with unlikelihood training")
    bad_ending = 1 where the last word is one that no English sentence ends with
                 (the list of ruotianluo/self-critical.pytorch, ``captioning/utils/eval_utils.py``)

Lengths have no better side: they stand beside other numbers to explain them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from capbench.metrics.ngrams import Grams
from capbench.metrics.sets import singly, texts_of
from capbench.needs import Captions, Cut, Tokens
from capbench.protocols import Need
from capbench.ragged import Words
from capbench.types import Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from capbench.types import Array

REPEATED = 4
OPEN_WORDS = frozenset(
    (
        "a",
        "an",
        "the",
        "in",
        "for",
        "at",
        "of",
        "with",
        "before",
        "after",
        "on",
        "upon",
        "near",
        "to",
        "is",
        "are",
        "am",
    )
)
SENTENCE_END = re.compile(r"""[.!?…]+["'”’)\]]*(?=\s|$)|[。！？]+""")


@dataclass(frozen=True, slots=True)
class Style:
    """Words, sentences, characters, repeated 4-grams and broken-off endings of each caption."""

    name: ClassVar[str] = "style"
    version: ClassVar[int] = 1
    columns: ClassVar[Mapping[str, Column]] = {
        "words": Column("words", better="none", low=0.0),
        "spaced_words": Column("words between blanks", better="none", low=0.0),
        "sentences": Column("sentences", better="none", low=0.0),
        "characters": Column("characters", better="none", low=0.0),
        "repeated": Column("repeated 4-grams", better="low", low=0.0, high=1.0),
        "bad_ending": Column("bad endings", better="low", low=0.0, high=1.0),
    }

    tokenizer: str = "ptb"

    @property
    def needs(self) -> Mapping[str, Need]:
        """The captions and their words."""
        return {"texts": Captions(), "words": Tokens(Captions(), self.tokenizer)}

    def rows(self, texts: Sequence[str], words: Words) -> Mapping[str, Array]:
        """One float64 an item in every column.

        texts: a caption an item; words: its words, without punctuation where the tokenizer drops it.
        """
        return {
            "words": np.diff(words.offsets).astype(np.float64),
            "spaced_words": np.array([len(text.split()) for text in texts], np.float64),
            "sentences": np.array([sentences(text) for text in texts], np.float64),
            "characters": np.array([len(text.strip()) for text in texts], np.float64),
            "repeated": repeated(words),
            "bad_ending": bad_endings(words),
        }


@dataclass(frozen=True, slots=True)
class Truncation:
    """The share of captions of which an encoder does not see the end: 77 tokens are CLIP's limit.

    encoder: whose limit and tokens; prefix: what is put before each caption.
    """

    name: ClassVar[str] = "truncation"
    version: ClassVar[int] = 1
    columns: ClassVar[Mapping[str, Column]] = {"truncated": Column("truncated", better="low", low=0.0, high=1.0)}

    encoder: str = "clip"
    prefix: str = ""

    @property
    def needs(self) -> Mapping[str, Need]:
        """Whether the encoder cut each caption."""
        return {"cut": Cut(Captions(), self.encoder, self.prefix)}

    def rows(self, cut: NDArray[np.bool_]) -> Mapping[str, Array]:
        """1 where the caption was cut, else 0."""
        return {"truncated": cut.astype(np.float64)}


def sentences(text: str) -> int:
    """Stretches of text with a letter or digit, between full stops, question and exclamation marks."""
    return sum(any(ch.isalnum() for ch in part) for part in SENTENCE_END.split(text))


def repeated(words: Words) -> Array:
    """The share of each text's 4-grams that it has said before."""
    grams = Grams.first(texts_of(singly(words)))
    for _ in range(REPEATED - 1):
        grams = grams.longer()
    distinct = np.zeros(len(words))
    for block in grams.counts():
        distinct += np.bincount(block.item[block.groups], minlength=len(words))
    count = np.diff(words.offsets) - REPEATED + 1
    return np.where(count > 0, 1 - distinct / np.maximum(count, 1), 0.0)


def bad_endings(words: Words) -> Array:
    """1 for each text whose last word leaves a sentence open."""
    is_open = np.array([word.lower() in OPEN_WORDS for word in words.vocabulary], bool)
    last = np.zeros(len(words))
    some = np.flatnonzero(np.diff(words.offsets))
    last[some] = is_open[words.ids[words.offsets[some + 1] - 1]]
    return last
