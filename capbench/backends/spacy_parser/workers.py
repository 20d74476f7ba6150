"""Texts parsed in several processes, this one among them; what a process cannot do, this one does.

The processes are started as programs of their own and not through ``multiprocessing``: a script needs no
``if __name__ == "__main__"``, a notebook no file, and Ctrl-C reaches this process alone, which ends them.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, cast

from capbench.protocols import Elements

MOST = 8  # processes that are started unasked
PIECE = 6_000  # characters that are handed over together: some 120 captions, or ten descriptions
WORTH = (
    40_000  # characters, half a second of work: a process takes one to start, but captions come before their references
)
START = (
    "import sys, os; sys.path[:] = sys.argv[1].split(os.pathsep); "
    "from capbench.backends.spacy_parser.worker import main; main(*sys.argv[2:])"
)


def cores() -> int:
    """The cores that this process may use; OMP_NUM_THREADS, which schedulers and Ray set, lowers it."""
    free = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(free, int(asked)) if asked.isdigit() and int(asked) else free


@dataclass(slots=True)
class Call:
    """What one call wants: its texts in pieces, those that nobody has taken, and what is done."""

    pieces: Sequence[Sequence[str]]
    waiting: deque[int]
    done: dict[int, Sequence[Any]] = field(default_factory=dict)


class Workers:
    """Processes that are started when first needed and kept until ``close``."""

    def __init__(self, count: int, words: Sequence[str]) -> None:
        """count: processes beside this one. words: the arguments of ``worker.main``."""
        self._count, self._words = count, words
        self._processes: list[subprocess.Popen[str]] = []
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        self._call: Call | None = None
        self._closed = False
        self._seen = 0

    def parse(self, texts: Sequence[str], own: Callable[[Sequence[str]], Sequence[Any]]) -> list[Any]:
        """What ``own`` gives for the texts, in their order; they are those that a worker has no failure for.

        The processes take part in what has several pieces, once WORTH was reached with all that came before.
        """
        self._seen += sum(map(len, texts))
        pieces = pieces_of(texts)
        if self._seen < WORTH or len(pieces) < 2:
            return list(own(texts))
        call = Call(pieces, deque(range(len(pieces))))
        self._start()
        with self._changed:
            self._call = call
            self._changed.notify_all()
        try:
            while (number := self._next(call)) is not None:
                made = own(call.pieces[number])
                with self._changed:
                    call.done[number] = made
        finally:
            with self._changed:
                self._call = None
        return [one for number in range(len(pieces)) for one in call.done[number]]

    def close(self) -> None:
        """End the processes, whatever they are at."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for process in self._processes:
            process.kill()
        for thread in self._threads:
            thread.join()
        for process in self._processes:
            with contextlib.suppress(BrokenPipeError):
                process.communicate()

    def _next(self, call: Call) -> int | None:
        """A piece for this process; None when all are done."""
        with self._changed:
            self._changed.wait_for(lambda: call.waiting or len(call.done) == len(call.pieces))
            return call.waiting.popleft() if call.waiting else None

    def _start(self) -> None:
        """Start the processes, once."""
        if self._processes:
            return
        command = [sys.executable, "-c", START, os.pathsep.join(filter(None, sys.path)), *self._words]
        for _ in range(self._count):
            process = subprocess.Popen(  # noqa: S603 -- this Python, and this module's own words
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
                start_new_session=True,
            )
            self._processes.append(process)
            thread = threading.Thread(target=self._serve, args=(process,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, process: subprocess.Popen[str]) -> None:
        """Hand pieces to a process as long as it lives; the piece that it dies over goes back."""
        send, receive = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
        alive = receive.readline() == "\n"
        while alive:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or (self._call is not None and self._call.waiting))
                call = self._call
                if self._closed or call is None:
                    break
                number = call.waiting.popleft()
            made = asked(send, receive, call.pieces[number])
            alive = made is not None
            with self._changed:
                if made is None:
                    call.waiting.appendleft(number)
                else:
                    call.done[number] = made
                self._changed.notify_all()


def pieces_of(texts: Sequence[str]) -> list[list[str]]:
    """Texts in their order, parted where PIECE characters are reached."""
    pieces: list[list[str]] = []
    left = 0
    for text in texts:
        if left <= 0:
            pieces.append([])
            left = PIECE
        pieces[-1].append(text)
        left -= len(text)
    return pieces


def asked(send: IO[str], receive: IO[str], texts: Sequence[str]) -> list[Elements] | None:
    """A process' reply; None if it gave none, or one for other than these texts."""
    try:
        send.write(json.dumps(texts) + "\n")
        send.flush()
        reply = json.loads(receive.readline())
    except (OSError, ValueError):
        return None
    if len(reply) != len(texts):
        return None
    return [Elements(tuple(o), tuple(map(tuple, a)), tuple(map(tuple, r))) for o, a, r in reply]
