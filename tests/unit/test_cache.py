"""The cache gives back what was put in, or nothing."""

import contextlib
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from capbench.cache import cache_file, open_cache, value_key
from capbench.errors import BadData, CannotWrite


@pytest.fixture
def place(tmp_path):
    return tmp_path / "deep" / "values.sqlite"


def key(item):
    return value_key("kind", "backend", "params", item)


def test_what_was_put_comes_back(place):
    values = {key(str(i)): bytes([i % 256]) * (i % 7) for i in range(1200)}
    with open_cache(place) as cache:
        cache.put("vectors", "b", values)
        assert cache.get([*values, key("absent")]) == values
        assert cache.get([]) == {}
    with open_cache(place) as again:
        assert again.get(list(values)) == values
        (line,) = again.stats()
        assert (line.kind, line.backend, line.entries) == ("vectors", "b", 1200)
        assert line.bytes == sum(len(value) for value in values.values())


def test_every_part_of_a_key_counts_and_none_runs_into_the_next():
    parts = ["a", "b", "c", "d"]
    plain = value_key(*parts)
    assert len(plain) == 20
    for i in range(4):
        changed = [*parts[:i], parts[i] + "x", *parts[i + 1 :]]
        assert value_key(*changed) != plain
    assert value_key("v", "b", "prefix=x\x00t:foo", "t:bar") != value_key("v", "b", "prefix=x", "t:foo\x00t:bar")
    assert value_key("v", "b", "", "\udc80") != value_key("v", "b", "", "\udc81")


def test_a_damaged_value_is_not_given_and_can_be_put_again(place):
    with open_cache(place) as cache:
        cache.put("k", "b", {key("x"): b"right", key("y"): b"other"})
    with contextlib.closing(sqlite3.connect(place)) as raw, raw:
        raw.execute("update entries set data = ? where key = ?", (b"wrong", key("x")))
    with open_cache(place) as cache:
        assert cache.get([key("x"), key("y")]) == {key("y"): b"other"}
        assert list(cache.damaged()) == [key("x")]
        cache.put("k", "b", {key("x"): b"right"})
        assert cache.get([key("x")]) == {key("x"): b"right"}
        assert list(cache.damaged()) == []
        cache.drop([key("x")])
        assert cache.get([key("x")]) == {}


def test_prune_drops_what_is_older(place, monkeypatch):
    now = 1_000_000_000.0
    with open_cache(place) as cache:
        monkeypatch.setattr("capbench.cache.time.time", lambda: now - 10 * 86400)
        cache.put("k", "b", {key("old"): b"1"})
        monkeypatch.setattr("capbench.cache.time.time", lambda: now)
        cache.put("k", "b", {key("new"): b"2"})
        assert cache.prune(11) == 0
        assert cache.prune(9) == 1
        assert cache.get([key("old"), key("new")]) == {key("new"): b"2"}


WRITER = """
import sys
from pathlib import Path
from capbench.cache import open_cache, value_key
who = sys.argv[2]
for batch in range(20):
    with open_cache(Path(sys.argv[1])) as cache:
        cache.put("k", who, {value_key("k", who, "", f"{batch}/{i}"): f"{who}{batch}/{i}".encode() for i in range(20)})
        cache.put("k", "both", {value_key("k", "both", "", str(batch)): b"same"})
"""


def test_several_processes_write_at_once(place):
    command = [sys.executable, "-c", WRITER, str(place)]
    writers = [subprocess.Popen([*command, who]) for who in ("a", "b", "c")]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    with open_cache(place) as cache:
        assert [(line.backend, line.entries) for line in cache.stats()] == [
            ("a", 400),
            ("b", 400),
            ("both", 20),
            ("c", 400),
        ]
        assert list(cache.damaged()) == []


ENDLESS = """
import sys
from pathlib import Path
from capbench.cache import open_cache, value_key
with open_cache(Path(sys.argv[1])) as cache:
    for batch in range(10**6):
        cache.put("k", "b", {value_key("k", "b", "", f"{batch}/{i}"): bytes(1000) for i in range(10)})
        print(batch, flush=True)
"""


def test_a_killed_writer_loses_no_chunk_it_has_finished(place):
    writer = subprocess.Popen([sys.executable, "-c", ENDLESS, str(place)], stdout=subprocess.PIPE, text=True)
    with writer:
        done = [int(writer.stdout.readline()) for _ in range(5)]
        writer.send_signal(signal.SIGKILL)
    keys = [value_key("k", "b", "", f"{batch}/{i}") for batch in done for i in range(10)]
    with open_cache(place) as cache:
        assert cache.get(keys) == dict.fromkeys(keys, bytes(1000))
        (line,) = cache.stats()
        assert line.entries % 10 == 0  # whole chunks only


def test_what_is_no_cache_is_refused_with_a_cure(tmp_path):
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"not a database" * 1000)
    with pytest.raises(BadData, match="cannot be used") as caught, open_cache(garbage):
        pass
    assert "rm " in str(caught.value)
    for path in (garbage / "below" / "values.sqlite", tmp_path):
        with open_cache(path) as cache:
            assert cache.get([]) == {}  # whoever keeps nothing needs none
            for use in (lambda: cache.get([key("x")]), lambda: cache.put("k", "b", {key("x"): b""}), cache.require):
                with pytest.raises(BadData, match="cannot be made"):
                    use()


@pytest.mark.skipif(sys.platform != "linux", reason="limits of a process")
def test_a_cache_that_may_not_grow_is_not_to_be_removed(place):
    with open_cache(place) as cache:
        cache.put("k", "b", {key("x"): b"paid for"})
    limited = f"ulimit -f 8; exec {sys.executable} -c '{ENDLESS}' {place}"
    done = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, check=False)
    assert "CAPBENCH_CACHE" in done.stderr
    assert "rm " not in done.stderr
    with open_cache(place) as cache:
        assert cache.get([key("x")]) == {key("x"): b"paid for"}


def test_its_place_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / "own"))
    assert cache_file() == tmp_path / "own" / "values.sqlite"
    monkeypatch.setenv("CAPBENCH_CACHE", "~/kept")
    assert cache_file() == Path.home() / "kept" / "values.sqlite"
    monkeypatch.setenv("CAPBENCH_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_file() == tmp_path / "xdg" / "capbench" / "values.sqlite"


def test_a_full_disk_is_no_damage(tmp_path):
    file = tmp_path / "cache" / "values.sqlite"
    with open_cache(file) as cache:
        cache.put("k", "b", {b"first": b"kept"})

    def fill():
        with open_cache(file) as cache:
            cache._db.execute("pragma max_page_count = 4")  # as a disk without room answers
            cache.put("k", "b", {b"second": bytes(100_000)})

    with pytest.raises(CannotWrite, match="full") as caught:
        fill()
    assert "make room" in caught.value.cure
    with open_cache(file) as cache:
        assert cache.get([b"first", b"second"]) == {b"first": b"kept"}
