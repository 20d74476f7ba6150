"""Waiting for a model: Ctrl-C leaves the batch under way time to end, and silence of minutes is said."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

GRACE = 20.0  # seconds that the batch under way has after Ctrl-C
SILENCE = 300.0  # seconds without a caption after which it is said, and said again after twice as long


class Patience:
    """While it is entered, the first Ctrl-C is a request and the second one an interrupt, as it always is.

    A request that is not heeded in ``GRACE`` seconds becomes an interrupt by itself: whoever sends one signal, as
    schedulers do, waits no longer. Outside the main thread, where Python takes no signals, Ctrl-C stays what it is.
    """

    def __init__(self, name: str) -> None:
        self.name, self.asked, self.under_way = name, False, 0
        self._before: Any = None
        self._deadline: threading.Timer | None = None

    def __enter__(self) -> Self:
        """Take Ctrl-C over, unless somebody else has: then it is theirs."""
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        """Give Ctrl-C back."""
        if self._deadline is not None:
            self._deadline.cancel()
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        """The first Ctrl-C; the next one finds Python's own handler."""
        del number, frame
        self.asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # a signal of the system, as only that wakes a main thread which waits for another one
        self._deadline = threading.Timer(GRACE, os.kill, (os.getpid(), signal.SIGINT))
        self._deadline.daemon = True
        self._deadline.start()
        say(
            f"stopping when the {self.under_way} captions under way are made, or in {GRACE:g} s; "
            "Ctrl-C again does not wait for them"
        )

    def stop_if_asked(self) -> None:
        """End the run where it may end.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        if self.asked:
            raise KeyboardInterrupt

    @contextmanager
    def over(self, count: int) -> Iterator[None]:
        """A batch of so many captions is made in this block."""
        self.under_way = count
        done = threading.Event()
        watch = threading.Thread(target=self._watch, args=(done,), daemon=True)
        watch.start()
        try:
            yield
        finally:
            done.set()
            watch.join()

    def _watch(self, done: threading.Event) -> None:
        """Say that nothing comes, in ever longer intervals."""
        wait, waited = SILENCE, 0.0
        while not done.wait(wait):
            waited += wait
            say(f"{self.name} has been at {self.under_way} captions for {waited:.0f} s; what was made before is kept")
            wait = waited


def say(text: str) -> None:
    """A line on stderr, below any progress bar."""
    sys.stderr.write(f"\n{text}\n")
    sys.stderr.flush()
