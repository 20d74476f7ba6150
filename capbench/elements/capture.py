"""CAPTURE as its authors compute it (Dong et al. 2024; ``capture_metric`` 0.1.13, ``capture.py``), with its faults.

Objects, attributes without their objects, and relations of a caption against those of one reference: equal ones first,
then synonyms, where a part of a word is its synonym too, each taking the first free partner; what is left counts with
its highest cosine on the other side, whoever else takes it. Of several references the mean counts. In the authors'
program the order is that of Python's sets and differs between processes; here it is the alphabet's.
"""

from __future__ import annotations

import ast
import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from capbench.elements.graph import KINDS
from capbench.errors import BadData, MissingPart
from capbench.paths import package_folders
from capbench.protocols import Elements, Problem

if TYPE_CHECKING:
    from capbench.types import Floats

EPS = 1e-6
PARSER = "factual"
PARSER_MODEL = "lizhuang144/flan-t5-base-VG-factual-sg"
ENCODER_MODEL = "sentence-transformers/all-mpnet-base-v2"
DATA = {
    "corpora/wordnet": "wordnet",
    "taggers/averaged_perceptron_tagger_eng": "averaged_perceptron_tagger_eng",
    "tokenizers/punkt_tab": "punkt_tab",
}
INSTALL = "pip install 'capbench[capture]'"


@dataclass(frozen=True)
class Language:
    """What the authors take from nltk, and their stop words.

    lemma: (word, "n" or "a") -> lemma. nouns: the lemmas of a text's nouns. names: the names of all members of all
    synonym sets of a word, with "_" between words.
    """

    lemma: Callable[[str, str], str]
    nouns: Callable[[str], set[str]]
    names: Callable[[str], frozenset[str]]
    stop_words: frozenset[str]


class Read(NamedTuple):
    """What counts of a text, in alphabetical order; attributes with repeats, one for each object that has them."""

    objects: tuple[str, ...]
    attributes: tuple[str, ...]
    relations: tuple[tuple[str, str, str], ...]


class Score(NamedTuple):
    """Precision, recall and F1."""

    precision: float
    recall: float
    f1: float


def merged(elements: Elements, language: Language) -> tuple[set[str], set[tuple[str, str]], set[tuple[str, str, str]]]:
    """The lemmas of a text's elements; attributes with " of" in them are left out."""
    noun = {name: language.lemma(name, "n") for name in names_of(elements)}
    attributes = {(noun[name], language.lemma(value, "a")) for name, value in elements.attributes}
    return (
        {noun[name] for name in elements.objects},
        {pair for pair in attributes if " of" not in pair[1]},
        {(noun[first], how, noun[second]) for first, how, second in elements.relations},
    )


def names_of(elements: Elements) -> set[str]:
    """Every name of an object in a text."""
    ends = [end for first, _, second in elements.relations for end in (first, second)]
    return {*elements.objects, *(name for name, _ in elements.attributes), *ends}


def read(elements: Elements, text: str, language: Language) -> Read:
    """What of a text's elements stands among its nouns; the stop words are taken from the objects alone."""
    objects, attributes, relations = merged(elements, language)
    nouns = language.nouns(text)

    def named(name: str) -> bool:
        return name in nouns or all(piece in nouns for piece in name.split(" "))

    return Read(
        tuple(sorted(name for name in objects if name not in language.stop_words and named(name))),
        tuple(value for name, value in sorted(attributes) if named(name)),
        tuple(sorted(one for one in relations if named(one[0]) and named(one[2]))),
    )


def phrases(elements: Elements, language: Language) -> list[str]:
    """Every phrase that may have to be encoded."""
    objects, attributes, relations = merged(elements, language)
    return sorted({*objects, *(value for _, value in attributes), *map(" ".join, relations)})


def alike(a: str, b: str, names: Callable[[str], frozenset[str]]) -> bool:
    """Whether one is a part of the other, or a synonym set of one has a member that a set of the other has."""
    if a in b or b in a:
        return True
    return not names("_".join(a.split())).isdisjoint(names("_".join(b.split())))


def score(cand: Sequence[Any], ref: Sequence[Any], language: Language, vectors: Mapping[str, Floats]) -> Score:
    """Precision, recall and F1 of one kind of element; each is a text or, of relations, three."""
    rest = taken(cand, ref, lambda a, b: a == b, (range(len(cand)), range(len(ref))))

    def synonyms(a: Any, b: Any) -> bool:
        pairs = [(a, b)] if isinstance(a, str) else zip(a, b, strict=True)
        return all(alike(one, other, language.names) for one, other in pairs)

    ours, theirs = taken(cand, ref, synonyms, rest)
    hard = len(cand) - len(ours)
    soft = softly([cand[i] for i in ours], [ref[j] for j in theirs], vectors)
    precision, recall = (hard + soft[0]) / (len(cand) + EPS), (hard + soft[1]) / (len(ref) + EPS)
    return Score(precision, recall, 2 * precision * recall / (precision + recall + EPS))


def taken(
    cand: Sequence[Any], ref: Sequence[Any], same: Callable[[Any, Any], bool], rest: tuple[Sequence[int], Sequence[int]]
) -> tuple[list[int], list[int]]:
    """Which are left when each of the caption's has taken the first free one of the reference's that is the same."""
    ours, theirs = [], list(rest[1])
    for i in rest[0]:
        found = next((j for j in theirs if same(cand[i], ref[j])), None)
        if found is None:
            ours.append(i)
        else:
            theirs.remove(found)
    return ours, theirs


def softly(ours: Sequence[Any], theirs: Sequence[Any], vectors: Mapping[str, Floats]) -> tuple[float, float]:
    """The sums of the highest cosine of each side's elements with one of the other's."""
    if not ours or not theirs:
        return 0.0, 0.0
    sides = [
        np.array([vectors[one if isinstance(one, str) else " ".join(one)] for one in side], np.float64)
        for side in (ours, theirs)
    ]
    cosines = sides[0] @ sides[1].T
    return float(cosines.max(axis=1).sum()), float(cosines.max(axis=0).sum())


def against(
    cand: Read, refs: Sequence[Read], language: Language, vectors: Mapping[str, Floats], weights: Sequence[float]
) -> dict[str, float]:
    """The total ("capture"), and precision, recall and F1 of each kind: means over the references."""
    found = []
    for ref in refs:
        kinds = {
            name: score(ours, theirs, language, vectors) for name, ours, theirs in zip(KINDS, cand, ref, strict=True)
        }
        row = {
            "capture": math.fsum(w * k.f1 for w, k in zip(weights, kinds.values(), strict=True)) / math.fsum(weights)
        }
        for name, kind in kinds.items():
            row |= {name: kind.f1, f"{name}_precision": kind.precision, f"{name}_recall": kind.recall}
        found.append(row)
    return {name: math.fsum(row[name] for row in found) / len(found) for name in found[0]} if found else {}


def missing() -> Problem | None:
    """What the authors' algorithm lacks: nltk, its data, or the stop words."""
    lacking = [name for name in ("nltk", "capture_metric") if importlib.util.find_spec(name) is None]
    if lacking:
        return Problem(f"compat=True: {' and '.join(lacking)} not installed", INSTALL)
    import nltk

    absent = []
    for place, name in DATA.items():
        try:
            nltk.data.find(f"{place}.zip")
        except LookupError:
            try:
                nltk.data.find(place)
            except LookupError:
                absent.append(name)
    if absent:
        what = f"compat=True: nltk's data {', '.join(absent)} not found"
        return Problem(what, f"python -m nltk.downloader {' '.join(absent)}")
    return None


@lru_cache(maxsize=1)
def language() -> Language:
    """What nltk and the package ``capture_metric`` have.

    Raises:
        MissingPart: one of them, or nltk's data, is not installed.
    """
    problem = missing()
    if problem is not None:
        raise MissingPart(problem.what, problem.cure)
    import nltk
    from nltk.corpus import wordnet
    from nltk.stem import WordNetLemmatizer

    lemmatize = cache(WordNetLemmatizer().lemmatize)

    def nouns(text: str) -> set[str]:
        tagged = nltk.pos_tag(nltk.word_tokenize(text))
        return {lemmatize(token, "n") for token, tag in tagged if tag.startswith("NN")}

    @cache
    def names(word: str) -> frozenset[str]:
        return frozenset(lemma.name() for one in wordnet.synsets(word) for lemma in one.lemmas())

    return Language(lemmatize, nouns, names, stop_words())


def stop_words() -> frozenset[str]:
    """The authors' list, read from their package without running it.

    Raises:
        MissingPart: it is not installed.
        BadData: it holds no such list.
    """
    for folder in package_folders("capture_metric"):
        path = folder / "stop_words.py"
        if path.is_file():
            return listed(path)
    raise MissingPart("the package capture_metric is not installed", INSTALL)


def listed(path: Path) -> frozenset[str]:
    """The words of ``stop_words_list = [...]``."""
    try:
        body = ast.parse(path.read_text(encoding="utf-8")).body
        lists = [
            ast.literal_eval(node.value)
            for node in body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "stop_words_list"
        ]
        return frozenset(lists[0])
    except (OSError, SyntaxError, ValueError, IndexError, TypeError) as error:
        raise BadData(f"{path} has no list of stop words: {error}", cure=f"{INSTALL} --force-reinstall") from error
