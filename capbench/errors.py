"""Every error a user can meet, with its exit code and its cure.

    CapbenchError        6   the work could not be done: a model, a program or a server failed
    +-- CheckFailed      1   the answer is no: a failed check, a stale table
    +-- UsageError       2   a wrong spec, name or option
    +-- MissingPart      3   something needed is not installed or not bound
    +-- BadData          4   faults in files, all of them together
    |   +-- NotComparable    numbers whose signatures differ
    +-- TooManyUnscored  5   finished, but too many items have no score
    +-- CannotWrite      6   the disk is full or gone
    +-- Midway           that of the error that ended the work

Only ``capbench.cli`` prints them and exits. A fault of capbench itself exits with 6 too, so that 1 is always an answer;
an interrupt with 130.
"""

from __future__ import annotations

import errno
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHOWN_FAULTS = 20
NO_PLACE = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in some input.

    where: the file with line, row or JSON path, or the id. what: what is wrong. cure: what to do.
    """

    where: str
    what: str
    cure: str = ""

    def __str__(self) -> str:
        """One line: where, what and the cure."""
        return f"{self.where}: {self.what}" + (f" ({self.cure})" if self.cure else "")


class CapbenchError(Exception):
    """The root. ``cure`` says what to type or change."""

    exit_code = 6

    def __init__(self, message: str, cure: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure

    def __str__(self) -> str:
        """The message, and the cure on a line of its own."""
        return f"{self.message}\n  -> {self.cure}" if self.cure else self.message


class CheckFailed(CapbenchError):
    """A check ran and its answer is no."""

    exit_code = 1


class UsageError(CapbenchError):
    """The words of the call are wrong: an unknown name, a bad parameter."""

    exit_code = 2


def check_choice(part: str, field: str, value: str, known: Collection[str]) -> None:
    """Refuse a value of a part's field that is none of those it takes.

    Raises:
        UsageError: with those that it takes.
    """
    if value not in known:
        raise UsageError(f"{part}: {field} is one of {', '.join(known)}, not {value!r}")


class MissingPart(CapbenchError):
    """A package, a model, a program or a binding is missing. ``problems``: each by itself, where they were gathered."""

    exit_code = 3

    def __init__(self, message: str, cure: str = "", problems: Sequence[Any] = ()) -> None:
        super().__init__(message, cure)
        self.problems = tuple(problems)


def cannot_start(problems: Sequence[Any]) -> MissingPart:
    """All that is missing as one error; each has ``what`` and ``cure``."""
    lines = [f"  {p.what}\n     -> {p.cure}" for p in problems]
    return MissingPart("cannot start:\n" + "\n".join(lines), problems=problems)


class CannotWrite(CapbenchError):
    """The disk is full or gone, or nobody may write there; what was written before is whole."""


def cannot_write(path: Path, error: Exception) -> CannotWrite:
    """The error of a write that failed."""
    cure = "make room, then run the same command again: it goes on from what is kept"
    if isinstance(error, OSError) and error.errno in NO_PLACE:
        cure = "name a place that can be written"
    return CannotWrite(f"cannot write {path}: {getattr(error, 'strerror', '') or error}", cure)


class BadData(CapbenchError):
    """Input that cannot be used; holds every fault that was found, not only the first."""

    exit_code = 4

    def __init__(self, message: str, faults: Sequence[Fault] = (), cure: str = "") -> None:
        self.faults = tuple(faults)
        lines = [message, *(f"  {fault}" for fault in self.faults[:SHOWN_FAULTS])]
        if len(self.faults) > SHOWN_FAULTS:
            lines.append(f"  ... and {len(self.faults) - SHOWN_FAULTS} more of {len(self.faults)} in all")
        super().__init__("\n".join(lines), cure)


class NotComparable(BadData):
    """Two numbers that must not stand side by side."""


class TooManyUnscored(CapbenchError):
    """The run is complete, but more items than allowed have no score."""

    exit_code = 5


class Midway(CapbenchError):
    """Work on a batch that had to end: why, and what was ``done`` of it, by index in the batch."""

    def __init__(self, error: CapbenchError, done: Mapping[Any, Any]) -> None:
        super().__init__(error.message, error.cure)
        self.exit_code = error.exit_code
        self.error, self.done = error, dict(done)
