"""When two words or phrases say the same: equal after lemmatising, or in one synonym set of WordNet 3.0."""

from __future__ import annotations

import importlib.util
import zipfile
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import Any

from capbench.errors import BadData, MissingPart
from capbench.meteor.resources import CURE, JAR, base_forms, find_files, read_wordnet, synsets_of
from capbench.protocols import Problem

SOURCES = ("auto", "nltk", "meteor", "none")
GET_IT = f"{CURE}, or python -m nltk.downloader wordnet; synonyms='none' goes without"
# a noun's endings; adjectives and verbs are left to the parser
PLURALS = (
    ("ses", "s"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"), ("men", "man"), ("ies", "y"),
    ("ves", "f"), ("s", ""),
)  # fmt: skip
EXACT, SYNONYM = 2, 1

Sets = frozenset[Any]


class Vocabulary:
    """Lemmas and synonym sets of words, looked up once each.

    name: what stands for it in signatures. known: whether WordNet has a word. bases: the base forms of an irregular
    form, perhaps of a regular one too. sets: the synonym sets of a word or, with "_" between its words, of a phrase.
    """

    def __init__(
        self,
        name: str,
        known: Callable[[str], bool],
        bases: Callable[[str], Sequence[str]],
        sets: Callable[[str], Sets],
    ) -> None:
        self.name = name
        self._known, self._bases, self._find = known, bases, sets
        self._sets: dict[str, Sets] = {}
        self._like: dict[str, set[str]] = {}
        self._members: dict[object, list[str]] = {}  # synonym set -> phrases that were asked for
        self._lemmas: dict[str, str] = {}

    def sets(self, phrase: str) -> Sets:
        """The synonym sets of a word or phrase."""
        found = self._sets.get(phrase)
        if found is None:
            found = self._sets[phrase] = self._find("_".join(phrase.split()))
        return found

    def like(self, phrase: str) -> Collection[str]:
        """The others of the phrases that this was asked for, so far, that share a synonym set with it."""
        found = self._like.get(phrase)
        if found is None:
            found = self._like[phrase] = set()
            for one in self.sets(phrase):
                members = self._members.setdefault(one, [])
                for other in members:
                    found.add(other)
                    self._like[other].add(phrase)
                members.append(phrase)
        return found

    def level(self, a: str, b: str) -> int:
        """EXACT, SYNONYM or 0."""
        if a == b:
            return EXACT
        return 0 if self.sets(a).isdisjoint(self.sets(b)) else SYNONYM

    def noun(self, phrase: str) -> str:
        """A phrase in lower case, with one blank between words and its last word in the singular."""
        found = self._lemmas.get(phrase)
        if found is None:
            head, blank, last = tidy(phrase).rpartition(" ")
            found = self._lemmas[phrase] = head + blank + self._singular(last)
        return found

    def readings(self, phrase: str) -> list[str]:
        """What a phrase of a text may stand for: itself, or its last word in the singular by any rule."""
        plain = tidy(phrase)
        head, blank, last = plain.rpartition(" ")
        bases = [*self._bases(last), *base_forms(last, PLURALS)]
        return list(dict.fromkeys([plain, self.noun(plain), *(head + blank + base for base in bases)]))

    def _singular(self, word: str) -> str:
        """The word if WordNet has it, else the first base form that it has; men and women are no words of their own."""
        if word.endswith("men") and self._known(word[:-3] + "man"):
            return word[:-3] + "man"
        if self._known(word):
            return word
        irregular = [base for base in self._bases(word) if self._known(base)]
        return next(iter([*irregular, *filter(self._known, base_forms(word, PLURALS))]), word)


def tidy(phrase: str) -> str:
    """A phrase in lower case with one blank between words."""
    return " ".join(phrase.lower().split())


@lru_cache(maxsize=4)
def vocabulary(source: str) -> Vocabulary:
    """The words of a source: 'nltk', 'meteor', 'auto' for the first of them that is there, or 'none'.

    Raises:
        MissingPart: it is not there.
        BadData: its files are not what they should be.
    """
    problem = missing(source)
    if problem is not None:
        raise MissingPart(problem.what, problem.cure)
    if source == "none":
        return Vocabulary("none", lambda _: False, lambda _: (), lambda _: frozenset())
    return of_nltk() if source == "nltk" or (source == "auto" and nltk_has_it()) else of_meteor()


def missing(source: str) -> Problem | None:
    """What a source lacks, before any work starts."""
    jar = find_files() is not None
    if source == "none" or (source in ("auto", "meteor") and jar) or (source != "meteor" and nltk_has_it()):
        return None
    cure = {"nltk": "pip install nltk, then python -m nltk.downloader wordnet", "meteor": CURE}.get(source, GET_IT)
    where = {"nltk": "nltk with its WordNet", "meteor": f"pycocoevalcap with its {JAR}"}
    return Problem(f"no synonyms: {where.get(source, ' and '.join(where.values()))} is not installed", cure)


def nltk_has_it() -> bool:
    """Whether nltk and its WordNet are there."""
    if importlib.util.find_spec("nltk") is None:
        return False
    import nltk

    for name in ("corpora/wordnet", "corpora/wordnet.zip"):
        try:
            nltk.data.find(name)
        except (LookupError, OSError):
            continue
        return True
    return False


def of_nltk() -> Vocabulary:
    """WordNet as nltk reads it."""
    from nltk.corpus import wordnet

    def sets(word: str) -> Sets:
        return frozenset((one.pos(), one.offset()) for one in wordnet.synsets(word))

    def bases(word: str) -> list[str]:
        found = wordnet.morphy(word, wordnet.NOUN)
        return [] if found in (None, word) else [found]

    words = frozenset(wordnet.all_lemma_names())
    return Vocabulary(f"wordnet-{wordnet.get_version()}/nltk", words.__contains__, bases, sets)


def of_meteor() -> Vocabulary:
    """WordNet 3.0 as METEOR 1.5 has it, with its rules for base forms.

    Raises:
        MissingPart: pycocoevalcap is not installed.
        BadData: the jar cannot be read.
    """
    files = find_files()
    if files is None:
        raise MissingPart(f"pycocoevalcap with its {JAR} is not installed", CURE)
    try:
        with zipfile.ZipFile(files.jar) as jar:
            lines, bases = read_wordnet(jar)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise BadData(f"METEOR's synonyms cannot be read: {error}", cure=f"{CURE} --force-reinstall") from error

    def own(word: str) -> frozenset[int] | None:
        line = lines.get(word)
        return None if line is None else frozenset(map(int, line.split()))

    def irregular(word: str) -> frozenset[int] | None:
        found = bases.get(word)
        return None if found is None else frozenset().union(*(own(base) or () for base in found))

    def sets(word: str) -> Sets:
        return synsets_of(word, own, irregular)

    return Vocabulary("wordnet-3.0/meteor-1.5", lines.__contains__, lambda word: bases.get(word, ()), sets)
