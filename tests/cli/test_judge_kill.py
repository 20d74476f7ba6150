"""A run whose judge is killed in the middle has kept every reply that came."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from capbench.cache import REPLY, open_cache

ITEMS, CONCURRENCY = 60, 4


def command(folder, url):
    spec = f"judge(rubric='clair', model=\"judge_chat(model='tiny-eyes', url='{url}', concurrency={CONCURRENCY})\")"
    words = ["score", str(folder / "captions.json"), str(folder / "references.json"), "-m", spec, "--json"]
    return [sys.executable, "-m", "capbench", *words]


@pytest.mark.slow
def test_no_reply_that_came_is_asked_for_again(tmp_path, loopback, monkeypatch):
    monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "captions.json").write_text(json.dumps({str(i): f"caption {i}" for i in range(ITEMS)}))
    (tmp_path / "references.json").write_text(json.dumps({str(i): [f"reference {i}"] for i in range(ITEMS)}))

    def script(key, attempt, body):
        time.sleep(0.05)
        return 200, loopback.completion('{"score": 50}')

    def kept():
        with open_cache() as cache:
            return sum(line.entries for line in cache.stats() if line.kind == REPLY)

    environment = dict(os.environ)
    with loopback.Server(script) as server:
        running = subprocess.Popen(
            command(tmp_path, server.url), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while len(server.bodies) < ITEMS // 2:
            assert running.poll() is None
            time.sleep(0.005)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
        asked, found = len(server.bodies), kept()
        # of what was asked all is kept but what was under way, or had come and was being written
        assert asked - 2 * CONCURRENCY <= found < ITEMS
        done = subprocess.run(
            command(tmp_path, server.url), env=environment, capture_output=True, text=True, check=True
        )
        assert len(server.bodies) - asked == ITEMS - found
    assert kept() == ITEMS
    scores = {line["column"]: line for line in json.loads(done.stdout)["scores"]}
    assert (scores["clair"]["value"], scores["clair"]["n"]) == (0.5, ITEMS)
