"""The workflow files of docs/regress.md, step by step, in a new environment with nothing but what they install."""

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

PAGE = Path(__file__).resolve().parents[2] / "docs" / "regress.md"
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STUBBED = ("actions/checkout@", "actions/setup-python@", "actions/upload-artifact@")


def blocks(language):
    return [
        (options.strip(), text)
        for kind, options, text in BLOCK.findall(PAGE.read_text(encoding="utf-8"))
        if kind == language
    ]


def github_steps():
    (workflow,) = [yaml.safe_load(text) for _, text in blocks("yaml") if "runs-on" in text]
    (job,) = workflow["jobs"].values()
    for step in job["steps"]:
        assert ("run" in step) != ("uses" in step)
        if "uses" in step:
            assert step["uses"].startswith(STUBBED)
        else:
            yield step["run"]


def gitlab_steps():
    (job,) = next(yaml.safe_load(text) for _, text in blocks("yaml") if "image:" in text).values()
    assert job["artifacts"]["reports"]["junit"] == "capbench.xml"
    return job["script"]


def step(command, folder, environment):
    """One step as GitHub runs it: bash -e -o pipefail."""
    words = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", command]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def repository(tmp_path_factory, clean_environment):
    """The page's captioner and its baseline, as somebody made and committed them."""
    folder = tmp_path_factory.mktemp("repository")
    for options, text in blocks("python"):
        if options == "file=my_model.py":
            (folder / "my_model.py").write_text(text)
    commands = [line for _, text in blocks("sh") for line in text.splitlines()]
    for command in ("pip install capbench", *commands):
        done = step(command, folder, clean_environment)
        assert done.returncode == 0, done.stderr
        assert "::" not in done.stdout
    assert sorted(p.name for p in (folder / "baselines").iterdir()) == [
        "run.json",
        "scores.parquet",
        "summary.json",
        "tags.parquet",
    ]
    return folder


@pytest.fixture
def checkout(repository, tmp_path, clean_environment):
    """A fresh checkout of it, and the environment of a runner."""
    shutil.copytree(repository, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("runs"))
    return tmp_path, {
        **clean_environment,
        "GITHUB_ACTIONS": "true",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("steps", [github_steps, gitlab_steps])
def test_every_step_runs_and_an_unchanged_captioner_passes(checkout, steps):
    folder, environment = checkout
    for command in steps():
        done = step(command, folder, environment)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        assert "::error" not in done.stdout
    assert (folder / "summary.md").read_text().count("| CIDEr ") == 1
    (suite,) = ET.parse(folder / "capbench.xml").getroot()  # noqa: S314 -- our own output
    assert suite.get("failures") == suite.get("errors") == "0"
    assert int(suite.get("tests")) >= 6


@pytest.mark.slow
def test_a_captioner_that_lost_a_word_fails_the_last_step(checkout):
    folder, environment = checkout
    model = folder / "my_model.py"
    model.write_text(model.read_text().replace('f"a {name} circle"', 'f"a {name}"'))
    *before, last = github_steps()
    for command in before:
        assert step(command, folder, environment).returncode == 0
    done = step(last, folder, environment)
    assert done.returncode == 1
    assert re.search(
        r"^::error title=capbench BLEU-1::BLEU-1 is worse by 0\.\d+ \(p [\d.e-]+\)$", done.stdout, re.MULTILINE
    )
    assert "worse than the baseline" in done.stderr
    (suite,) = ET.parse(folder / "capbench.xml").getroot()  # noqa: S314 -- our own output
    assert int(suite.get("failures")) >= 1
    assert "| worse " in (folder / "summary.md").read_text()
