"""Where output goes: pipes that nobody reads, full disks, devices, links."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

CAPTIONS = {str(i): f"a {word} dog" for i, word in enumerate(("red", "wet", "big"))}


@pytest.fixture
def words(tmp_path):
    """A call of score, without the place of its items."""
    for name, value in (("p.json", CAPTIONS), ("r.json", {key: [text, "a cat"] for key, text in CAPTIONS.items()})):
        (tmp_path / name).write_text(json.dumps(value))
    return ["score", str(tmp_path / "p.json"), str(tmp_path / "r.json"), "-m", "rouge_l", "--per-item"]


def program(words, stdout):
    return subprocess.run(
        [sys.executable, "-m", "capbench", *words], stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
    )


def ids(text):
    return [json.loads(line)["id"] for line in text.splitlines() if line.startswith("{")]


def test_output_that_nobody_reads_is_neither_yes_nor_no():
    reader, writer = os.pipe()
    os.close(reader)
    done = program(["list"], writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_under_stdout_is_said_and_is_nobodys_fault():
    with Path("/dev/full").open("w") as full:
        done = program(["list"], full)
    assert (done.returncode, done.stderr) == (6, "capbench: cannot write the output: No space left on device\n")


def test_a_pipe_is_written_into_and_stays(words, tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    assert program([*words, str(pipe)], subprocess.DEVNULL).returncode == 0
    assert pipe.is_fifo()
    reader.join()
    assert ids(read[0]) == list(CAPTIONS)


def test_a_link_stays_a_link(words, tmp_path, capbench):
    (tmp_path / "link").symlink_to("items.jsonl")
    assert capbench(*words, tmp_path / "link").code == 0
    assert (tmp_path / "link").is_symlink()
    assert ids((tmp_path / "items.jsonl").read_text()) == list(CAPTIONS)


def test_items_and_table_share_a_file_that_stdout_goes_to(words, tmp_path):
    with (tmp_path / "all.txt").open("w") as out:
        assert program([*words, "/dev/stdout"], out).returncode == 0
    text = (tmp_path / "all.txt").read_text()
    assert ids(text) == list(CAPTIONS)
    assert "| ROUGE-L |" in text


@pytest.mark.parametrize(
    ("place", "code", "says"),
    [
        ("folder", 2, "is a folder"),
        ("p.json/items", 2, "cannot make the folder"),
        ("x" * 253, 6, "name a place that can be written"),
    ],
)
def test_a_place_that_cannot_be_written_is_said(words, tmp_path, capbench, place, code, says):
    (tmp_path / "folder").mkdir()
    done = capbench(*words, tmp_path / place)
    assert (done.code, says in done.err) == (code, True), done.err


def test_a_folder_of_pictures_that_is_not_there(words, tmp_path, capbench):
    options = ("--images", tmp_path / "none", "-m", "clipscore", "--backend", "clip=mini")
    done = capbench(*words, tmp_path / "items", *options)
    assert (done.code, "say where the pictures are: --images DIR" in done.err) == (4, True), done.err


def test_items_as_csv_are_those_of_the_json_lines(words, tmp_path, capbench):
    for name in ("new/items.csv", "new/items.jsonl"):
        assert capbench(*words, tmp_path / name).code == 0
    lines = [json.loads(line) for line in (tmp_path / "new/items.jsonl").read_text().splitlines()]
    table = (tmp_path / "new/items.csv").read_text().splitlines()
    assert table == [",".join(lines[0]), *(",".join(map(str, line.values())) for line in lines)]


def test_a_home_that_cannot_be_written_stops_only_what_keeps_vectors(words, tmp_path, monkeypatch, capbench):
    home = tmp_path / "home"
    home.write_text("a file, where not even root can make a folder")
    for name in ("CAPBENCH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    assert capbench(*words, tmp_path / "items").code == 0
    assert f"missing cache: the folder {home}" in capbench("doctor").out
    for metric in ("meteor", "cider(idf='coco-val')"):
        done = capbench(*words, tmp_path / "items", "-m", metric)
        assert (done.code, "set CAPBENCH_CACHE" in done.err) == (3, True), done.err
    (tmp_path / "photos").mkdir()
    options = ("--images", tmp_path / "photos", "--backend", "clip=mini", "-m", "clipscore")
    for i in CAPTIONS:
        (tmp_path / f"photos/{i}.png").write_bytes(b"")
    done = capbench(*words, tmp_path / "items", *options)
    assert (done.code, "set CAPBENCH_CACHE to a folder that can be written" in done.err) == (4, True), done.err
