"""The running side of ``command``: a process, its three pipes, and what becomes of each request."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from capbench.errors import BadData, Fault, MissingPart
from capbench.images import ImageFault, as_file
from capbench.records import id_text
from capbench.types import Failure, Generation, ImageRef, Request

QUOTED = 200
LAST_WORDS = 4096
LAST_LINES = 5
WAITING_LINES = 10_000
PATIENCE = 5.0
TICK = 0.2


class Process:
    """One started program. Threads move the bytes, so that no full pipe can block anything."""

    def __init__(self, arguments: Sequence[str], device: str) -> None:
        environment = {**os.environ, "CAPBENCH_DEVICE": device}
        try:
            self.process = subprocess.Popen(  # noqa: S603 -- running the user's program is the purpose
                list(arguments),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise MissingPart(
                f"cannot start {arguments[0]!r}: {error.strerror or error}",
                "give a program that is installed, or the path of an executable file",
            ) from error
        self.lines: queue.Queue[bytes | None] = queue.Queue(WAITING_LINES)
        self.outbox: queue.Queue[bytes | None] = queue.Queue()
        self.last_words = b""
        self.answered = False
        self.stopped = threading.Event()
        self.threads = [
            threading.Thread(target=work, daemon=True) for work in (self.read_answers, self.read_errors, self.write)
        ]
        for thread in self.threads:
            thread.start()

    def pipe(self, name: str) -> IO[bytes]:
        """One of the three pipes."""
        stream: IO[bytes] = getattr(self.process, name)
        return stream

    def write(self) -> None:
        """Thread: requests into the program; None closes its input."""
        stream = self.pipe("stdin")
        try:
            while (data := self.outbox.get()) is not None:
                stream.write(data)
                stream.flush()
        except OSError:
            pass  # it died; whoever waits for its answers learns that from its output
        finally:
            with suppress(OSError):
                stream.close()

    def read_answers(self) -> None:
        """Thread: lines out of the program, then None. The queue is bounded, so a babbler has to wait."""
        for line in self.pipe("stdout"):
            if not self.offer(line):
                return
        self.offer(None)

    def offer(self, line: bytes | None) -> bool:
        """Put a line where it is waited for; False when nobody does any more."""
        while not self.stopped.is_set():
            try:
                self.lines.put(line, timeout=TICK)
            except queue.Full:
                continue
            return True
        return False

    def read_errors(self) -> None:
        """Thread: keep the end of what it says on standard error."""
        stream = self.pipe("stderr")
        while data := os.read(stream.fileno(), LAST_WORDS):
            self.last_words = (self.last_words + data)[-LAST_WORDS:]

    def said(self) -> str:
        """Its last lines on standard error, for a message."""
        self.threads[1].join(TICK if self.process.poll() is None else 1)
        lines = [line.strip() for line in re.split(r"[\r\n]+", self.last_words.decode("utf-8", "replace"))]
        kept = [line[:QUOTED] for line in lines if line][-LAST_LINES:]
        return "; its last words: " + " | ".join(kept) if kept else ""

    def stop(self, patience: float = PATIENCE) -> None:
        """Close its input and let it end; then end it, and whatever it started."""
        self.outbox.put(None)
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(min(patience, 1))
        self.signal(signal.SIGKILL)
        self.process.wait()
        self.stopped.set()
        for thread in self.threads:
            thread.join(1)
        # A pipe that a runaway grandchild keeps open still has its reader; closing it would wait for that.
        for thread, name in zip(self.threads, ("stdout", "stderr"), strict=False):
            if not thread.is_alive():
                self.pipe(name).close()

    def signal(self, number: signal.Signals) -> None:
        """To the whole process group, where there still is one."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)


@dataclass(slots=True)
class Exchange:
    """One batch under way: what is asked, what has come back, and lines that were no answers."""

    pending: dict[str, int]
    answers: dict[int, str | Failure]
    garbage: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    misplaced: int = 0

    @property
    def garbled(self) -> bool:
        """Whether every request without an answer has a line in its place that could not be read."""
        return 0 < len(self.pending) <= self.misplaced

    def quote(self) -> str:
        """What it wrote instead of answers, for a message."""
        if not self.garbage:
            return ""
        return "; on standard output, where only JSON answers belong: " + " | ".join(map(repr, self.garbage))


@dataclass(slots=True)
class Session:
    """Captions from a program that is kept running, and started again when it fails.

    What a failed program left unanswered is asked once more, one request at a time, so that a picture which
    kills the program takes no other with it.
    """

    arguments: Sequence[str]
    device: str
    batch: int
    timeout: float
    restarts: int
    process: Process | None = None
    fruitless: int = 0
    given_up: str = ""
    late: set[str] = field(default_factory=set)

    def start(self) -> Process:
        """The running program, started if need be.

        Raises:
            MissingPart: it cannot be started.
        """
        if self.process is not None and self.process.answered and self.process.process.poll() is not None:
            self.stop(patience=0)  # it did its work and left between two batches: that is no failure
        if self.process is None:
            self.process = Process(self.arguments, self.device)
        return self.process

    def stop(self, patience: float = PATIENCE) -> None:
        """End the program, if it runs."""
        if self.process is not None:
            self.process.stop(patience)
            self.process = None
            self.late.clear()

    def caption(self, requests: Sequence[Request], params: Generation) -> list[str | Failure]:
        """One text or Failure a request, in order.

        Raises:
            BadData: an answer to something that was not asked, or two different ones to one request.
        """
        answers: dict[int, str | Failure] = {}
        for group in batches(requests, self.batch):
            failed = self.attempt(requests, group, params, answers)
            for i in failed:
                if again := self.attempt(requests, [i], params, answers):
                    answers[i] = Failure(again[i])
        return [answers[i] for i in range(len(requests))]

    def attempt(
        self,
        requests: Sequence[Request],
        group: Sequence[int],
        params: Generation,
        answers: dict[int, str | Failure],
    ) -> dict[int, str]:
        """Ask for a group. Returns the requests that the program died or fell silent over, and why."""
        if self.given_up:
            return dict.fromkeys(group, self.given_up)
        program = self.start()
        had_answered = program.answered
        lines = [line(requests[i], params, len(group) - n - 1) for n, i in enumerate(group)]
        exchange = Exchange({requests[i].id: i for i in group}, answers)
        program.outbox.put(b"".join(lines))
        reason = self.collect(program, exchange)
        if not reason:
            return {}
        if had_answered and len(exchange.pending) == len(group) and program.process.poll() == 0:
            self.stop(patience=0)  # it had left of its own accord before it saw this batch
            return self.attempt(requests, group, params, answers)
        reason += program.said() + exchange.quote()
        self.stop(patience=0)
        self.fruitless += 1
        if self.fruitless > self.restarts:
            self.given_up = f"given up after {self.fruitless} failures in a row: {reason}"
        return dict.fromkeys(exchange.pending.values(), reason)

    def collect(self, program: Process, exchange: Exchange) -> str:
        """Read answers until each request has one. Returns why that cannot be, or ""."""
        deadline = time.monotonic() + self.timeout
        while exchange.pending:
            if exchange.garbled:
                reason = f"no answer could be read{exchange.quote()}"
                exchange.answers.update(dict.fromkeys(exchange.pending.values(), Failure(reason)))
                self.late |= exchange.pending.keys()
                return ""
            try:
                data = program.lines.get(timeout=max(deadline - time.monotonic(), 0))
            except queue.Empty:
                return f"no answer in {self.timeout:g} s"
            if data is None:
                return f"the program ended ({ending(program.process)}) without an answer"
            if self.take(data, program, exchange):
                program.answered = True
                self.fruitless = 0
                deadline = time.monotonic() + self.timeout
        return ""

    def take(self, data: bytes, program: Process, exchange: Exchange) -> bool:
        """Sort one line; True when it answers a request."""
        text = data.decode("utf-8", "replace").strip()
        try:
            value = json.loads(data)
            identity = id_text(value["id"])
        except (ValueError, KeyError, TypeError, RecursionError):
            if text:
                exchange.garbage.append(text[:QUOTED])
                # Before its first answer a program may greet; later such a line stands in an answer's place.
                exchange.misplaced += program.answered
            return False
        if identity in exchange.pending:
            exchange.answers[exchange.pending.pop(identity)] = answer(value)
            self.late.discard(identity)
            return True
        if identity in self.late:
            self.late.discard(identity)
            return False
        fault = Fault(f"id {identity!r}", f"answered, but not asked or answered already: {text[:QUOTED]!r}")
        raise BadData("the program's answers do not fit the requests", [fault], "answer each line once, with its id")


def batches(requests: Sequence[Request], size: int) -> list[list[int]]:
    """Indices of requests in groups of at most ``size``, none of which has an id twice."""
    groups: list[list[int]] = []
    ids: set[str] = set()
    for i, request in enumerate(requests):
        if not groups or len(groups[-1]) == size or request.id in ids:
            groups.append([])
            ids = set()
        groups[-1].append(i)
        ids.add(request.id)
    return groups


def line(request: Request, params: Generation, left: int) -> bytes:
    """A request as one line of ASCII JSON; pictures by absolute path, null where there is none."""
    asked: dict[str, Any] = {
        "id": request.id,
        "image": None if request.image is None else absolute(request.image),
        "context": [absolute(ref) for ref in request.context],
        "prompt": request.prompt or params.prompt,
        "max_tokens": params.max_tokens,
        "temperature": params.temperature,
        "beams": params.beams,
        "seed": params.seed,
        "sample": request.sample,
        "regions": [list(box) for box in request.regions],
        "history": list(request.history),
        "length": request.length,
        "left": left,
    }
    return json.dumps(asked).encode("ascii") + b"\n"


def absolute(ref: ImageRef) -> str:
    """The absolute path of a picture; where it cannot be unpacked, its place, for the program to say so."""
    try:
        return str(as_file(ref).absolute())
    except ImageFault:
        return str(Path(ref.path).absolute())


def answer(value: dict[str, Any]) -> str | Failure:
    """The caption of an answer, or its error, or what is wrong with it."""
    error = value.get("error")
    if error:
        return Failure(str(error))
    text = value.get("caption")
    if isinstance(text, str):
        return text
    if "caption" not in value:
        return Failure(f"the answer has neither caption nor error: {json.dumps(value)[:QUOTED]}")
    return Failure(f"the caption is {json.dumps(text)[:QUOTED]}, not text")


def ending(process: subprocess.Popen[bytes]) -> str:
    """How a process that closed its output ended."""
    try:
        code = process.wait(1)
    except subprocess.TimeoutExpired:
        return "its output is closed"
    return f"signal {-code}" if code < 0 else f"exit code {code}"
