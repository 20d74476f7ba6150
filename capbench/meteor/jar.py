"""The reference program, ``meteor-1.5.jar``: one Java process a run, asked line by line over its standard input.

    SCORE ||| reference ||| ... ||| candidate   ->  23 statistics of the best reference
    EVAL ||| statistics ||| ...                 ->  a score for each, then the score of the sums

Source: pycocoevalcap 1.2, ``meteor/meteor.py``, whose options are used, with the language and encoding set.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from capbench.errors import BadData, CapbenchError, MissingPart
from capbench.meteor.resources import CURE, JAR, find_files
from capbench.protocols import Problem

SECONDS = 3600.0
SHOWN_ERRORS = 2000
BAR = " ||| "
BARS = "|||"
N_STATISTICS = 23
OPTIONS = ("-Xmx2G", "-Duser.language=en", "-Dfile.encoding=UTF-8")


@dataclass(frozen=True, slots=True)
class Answer:
    """Statistics and score of each segment, and the score of all together."""

    rows: list[tuple[float, ...]]
    scores: list[float]
    corpus: float


def check() -> Problem | None:
    """Whether Java and the jar are there."""
    if find_files() is None:
        return Problem(f"pycocoevalcap with its {JAR} is not installed", CURE)
    if shutil.which("java") is None:
        return Problem("no program `java` on the PATH", "install Java 8 or newer, or use meteor(engine='native')")
    return None


def clean(text: str) -> str:
    """A text that cannot be taken for two of the protocol's fields.

    The reference's wrapper removes the bars from candidates only; in a reference they would make it two.
    """
    return text.replace(BARS, "").replace("  ", " ")


def request(candidate: str, references: Sequence[str]) -> str:
    """The line that asks for one segment.

    Raises:
        BadData: a text holds a line break, or the item has no reference.
    """
    fields = [*references, candidate]
    if len(fields) < 2:
        raise BadData(f"METEOR: no reference for {candidate!r}")
    for text in fields:
        if "\n" in text or "\r" in text:
            raise BadData(f"METEOR: line break in {text!r}", cure="tokenize texts, or join their lines")
    return BAR.join(("SCORE", *map(clean, fields)))


def run(items: Sequence[tuple[str, Sequence[str]]], seconds: float = SECONDS) -> Answer:
    """Score candidates, each with its references; words stand between blanks.

    Raises:
        MissingPart: Java or the jar is missing.
        BadData: a text holds a line break, or an item has no reference.
        CapbenchError: the program failed, took too long, or gave an answer that is not one.
    """
    if not items:
        return Answer([], [], 0.0)
    files, java = find_files(), shutil.which("java")
    if files is None or java is None:
        problem = check() or Problem("METEOR's program is not there", CURE)
        raise MissingPart(problem.what, problem.cure)
    lines = [request(candidate, references) for candidate, references in items]
    with tempfile.TemporaryFile() as errors:
        return ask([java, *OPTIONS, "-jar", str(files.jar)], files.jar.parent, lines, errors, seconds)


def ask(command: Sequence[str], folder: Path, lines: Sequence[str], errors: IO[bytes], seconds: float) -> Answer:
    """Start the program, ask all lines, then for the scores."""
    command = [*command, "-", "-", "-stdio", "-l", "en", "-norm"]
    late = threading.Event()
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, cwd=folder
    ) as process:

        def stop() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            found = exchange(process, lines, len(lines))
            rows = [statistics(line) for line in found]
            ends = exchange(process, [BAR.join(("EVAL", *found))], len(lines) + 1)
            scores = [float(line) for line in ends]
        except (ValueError, OSError) as error:
            process.kill()
            process.wait()
            if late.is_set():
                message = f"METEOR's program did not finish within {seconds:g} s"
                raise CapbenchError(message, "score fewer images at a time, or use engine='native'") from error
            errors.seek(0)
            said = errors.read().decode("utf-8", "replace").strip()[-SHOWN_ERRORS:]
            raise CapbenchError(f"METEOR's program failed: {error}; it wrote: {said or 'nothing'}") from error
        except BaseException:
            process.kill()
            raise
        finally:
            timer.cancel()
        return Answer(rows, scores[:-1], scores[-1])


def exchange(process: subprocess.Popen[bytes], lines: Iterable[str], n: int) -> list[str]:
    """Write lines in the background, since both pipes are short, and read n lines."""
    source, target = process.stdout, process.stdin
    if source is None or target is None:
        raise ValueError("the program has no pipes")
    failed: list[OSError] = []

    def write() -> None:
        try:
            for line in lines:
                target.write(line.encode("utf-8", "replace") + b"\n")
            target.flush()
        except OSError as error:
            failed.append(error)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    found = [source.readline().decode("utf-8", "replace").strip() for _ in range(n)]
    writer.join()
    if failed:
        raise failed[0]
    return found


def statistics(line: str) -> tuple[float, ...]:
    """The numbers of an answer; anything else is an error with the answer in it."""
    try:
        row = tuple(map(float, line.split()))
    except ValueError:
        row = ()
    if len(row) != N_STATISTICS:
        raise ValueError(f"the answer {line[:200]!r} is not {N_STATISTICS} numbers")
    return row
