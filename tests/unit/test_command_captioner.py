"""Programs as captioners: real processes that answer, babble, die, hang and lie."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from pathlib import Path

import pytest

from capbench.captioners.command import Command
from capbench.errors import BadData, MissingPart, UsageError
from capbench.types import Failure, Generation, ImageRef, Request

LOOP = "import json, os, sys, time\nfor line in sys.stdin:\n    r = json.loads(line)\n"
SAY = "    print(json.dumps({'id': r['id'], 'caption': 'seen ' + r['id']}), flush=True)\n"


@pytest.fixture
def program(tmp_path):
    def program(body, **options):
        path = tmp_path / "describe.py"
        path.write_text(body, encoding="utf-8")
        return Command(f"{shlex.quote(sys.executable)} -u {shlex.quote(str(path))}", **{"timeout": 30.0, **options})

    return program


def requests(count):
    return [Request(f"i{n}", ImageRef(f"i{n}.jpg")) for n in range(count)]


def answers(command, asked, params=None):
    with command.open("cpu") as session:
        return session.caption(asked, params or Generation())


def test_every_request_gets_its_answer(program):
    assert answers(program(LOOP + SAY, batch=3), requests(10)) == [f"seen i{n}" for n in range(10)]


def test_the_process_is_kept_between_calls(program):
    body = LOOP + "    print(json.dumps({'id': r['id'], 'caption': str(os.getpid())}), flush=True)\n"
    with program(body).open("cpu") as session:
        seen = {text for _ in range(3) for text in session.caption(requests(5), Generation())}
    assert len(seen) == 1


def test_answers_may_come_in_any_order_within_a_batch(program):
    body = (
        "import json, sys\nheld = []\nfor line in sys.stdin:\n    held.append(json.loads(line))\n"
        "    if held[-1]['left'] == 0:\n        for r in reversed(held):\n"
        "            print(json.dumps({'id': r['id'], 'caption': 'seen ' + r['id']}), flush=True)\n        held = []\n"
    )
    assert answers(program(body, batch=4), requests(10)) == [f"seen i{n}" for n in range(10)]


def test_a_request_says_all_there_is_to_know(program):
    body = (
        LOOP
        + "    print(json.dumps({'id': r['id'], 'caption': json.dumps({**r, 'device': os.environ['CAPBENCH_DEVICE']})}), flush=True)\n"
    )
    box = (1.0, 2.0, 3.5, 4.0)
    asked = [
        Request("7", ImageRef("a b.jpg"), (ImageRef("c.jpg"),), 2, regions=(box,), history=("hm", "so"), length=9),
        Request("\ud800é\n", None, prompt="say é"),
    ]
    first, second = map(json.loads, answers(program(body), asked, Generation("say", 20, 0.5, 3, 11)))
    assert first == {
        "id": "7", "image": str(Path("a b.jpg").absolute()), "context": [str(Path("c.jpg").absolute())], "prompt": "say", "max_tokens": 20,
        "temperature": 0.5, "beams": 3, "seed": 11, "sample": 2, "left": 1, "device": "cpu",
        "regions": [[1.0, 2.0, 3.5, 4.0]], "history": ["hm", "so"], "length": 9,
    }  # fmt: skip
    assert (second["id"], second["image"], second["prompt"]) == ("\ud800é\n", None, "say é")


def test_ids_may_come_back_as_numbers(program):
    body = LOOP + "    print(json.dumps({'id': int(r['id']), 'caption': 'x\\u2028y\\r'}), flush=True)\n"
    assert answers(program(body), [Request("7", None)]) == ["x\u2028y\r"]


def test_the_same_id_twice_is_asked_apart(program):
    body = LOOP + "    print(json.dumps({'id': r['id'], 'caption': str(r['sample'])}), flush=True)\n"
    assert answers(program(body), [Request("a", None, sample=n) for n in range(3)]) == ["0", "1", "2"]


def test_errors_and_strange_answers_are_failures(program):
    body = LOOP + (
        "    n = int(r['id'][1:])\n"
        "    print(json.dumps([{'error': 'too dark'}, {'caption': None}, {}, {'caption': 'fine'}, {'caption': 'x', 'error': None}][n]"
        " | {'id': r['id']}), flush=True)\n"
    )
    found = answers(program(body), requests(5))
    assert found[0] == Failure("too dark")
    assert "null" in found[1].reason
    assert "neither" in found[2].reason
    assert found[3:] == ["fine", "x"]


def test_a_line_that_is_no_answer_is_quoted(program):
    body = (
        "print('loading the model', flush=True)\n"
        + LOOP
        + "    if r['id'] == 'i1':\n        print('oh {no', flush=True)\n        continue\n"
        + SAY
    )
    start = time.monotonic()
    found = answers(program(body), requests(4))
    assert time.monotonic() - start < 20
    assert [found[0], *found[2:]] == ["seen i0", "seen i2", "seen i3"]
    assert "oh {no" in found[1].reason


def test_an_answer_that_comes_after_all_is_dropped(program):
    body = (
        LOOP
        + "    if r['id'] == 'i1':\n        print('hm', flush=True)\n        continue\n"
        + "    if r['id'] == 'i2':\n        print(json.dumps({'id': 'i1', 'caption': 'late'}), flush=True)\n"
        + SAY
    )
    found = answers(program(body, batch=2), requests(4))
    assert "hm" in found[1].reason
    assert found[2:] == ["seen i2", "seen i3"]


@pytest.mark.parametrize("wrong", ["'i99'", "'i0'"])
def test_an_answer_to_nothing_is_a_fault(program, wrong):
    body = (
        LOOP
        + f"    if r['id'] == 'i1':\n        print(json.dumps({{'id': {wrong}, 'caption': 'x'}}), flush=True)\n"
        + SAY
    )
    with pytest.raises(BadData, match="not asked or answered already"):
        answers(program(body, batch=2), requests(4))


def test_a_picture_that_kills_takes_no_other_with_it(program):
    body = (
        LOOP
        + "    if r['id'] in ('i2', 'i5'):\n        print('cannot open', r['image'], file=sys.stderr, flush=True)\n        os._exit(3)\n"
        + SAY
    )
    found = answers(program(body, batch=4), requests(8))
    assert [n for n, text in enumerate(found) if isinstance(text, Failure)] == [2, 5]
    assert "exit code 3" in found[2].reason
    assert "cannot open" in found[2].reason


def test_a_program_that_always_dies_is_given_up(program, tmp_path):
    body = f"import sys\nopen({str(tmp_path / 'starts')!r}, 'a').write('x')\nprint('no such weights', file=sys.stderr)\nsys.exit(1)\n"
    found = answers(program(body, restarts=2, batch=2), requests(20))
    assert all("given up after 3 failures" in text.reason for text in found[2:])
    assert all("no such weights" in text.reason for text in found)
    assert (tmp_path / "starts").read_text() == "xxx"


def test_one_that_leaves_after_each_batch_is_started_again(program):
    body = LOOP + SAY + "    if r['left'] == 0:\n        break\n"
    assert answers(program(body, batch=2, restarts=1), requests(8)) == [f"seen i{n}" for n in range(8)]


def test_silence_has_an_end(program):
    body = LOOP + "    if r['id'] == 'i1':\n        time.sleep(60)\n" + SAY
    start = time.monotonic()
    found = answers(program(body, timeout=1.5), requests(3))
    assert time.monotonic() - start < 20
    assert [found[0], found[2]] == ["seen i0", "seen i2"]
    assert "no answer in 1.5 s" in found[1].reason


def test_full_pipes_block_nothing(program):
    body = (
        "import json, sys\nlines = []\nsys.stderr.write('e' * 1_000_000)\nfor line in sys.stdin:\n    r = json.loads(line)\n    lines.append(r)\n"
        "    if r['left'] == 0:\n        for r in lines:\n            sys.stderr.write('e' * 100_000)\n"
        "            print(json.dumps({'id': r['id'], 'caption': 'c' * 100_000}), flush=True)\n        lines = []\n"
    )
    asked = [Request(f"i{n}", None, tuple(ImageRef("x" * 1000) for _ in range(100))) for n in range(16)]
    found = answers(program(body, batch=16), asked)
    assert {len(text) for text in found} == {100_000}


def test_everything_it_started_is_stopped_with_it(program, tmp_path):
    body = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        + LOOP + SAY
    )  # fmt: skip
    assert answers(program(body), requests(1)) == ["seen i0"]
    pid = int((tmp_path / "pid").read_text())
    for _ in range(50):
        if not alive(pid):
            break
        time.sleep(0.1)
    assert not alive(pid)


def alive(pid):
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_what_is_missing(tmp_path):
    assert Command(shlex.quote(sys.executable)).check() is None
    assert "no program" in Command("no-such-program-at-all x").check().what
    assert Command("").check() is not None
    assert Command("python 'open").check() is not None
    with pytest.raises(MissingPart), Command("no-such-program-at-all").open("cpu"):
        pass
    for bad in ({"batch": 0}, {"timeout": 0}, {"restarts": -1}):
        with pytest.raises(UsageError):
            Command("x", **bad)


def test_no_shell_reads_the_command_line(tmp_path):
    target = tmp_path / "touched"
    found = answers(Command(f"{shlex.quote(sys.executable)} -c 'pass' ; touch {target}", restarts=0), requests(1))
    assert isinstance(found[0], Failure)
    assert not target.exists()


def test_the_fingerprint_is_of_the_command_and_its_files(program, tmp_path):
    first = program(LOOP)
    before = first.fingerprint()
    assert before == program(LOOP, batch=1, restarts=9).fingerprint()
    assert program(LOOP + SAY).fingerprint() != before
    weights = tmp_path / "w.bin"
    weights.write_bytes(b"1")
    command = Command(f"describe --weights={weights}")
    before = command.fingerprint()
    weights.write_bytes(b"2")
    assert command.fingerprint() != before
    assert Command("python -c '" + "x = 1;" * 2000 + "'").fingerprint().startswith("command(")
