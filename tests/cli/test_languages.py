"""--lang as somebody with two files meets it."""

import json

import pytest


@pytest.fixture
def files(tmp_path):
    (tmp_path / "p.json").write_text(json.dumps({"1": "Ein Hund läuft.", "2": "Zwei Katzen"}))
    (tmp_path / "r.json").write_text(json.dumps({"1": ["ein Hund, läuft"], "2": ["zwei Katzen schlafen"]}))
    return tmp_path / "p.json", tmp_path / "r.json"


def test_score_and_run_take_a_language(capbench, files, tmp_path):
    done = capbench("score", *files, "--lang", "de-AT", "--json")
    assert done.code == 0
    assert {s["signature"].split("|lang:")[1][:3] for s in done.data["scores"]} == {"de|"}
    # by hand: 5 of 5 words match; they are one fewer than the 6 of the references
    assert done.data["scores"][0]["value"] == pytest.approx(2.718281828459045 ** (1 - 6 / 5))
    benchmark = f"folder(captions={str(files[1])!r})"
    done = capbench("run", files[0], "-b", benchmark, "--lang", "de", "-m", "bleu", "--runs", tmp_path / "runs")
    assert done.code == 0
    assert "tokenizer:whitespace/bare/1|lang:de|" in done.out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--lang", "german"], 2, "did you mean de (German)"),
        (["--lang", "de", "-m", "spice"], 2, "spice has no German (de)"),
        (["-m", "cider(lang='jp')"], 2, "ja (Japanese)"),
        (["-m", "chrf(lang='de')"], 2, "chrf has no parameter 'lang'"),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(capbench, files, words, code, says):
    done = capbench("score", *files, *words)
    assert done.code == code
    assert says in done.err
    assert not done.out


def test_without_its_library_bertscore_is_in_the_plan(capbench, files, monkeypatch):
    from capbench import bert

    monkeypatch.setattr(bert.importlib.util, "find_spec", lambda _: None)
    done = capbench("run", files[0], "-b", f"folder(captions={str(files[1])!r})", "-m", "bertscore", "--dry-run")
    assert done.code == 3
    assert "pip install 'capbench[bert]'" in done.err
