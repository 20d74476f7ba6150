"""The committed table of a scripted judge: current, without captions, and repeated from its recorded replies alone."""

import csv
import gzip
import json
import shutil

import pytest

import capbench
from capbench import leaderboard
from capbench.errors import MissingPart

SYSTEMS = [
    (model, prompt)
    for prompt in ("short", "long")
    for model in ("instructblip", "llava", "minigpt-4", "mmgpt", "mplug")
]
DATA = "pope_mllm_captions.jsonl.gz"


@pytest.fixture
def board(root):
    return root / "leaderboards" / "pope-scripted-judge"


def test_it_is_current_and_says_that_the_judge_is_scripted(board):
    leaderboard.check_board(board)
    page = (board / "README.md").read_text(encoding="utf-8")
    assert "THE JUDGE IS SCRIPTED" in page
    assert "judge|model:scripted_judge()@" in page
    assert len(list((board / "entries").iterdir())) == len(SYSTEMS)


def test_its_replies_hold_no_caption(board, shared):
    text = gzip.decompress((board / "replies.jsonl.gz").read_bytes()).decode()
    replies = [json.loads(line) for line in text.splitlines()[1:]]
    assert {tuple(json.loads(line["reply"]["text"])) for line in replies} == {("score",)}
    rows = [json.loads(line) for line in gzip.open(shared / "detailed" / DATA, "rt", encoding="utf-8")]
    captions = {
        caption for row in rows for prompt in ("short_prompt", "long_prompt") for caption in row[prompt].values()
    }
    assert not any(caption in text for caption in captions if len(caption) > 10)


def test_a_system_of_it_is_repeated_from_the_replies_alone(board, root, shared, tmp_path, monkeypatch):
    monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / "cache"))
    for path in (root / "tests" / "conformance" / "pope_judge.toml", shared / "detailed" / DATA):
        shutil.copy(path, tmp_path)
    with (board / "table.csv").open(newline="", encoding="utf-8") as file:
        values = {(row["captioner"], row["column"]): float(row["value"]) for row in csv.DictReader(file)}
    monkeypatch.chdir(tmp_path)
    for model, prompt in (("llava", "long"), ("mplug", "short")):
        spec = f"file(path={DATA!r}, field='{prompt}_prompt.{model}')"
        run = capbench.run(spec, "pope_judge.toml", replay=str(board / "replies.jsonl.gz"), runs=None)
        assert run.value("clair") == pytest.approx(values[f"{model}, {prompt} prompt", "clair"], abs=1e-6)
        assert run.summaries[0].n == 652
    with pytest.raises(MissingPart, match="has no reply for 652 of 652 questions: item 1590"):
        capbench.run("constant(text='a photo')", "pope_judge.toml", replay=str(board / "replies.jsonl.gz"), runs=None)
