"""Other tokenizers: words between blanks, and the reference program itself."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

from capbench.backends.ptb_rules import NEXT, PUNCTUATION, one_line
from capbench.errors import CapbenchError, MissingPart
from capbench.paths import package_folders
from capbench.protocols import Problem

JAR = "stanford-corenlp-3.4.1.jar"
PROGRAM = "edu.stanford.nlp.process.PTBTokenizer"
CURE = "pip install 'capbench[coco]'"
SHOWN_ERRORS = 2000


@dataclass(frozen=True, slots=True)
class WhitespaceTokenizer:
    """A ``TokenizerSession``."""

    lower: bool
    bare: bool

    def tokenize(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """The words of each text, in order."""
        if self.bare:
            return [bare_words(text) for text in texts]
        return [tuple((text.lower() if self.lower else text).split()) for text in texts]


def bare_words(text: str) -> tuple[str, ...]:
    """What stands between blanks, composed (NFC), in lower case, without punctuation at both ends."""
    chunks = unicodedata.normalize("NFC", text.lower()).split()
    return tuple(word for chunk in chunks if (word := bare(chunk)))


@cache
def punctuation() -> str:
    """Every character of Unicode's classes of punctuation, and the marks that are typed in their place."""
    marks = "".join(char for char in map(chr, range(sys.maxunicode)) if unicodedata.category(char)[0] == "P")
    return marks + "`´|~^<>=+"


def bare(chunk: str) -> str:
    """A chunk without punctuation at both ends; inside, as in l'eau or x-ray, it stays."""
    return chunk if chunk.isalpha() else chunk.strip(punctuation())


@dataclass(frozen=True, slots=True)
class Whitespace:
    """``whitespace()``: what stands between blanks, punctuation and case untouched.

    Source: Maluuba/nlg-eval splits its lines like this. lower: lower-case first. bare: as caption metrics want
    words of any language with blanks: composed (NFC), lower case, no punctuation at both ends of a word, and no
    word that is punctuation alone.
    """

    name: ClassVar[str] = "whitespace"
    kind: ClassVar[str] = "tokenizer"

    lower: bool = False
    bare: bool = False

    def fingerprint(self) -> str:
        """The name, and what is done to the words."""
        if self.bare:
            return "whitespace/bare/1"
        return "whitespace/lower/1" if self.lower else "whitespace/1"

    def check(self) -> Problem | None:
        """Nothing is missing, ever."""
        return None

    @contextmanager
    def open(self, device: str) -> Iterator[WhitespaceTokenizer]:
        """A session; the device does not matter."""
        del device
        yield WhitespaceTokenizer(self.lower, self.bare)


@dataclass(frozen=True, slots=True)
class JavaTokenizer:
    """A ``TokenizerSession`` that starts the program once for each call."""

    java: str
    jar: Path
    folder: Path
    seconds: float

    def tokenize(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """The words of each text, in order.

        A line of our own stands behind each caption, so that words do not depend on the next caption. The
        reference's do: a last "No." is one word if the next caption begins with a digit, a last "U." is
        two if it begins with "A" or "The"; the line is the word "A".

        Raises:
            CapbenchError: the program failed, took too long, or gave another number of lines.
        """
        if not texts:
            return []
        source = self.folder / "captions.txt"
        source.write_text("".join(f"{one_line(text)}\n{NEXT}\n" for text in texts), encoding="utf-8", newline="")
        lines = self.run(source).split("\n")
        if len(lines) != 2 * len(texts) + 1 or lines[-1] or set(lines[1::2]) != {NEXT.lower()}:
            raise CapbenchError(
                f"the PTB tokenizer gave {(len(lines) - 1) / 2:g} lines for {len(texts)} captions",
                "use the tokenizer 'ptb', or find the caption that holds an unusual line break or tag",
            )
        return [words(line) for line in lines[:-1:2]]

    def run(self, source: Path) -> str:
        """What the program writes for a file of captions."""
        command = [self.java, "-Dfile.encoding=UTF-8", "-cp", str(self.jar), PROGRAM]
        command += ["-preserveLines", "-lowerCase", "-encoding", "utf-8", str(source)]
        try:
            done = subprocess.run(  # noqa: S603
                command, capture_output=True, timeout=self.seconds, check=False, cwd=self.folder
            )
        except subprocess.TimeoutExpired as error:
            raise CapbenchError(
                f"the PTB tokenizer did not finish within {self.seconds:g} s", "raise ptb_java(seconds=...)"
            ) from error
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip()[-SHOWN_ERRORS:]
            raise CapbenchError(f"the PTB tokenizer ended with code {done.returncode}: {said}")
        return done.stdout.decode("utf-8", "replace")


def words(line: str) -> tuple[str, ...]:
    """The words of a line that the program wrote, without the punctuation that the reference removes."""
    return tuple(word for token in line.rstrip().split(" ") if token not in PUNCTUATION for word in token.split())


@dataclass(frozen=True, slots=True)
class PtbJava:
    """``ptb_java()``: the reference program itself, from the pycocoevalcap package, started with Java.

    seconds: how long one call may take.
    """

    name: ClassVar[str] = "ptb_java"
    kind: ClassVar[str] = "tokenizer"

    seconds: float = 600.0

    def fingerprint(self) -> str:
        """The program and its version."""
        return "ptb/corenlp-3.4.1-java/1"

    def check(self) -> Problem | None:
        """Whether Java and the jar are there; nothing is imported for it."""
        if shutil.which("java") is None:
            return Problem("no program `java` on the PATH", f"install Java 8 or newer, and {CURE}")
        if find_jar() is None:
            return Problem(f"pycocoevalcap with its {JAR} is not installed", CURE)
        return None

    @contextmanager
    def open(self, device: str) -> Iterator[JavaTokenizer]:
        """A session with a folder of its own; the device does not matter.

        Raises:
            MissingPart: Java or the jar is missing.
        """
        del device
        java, jar = shutil.which("java"), find_jar()
        if java is None or jar is None:
            problem = self.check() or Problem("the PTB tokenizer is not there", CURE)
            raise MissingPart(problem.what, problem.cure)
        with tempfile.TemporaryDirectory(prefix="capbench-ptb-") as folder:
            yield JavaTokenizer(java, jar, Path(folder), self.seconds)


def find_jar() -> Path | None:
    """The tokenizer's jar inside the installed pycocoevalcap, without importing it."""
    for folder in package_folders("pycocoevalcap"):
        jar = folder / "tokenizer" / JAR
        if jar.is_file():
            return jar
    return None
