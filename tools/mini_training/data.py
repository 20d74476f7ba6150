"""Captions, the vocabulary, and where the words begin: everything about text that training needs."""

from __future__ import annotations

import collections
import gzip
import itertools
import json
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds

from capbench.backends.mini.words import INSIDE, LONGEST, SPECIAL, Reader, words

COCO_FILE = "coco/annotations/captions_train2014.json"
CAPTIONS = 5  # of a photograph
PLACES = 26  # words and pieces of a training caption; 1 in 640 is longer
LEAST = 6  # times that a word is seen before it is in the vocabulary as a whole
TAILS = 600  # pieces that end rarer words
SIGNS = "abcdefghijklmnopqrstuvwxyz0123456789"


def photo_captions(path: Path, left_out: set[str]) -> dict[str, list[str]]:
    """Photograph -> captions, from lines of JSON with ``image`` and ``captions``."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return {row["image"]: row["captions"] for row in rows if row["image"] not in left_out}


def names_in(path: Path) -> set[str]:
    """The photographs that a file of captions names."""
    return set(photo_captions(path, set()))


def coco_captions(jar: Path) -> list[list[str]]:
    """The captions of each train2014 picture.

    val2014 is not read: the photographs that COCO is usually tested on are taken from there.
    """
    with zipfile.ZipFile(jar) as archive:
        rows = json.loads(archive.read(COCO_FILE))["annotations"]
    pictures: dict[int, list[str]] = collections.defaultdict(list)
    for row in rows:
        pictures[row["image_id"]].append(row["caption"])
    return [pictures[number] for number in sorted(pictures)]


def vocabulary(coco: Iterable[Sequence[str]], photos: Iterable[Sequence[str]]) -> list[str]:
    """Frequent words whole, and pieces for all others; a word of the photographs counts three times."""
    counts: collections.Counter[str] = collections.Counter()
    for captions in coco:
        counts.update(word for caption in captions for word in words(caption))
    for captions in photos:
        for word in (word for caption in captions for word in words(caption)):
            counts[word] += 3
    whole = sorted(
        (word for word, n in counts.items() if n >= LEAST and 1 < len(word) <= LONGEST and word.isascii()),
        key=lambda word: (-counts[word], word),
    )
    tails: collections.Counter[str] = collections.Counter()
    for word in counts:
        if word.isascii():
            tails.update(word[at:] for at in range(max(1, len(word) - 6), len(word)))
    common = [tail for tail, _ in sorted(tails.items(), key=lambda pair: (-pair[1], pair[0]))[:TAILS]]
    pieces = [INSIDE + piece for piece in dict.fromkeys([*SIGNS, *common])]
    return [*SPECIAL, *SIGNS, *whole, *pieces]


def numbered(pictures: Sequence[Sequence[str]], reader: Reader) -> np.ndarray:
    """int16, pictures x CAPTIONS x PLACES, 0 behind the end; a picture with fewer captions repeats them."""
    table = np.zeros((len(pictures), CAPTIONS, PLACES), np.int16)
    for i, captions in enumerate(pictures):
        for j, caption in zip(range(CAPTIONS), itertools.cycle(captions)):
            numbers, _ = reader.read(caption, PLACES)
            table[i, j, : len(numbers)] = numbers
    return table


def start_vectors(tables: Sequence[np.ndarray], words_known: int, width: int) -> np.ndarray:
    """float32, words_known x width: what words stand beside in the captions of one picture.

    The left singular vectors, times the roots of the singular values, of the positive pointwise mutual
    information with the context's frequency to the power 0.75 (Levy, Goldberg and Dagan 2015).
    """
    pairs = [(i, word) for i, row in enumerate(itertools.chain(*tables)) for word in np.unique(row[row > 0])]
    rows, columns = np.array(pairs).T
    seen = sparse.csr_matrix((np.ones(len(pairs), np.float32), (rows, columns)), (rows.max() + 1, words_known))
    together = (seen.T @ seen).tocsr()
    together.setdiag(0)
    together.eliminate_zeros()
    often = np.asarray(together.sum(1)).ravel()
    context = often**0.75 / (often**0.75).sum()
    cells = together.tocoo()
    information = np.log(cells.data / (often[cells.row] * context[cells.col]))
    kept = information > 0
    matrix = sparse.csr_matrix(
        (information[kept], (cells.row[kept], cells.col[kept])), (words_known, words_known), dtype=np.float32
    )
    left, sizes, _ = svds(matrix, k=width, v0=np.ones(words_known, np.float32))
    vectors = left[:, ::-1] * np.sqrt(sizes[::-1])
    return (vectors / vectors.std()).astype(np.float32)
