"""Any program as a captioner: one JSON object a line in, one a line out, matched by id.

A line in: ``{"id", "image", "context", "prompt", "max_tokens", "temperature", "beams", "seed", "sample", "regions",
"history", "length", "left"}``. ``sample`` is 0 to k - 1 where k captions of each image are wanted, and ``seed`` the
run's plus it. ``left`` counts the lines of the batch that are still to come, for programs that batch. A line out:
``{"id", "caption"}`` or ``{"id", "error"}``, in any order within a batch, flushed. What the program
writes to standard error is kept for messages only.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from capbench.captioners.program import Session
from capbench.errors import UsageError
from capbench.protocols import USES, Problem


@dataclass(frozen=True, slots=True)
class Command:
    """A program that describes pictures, started once and kept running.

    program: the command line, split as a shell would, run without one. The device asked for is in its
    environment as CAPBENCH_DEVICE. batch: how many requests are sent before answers are waited for.
    timeout: seconds without an answer after which it is stopped.
    restarts: how often it is started again after deaths and timeouts with no answer in between; then all
    that is left fails.
    """

    name: ClassVar[str] = "command"
    uses: ClassVar[frozenset[str]] = frozenset(USES)  # what the program does with it, it alone knows

    program: str
    batch: int = 8
    timeout: float = 600.0
    restarts: int = 2

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        if self.batch < 1 or self.timeout <= 0 or self.restarts < 0:
            raise UsageError(
                f"command: batch={self.batch}, timeout={self.timeout}, restarts={self.restarts}",
                "batch is 1 or more, timeout more than 0 seconds, restarts 0 or more",
            )

    def arguments(self) -> list[str]:
        """The command line as a list.

        Raises:
            UsageError: empty, or a quote that is not closed.
        """
        try:
            words = shlex.split(self.program)
        except ValueError as error:
            raise UsageError(f"cannot read the command line {self.program!r}: {error}", "close the quotes") from error
        if not words:
            raise UsageError("command: no program is given", "write command(program='python describe.py')")
        return words

    def fingerprint(self) -> str:
        """The command line, and the digest of each file in it; batch, timeout and restarts change nothing."""
        files = [path for word in self.arguments() for path in dict.fromkeys((word, word.partition("=")[2])) if path]
        digests = [f"{Path(path).name}@{file_digest(Path(path))}" for path in files if os.path.isfile(path)]  # noqa: PTH113 -- a script given with -c is too long a name for Path
        return f"command({','.join([self.program, *digests])})@1"

    def check(self) -> Problem | None:
        """Whether the program can be found."""
        try:
            first = self.arguments()[0]
        except UsageError as error:
            return Problem(error.message, error.cure)
        if shutil.which(first) is None:
            return Problem(
                f"there is no program {first!r}", "install it, or give its path; a script must be executable"
            )
        return None

    @contextmanager
    def open(self, device: str) -> Iterator[Session]:
        """Start the program; leaving closes its input, and stops it and all it started.

        Raises:
            MissingPart: it cannot be started.
        """
        session = Session(self.arguments(), device, self.batch, self.timeout, self.restarts)
        session.start()
        try:
            yield session
        finally:
            session.stop()


def file_digest(path: Path) -> str:
    """12 hex digits of a file's content, read in pieces: it may be a model's weights."""
    import hashlib

    with path.open("rb") as stream:
        state = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=6))
    return state.hexdigest()
