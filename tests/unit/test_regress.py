"""Verdicts on a run against a baseline, and the baseline itself."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from capbench import regress_text, store
from capbench.errors import BadData, CheckFailed, MissingPart, NotComparable, UsageError
from capbench.regress import find_baseline, has_baseline, regress, update_baseline

NAN = float("nan")
BASE = np.random.default_rng(0).normal(5, 1, 300)
NOISE = np.random.default_rng(1).normal(0, 0.5, 300)
NOISE -= NOISE.mean()


def verdicts(report):
    return {c.summary.column: c.verdict for c in report.checks}


def columns_of(**shifts):
    return {name: BASE + shift + NOISE for name, shift in shifts.items()}


@pytest.fixture
def baseline(folder_of):
    return folder_of(
        "base", dict.fromkeys(("up", "down", "level", "cost", "size"), BASE), better={"cost": "low", "size": "none"}
    )


def test_a_verdict_for_each_column_in_its_direction(folder_of, baseline):
    run = folder_of(
        "run", columns_of(up=0.2, down=-0.2, level=0.001, cost=0.2, size=5), better={"cost": "low", "size": "none"}
    )
    report = regress(baseline, run)
    assert verdicts(report) == {"up": "better", "down": "worse", "level": "same", "cost": "worse"}
    line = next(c.line for c in report.checks if c.summary.column == "down")
    assert line.difference.value == pytest.approx(-0.2)  # run - baseline
    with pytest.raises(CheckFailed, match=r"down by 0.2 \(p 0.000\d\); cost by 0.2"):
        report.refuse()


def test_significant_but_allowed_is_the_same(folder_of, baseline):
    run = folder_of("run", columns_of(up=0, down=-0.2, level=0, cost=0), better={"cost": "low"})
    assert verdicts(regress(baseline, run, columns=["down"])) == {"down": "worse"}
    assert verdicts(regress(baseline, run, columns=["down"], allow={"down": 0.19})) == {"down": "worse"}
    report = regress(baseline, run, columns=["down"], allow={"down": 0.21})
    assert verdicts(report) == {"down": "same"}
    assert report.checks[0].why == f"worse by 0.2 (p {report.checks[0].line.adjusted:.2g}), 0.21 allowed"
    report.refuse()


def test_large_but_not_significant_is_the_same(folder_of):
    random = np.random.default_rng(5)
    a, b = folder_of("a", {"x": random.normal(0, 1, 12)}), folder_of("b", {"x": random.normal(-0.4, 1, 12)})
    report = regress(a, b)
    assert abs(report.checks[0].line.difference.value) > 0.3
    assert verdicts(report) == {"x": "same"}


def test_an_identical_run_is_never_flagged(folder_of, baseline):
    run = folder_of(
        "again", dict.fromkeys(("up", "down", "level", "cost", "size"), BASE), better={"cost": "low", "size": "none"}
    )
    report = regress(baseline, run, alpha=0.999)
    assert set(verdicts(report).values()) == {"same"}
    assert {c.why for c in report.checks} == {"equal"}
    report.refuse()


def test_other_images_are_not_comparable_and_no_pass(folder_of, baseline):
    few = folder_of("few", {"up": BASE[:100]}, signature="{column}|encoder:e/1|data:ffff|v:1")
    report = regress(baseline, few)
    assert set(verdicts(report).values()) == {"not comparable"}
    assert "data: ffff / d0d0 (100 and 300 images)" in report.checks[0].why
    with pytest.raises(NotComparable, match="not comparable with the baseline") as caught:
        report.refuse()
    assert caught.value.exit_code == 4


def test_a_column_that_the_run_lacks_is_not_comparable_but_worse_comes_first(folder_of, baseline):
    run = folder_of("run", {**columns_of(up=0, level=0, cost=0), "new": BASE}, better={"cost": "low"})
    report = regress(baseline, run)
    assert verdicts(report)["down"] == "not comparable"
    assert report.new == ("new",)
    assert "Not in the baseline: new." in regress_text.markdown(report)
    with pytest.raises(NotComparable, match=r"down: run has no clipscore"):
        report.refuse()
    worse = folder_of("worse", columns_of(up=-1, level=0, cost=0), better={"cost": "low"})
    with pytest.raises(CheckFailed):
        regress(baseline, worse).refuse()


def test_a_run_that_lost_scores_is_not_comparable(folder_of, baseline):
    values = BASE.copy()
    values[:4] = NAN
    run = folder_of("run", {"up": values})
    report = regress(baseline, run, columns=["up"])
    assert verdicts(report) == {"up": "not comparable"}
    assert report.checks[0].why == "4 of 300 rows that the baseline has a score for have none in the run"
    assert verdicts(regress(baseline, run, columns=["up"], max_missing=0.02)) == {"up": "same"}
    # it is no loss that the baseline had holes
    report = regress(run, baseline, columns=["up"])
    assert verdicts(report) == {"up": "same"}


def test_too_few_galleries_are_not_comparable(folder_of):
    bags = np.repeat(np.arange(6), 10)
    a, b = (folder_of(name, {"x": BASE[:60] + shift}, bags=bags) for name, shift in (("a", 0), ("b", -3)))
    report = regress(a, b)
    assert report.checks[0].why == "6 galleries are too few for a test"
    assert verdicts(report) == {"x": "not comparable"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"allow": {"cidre": 0.1}}, "the baseline has no column 'cidre'"),
        ({"columns": ["cidre"]}, "the baseline has no column 'cidre'"),
        ({"allow": {"up": -0.1}}, "not a number of 0 or more"),
        ({"allow": {"up": NAN}}, "not a number of 0 or more"),
        ({"columns": ["size"]}, "no column of the baseline has a better and a worse"),
    ],
)
def test_bad_words(baseline, options, message):
    with pytest.raises(UsageError, match=message):
        regress(baseline, baseline, **options)


def hostile_report(folder_of, text):
    a = folder_of("base", {"x": BASE, "gone": BASE}, labels={"x": text, "gone": f"{text} gone"})
    b = folder_of(text, {"x": BASE - 1 + NOISE}, labels={"x": text})
    return regress(a, b)


@pytest.mark.parametrize(
    "text", ["a,b:c%d", "two\nlines\r::error::fake", "<b>&\"'", "bad \x00\x1b\x0b\ufffe \udc80", "]]>", "|x|"]
)
def test_hostile_labels_break_no_output(folder_of, read_json, text):
    report = hostile_report(folder_of, text)
    commands = regress_text.workflow_commands(report).encode().decode().split("\n")
    assert len(commands) == 2
    for command in commands:
        head, _, message = command[len("::error ") :].partition("::")
        assert command.startswith("::error title=")
        assert not re.search(r"[:,\r\n]", head.removeprefix("title="))
        assert "\r" not in message
    root = ET.fromstring(regress_text.junit(report).encode())  # noqa: S314 -- our own output
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "1")
    names = [case.get("name") for case in suite]
    assert len(set(names)) == 2
    assert [child.tag for case in suite for child in case] == ["failure", "error"]
    assert all(child.text == child.get("message") for case in suite for child in case)
    data = read_json(regress_text.json_text(report))
    assert [c["verdict"] for c in data["checks"]] == ["worse", "not comparable"]
    table = [line for line in regress_text.markdown(report).split("\n") if line.startswith("|")]
    assert len({len(re.split(r"(?<!\\)(?:\\\\)*\|", line)) for line in table}) == 1


def test_workflow_commands_are_escaped_as_github_reads_them(folder_of):
    (first, _) = regress_text.workflow_commands(hostile_report(folder_of, "50%: a, b")).split("\n")
    assert first.startswith("::error title=capbench 50%25%3A a%2C b::50%25: a, b is worse by 1 (p ")


def test_better_is_a_notice_and_same_is_silent(folder_of):
    a, b = folder_of("a", {"x": BASE, "y": BASE}), folder_of("b", {"x": BASE + 1 + NOISE, "y": BASE})
    assert regress_text.workflow_commands(regress(a, b)).startswith("::notice title=capbench x::x is better by 1")
    assert regress_text.workflow_commands(regress(a, a)) == ""


def test_a_baseline_is_a_run_without_its_captions(folder_of, tmp_path):
    run = folder_of("a", {"x": BASE}, captions=["text"] * 300)
    target = tmp_path / "new" / "base"
    assert not has_baseline(target, run)
    assert update_baseline(target, run) == target
    assert sorted(p.name for p in target.iterdir()) == ["run.json", "scores.parquet", "summary.json"]
    assert has_baseline(target, run)
    assert verdicts(regress(find_baseline(target, run), run)) == {"x": "same"}
    better = folder_of("a", {"x": BASE + 1}, place="second")
    update_baseline(target, better)
    assert store.read_summary(target)[0].value == pytest.approx(BASE.mean() + 1)
    other = folder_of("a", {"x": BASE}, place="third", benchmark="another")
    with pytest.raises(BadData, match="is a baseline of bench, the run is of another"):
        update_baseline(target, other)


def test_a_folder_of_entries_has_one_for_each_captioner(folder_of, tmp_path):
    entries = tmp_path / "entries"
    runs = [folder_of(label, {"x": BASE}, place=f"{label}-111111") for label in ("a", "b")]
    for run in runs:
        update_baseline(entries, run, nested=True)
    assert [find_baseline(entries, run).name for run in runs] == ["a-111111", "b-111111"]
    newer = folder_of("a", {"x": BASE + 1}, place="a-222222")
    assert find_baseline(entries, newer).name == "a-111111"
    update_baseline(entries, newer)
    assert sorted(p.name for p in entries.iterdir()) == ["a-222222", "b-111111"]
    stranger = folder_of("c", {"x": BASE}, place="c-1")
    with pytest.raises(BadData, match="holds no baseline of c on bench"):
        find_baseline(entries, stranger)
    (entries / "copy").mkdir()
    for name in ("run.json", "scores.parquet", "summary.json"):
        (entries / "copy" / name).write_bytes((entries / "b-111111" / name).read_bytes())
    with pytest.raises(BadData, match="holds 2 baselines of b on bench"):
        find_baseline(entries, runs[1])


def test_an_unfinished_run_becomes_no_baseline(folder_of, tmp_path):
    run = folder_of("a", {"x": BASE}, status="started")
    with pytest.raises(MissingPart, match="is not finished"):
        update_baseline(tmp_path / "base", run)
    assert not (tmp_path / "base").exists()
