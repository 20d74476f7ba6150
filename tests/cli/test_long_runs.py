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
    data = files[0].read_bytes() if files else b""
    return store.parse_captions(data[: data.rfind(b"\n") + 1], files[0]) if files else ()


def waited(check, seconds=20.0, between=0.02):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end
        time.sleep(between)


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
        spec = f"chat(model='tiny-eyes', url={server.url!r}, concurrency=16, timeout=2, attempts=4)"
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
        assert first.code == 6
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
        assert outcome.returncode == 6
        assert b"cannot write" in outcome.stderr
        assert b"captions.jsonl: File too large" in outcome.stderr
        assert b"make room" in outcome.stderr
        (file,) = (tmp_path / "runs").rglob(store.CAPTIONS)
        data = file.read_bytes()
        assert data.endswith(b"\n")
        kept = kept_in(tmp_path / "runs")
        assert 100 < len(kept) < 400
        assert capbench(*words).code == 0
    assert [(c.id, c.text) for c in kept_in(tmp_path / "runs")] == list(captions.items())
    # what was under way when nothing could be written was asked for again, and no other
    assert 400 < server.seen.total() <= 400 + 16


def unlike_times(runs):
    """The captions of a run without what they took, which is different each time."""
    return [(c.id, c.sample, c.text, c.reason) for c in kept_in(runs)]


@pytest.fixture
def broken_for_some(loopback, album):
    """(server that fails every seventh picture until it is mended, pictures, their captions, ids that fail)."""
    folder = album(42)
    captions = right(loopback, folder)
    ids = [id_ for n, id_ in enumerate(captions) if n % 7 == 3]
    bad = {captions[id_] for id_ in ids}
    with loopback.Server(lambda key, *_: "broken" if key in bad else "ok") as server:
        server.calm = lambda: setattr(server, "script", lambda *_: "ok")
        yield server, folder, captions, ids


def test_captions_that_failed_are_asked_for_again_and_no_others(broken_for_some, tmp_path, capbench):
    server, folder, captions, failing = broken_for_some
    words = [*words_of(server, folder, tmp_path, concurrency=4, attempts=1), "--max-missing", "1"]
    first = capbench(*words)
    assert first.code == 0
    assert "6 of 42 captions failed" in first.err
    assert "--retry-failed with the same command asks again for the 6 that failed" in first.err
    assert [c.id for c in kept_in(tmp_path) if c.status == "failed"] == failing
    (record,) = tmp_path.rglob(store.RUN)
    identity = json.loads(record.read_text())["identity"]

    before = {path.name: path.read_bytes() for path in record.parent.iterdir()}
    server.seen.clear()
    again = capbench(*words)  # by default they are captions like any other
    assert ("0 captions" in again.err, server.seen.total()) == (True, 0)
    failed = capbench(*words, "--retry-failed")  # still broken: what fails as it did changes nothing
    assert "0 captions" in failed.err
    assert server.seen == Counter({captions[id_]: 1 for id_ in failing})
    assert {path.name: path.read_bytes() for path in record.parent.iterdir()} == before

    server.seen.clear()
    server.calm()
    mended = capbench(*words, "--retry-failed")
    assert (mended.code, "6 captions" in mended.err, "captions failed" in mended.err) == (0, True, False)
    assert server.seen == Counter({captions[id_]: 1 for id_ in failing})
    assert [(c.id, c.text) for c in kept_in(tmp_path)] == list(captions.items())
    assert record.parent.joinpath(store.CAPTIONS).read_bytes().count(b"\n") == len(captions)
    now = json.loads(record.read_text())
    assert (now["status"], now["identity"]) == ("finished", identity)
    assert not [note for note in now["notes"] if "failed" in note]
    assert "0 captions" in capbench(*words, "--retry-failed").err


def test_a_retry_that_is_killed_loses_and_doubles_nothing(broken_for_some, tmp_path, capbench):
    server, folder, captions, failing = broken_for_some
    words = [*words_of(server, folder, tmp_path, concurrency=1, attempts=1), "--max-missing", "1"]
    assert capbench(*words).code == 0
    server.seen.clear()
    server.script = lambda *_: "hang" if server.seen.total() > 3 else "ok"
    process = interruptible([*words, "--retry-failed"])
    waited(lambda: server.seen.total() == 4)
    process.kill()
    process.communicate()
    (record,) = tmp_path.rglob(store.RUN)
    assert json.loads(record.read_text())["status"] == "started"  # its scores were of other captions
    kept = {c.id: c.text for c in kept_in(tmp_path)}
    assert set(kept) == set(captions)  # what had failed is still there until it is made
    assert [id_ for id_, text in kept.items() if text is None] == failing[3:]

    server.calm()
    server.seen.clear()
    scored = capbench(*words)  # without the option it goes on with what there is
    assert "3 of 42 captions failed" in scored.err
    assert server.seen.total() == 0
    assert capbench(*words, "--retry-failed").code == 0
    assert server.seen == Counter({captions[id_]: 1 for id_ in failing[3:]})
    calm = tmp_path / "calm"
    assert capbench(*words_of(server, folder, calm, concurrency=1, attempts=1)).code == 0
    (other,) = calm.rglob(store.RUN)
    assert unlike_times(record.parent) == unlike_times(other.parent)


def test_a_retry_asks_for_all_where_the_server_rejects_many_for_good(loopback, album, tmp_path, capbench):
    folder = album(30)
    captions = right(loopback, folder)
    rejected = set(list(captions.values())[:20])
    late = captions["0025.png"]

    def script(key, *_):
        return (400, {"error": {"message": "too small"}}) if key in rejected else "broken" if key == late else "ok"

    with loopback.Server(script) as server:
        words = [*words_of(server, folder, tmp_path, concurrency=4, attempts=1), "--max-missing", "1"]
        server.script = lambda key, *_: "ok" if server.seen.total() < 3 else script(key)  # at first it does answer
        assert capbench(*words).code == 0
        failed = sum(c.text is None for c in kept_in(tmp_path))
        server.script = lambda key, *_: script(key) if key != late else "ok"
        server.seen.clear()
        mended = capbench(*words, "--retry-failed")
    assert (mended.code, f"{failed - 1} of 30 captions failed" in mended.err) == (0, True)
    assert server.seen.total() == failed
    assert {c.id: c.text for c in kept_in(tmp_path)}["0025.png"] == late


def test_numbers_of_replaced_captions_are_made_again_or_said_to_be_gone(tmp_path, capbench):
    program = tmp_path / "program.py"
    program.write_text(
        "import json, pathlib, sys\n"
        "for line in sys.stdin:\n"
        "    asked = json.loads(line)\n"
        "    bad = asked['id'].endswith('1') and not pathlib.Path(sys.argv[1], 'paper').exists()\n"
        "    said = {'error': 'out of paper'} if bad else {'caption': 'a big red circle near ' + asked['id']}\n"
        "    print(json.dumps({'id': asked['id'], **said}), flush=True)\n"
    )
    captioner = f"command(program={f'{sys.executable} {program} {tmp_path}'!r}, batch=4)"

    def words(runs, *metrics):
        named = [word for metric in metrics for word in ("-m", metric)]
        return ["run", captioner, "-b", "scenes(n=20, seed=3)", "--runs", str(runs), *named, "--max-missing", "1"]

    first = capbench(*words(tmp_path / "a", "bleu", "cider", "rouge_l"))
    failed = [c for c in kept_in(tmp_path / "a") if c.text is None]
    assert failed
    assert f"asks again for the {len(failed)} that failed" in first.err
    (tmp_path / "paper").touch()
    mended = capbench(*words(tmp_path / "a", "bleu", "cider"), "--retry-failed", "--json")
    assert 'are gone; to have them again: -m "rouge_l"' in mended.err
    fresh = capbench(*words(tmp_path / "b", "bleu", "cider"), "--json")
    assert mended.data["scores"] == fresh.data["scores"]
    (a,), (b,) = ((list((tmp_path / kind).rglob(store.SCORES))) for kind in "ab")
    assert a.read_bytes() == b.read_bytes()
    assert [m.spec for m in store.read_record(a.parent).metrics] == ["bleu", "cider"]
    assert unlike_times(tmp_path / "a") == unlike_times(tmp_path / "b")


def test_a_retry_of_all_is_refused(tmp_path, capbench):
    both = capbench("run", "speaker", "-b", "scenes(n=7)", "--runs", str(tmp_path), "--retry-failed", "--fresh")
    assert (both.code, "leave --retry-failed out" in both.err) == (2, True)
    assert not list(tmp_path.iterdir())


def test_a_combination_asks_again_for_what_failed_inside_it(broken_for_some, tmp_path, capbench):
    server, folder, captions, failing = broken_for_some
    _, chat, *words = words_of(server, folder, tmp_path, concurrency=4, attempts=1)
    words = ["run", f"rerank(captioners=[{chat!r}])", *words, "--backend", "clip=mini", "--max-missing", "1"]
    first = capbench(*words)
    assert "--retry-failed with the same command asks again for the 6 that failed" in first.err
    server.seen.clear()
    server.calm()
    mended = capbench(*words, "--retry-failed")
    assert (mended.code, "6 captions" in mended.err, "captions failed" in mended.err) == (0, True, False)
    assert server.seen == Counter({captions[id_]: 1 for id_ in failing})
    (record,) = tmp_path.rglob(store.RUN)
    assert {c.id: c.text for c in store.recover_captions(record.parent)} == captions


def test_a_sweep_asks_again_in_every_run_and_once(broken_for_some, tmp_path, capbench):
    server, folder, captions, failing = broken_for_some
    _, *words = words_of(server, folder, tmp_path, concurrency=4, attempts=1)
    words = ["sweep", *words, "-m", "clip_cosine", "-m", "clipscore", "--backend", "clip=mini"]
    words += ["--vary", "temperature=0.0,0.5", "--max-missing", "1"]
    first = capbench(*words, "-m", "vocabulary")
    assert first.code == 0, first.err
    assert "--retry-failed with the same command asks again for the 12 that failed" in first.err
    server.seen.clear()
    failed = capbench(*words, "-m", "vocabulary", "--retry-failed")
    assert failed.err.count("0 captions and 0 metrics were computed") == 2
    assert server.seen == Counter({captions[id_]: 2 for id_ in failing})  # once a point
    server.seen.clear()
    server.calm()
    mended = capbench(*words, "--retry-failed")
    assert mended.err.count("6 captions and") == 2
    assert 'are gone; to have them again: -m "vocabulary"\n' in mended.err
    assert server.seen == Counter({captions[id_]: 2 for id_ in failing})
    for record in tmp_path.rglob(store.RUN):
        assert {c.id: c.text for c in store.recover_captions(record.parent)} == captions


@pytest.mark.slow
def test_two_hundred_kills_lose_double_and_misplace_nothing(loopback, album, tmp_path, life):
    """One run in 200 lives; whoever reads along sees each caption once, and with its own picture."""
    kills, batch = 200, 2
    folder = album(700)
    captions = right(loopback, folder)
    draw = random.Random(200)
    progress = []
    most = 0  # requests that are answered, so that no life gets to the end however late the kill comes

    def unhurried(*_):  # one life makes a few captions, so that so many suffice for all
        time.sleep(0.01)
        return "ok" if server.seen.total() <= most else "hang"

    def wait():
        if draw.random() < 0.3:
            time.sleep(draw.uniform(0.0, 0.15))  # most likely it still reads what there is
        else:
            before = server.seen.total()
            waited(lambda: server.seen.total() > before, between=0.002)
            time.sleep(draw.uniform(0.0, 0.04))

    with loopback.Server(unhurried) as server:
        words = words_of(server, folder, tmp_path, concurrency=batch)
        for _ in range(kills):
            most = server.seen.total() + 20
            assert life(words, wait) == -signal.SIGKILL
            kept = kept_in(tmp_path)
            assert len({c.id for c in kept}) == len(kept)
            assert all(c.text == captions[c.id] for c in kept)
            progress.append(len(kept))
        most = float("inf")
        assert life(words) == 0
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
