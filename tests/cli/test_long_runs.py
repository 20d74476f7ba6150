"""Runs of many captions from servers that misbehave, on full disks, and in lives cut short at any moment."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import capbench
from capbench import pacing, store

ACTS = ("busy", "broken", "hang", "reset", "half", "cut", "garbage", "wrong", "drip")
# Python's own answer to Ctrl-C, whatever the tests were started with
PROGRAM = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from capbench.cli.main import main; main()"
)


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """album(count) -> a folder of so many small pictures, each unlike all others."""

    def make(count):
        folder = tmp_path_factory.mktemp(f"album-{count}")
        noise = np.random.default_rng(count).integers(0, 256, (count, 4, 4, 3), np.uint8)
        for number, pixels in enumerate(noise):
            Image.fromarray(pixels).save(folder / f"{number:04d}.png")
        return folder

    return make


def right(loopback, folder):
    """id -> the caption that only its picture gets."""
    return {path.name: loopback.caption_of(path.read_bytes()) for path in sorted(folder.iterdir())}


def words_of(server, folder, runs, **options):
    given = "".join(f", {name}={value!r}" for name, value in options.items())
    captioner = f"chat(model='tiny-eyes', url={server.url!r}{given})"
    return ["run", captioner, "-b", f"folder(images={str(folder)!r})", "--runs", str(runs)]


def kept_in(runs):
    """The lines of captions.jsonl that are whole."""
    files = list(Path(runs).rglob(store.CAPTIONS))
    return store.parse_captions(files[0].read_bytes().rpartition(b"\n")[0] + b"\n", files[0]) if files else ()


def waited(check, seconds=20.0):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
def test_five_hundred_pictures_through_all_that_can_go_wrong(loopback, album, tmp_path, monkeypatch):
    monkeypatch.setattr(pacing, "FIRST_PAUSE", 0.02)
    folder = album(500)
    captions = right(loopback, folder)
    number = {text: n for n, text in enumerate(captions.values())}
    poison = {text for text, n in number.items() if n % 100 == 50}

    def trouble(key):
        """What becomes of the first attempts at a picture: one in five meets a fault, some meet two."""
        n = number[key]
        return [ACTS[(n // 5 + k) % len(ACTS)] for k in range(1 + n % 2)] if n % 5 == 0 else []

    def script(key, attempt, body):
        if key in poison:
            return "broken"
        faults = trouble(key)
        return faults[attempt - 1] if attempt <= len(faults) else "ok"

    with loopback.Server(script) as server:
        spec = f"chat(model='tiny-eyes', url={server.url!r}, concurrency=16, timeout=0.5, attempts=4)"
        run = capbench.run(spec, f"folder(images={str(folder)!r})", runs=tmp_path)
    assert [c.id for c in run.captions] == list(captions)
    assert {c.id: c.text for c in run.captions if c.text} == {i: t for i, t in captions.items() if t not in poison}
    failed = [c for c in run.captions if c.status == "failed"]
    assert {captions[c.id] for c in failed} == poison
    assert all(c.reason == "HTTP 500: <html>Internal Server Error</html> (4 attempts)" for c in failed)
    # every request that was made is accounted for: nothing was asked twice that had been answered
    assert server.seen == Counter({t: 4 if t in poison else 1 + len(trouble(t)) for t in number})
    again = {c.id: c.noted["attempts"] for c in run.captions if "attempts" in c.noted}
    assert again == {i: 1 + len(trouble(t)) for i, t in captions.items() if trouble(t) and t not in poison}
    assert {act for t in number for act in trouble(t)} == set(ACTS)
    assert run.record.notes == [
        "5 of 500 captions failed",
        f"the captions took 49500 tokens in, 3465 out, {len(again)} needed more than one attempt",
    ]
    assert list(kept_in(tmp_path)) == sorted(run.captions, key=lambda c: c.id)


def test_a_server_that_dies_ends_the_run_and_the_next_start_goes_on(loopback, album, tmp_path, capbench):
    folder = album(60)
    captions = right(loopback, folder)
    options = {"concurrency": 4, "attempts": 2, "timeout": 0.5}
    with loopback.Server(lambda *_: "broken" if server.seen.total() > 30 else "ok") as server:
        first = capbench(*words_of(server, folder, tmp_path, **options))
        assert first.code == 1
        assert "answers none of 4 requests: HTTP 500" in first.err
        assert "it goes on from here" in first.err
        kept = kept_in(tmp_path)
        assert 20 <= len(kept) <= 40
    with loopback.Server() as server:
        assert capbench(*words_of(server, folder, tmp_path, **options)).code == 0
    made = kept_in(tmp_path)
    assert [c.id for c in made] == list(captions)
    assert {c.id: c.text for c in made if c.text} == {c.id: captions[c.id] for c in made if c.text}
    assert server.seen.total() == len(captions) - len(kept)


def test_a_wrong_key_ends_the_run_at_once_and_stands_nowhere(loopback, album, tmp_path, capbench, monkeypatch):
    key = "sk-the-secret-of-this-test"
    monkeypatch.setenv("MY_KEY", key)
    folder = album(40)
    refused = (401, {"error": {"message": f"Incorrect API key provided: {key}."}})
    with loopback.Server(lambda *_: refused if server.seen.total() > 20 else "ok") as server:
        words = words_of(server, folder, tmp_path, key_env="MY_KEY", concurrency=2)
        outcome = capbench(*words)
        assert outcome.code == 3
        assert "HTTP 401: Incorrect API key provided: [key]." in outcome.err
        assert "the key in MY_KEY is not accepted" in outcome.err
        assert len(kept_in(tmp_path)) == 20
        server.script = lambda *_: "ok"
        assert capbench(*words).code == 0
    assert [c.text for c in kept_in(tmp_path)] == list(right(loopback, folder).values())
    assert server.headers[-1]["Authorization"] == f"Bearer {key}"
    for path in [*tmp_path.rglob("*"), *Path(os.environ["CAPBENCH_CACHE"]).rglob("*")]:
        assert not path.is_file() or key.encode() not in path.read_bytes()


def test_several_captions_of_each_picture_have_seeds_of_their_own(loopback, album, tmp_path, capbench):
    folder = album(6)

    def script(key, attempt, body):
        return 200, loopback.completion(f"{key}, the {body['seed']}th time")

    with loopback.Server(script) as server:
        words = words_of(server, folder, tmp_path, concurrency=4)
        assert capbench(*words, "--samples", "3", "--seed", "5", "--temperature", "0.8").code == 0
    expected = {
        (name, k): f"{text}, the {5 + k}th time" for name, text in right(loopback, folder).items() for k in range(3)
    }
    assert {(c.id, c.sample): c.text for c in kept_in(tmp_path)} == expected
    assert {body["temperature"] for body in server.bodies} == {0.8}


def interruptible(words):
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_ctrl_c_lets_the_batch_end_and_the_next_start_goes_on(loopback, album, tmp_path, capbench):
    folder = album(60)
    captions = right(loopback, folder)
    with loopback.Server(lambda *_: "slow") as server:
        words = words_of(server, folder, tmp_path, concurrency=4)
        process = interruptible(words)
        waited(lambda: server.seen.total() >= 14)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 130
        assert b"stopping when the 4 captions under way are made" in err
        assert b"the same command goes on from there" in err
        kept = kept_in(tmp_path)
        assert len(kept) == server.seen.total()  # all that was asked for is there
        assert 14 <= len(kept) < 60
        assert capbench(*words).code == 0
    assert {c.id: c.text for c in kept_in(tmp_path)} == captions
    assert server.seen == Counter(dict.fromkeys(captions.values(), 1))


def test_the_second_ctrl_c_waits_for_nobody(loopback, album, tmp_path):
    folder = album(12)
    with loopback.Server(lambda key, *_: "hang" if server.seen.total() > 4 else "ok") as server:
        process = interruptible(words_of(server, folder, tmp_path, concurrency=4))
        waited(lambda: server.seen.total() >= 8)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert b"stopping" in next(line for line in process.stderr if line.strip())
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 130
        assert time.monotonic() - begun < 10
    assert len(kept_in(tmp_path)) == 4


def test_a_full_disk_is_said_and_leaves_whole_lines(loopback, album, tmp_path, capbench):
    folder = album(400)
    captions = right(loopback, folder)
    limit = 50_000  # bytes a file may have: less than 400 captions, more than what SQLite begins with
    with loopback.Server() as server:
        words = words_of(server, folder, tmp_path / "runs", concurrency=16)
        outcome = subprocess.run(
            [sys.executable, "-m", "capbench", *words],
            capture_output=True,
            env={**os.environ, "CAPBENCH_CACHE": str(tmp_path / "cache")},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
            check=False,
        )
        assert outcome.returncode == 1
        assert b"cannot write" in outcome.stderr
        assert b"captions.jsonl: File too large" in outcome.stderr
        assert b"make room" in outcome.stderr
        (file,) = (tmp_path / "runs").rglob(store.CAPTIONS)
        data = file.read_bytes()
        assert data.endswith(b"\n")
        kept = kept_in(tmp_path / "runs")
        assert 100 < len(kept) < 400
        assert len(kept) % 16 == 0
        assert capbench(*words).code == 0
    assert [(c.id, c.text) for c in kept_in(tmp_path / "runs")] == list(captions.items())
    assert server.seen.total() == 400 + 16  # the batch that could not be written was asked for again, and no other


@pytest.mark.slow
def test_two_hundred_kills_lose_double_and_misplace_nothing(loopback, album, tmp_path):
    """One run in 200 lives; whoever reads along sees each caption once, and with its own picture."""
    kills, batch = 200, 2
    folder = album(1200)
    captions = right(loopback, folder)
    draw = random.Random(200)
    progress = []
    with (
        loopback.Server() as server,
        subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forking.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as lives,
    ):  # fmt: skip
        words = json.dumps(words_of(server, folder, tmp_path, concurrency=batch)) + "\n"

        def live(seconds):
            lives.stdin.write(words)
            lives.stdin.flush()
            child = int(lives.stdout.readline())
            before = server.seen.total()
            if seconds is not None:
                waited(lambda: server.seen.total() > before or draw.random() < 0.02)
                time.sleep(seconds)
                os.kill(child, signal.SIGKILL)
            return int(lives.stdout.readline())

        for _ in range(kills):
            assert live(draw.uniform(0.0, 0.03)) == -signal.SIGKILL
            kept = kept_in(tmp_path)
            assert len({c.id for c in kept}) == len(kept)
            assert all(c.text == captions[c.id] for c in kept)
            progress.append(len(kept))
        assert live(None) == 0
        lives.stdin.close()
    assert [(c.id, c.text) for c in kept_in(tmp_path)] == list(captions.items())
    assert progress == sorted(progress)  # nothing that was there ever went away
    assert len(set(progress)) > kills / 4  # the kills hit a run at work, at very different places
    assert progress[-1] < len(captions)
    # what a life had not written when it was killed is asked again: at most a batch
    assert server.seen.total() <= len(captions) + kills * batch


@pytest.mark.parametrize("form", ["another form", "a refusal", "a caption", "cut in the middle"])
def test_a_key_that_a_server_writes_back_is_in_no_file_and_no_message(
    loopback, album, tmp_path, capbench, monkeypatch, form
):
    key = "sk-very-secret-0123456789"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    told = {
        "another form": (200, {"headers": {"Authorization": f"Bearer {key}"}}),
        "a refusal": (200, loopback.completion("", refusal=f"not with {key}")),
        "a caption": (200, loopback.completion(f"a picture of {key}")),
        "cut in the middle": (500, b"x" * 285 + b" " + key.encode()),
    }[form]
    with loopback.Server(lambda *_: told) as server:
        made = capbench("run", f"chat(model='tiny-eyes', url='{server.url}', attempts=1)", "-b",
                        f"folder(images='{album(3)}')", "--runs", str(tmp_path / "runs"), "-m", "style")  # fmt: skip
    files = [path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    assert any(b"[key]" in data for data in files)
    assert not any(key[:10].encode() in data for data in files)
    assert key[:10] not in made.out + made.err


def test_a_key_that_stands_for_none_takes_no_words_out_of_captions(loopback, album, tmp_path, capbench, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with loopback.Server(lambda *_: (200, loopback.completion("none of them"))) as server:
        capbench("run", f"chat(model='tiny-eyes', url='{server.url}')", "-b", f"folder(images='{album(2)}')",
                 "--runs", str(tmp_path / "runs"), "-m", "style")  # fmt: skip
    (captions,) = (tmp_path / "runs").rglob("captions.jsonl")
    assert captions.read_text().count('"none of them"') == 2
