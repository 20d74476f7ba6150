"""The spaCy parser in several processes: the same elements, whoever reads which text, and nobody left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from capbench.backends.spacy_parser import SpacyParser, workers
from capbench.errors import UsageError
from capbench.protocols import Elements

pytest.importorskip("spacy", reason="pip install 'capbench[elements]': these tests run its pipeline")

TEXTS = [
    f"{many} {size} {what} next to a {colour} wall in place {number}"
    for number in range(6)
    for many in ("two", "three", "some")
    for size in ("small", "old", "wet", "tall", "loud")
    for colour in ("red", "green", "grey", "black")
    for what in ("dogs", "men", "buses", "glasses", "children")
]


@pytest.fixture(scope="module")
def alone():
    with SpacyParser(workers=1).open("cpu") as session:
        return session.parse(TEXTS)


@pytest.fixture
def worth_it(monkeypatch):
    monkeypatch.setattr(workers, "WORTH", 1)
    monkeypatch.setattr(workers, "PIECE", 800)


@pytest.mark.usefixtures("worth_it")
@pytest.mark.parametrize("batch", [1, 50])
def test_more_processes_give_the_same_elements_in_the_same_order(alone, batch, monkeypatch):
    by_others = []
    plain = workers.asked
    monkeypatch.setattr(workers, "asked", lambda *given: by_others.append(len(given[2])) or plain(*given))
    with SpacyParser(workers=3, batch=batch).open("cpu") as session:
        until = time.monotonic() + 120
        while not by_others and time.monotonic() < until:
            assert session.parse(TEXTS) == alone
        assert session.parse([*TEXTS[::-1], "", *TEXTS[:3]]) == [*alone[::-1], Elements(), *alone[:3]]
    assert by_others, "no other process has parsed anything"


@pytest.mark.usefixtures("worth_it")
def test_what_a_process_dies_over_is_parsed_by_this_one(alone):
    with SpacyParser(workers=2).open("cpu") as session:
        session.parse(TEXTS[:20])
        (process,) = session.workers._processes
        process.kill()
        assert session.parse(TEXTS) == alone
        assert session.parse(TEXTS) == alone


def test_a_few_texts_start_no_process(alone):
    with SpacyParser(workers=4).open("cpu") as session:
        assert session.parse(TEXTS[:50]) == alone[:50]
        assert session.workers._processes == []


def test_processes_start_when_what_was_read_is_worth_them_and_then_take_part(alone, monkeypatch):
    monkeypatch.setattr(workers, "PIECE", 400)
    monkeypatch.setattr(workers, "WORTH", sum(map(len, TEXTS[:101])))
    with SpacyParser(workers=2).open("cpu") as session:
        session.parse(TEXTS[:100])
        assert session.workers._processes == []
        assert session.parse(TEXTS[100:200]) == alone[100:200]
        assert len(session.workers._processes) == 1


def test_pieces_hold_all_texts_in_order_by_their_length(monkeypatch):
    monkeypatch.setattr(workers, "PIECE", 10)
    assert workers.pieces_of(["12345", "1234567", "", "123456789012", "1"]) == [
        ["12345", "1234567"], ["", "123456789012"], ["1"],
    ]  # fmt: skip
    assert workers.pieces_of([]) == []


def test_the_cores_are_those_that_one_may_use(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    free = workers.cores()
    assert 1 <= free <= (os.cpu_count() or 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert workers.cores() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert workers.cores() == free


def test_neither_batch_nor_workers_are_in_the_signature_and_both_are_checked():
    assert SpacyParser(workers=5, batch=3).fingerprint() == SpacyParser().fingerprint()
    for wrong in ({"workers": -1}, {"batch": 0}):
        with pytest.raises(UsageError, match="workers"):
            SpacyParser(**wrong)


# a script without an "if __name__" of its own
SCRIPT = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where these tests run in the background
from capbench.backends.spacy_parser import SpacyParser, workers
workers.WORTH = workers.PIECE = 1
with SpacyParser(workers=2).open("cpu") as session:
    session.parse(["a dog on a mat", "a cat"])
    print(*(p.pid for p in session.workers._processes), flush=True)
    while True:
        session.parse([f"a dog and {n} cats on a red mat" for n in range(2_000)])
"""


def is_running(pid):
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="asks /proc which processes run")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_script_leaves_no_process_and_no_words_of_theirs(how):
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as script:
        pids = script.stdout.readline().split()
        assert len(pids) == 1
        time.sleep(0.5)
        script.send_signal(how)
        _, said = script.communicate(timeout=60)
    assert said.count("Traceback") == (1 if how == signal.SIGINT else 0)
    until = time.monotonic() + 60
    while is_running(pids[0]) and time.monotonic() < until:
        time.sleep(0.1)
    assert not is_running(pids[0])
