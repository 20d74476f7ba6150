"""A run that is killed at a random moment and started again ends as one that was left alone."""

import json
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from capbench import store
from capbench.errors import CapbenchError

KILLS = 20
PROGRAM = """
import json, sys, time
for line in sys.stdin:
    request = json.loads(line)
    time.sleep(0.01)
    print(json.dumps({"id": request["id"], "caption": "a big red circle near " + request["id"]}), flush=True)
"""
TIMES = [rb'"seconds(_a_caption)?": [0-9.e-]+', rb'"(started|finished)": "[^"]*"']
METRICS = ("bleu", "cider", "clipscore", "self_retrieval(bags='scenes-7')")


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


def words_of(folder, program):
    captioner = f"command(program={f'{sys.executable} {program}'!r}, batch=3)"
    words = ["run", captioner, "-b", "scenes(n=42, seed=3)", "--runs", str(folder), "--backend", "clip=scenes"]
    return [*words, *(word for metric in METRICS for word in ("-m", metric))]


def contents(folder):
    """Every file of the folder with its times blanked."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            for pattern in TIMES:
                data = re.sub(pattern, b"TIME", data)
            files[path.relative_to(folder).as_posix()] = data
    return files


def state(folder):
    """Status of the run and how many captions are whole, right after the kill."""
    records = list(folder.rglob("run.json"))
    if not records:
        return "none", 0
    captions = records[0].with_name("captions.jsonl")
    count = captions.read_bytes().count(b"\n") if captions.exists() else 0
    return json.loads(records[0].read_text())["status"], count


@pytest.mark.slow
def test_killed_runs_end_like_an_undisturbed_one(tmp_path, program, life, monkeypatch):
    monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / "cache"))
    assert life(words_of(tmp_path / "first", program)) == 0  # from here on nothing is imported any more
    shutil.rmtree(tmp_path / "cache")
    begun = time.monotonic()
    assert life(words_of(tmp_path / "calm", program)) == 0
    length = time.monotonic() - begun
    calm = contents(tmp_path / "calm")
    assert {Path(name).name for name in calm} == {
        "captions.jsonl",
        "run.json",
        "scores.parquet",
        "summary.json",
        "tags.parquet",
    }
    draw = random.Random(20)
    states = []
    for number in range(KILLS):
        shutil.rmtree(tmp_path / "cache")
        folder = tmp_path / f"killed-{number}"
        life(words_of(folder, program), lambda: time.sleep(draw.uniform(0.1, 1.0) * length))
        states.append(state(folder))
        assert life(words_of(folder, program)) == 0
        assert contents(folder) == calm
    print(states)
    # the kills hit what they are meant to hit: runs that had begun and had not ended
    assert sum(status == "started" for status, _ in states) >= KILLS // 4
    assert len({captions for _, captions in states}) >= 3


def test_half_a_line_is_cut_off_and_the_run_goes_on(tmp_path, program):
    words = [sys.executable, "-m", "capbench", *words_of(tmp_path / "runs", program)]
    subprocess.run(words, check=True, capture_output=True)
    calm = contents(tmp_path / "runs")
    record = next((tmp_path / "runs").rglob("run.json"))
    captions = record.with_name("captions.jsonl")
    captions.write_bytes(captions.read_bytes()[:1000])
    record.write_text(record.read_text().replace('"status": "finished"', '"status": "started"', 1))
    subprocess.run(words, check=True, capture_output=True)
    assert contents(tmp_path / "runs") == calm


def test_two_writers_are_refused(tmp_path):
    with store.locked(tmp_path), pytest.raises(CapbenchError, match="another capbench"), store.locked(tmp_path):
        pass
