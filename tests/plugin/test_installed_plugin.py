"""A real package of somebody else's is built, installed, found, run and listed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent / "demo_plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The environment of a child process in which the package is installed beside capbench."""
    place = tmp_path_factory.mktemp("site")
    words = ["install", "-q", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(place), str(PACKAGE)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, capture_output=True)
    environment = {k: v for k, v in os.environ.items() if k != "CAPBENCH_PLUGINS"}
    return {**environment, "PYTHONPATH": str(place)}


def capbench(environment, *words):
    command = [sys.executable, "-m", "capbench", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_it_is_listed_with_its_distribution(installed):
    found = json.loads(capbench(installed, "list", "--json").stdout)
    about = {line["name"]: line["about"] for line in found["metrics"]}
    assert about["word_count"].startswith("of capbench-demo-plugin 1.2.3")
    assert "echo_id" in {line["name"] for line in found["captioners"]}


def test_a_broken_one_is_one_line_and_hurts_nobody(installed, tmp_path):
    done = capbench(installed, "list", "metrics", "--json")
    broken = {line["name"]: line.get("broken") for line in json.loads(done.stdout)["metrics"]}
    assert "a_package_that_nobody_has" in broken.pop("broken_metric")
    assert set(broken.values()) == {None}
    used = capbench(installed, "run", "echo_id", "-b", "scenes(n=7)", "-m", "broken_metric", "--runs", tmp_path)
    assert used.returncode == 2
    assert "a_package_that_nobody_has" in used.stderr
    assert "Traceback" not in used.stderr


def test_it_runs_and_its_signature_says_whose_it_is(installed, tmp_path):
    words = ("run", "echo_id", "-b", "scenes(n=7)", "-m", "word_count", "-m", "cider", "--runs", tmp_path, "--json")
    done = capbench(installed, *words)
    assert done.returncode == 0, done.stderr
    scores = {s["column"]: s for s in json.loads(done.stdout)["scores"]}
    assert scores["words"]["value"] == 2.0
    assert "|by:capbench-demo-plugin@1.2.3|" in scores["words"]["signature"]
    assert "by:" not in scores["cider"]["signature"]
    record = json.loads(next(tmp_path.rglob("run.json")).read_text())
    assert record["identity"]["captioner"] == "echo_id/1+by:capbench-demo-plugin@1.2.3"


def test_doctor_puts_it_through_the_checks(installed):
    done = capbench(installed, "doctor", "word_count")
    assert done.returncode == 0, done.stderr
    assert "ok  permuting items permutes rows" in done.stdout


def test_it_can_be_left_out(installed):
    quiet = {**installed, "CAPBENCH_PLUGINS": "off"}
    assert "word_count" not in capbench(quiet, "list").stdout
    assert capbench(quiet, "doctor", "word_count").returncode == 2
