"""Running the command line in this process, and as a program."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from capbench.cli.main import main


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def data(self):
        return json.loads(self.out)


@pytest.fixture
def capbench(capsys):
    """capbench(*words) -> Outcome, in this process."""

    def call(*words) -> Outcome:
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(stop.value.code or 0, captured.out, captured.err)

    return call


@pytest.fixture
def program():
    """The same as a child process."""

    def call(*words) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", "capbench", *map(str, words)], capture_output=True, text=True, check=False
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def life():
    """life(words, wait) -> how a capbench ends that is killed, with all it has started, when wait() returns.

    Without ``wait`` it is left alone. Each is forked from one process whose imports are done.
    """
    server = []

    def live(words, wait=None) -> int:
        if not server:  # with the environment that the test has set
            command = [sys.executable, str(Path(__file__).with_name("forking.py"))]
            server.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        server[0].stdin.write(json.dumps(words) + "\n")
        server[0].stdin.flush()
        child = int(server[0].stdout.readline())
        if wait is not None:
            wait()
            with suppress(ProcessLookupError):  # it has ended before
                os.killpg(child, signal.SIGKILL)
        return int(server[0].stdout.readline())

    yield live
    for process in server:
        process.communicate()
