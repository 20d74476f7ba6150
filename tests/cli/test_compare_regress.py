"""capbench compare and capbench regress as a user types them, with good and bad input."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from statsmodels.stats.multitest import multipletests

from capbench.cli.main import main

ENTRIES = "leaderboards/coco-karpathy-test/entries"


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """The runs of ``runs``, made once."""
    folder = tmp_path_factory.mktemp("three")
    for spec, more in (("speaker", ()), ("speaker(flaw='miscount')", ()), ("speaker(flaw='invent')", ("-n", "60"))):
        words = ["run", spec, "-b", "scenes(n=120)", "-m", "cider", "-m", "bleu", "--runs", str(folder), *more]
        with pytest.raises(SystemExit) as done:
            main(words)
        assert not done.value.code
    return folder


@pytest.fixture
def runs(three, tmp_path, monkeypatch):
    """Three runs in ./runs: the last one on fewer pictures."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(three, tmp_path / "runs")
    return tmp_path


def test_compare_prints_a_table_with_captions(capbench, runs):
    done = capbench("compare", "speaker-miscount", "speaker-", "-c", "cider", "--moved", 1)
    assert done.code == 2
    assert "'speaker-' may be any of 3 runs" in done.err
    first = next(
        p.name for p in (runs / "runs").rglob("speaker-*") if "miscount" not in p.name and "invent" not in p.name
    )
    done = capbench("compare", first, "speaker-miscount", "-c", "cider", "--moved", 1, "--resamples", 500)
    assert done.code == 0, done.err
    assert done.out.startswith("**speaker and speaker-miscount** on scenes version 1, 120 images")
    assert "| CIDEr   |" in done.out
    assert " better " in done.out
    assert "caption of speaker-miscount" in done.out
    assert "500 resamples, seed 0" in done.out


@pytest.mark.parametrize("form", ["md", "json", "latex", "html"])
def test_every_format(capbench, root, form):
    done = capbench(
        "compare", "--runs", root / ENTRIES, "Mun", "Liu", "-c", "cider", "--format", form, "--resamples", 300
    )
    assert done.code == 0, done.err
    assert done.err == ""
    starts = {"md": "**Mun-et-al-2017 and", "json": "{", "latex": "% \\usepackage{booktabs}", "html": "<!doctype html>"}
    assert done.out.startswith(starts[form])
    if form == "json":
        assert done.data == capbench(
            "compare", "--runs", root / ENTRIES, "Mun", "Liu", "-c", "cider", "--json", "--resamples", 300
        ).data  # fmt: skip


@pytest.fixture(scope="module")
def committed(root):
    """The committed six systems compared in all columns, once: 15 pairs in each of 7."""
    entries = sorted((root / ENTRIES).iterdir())
    words = [sys.executable, "-m", "capbench", "compare", *map(str, entries), "--json"]
    return json.loads(subprocess.run(words, check=True, capture_output=True).stdout)["lines"]


def pair_of(line):
    return frozenset(line[side].partition("-")[0] for side in ("first", "second"))


@pytest.mark.parametrize("column", ["CIDEr", "BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "METEOR"])
def test_the_committed_entries_say_what_the_page_says(capbench, root, committed, column):
    page = (root / "docs" / "statistics.md").read_text()
    section = page.partition("## Six systems")[2].partition("\n## ")[0]
    (line,) = re.findall(rf"^\| {column} \| (.*) \|$", section, re.MULTILINE)
    stated = {
        frozenset((a, b)): (float(difference), float(p))
        for a, b, difference, p in re.findall(r"(\w+) and (\w+) \(([\d.]+), ([\d.]+)\)", line)
    }
    lines = [line for line in committed if line["label"] == column]
    assert len(lines) == 15
    adjusted = multipletests([line["p"] for line in lines], method="holm")[1]  # over the column, as with -c
    found = {pair_of(x): (x, p) for x, p in zip(lines, adjusted, strict=True) if p >= 0.05}
    assert found.keys() == stated.keys()
    for pair, (difference, p) in stated.items():
        assert round(abs(found[pair][0]["difference"]), 4) == difference
        assert found[pair][1] == pytest.approx(p, rel=0.03)
    if column in ("CIDEr", "ROUGE-L"):  # the others are resampled for a long time
        entries = sorted((root / ENTRIES).iterdir())
        alone = capbench("compare", *entries, "-c", column, "--json").data["lines"]
        assert [(pair_of(x), x["p"]) for x in alone] == [(pair_of(x), x["p"]) for x in lines]
        assert [x["adjusted_p"] for x in alone] == pytest.approx(adjusted)
        assert {pair_of(x) for x in alone if x["verdict"] == "not told apart"} == stated.keys()


def test_five_more_pairs_are_not_told_apart_where_all_columns_are_one_table(committed):
    shy = [line for line in committed if line["verdict"] == "not told apart"]
    more = {
        ("CIDEr", "Shetty", "Dai"), ("BLEU-2", "Shetty", "Dai"), ("ROUGE-L", "Mun", "Liu"), ("METEOR", "Mun", "Liu"),
        ("ROUGE-L", "Vinyals", "Dai"),
    }  # fmt: skip
    found = {(line["label"], pair_of(line)): line["adjusted_p"] for line in shy}
    wanted = {(column, frozenset(pair)) for column, *pair in more}
    assert wanted <= found.keys()
    assert len(found) == 8 + 5
    assert (min(found[key] for key in wanted), max(found[key] for key in wanted)) == pytest.approx(
        (0.057, 0.099), abs=5e-4
    )


def test_runs_of_other_images_are_refused_with_4(capbench, runs):
    done = capbench("compare", "speaker-miscount", "speaker-invent")
    assert done.code == 4
    assert "data: " in done.err
    assert "(120 and 60 images)" in done.err
    assert done.out == ""
    done = capbench("regress", next((runs / "runs").rglob("speaker-miscount*")), "speaker-invent")
    assert done.code == 4
    assert "not comparable" in done.out
    assert "not comparable with the baseline" in done.err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["compare", "latest"], 2, "one run alone"),
        (["compare", "latest", "nothing"], 2, "no run is called 'nothing'"),
        (["compare", "latest", "latest", "-c", "cidre"], 2, "no column is called 'cidre'"),
        (["compare", "latest", "latest", "--resamples", "1"], 2, "--resamples"),
        (["regress", "nowhere", "latest"], 2, "no run is called 'nowhere'"),
        (["regress", "nowhere", "latest"], 2, "write the first baseline: --update-baseline"),
        (["regress", "nowhere", "latest", "--junit", "."], 2, "is a folder"),
        (["regress", __file__ + "/base", "latest", "--update-baseline"], 2, "cannot make the folder"),
        (["regress", ".", "nothing"], 2, "no run is called 'nothing'"),
        (["regress", "latest", "latest", "--allow", "cider"], 2, "cannot read --allow cider"),
        (["regress", "latest", "latest", "--allow", "cider=x"], 2, "cannot read --allow cider=x"),
        (["regress", "latest", "latest", "--allow", "cidre=1"], 2, "no column 'cidre'"),
        (["regress", "latest", "latest", "--allow", "cider=nan"], 2, "not a number of 0 or more"),
        (["regress", "latest", "latest", "--alpha", "1"], 2, "--alpha"),
        (["regress", "empty", "latest"], 4, "holds no baseline of"),
    ],
)
def test_bad_words_are_answered_with_a_cure(capbench, runs, words, code, message):
    (runs / "empty").mkdir()
    done = capbench(*words)
    assert done.code == code, done.err
    assert message in done.err
    assert "Traceback" not in done.err


def test_a_baseline_from_nothing_to_a_regression(capbench, runs, monkeypatch):
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    good = next(p for p in (runs / "runs").rglob("speaker-*") if "miscount" not in p.name and "invent" not in p.name)
    bad = next((runs / "runs").rglob("speaker-miscount*"))
    done = capbench("regress", "base", good, "--update-baseline")
    assert (done.code, done.out) == (0, "")
    assert "wrote base" in done.err
    assert sorted(p.name for p in (runs / "base").iterdir()) == [
        "run.json",
        "scores.parquet",
        "summary.json",
        "tags.parquet",
    ]
    assert capbench("regress", "base", good).code == 0
    done = capbench("regress", "base", bad, "--junit", "out.xml", "--json")
    assert done.code == 1
    assert done.data["worse"] >= 1
    assert "worse than the baseline: CIDEr by" in done.err
    assert (runs / "out.xml").read_text().count("<failure ") == done.data["worse"]
    verdict = {c["column"]: c["verdict"] for c in done.data["checks"]}
    assert verdict["cider"] == "worse"
    much = ["--allow", "cider=9", *(w for k in (1, 2, 3, 4) for w in ("--allow", f"bleu{k}=1"))]
    assert capbench("regress", "base", bad, *much).code == 0
    done = capbench("regress", "base", bad, "--update-baseline")
    assert done.code == 0
    assert "| worse " in done.out
    assert capbench("regress", "base", bad).code == 0
    assert json.loads((runs / "base" / "run.json").read_text())["label"] == "speaker-miscount"


@pytest.mark.parametrize("kept", [None, 40], ids=["gone", "cut"])
@pytest.mark.parametrize("file", ["summary.json", "scores.parquet"])
def test_a_damaged_baseline_is_wrong_data_and_not_worse(capbench, runs, file, kept):
    good = next(p for p in (runs / "runs").rglob("speaker-*") if "miscount" not in p.name and "invent" not in p.name)
    assert capbench("regress", "base", good, "--update-baseline").code == 0
    path = runs / "base" / file
    data = path.read_bytes()
    path.unlink()
    if kept is not None:
        path.write_bytes(data[:kept])
    done = capbench("regress", "base", good)
    assert (done.code, f"cannot read {Path('base', file)}" in done.err) == (4, True), done.err


def test_a_baseline_that_is_of_no_use_can_be_replaced(capbench, runs):
    good = next(p for p in (runs / "runs").rglob("speaker-*") if "miscount" not in p.name and "invent" not in p.name)
    assert capbench("regress", "base", good, "--update-baseline").code == 0
    summary = runs / "base" / "summary.json"
    summary.write_text(re.sub(r'"value": [\d.]+', '"value": 0.5', summary.read_text()))
    done = capbench("regress", "base", good)
    assert done.code == 4
    assert "its summary says 0.5" in done.err
    done = capbench("regress", "base", good, "--update-baseline")
    assert done.code == 0
    assert "the old baseline is of no use" in done.err
    assert capbench("regress", "base", good, "--junit", "new/folder/out.xml").code == 0
    assert (runs / "new" / "folder" / "out.xml").read_text().count("<testcase ") == 5


def test_github_is_told_where_it_is_and_nowhere_else(capbench, runs, monkeypatch):
    good = next(p for p in (runs / "runs").rglob("speaker-*") if "miscount" not in p.name and "invent" not in p.name)
    bad = next((runs / "runs").rglob("speaker-miscount*"))
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(runs / "summary.md"))
    assert "::error" not in capbench("regress", good, bad).out
    assert not (runs / "summary.md").exists()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    done = capbench("regress", good, bad)
    assert "\n::error title=capbench CIDEr::CIDEr is worse by " in done.out
    assert capbench("regress", good, good).code == 0
    assert (runs / "summary.md").read_text().count("against the baseline") == 2
    quiet = capbench("regress", good, bad, "--no-github")
    assert "::error" not in quiet.out
    as_json = capbench("regress", good, bad, "--json")
    assert as_json.data["worse"] >= 1  # stdout is the object and nothing else
    assert "::error title=capbench CIDEr::" in as_json.err


def test_several_captions_an_image_are_one_unit_and_all_are_shown(capbench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, words in (("red", "a red circle"), ("blue", "two blue squares")):
        lines = [
            json.dumps({"id": f"scene-{k:05d}", "captions": [words, f"{words} and a ring", f"{name} {k}"]}) + "\n"
            for k in range(30)
        ]
        (tmp_path / f"{name}.jsonl").write_text("".join(lines))
        spec = f"file(path='{name}.jsonl', samples=3)"
        done = capbench("run", spec, "-b", "scenes(n=30)", "-m", "bleu", "--name", name)
        assert done.code == 0, done.err
    (line, *_) = capbench("compare", "red", "blue", "-c", "bleu1", "--json").data["lines"]
    assert (line["n"], line["units"]) == (30, 30)
    first, second = line["moved"][0]["captions"]
    assert first.startswith("a red circle / a red circle and a ring / red ")
    assert second.startswith("two blue squares / two blue squares and a ring / blue ")
