"""Several captions of an image as arrays: what the metrics that compare them share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from capbench.errors import BadData, check_choice
from capbench.metrics.cider import VARIANTS
from capbench.metrics.ngrams import Joined, Texts
from capbench.needs import AllCaptions, References, Tokens
from capbench.protocols import Need
from capbench.ragged import Ragged, Words

if TYPE_CHECKING:
    from capbench.types import Ints


def captions_each(captions: Ragged[Any], metric: str) -> int:
    """How many captions each image has.

    Raises:
        BadData: fewer than two, or not as many for every image.
    """
    counts = np.unique(captions.counts)
    if len(counts) > 1 or (len(counts) and counts[0] < 2):
        found = " or ".join(map(str, counts.tolist()))
        raise BadData(f"{metric}: {found} captions an image", cure="give each image as many, two or more")
    return int(counts[0]) if len(counts) else 2


def cider_needs(metric: str, variant: str, tokenizer: str) -> Mapping[str, Need]:
    """Words of all captions and of the references, for a metric that is made of CIDErs of one variant.

    Raises:
        UsageError: no such variant.
    """
    check_choice(metric, "variant", variant, VARIANTS)
    return {"captions": Tokens(AllCaptions(), tokenizer), "references": Tokens(References(), tokenizer)}


def one_of_each(captions: Ragged[Words], number: int) -> Words:
    """The caption of this number of every image."""
    return captions.values.take(captions.offsets[:-1] + number)


def each_and_others(captions: Ragged[Words], k: int) -> Iterator[tuple[Words, Ragged[Words]]]:
    """For each of the k captions: that caption of every image, and the image's other captions."""
    n = len(captions)
    for number in range(k):
        others = np.delete(np.arange(n * k, dtype=np.int64).reshape(n, k), number, axis=1)
        rest = captions.values.take(others.ravel())
        yield one_of_each(captions, number), Ragged(rest, np.arange(n + 1, dtype=np.int64) * (k - 1))


def side_by_side(first: Ragged[Words], second: Ragged[Words]) -> Ragged[Words]:
    """The texts of each item of the first, then those of the second, with one vocabulary."""
    index = {word: i for i, word in enumerate(first.values.vocabulary)}
    theirs = np.array([index.setdefault(word, len(index)) for word in second.values.vocabulary], np.int64)
    ids = np.concatenate([first.values.ids, theirs[second.values.ids]])
    ends = np.concatenate([first.values.offsets, second.values.offsets[1:] + len(first.values.ids)])
    owners = np.concatenate([first.owners, second.owners])
    offsets = first.offsets + second.offsets
    return Ragged(Words(ids, ends, tuple(index)).take(np.argsort(owners, kind="stable")), offsets)


def texts_of(lists: Ragged[Words]) -> Texts:
    """All texts of all items as one row of words; every item has one text or more."""
    firsts = lists.offsets[:-1]
    rest = np.delete(np.arange(len(lists.values), dtype=np.int64), firsts)
    others = Ragged(lists.values.take(rest), lists.offsets - np.arange(len(lists) + 1))
    return Joined.of(lists.values.take(firsts), others).texts()


def singly(texts: Words) -> Ragged[Words]:
    """Texts of which each item has one."""
    offsets: Ints = np.arange(len(texts) + 1, dtype=np.int64)
    return Ragged(texts, offsets)
