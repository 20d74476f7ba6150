"""Running the command line in this process, and as a program."""

import json
import subprocess
import sys
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
