"""capbench compare with captioners and on bags, as a user types it, with good and bad input."""

import json
import re

import pytest

FAST = ("--resamples", 200)
BENCH = ("-b", "scenes-bags", "-n", "84", "-m", "self_retrieval(bags='scenes-5')")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_captioners_are_run_and_compared_on_bags(capbench, place):
    done = capbench("compare", "speaker", "speaker(flaw='no_colour')", *BENCH, "--bags", "scenes-3,scenes-5", *FAST)
    assert done.code == 0, done.err
    assert done.out.startswith("**speaker and speaker-no\\_colour**") or done.out.startswith(
        "**speaker and speaker-no_"
    )
    assert re.search(r"^\| scenes-3 +\| +3 \| +12 \| +0\.333 \| +1\.000 \[1\.000, 1\.000\] ", done.out, re.MULTILINE)
    assert re.search(r"^\| scenes-5 +\| +5 \| +12 \| +0\.200 \|", done.out, re.MULTILINE)
    assert "Holm's over the 2 tests shown" in done.out
    assert "- scenes-3, 12 bags: a difference in R@1 is known to within 0." in done.out
    assert "Differ most in scenes-3:" in done.out
    assert "speaker-no_colour (tied, " in done.out
    assert done.err.count("84 captions, 2 metrics") == 2
    again = capbench("compare", "speaker", "speaker(flaw='no_colour')", *BENCH, "--bags", "scenes-3,scenes-5", *FAST)
    assert again.out == done.out
    assert again.err.count(": 0 captions, 0 metrics and 0 cached values were computed") == 2
    stored = capbench("compare", "speaker-no", "speaker-", "--bags", "scenes-3", *FAST)
    assert stored.code == 2  # two runs begin with "speaker-"
    names = sorted(p.name for p in (place / "runs" / "scenes-bags").iterdir())
    stored = capbench("compare", *names, "--bags", "scenes-3", "--json", *FAST)
    found = capbench("compare", *names, *BENCH, "--bags", "scenes-3", "--json", *FAST)
    assert (stored.code, found.code) == (0, 0), stored.err + found.err
    lines = [{k: v for k, v in x.data["lines"][0].items() if k != "signature"} for x in (stored, found)]
    assert lines[0] == lines[1]
    assert found.data["sets"][0]["bags"][0]["id"].startswith("family-")
    assert stored.data["sets"][0]["bags"][0]["id"].startswith("bag ")


def test_captioners_are_run_and_compared_image_by_image(capbench, place):
    words = ("-b", "scenes", "-n", "40", "-m", "cider", "-c", "cider", *FAST)
    done = capbench("compare", "speaker", "speaker(flaw='invent')", *words, "--html", "out/page.html")
    assert done.code == 0, done.err
    assert done.out.startswith("**speaker and speaker-invent** on scenes version 1, 40 images")
    assert "<h1>speaker and speaker-invent" in (place / "out" / "page.html").read_text()
    folder = next((place / "runs" / "scenes").glob("speaker-invent-*"))
    mixed = capbench("compare", folder, "speaker", *words)
    assert mixed.code == 0, mixed.err
    assert mixed.out.startswith("**speaker-invent and speaker** on scenes version 1, 40 images")


def test_how_captioners_are_run_makes_the_run(capbench, place):
    asked = ("--caption-seed", 3, "--prompt", "Say it.", "--max-tokens", 9, "--temperature", 0.5, "--beams", 2)
    done = capbench("compare", "speaker", "constant", *BENCH, *asked, "--bags", "scenes-3", *FAST)
    assert done.code == 0, done.err
    (folder,) = (place / "runs" / "scenes-bags").glob("speaker-*")
    identity = json.loads((folder / "run.json").read_text())["identity"]
    assert identity["items"] == 84
    assert {k: identity["generation"][k] for k in ("prompt", "max_tokens", "temperature", "beams", "seed")} == {
        "prompt": "Say it.", "max_tokens": 9, "temperature": 0.5, "beams": 2, "seed": 3,
    }  # fmt: skip


@pytest.mark.parametrize("form", ["md", "json", "latex", "html"])
def test_every_format_of_three_systems(capbench, place, form):
    words = ("speaker", "constant", "nearest", *BENCH, "--bags", "scenes-3", "--bags", "blocks(size=12)")
    done = capbench("compare", *words, "--format", form, *FAST)
    assert done.code == 0, done.err
    starts = {
        "md": "**speaker and constant and nearest** on bags",
        "json": "{",
        "latex": "% \\usepackage{booktabs}",
        "html": "<!doctype html>",
    }
    assert done.out.startswith(starts[form])
    if form == "json":
        assert len(done.data["lines"]) == 6
        (size,) = done.data["sets"][1]["sizes"]
        assert (size["pictures"], size["bags"], size["chance"]) == (12, 7, pytest.approx(1 / 12))
        assert {run["low"] for run in size["runs"]} == {None}  # 7 blocks are no sample


def test_a_file_of_bags_with_members_that_are_missing(capbench, place):
    (place / "mine.json").write_text(json.dumps([["scene-00000", "scene-00001"], ["scene-00002", "scene-09999"]]))
    done = capbench("compare", "speaker", "constant", *BENCH, "--bags", "mine.json")
    assert done.code == 4
    assert "mine.json bag-0001: no image scene-09999 in the benchmark" in done.err
    assert "missing='skip' leaves bags out" in done.err
    assert not (place / "runs").exists()
    skipped = capbench("compare", "speaker", "constant", *BENCH, "--bags", "file(path='mine.json', missing='skip')")
    assert skipped.code == 0, skipped.err
    assert "1 bags: fewer than 10" in skipped.out or "2 pictures:" in skipped.out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["speaker", "--bags", "scenes-3", "-b", "scenes-bags"], 2, "one run alone"),
        (["speaker", "nothing", *BENCH], 2, "no captioner is called 'nothing'"),
        (["speaker", "nearest"], 2, "a captioner needs a benchmark"),
        (["speaker", "nearest", "-n", "5"], 2, "-n: for captioners that are run on a benchmark"),
        (["speaker", "nearest", "--encoder", "clip"], 2, "name the bags: --bags SET"),
        (["speaker", "nearest", *BENCH, "--bags", "scenes-9"], 2, "scenes-bags has: scenes-3, scenes-5, scenes-7"),
        (["speaker", "nearest", *BENCH, "--bags", ","], 2, "--bags names no bags"),
        (["speaker", "nearest", *BENCH, "--bags", "scenes-3", "-c", "rank"], 2, "R@1 alone"),
        (["speaker", "nearest", *BENCH, "--bags", "scenes-3", "--encoder", "klip"], 3, "klip"),
        (["speaker", "gone.jsonl", *BENCH, "--bags", "scenes-3"], 2, "there is no file gone.jsonl"),
        (["speaker", "nearest", *BENCH[:2], "-n", "2", "--bags", "scenes-3"], 3, "no bag of 'scenes-3' is whole"),
        (["speaker", "nearest", *BENCH, "--bags", "scenes-3", "--html", "."], 2, "is a folder"),
    ],
)
def test_bad_words_are_answered_with_a_cure_before_anything_runs(capbench, place, words, code, message):
    done = capbench("compare", *words)
    assert done.code == code, done.err
    assert message in done.err
    assert "  -> " in done.err
    assert "Traceback" not in done.err
    assert not (place / "runs").exists()


def test_the_page_needs_the_benchmark_and_holds_its_pictures(capbench, place):
    done = capbench("compare", "speaker", "constant", *BENCH, "--bags", "scenes-3", "--html", "x/page.html", *FAST)
    assert done.code == 0, done.err
    page = (place / "x" / "page.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 36
    assert list((place / "x").iterdir()) == [place / "x" / "page.html"]
    names = sorted(p.name for p in (place / "runs" / "scenes-bags").iterdir())
    done = capbench("compare", *names, "--bags", "scenes-3", "--html", "y.html")
    assert done.code == 2
    assert "name it: -b BENCHMARK" in done.err


def test_a_run_without_a_score_there_says_which_it_has(capbench, place):
    for flaw in ("none", "invent"):
        assert capbench("run", f"speaker(flaw='{flaw}')", *BENCH).code == 0
    names = sorted(p.name for p in (place / "runs" / "scenes-bags").iterdir())
    done = capbench("compare", *names, "--bags", "scenes-3")
    assert done.code == 4
    assert "has no score on scenes-3; it has: scenes-5" in done.err
    done = capbench("compare", *names, "-b", "scenes-bags", "--bags", "scenes-3", *FAST)
    assert done.code == 0, done.err
    assert done.err.count("scored from the captions that it keeps: 1 metrics") == 2


def test_a_captioner_that_left_much_unscored_ends_with_5_after_the_comparison(capbench, place):
    (place / "one.jsonl").write_text('{"image_id": "scene-00000", "caption": "x"}\n')
    done = capbench("compare", "speaker", "one.jsonl", *BENCH, "--bags", "scenes-3", *FAST)
    assert done.code == 5
    assert "(35 unscored)" in done.out
    assert "more than 1% unscored in " in done.err
    assert "of 84 ids: no caption in one.jsonl" in done.err
    done = capbench("compare", "speaker", "one.jsonl", *BENCH, "--bags", "scenes-3", "--max-missing", 1, *FAST)
    assert done.code == 0
