"""SPICE (Anderson et al. 2016, "SPICE"), by the authors' program, which the user completes with CoreNLP 3.6.0.

The jar comes with pycocoevalcap; the 384 MB of CoreNLP 3.6.0 do not. Scores come back by id: the wrapper of
coco-caption zips them with another order when ids are not sorted.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from capbench import languages
from capbench.errors import CapbenchError, MissingPart
from capbench.needs import words_of_both
from capbench.paths import cache_root, package_folders
from capbench.protocols import Need, Problem
from capbench.ragged import Ragged, Words
from capbench.types import Column

if TYPE_CHECKING:
    from capbench.types import Array

PROGRAM = "edu.anu.spice.SpiceScorer"
JAR = "spice-1.0.jar"
WANTED = ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar")
VARIABLE = "CAPBENCH_SPICE_JARS"
GET_THEM = (
    "get stanford-corenlp-full-2015-12-09.zip from the CoreNLP history page, put "
    f"{' and '.join(WANTED)} into a folder, and give it: spice(jars='FOLDER') or {VARIABLE}=FOLDER"
)
# What the program's serializer reaches into on Java 16 and later, found by starting it.
OPENED = ("lang", "math", "util", "util.concurrent", "net", "text")
OPTIONS = (
    *(f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in OPENED),
    "--add-opens=java.sql/java.sql=ALL-UNNAMED",
)
PARTS = ("Object", "Relation", "Attribute", "Cardinality", "Color", "Size")
SHOWN_ERRORS = 2000
UNSIGNED = {"signed": False}
ENGLISH_ONLY = "its parser and its synonyms are English"
KEPT_ANSWERS = 8  # of the program, so that spice and spider on the same captions start it once


@dataclass(frozen=True, slots=True)
class Spice:
    """F1 of the propositions that a caption and its references share, as the program finds them.

    jars: the folder with the two jars of CoreNLP 3.6.0 (default: $CAPBENCH_SPICE_JARS). memory: of the
    JVM. seconds: how long one run may take. None of the three is part of the signature.
    """

    name: ClassVar[str] = "spice"
    version: ClassVar[int] = 1
    columns: ClassVar[Mapping[str, Column]] = {"spice": Column("SPICE", low=0.0, high=1.0)}

    tokenizer: str = ""
    jars: str = field(default="", metadata=UNSIGNED)
    memory: str = field(default="8G", metadata=UNSIGNED)
    seconds: float = field(default=7200.0, metadata=UNSIGNED)
    lang: str = field(default=languages.DEFAULT, metadata=languages.WHEN_CHANGED)

    def __post_init__(self) -> None:
        """Refuse other languages than English."""
        languages.english_only(self, ENGLISH_ONLY)

    @property
    def needs(self) -> Mapping[str, Need]:
        """Words of captions and references: coco-caption hands the program tokenized text."""
        return words_of_both(self.tokenizer)

    def check(self) -> Problem | None:
        """What is missing: Java, pycocoevalcap, or the two jars of CoreNLP."""
        if shutil.which("java") is None:
            return Problem("no program `java` on the PATH", "install Java 8 or newer")
        if program_folder() is None:
            return Problem(f"pycocoevalcap with its {JAR} is not installed", "pip install 'capbench[coco]'")
        folder = self.jars or os.environ.get(VARIABLE, "")
        missing = [name for name in WANTED if not folder or not (Path(folder) / name).is_file()]
        if missing:
            where = f"in {folder}" if folder else "anywhere that is named"
            return Problem(f"{' and '.join(missing)} not found {where}", GET_THEM)
        return None

    def rows(self, candidates: Words, references: Ragged[Words]) -> Mapping[str, Array]:
        """F1 of each item; NaN without references. Undeclared: F1 of each kind of proposition (NaN: none).

        Raises:
            MissingPart: a part of the program is missing.
            CapbenchError: the program failed, took too long, or left an item out.
        """
        problem = self.check()
        if problem is not None:
            raise MissingPart(problem.what, problem.cure)
        scored = np.flatnonzero(references.counts > 0)
        items = [entry(int(i), candidates, references) for i in scored]
        found = self._answers(items)
        columns = {name: np.full(len(candidates), math.nan) for name in ("spice", *map(str.lower, PARTS))}
        for i in scored.tolist():
            columns["spice"][i] = number(found[i]["All"])
            for part in PARTS:
                columns[part.lower()][i] = number(found[i].get(part, {}))
        return columns

    def _answers(self, items: Sequence[Mapping[str, Any]]) -> dict[int, dict[str, Any]]:
        """What the program says of each item, by id."""
        if not items:
            return {}
        found = kept_answers(self, json.dumps(items, ensure_ascii=True))
        missing = [str(item["image_id"]) for item in items if item["image_id"] not in found]
        if missing:
            raise CapbenchError(
                f"SPICE gave no score for {len(missing)} of {len(items)} items: {', '.join(missing[:20])}"
            )
        return found

    def run(self, items: str) -> dict[int, dict[str, Any]]:
        """What the program says of items that are written as its JSON, by id."""
        with tempfile.TemporaryDirectory(prefix="capbench-spice-") as name:
            folder = Path(name)
            source, target = folder / "in.json", folder / "out.json"
            source.write_text(items, encoding="ascii")
            self._start(source, target, folder)
            return read_answers(target)

    def _start(self, source: Path, target: Path, folder: Path) -> None:
        """Run the program once."""
        home, kept = program_folder(), cache_root() / "spice"
        kept.mkdir(parents=True, exist_ok=True)
        corenlp = Path(self.jars or os.environ[VARIABLE])
        places = [f"{home}/{JAR}", *(str(corenlp / jar) for jar in WANTED), f"{home}/lib/*"]
        command = ["java", f"-Xmx{self.memory}", *OPTIONS, "-Dfile.encoding=UTF-8", "-cp", os.pathsep.join(places)]
        command += [PROGRAM, str(source), "-cache", str(kept), "-out", str(target), "-subset", "-silent"]
        try:
            done = subprocess.run(  # noqa: S603 -- the program of the metric's authors
                command, capture_output=True, timeout=self.seconds, check=False, cwd=folder
            )
        except subprocess.TimeoutExpired as error:
            raise CapbenchError(
                f"SPICE did not finish within {self.seconds:g} s", "raise spice(seconds=...)"
            ) from error
        if done.returncode or not target.is_file():
            said = done.stderr.decode("utf-8", "replace").strip()[-SHOWN_ERRORS:]
            cure = f"if it speaks of LMDB, remove its cache: rm -r {kept}"
            raise CapbenchError(f"SPICE ended with code {done.returncode}: {said or 'it wrote nothing'}", cure)


@lru_cache(maxsize=KEPT_ANSWERS)
def kept_answers(metric: Spice, items: str) -> dict[int, dict[str, Any]]:
    """What the program says; asked once. What went wrong is not kept."""
    return metric.run(items)


def program_folder() -> Path | None:
    """The folder of the jar inside the installed pycocoevalcap, without importing it."""
    for folder in package_folders("pycocoevalcap"):
        if (folder / "spice" / JAR).is_file():
            return folder / "spice"
    return None


def entry(i: int, candidates: Words, references: Ragged[Words]) -> dict[str, Any]:
    """One item as the program reads it; its id is its index, so that no text of ours is an id."""
    start, end = references.offsets[i], references.offsets[i + 1]
    texts = [" ".join(references.values[j]) for j in range(start, end)]
    return {"image_id": i, "test": " ".join(candidates[i]), "refs": texts}


def read_answers(target: Path) -> dict[int, dict[str, Any]]:
    """The program's answers by id, in whatever order they stand.

    Raises:
        CapbenchError: not its form, or an id twice.
    """
    try:
        rows = json.loads(target.read_text(encoding="utf-8"))
        found = {int(row["image_id"]): dict(row["scores"]) for row in rows}
        complete = all("All" in scores for scores in found.values())
    except (ValueError, KeyError, TypeError) as error:
        raise CapbenchError(f"SPICE wrote something else than scores: {type(error).__name__}: {error}") from error
    if len(found) != len(rows) or not complete:
        raise CapbenchError("SPICE gave an item twice, or one without its total")
    return found


def number(scores: Mapping[str, Any]) -> float:
    """The F1 of a kind of proposition; the program writes "NaN" where the references have none."""
    try:
        return float(scores["f"])
    except (KeyError, TypeError, ValueError):
        return math.nan
