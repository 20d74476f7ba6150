"""METEOR's word lists and its paraphrase table, as an index that is built once and mapped into memory.

The files are those that the pycocoevalcap package installs: ``meteor-1.5.jar`` (function words, prefixes,
WordNet's synonym sets) and ``data/paraphrase-en.gz``. Phrases are kept as 64-bit hashes: with 5 million of them
the chance of one false match in a million looked-up phrases is about 1 in 3 million.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from capbench.errors import BadData, MissingPart
from capbench.paths import cache_root, package_folders
from capbench.progress import progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]

JAR = "meteor-1.5.jar"
TABLE = "paraphrase-en.gz"
CURE = "pip install 'capbench[coco]'"
FORMAT = b"2"
LONGEST = 7
FACTOR = np.uint64(0x9E3779B97F4A7C15)
CHUNK = 500_000  # characters at a time
MARK_BITS = 27
MARK = "\0"  # stands for a line's end among the words
SUFFIXES = (
    ("s", ""), ("ses", "s"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"), ("men", "man"),
    ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", ""), ("er", ""),
    ("est", ""), ("er", "e"), ("est", "e"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Files:
    """The two files of the reference."""

    jar: Path
    table: Path

    def digest(self) -> str:
        """What stands for their content: the jar's bytes, the table's size and checksum."""
        hasher = hashlib.blake2b(FORMAT, digest_size=12)
        hasher.update(self.jar.read_bytes())
        hasher.update(str(self.table.stat().st_size).encode())
        with self.table.open("rb") as file:
            file.seek(-8, os.SEEK_END)
            hasher.update(file.read())
        return hasher.hexdigest()


def find_files() -> Files | None:
    """The reference's files inside the installed pycocoevalcap, without importing it."""
    for folder in package_folders("pycocoevalcap"):
        files = Files(folder / "meteor" / JAR, folder / "meteor" / "data" / TABLE)
        if files.jar.is_file() and files.table.is_file():
            return files
    return None


@dataclass(frozen=True, slots=True)
class Groups:
    """Hashes in ascending order, each with a run of integers."""

    keys: Hashes
    starts: NDArray[np.int64]
    values: NDArray[np.int32]

    def of(self, word: str) -> frozenset[int] | None:
        """The integers of a word, or None."""
        key = np.uint64(word_hash(word))
        i = int(np.searchsorted(self.keys, key))
        if i == len(self.keys) or self.keys[i] != key:
            return None
        return frozenset(self.values[self.starts[i] : self.starts[i + 1]].tolist())


@dataclass(frozen=True, slots=True)
class Index:
    """Everything that the aligner looks up.

    sources, targets: the paraphrases, in order of the sources' hashes. marks: a bit for the first MARK_BITS bits
    of each of them, which tells most other phrases apart at the cost of one look.
    """

    functions: frozenset[str]
    prefixes: Mapping[str, int]
    synonyms: Groups
    exceptions: Groups
    sources: Hashes
    targets: Hashes
    marks: NDArray[np.uint8]

    def may_hold(self, phrases: Hashes) -> Any:
        """Which phrases may be in the table: all that are, and a few of the others."""
        place = phrases >> np.uint64(64 - MARK_BITS)
        return (self.marks[place >> np.uint64(3)] >> (7 - (place & np.uint64(7))).astype(np.uint8) & 1).astype(bool)

    def synsets(self, word: str) -> frozenset[int]:
        """The synonym sets of a word and of what WordNet's rules make of it."""
        return synsets_of(word, self.synonyms.of, self.exceptions.of)


Lookup = Callable[[str], frozenset[int] | None]


def synsets_of(word: str, synonyms: Lookup, exceptions: Lookup) -> frozenset[int]:
    """The synonym sets of a word and of its base form: the irregular one, else the first that exists by suffix."""
    irregular = exceptions(word)
    if irregular is None:
        found = (synonyms(form) for form in base_forms(word))
        irregular = next((sets for sets in found if sets is not None), frozenset())
    return (synonyms(word) or frozenset()) | irregular


def base_forms(word: str, suffixes: Sequence[tuple[str, str]] = SUFFIXES) -> Iterator[str]:
    """What a word may be a form of, by WordNet's rules and in their order."""
    if len(word) >= 3 and not word.endswith("ss"):
        yield from (word[: -len(suffix)] + end for suffix, end in suffixes if word.endswith(suffix))


def word_hash(word: str) -> int:
    """64 bits that stand for a word in the index."""
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def load() -> Index:
    """The index, built first if the cache has none for these files.

    Raises:
        MissingPart: the files are not installed.
        BadData: the files are not what they should be.
    """
    files = find_files()
    if files is None:
        raise MissingPart(f"pycocoevalcap with its {JAR} and {TABLE} is not installed", CURE)
    folder = cache_root() / "meteor" / f"1.5-{files.digest()}"
    if not folder.is_dir():
        build(files, folder)
    return open_index(folder)


@lru_cache(maxsize=2)
def open_index(folder: Path) -> Index:
    """Map a finished index into memory."""

    def array(name: str) -> Any:
        return np.load(folder / f"{name}.npy", mmap_mode="r")

    lists = json.loads((folder / "lists.json").read_text(encoding="utf-8"))
    groups = [Groups(*(array(f"{name}_{part}") for part in ("keys", "starts", "values"))) for name in GROUPS]
    functions = frozenset(lists["functions"])
    return Index(functions, lists["prefixes"], groups[0], groups[1], array("sources"), array("targets"), array("marks"))


GROUPS = ("synonyms", "exceptions")
WORDNET = ("synsets", "exceptions")


def build(files: Files, folder: Path) -> None:
    """Write the index beside its place and move it there whole; another process may be as quick."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    own = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        try:
            arrays, lists = read_jar(files.jar)
            arrays["sources"], arrays["targets"] = read_table(files.table)
            arrays["marks"] = marked(arrays["sources"], arrays["targets"])
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise BadData(f"METEOR's files cannot be read: {error}", cure=f"{CURE} --force-reinstall") from error
        for name, values in arrays.items():
            np.save(own / f"{name}.npy", values)
        (own / "lists.json").write_text(json.dumps(lists), encoding="utf-8")
        try:
            own.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(own, ignore_errors=True)


def read_jar(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arrays and lists that come out of the jar."""
    with zipfile.ZipFile(path) as jar:

        def lines(name: str) -> list[str]:
            return jar.read(name).decode("utf-8").splitlines()

        known, irregular = read_wordnet(jar)
        synonyms = {word: set(map(int, sets.split())) for word, sets in known.items()}
        bases = {form: {one for base in own for one in synonyms.get(base, ())} for form, own in irregular.items()}
        lists = {
            "functions": lines("function/english.words"),
            "prefixes": dict(prefix_kinds(lines("nonbreaking/english.prefixes"))),
        }
    arrays: dict[str, Any] = {}
    for name, table in zip(GROUPS, (synonyms, bases), strict=True):
        rows = sorted((word_hash(word), sorted(sets)) for word, sets in table.items())
        arrays[f"{name}_keys"] = np.array([key for key, _ in rows], np.uint64)
        arrays[f"{name}_starts"] = np.cumsum([0, *(len(sets) for _, sets in rows)], dtype=np.int64)
        arrays[f"{name}_values"] = np.array([value for _, sets in rows for value in sets], np.int32)
    return arrays, lists


def read_wordnet(jar: zipfile.ZipFile) -> tuple[dict[str, str], dict[str, list[str]]]:
    """WordNet 3.0 as METEOR has it: word -> its synonym sets as written; irregular form -> its base forms.

    Words of a phrase are joined by "_". A set is the number of WordNet's file of its part of speech, without the part
    of speech, so that a few sets of different files have one number.
    """
    synonyms, exceptions = (jar.read(f"synonym/english.{name}").decode("utf-8").splitlines() for name in WORDNET)
    bases: dict[str, list[str]] = {}
    for base, forms in pairs(exceptions):
        for form in forms.split():
            bases.setdefault(form, []).append(base)
    return dict(pairs(synonyms)), bases


def pairs(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Every odd line with the one after it."""
    return zip(lines[::2], lines[1::2], strict=True)


def prefix_kinds(lines: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Words whose last dot stays: 1, or 2 if only before a number."""
    for line in lines:
        words = line.split()
        if words and not words[0].startswith("#"):
            yield words[0], 2 if "#NUMERIC_ONLY#" in words[1:] else 1


class WordHashes(dict[str, int]):
    """Word -> hash, made when it is first asked for."""

    def __missing__(self, word: str) -> int:
        """Make it and keep it."""
        value = self[word] = word_hash(word)
        return value


def read_table(path: Path) -> tuple[Hashes, Hashes]:
    """Hashes of sources and targets, by source; paraphrases of one source stay in the table's order."""
    known = WordHashes({MARK: 0})
    parts: list[tuple[Hashes, Hashes]] = []
    size = path.stat().st_size
    with path.open("rb") as raw, progress(size, "METEOR's paraphrases, once") as bar:
        with gzip.open(raw, "rt", encoding="utf-8", newline="\n") as file:
            done, rest = 0, ""
            while more := file.read(CHUNK):
                whole, rest = whole_entries(rest + more)
                parts.append(entry_hashes(whole, known))
                bar.update(raw.tell() - done)
                done = raw.tell()
        parts.append(entry_hashes(rest, known))
    sources = np.concatenate([source for source, _ in parts])
    targets = np.concatenate([target for _, target in parts])
    order = np.argsort(sources, kind="stable")
    return sources[order], targets[order]


def marked(*phrases: Hashes) -> NDArray[np.uint8]:
    """The marks of phrases; see ``Index``."""
    marks = np.zeros(1 << MARK_BITS, bool)
    for hashes in phrases:
        marks[hashes >> np.uint64(64 - MARK_BITS)] = True
    return np.packbits(marks)


def whole_entries(text: str) -> tuple[str, str]:
    """A text that begins with an entry of three lines, cut behind the last one that is complete."""
    end = len(text)
    for _ in range(1 + text.count("\n") % 3):
        end = text.rfind("\n", 0, end)
    return text[: end + 1], text[end + 1 :]


def entry_hashes(text: str, known: WordHashes) -> tuple[Hashes, Hashes]:
    """Hashes of the second and third line of every three. All words are split at once: a call a line takes longer."""
    tokens = text.replace("\n", f" {MARK} ").split()
    words = np.fromiter(map(known.__getitem__, tokens), np.uint64, len(tokens))
    ends = np.flatnonzero(words == 0)
    if len(ends) % 3:
        raise ValueError(f"{TABLE} ends in the middle of an entry")
    lengths = np.diff(ends, prepend=-1) - 1
    sources, targets = (phrase_hashes(words, (ends - lengths)[i::3], lengths[i::3]) for i in (1, 2))
    return sources, targets


def phrase_hashes(words: Hashes, starts: Any, lengths: Any) -> Hashes:
    """One hash a phrase: words[start:start + length] of each."""
    if len(lengths) and not 1 <= lengths.min() <= lengths.max() <= LONGEST:
        raise ValueError(f"phrases of {lengths.min()} to {lengths.max()} words")
    values = np.zeros(len(starts), np.uint64)
    for n in range(LONGEST):
        longer = np.flatnonzero(lengths > n)
        values[longer] = values[longer] * FACTOR + words[starts[longer] + n]
    return values
