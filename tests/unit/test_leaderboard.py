"""Tables from run folders: who stands where, beside whom, and that no name can break them."""

import csv
import io
import json
import re

import numpy as np
import pytest

from capbench import leaderboard, stats, store
from capbench.errors import BadData, CheckFailed, UsageError
from capbench.leaderboard import check_board, csv_text, escape, gather, interval, json_text, markdown, rewrite_board
from capbench.leaderboard.boards import out_of_order
from capbench.signature import short_hash
from capbench.store import Identity, Record, Stated
from capbench.tables import Scored
from capbench.types import Rows, Summary

NAN = float("nan")
BASE = np.random.default_rng(0).normal(5, 1, 200)
NOISE = np.random.default_rng(1).normal(0, 1, 200)


def made_summary(rows, column, signature, better="high", label="", mark=""):
    found = stats.intervals(rows)[column]
    value, low, high = (None if np.isnan(x) else float(x) for x in found)
    holes = int(np.isnan(rows.columns[column]).sum())
    n = len(rows.columns[column]) - holes
    short = short_hash(signature)
    return Summary(
        "clipscore", column, label or column, better, value, low, high, n, holes, 0, 0, 0, signature, short, mark
    )


def make_run(root, label, *metrics, benchmark="bench", version=1, status="finished", folder=""):
    """A run folder of metrics given as (column, values, signature, better)."""
    summaries, scored, stated, n = [], [], [], 1
    for column, values, signature, better, *more in metrics:
        rows = Rows({column: np.asarray(values, float)})
        n = len(rows.columns[column])
        summary = made_summary(rows, column, signature, better, *more)
        summaries.append(summary)
        scored.append(Scored(f"clipscore#{summary.short}", rows, {}, np.zeros(n, np.int64)))
        stated.append(Stated("clipscore()", "", signature, summary.short, headline=not stated))
    identity = Identity(benchmark, version, "d", f"cap/{label}", n)
    place = root / (folder or f"run-{identity.short}")
    place.mkdir(parents=True)
    store.write_scores(place, scored, [f"i{k:03d}" for k in range(n)])
    store.write_summary(place, summaries)
    store.write_record(place, Record(status, label, identity, {}, {}, stated))
    return place


def one(values, signature="clipscore|v:1", better="high"):
    return "score", values, signature, better


def places(board):
    return [(line.label, line.rank) for line in board.lines]


def test_systems_that_cannot_be_told_apart_share_a_rank(tmp_path):
    make_run(tmp_path, "worst", one(BASE - 1))
    make_run(tmp_path, "same", one(BASE + 0.01 * NOISE - 0.01 * NOISE.mean() - 1e-6))
    make_run(tmp_path, "base", one(BASE))
    make_run(tmp_path, "best", one(BASE + 0.5))
    (board,) = gather([tmp_path])
    assert places(board) == [("best", 1), ("base", 2), ("same", 2), ("worst", 4)]
    assert (board.benchmark, board.version, board.items, board.sorted_by) == ("bench", 1, 200, "score")
    assert board.lines[0].cells[0].value == pytest.approx(BASE.mean() + 0.5)


def test_a_paired_difference_decides_where_intervals_overlap(tmp_path):
    make_run(tmp_path, "a", one(BASE))
    make_run(tmp_path, "b", one(BASE + 0.01))  # far inside the other's interval, and better on every image
    (board,) = gather([tmp_path])
    assert places(board) == [("b", 1), ("a", 2)]
    assert board.lines[1].cells[0].high > board.lines[0].cells[0].value


def crossed(root):
    """best, even, loud: even is a little below best on every image; loud is lower still, and varies by itself."""
    make_run(root, "best", one(BASE))
    make_run(root, "even", one(BASE - 0.05))
    make_run(root, "loud", one(BASE - 0.1 + 2 * (NOISE - NOISE.mean())))
    return gather([root])


def test_a_rank_that_is_better_than_one_above_it_is_told_with_the_reason(tmp_path):
    boards = crossed(tmp_path)
    assert places(boards[0]) == [("best", 1), ("even", 2), ("loud", 1)]
    (found,) = out_of_order(boards[0])
    assert (found.above, found.below, found.by) == (1, 2, (0,))
    assert (
        "Ranks that are not in the order of score:\n\n"
        "- loud (1) stands below even (2): best is better than even beyond chance, and not better than loud.\n"
    ) in markdown(boards)
    make_run(tmp_path, "unscored", one(np.full(200, NAN)))
    assert len(out_of_order(gather([tmp_path])[0])) == 1  # one without a number comes last, by either


def test_ranks_that_rise_are_left_alone(tmp_path):
    for k, label in enumerate(("first", "second", "third")):
        make_run(tmp_path, label, one(BASE - k))
    (board,) = gather([tmp_path])
    assert out_of_order(board) == []
    assert "not in the order" not in markdown([board])


def test_lower_may_be_better(tmp_path):
    for label, shift in (("low", -1), ("middle", 0), ("high", 1)):
        make_run(tmp_path, label, one(BASE + shift, better="low"))
    make_run(tmp_path, "nothing", one(np.full(200, NAN), better="low"))
    make_run(tmp_path, "nothing too", one(np.full(200, NAN), better="low"))
    (board,) = gather([tmp_path])
    assert places(board) == [("low", 1), ("middle", 2), ("high", 3), ("nothing", 4), ("nothing too", 4)]
    assert "score ↓" in markdown([board])


def test_a_run_without_the_number_comes_last(tmp_path):
    make_run(tmp_path, "a", one(BASE))
    make_run(tmp_path, "b", one(BASE - 3))
    make_run(tmp_path, "nothing", one(np.full(200, NAN)))
    (board,) = gather([tmp_path])
    assert places(board) == [("a", 1), ("b", 2), ("nothing", 3)]
    assert interval(board.lines[2].cells[0]) == "unscored (200)"


def test_systems_of_one_name_are_told_apart_by_their_folders(tmp_path):
    for i, name in enumerate(("results", "results", "other")):
        make_run(tmp_path, name, one(BASE + i), folder=f"{name}-{i}")
    (board,) = gather([tmp_path])
    assert places(board) == [("other", 1), ("results-1", 2), ("results-0", 3)]


def test_numbers_with_other_signatures_stand_in_another_table(tmp_path):
    make_run(tmp_path, "a", one(BASE))
    make_run(tmp_path, "b", one(BASE, "clipscore|encoder:other|v:1"))
    make_run(tmp_path, "c", one(BASE), benchmark="other")
    make_run(tmp_path, "d", one(BASE), version=2)
    boards = gather([tmp_path])
    assert [[line.label for line in b.lines] for b in boards] in (
        [["a"], ["b"], ["d"], ["c"]],
        [["b"], ["a"], ["d"], ["c"]],
    )
    assert [[line.label for line in b.lines] for b in gather([tmp_path], "other")] == [["c"]]


def second(values, signature="second|v:1"):
    return "second", values, signature, "high"


def test_a_second_column_is_shared_only_by_equal_signatures(tmp_path):
    make_run(tmp_path, "a", one(BASE), second(BASE))
    make_run(tmp_path, "b", one(BASE - 1), second(BASE, "second|data:other|v:1"))
    (board,) = gather([tmp_path])
    assert [c.signature for c in board.columns] == ["clipscore|v:1", "second|v:1", "second|data:other|v:1"]
    assert [[cell is not None for cell in line.cells] for line in board.lines] == [
        [True, True, False],
        [True, False, True],
    ]


def test_sorting_by_another_column_keeps_other_signatures_apart(tmp_path):
    make_run(tmp_path, "a", one(BASE + 1), second(BASE))
    make_run(tmp_path, "b", one(BASE), second(BASE + 1))
    make_run(tmp_path, "c", one(BASE), second(BASE + 2, "second|data:other|v:1"))
    make_run(tmp_path, "d", one(BASE))
    (board,) = gather([tmp_path])
    assert places(board)[0] == ("a", 1)
    boards = gather([tmp_path], sort="second")
    assert sorted(places(b) for b in boards) == [[("b", 1), ("a", 2)], [("c", 1)], [("d", 1)]]
    with pytest.raises(UsageError, match="no column is called 'third'"):
        gather([tmp_path], sort="third")


def test_unfinished_runs_are_left_out_and_damaged_ones_named(tmp_path):
    make_run(tmp_path, "a", one(BASE))
    make_run(tmp_path, "b", one(BASE), status="started")
    (board,) = gather([tmp_path])
    assert [line.label for line in board.lines] == ["a"]
    broken = make_run(tmp_path, "c", one(BASE))
    (broken / store.SUMMARY).write_text("[")
    with pytest.raises(BadData, match="some runs cannot be read") as caught:
        gather([tmp_path])
    assert [fault.where for fault in caught.value.faults] == [str(broken)]
    with pytest.raises(BadData, match="no finished run"):
        gather([tmp_path / "empty"])


def test_runs_on_other_items_are_not_better_or_worse(tmp_path):
    make_run(tmp_path, "all", one(BASE))
    make_run(tmp_path, "few", one(BASE[:50] - 3))
    (board,) = gather([tmp_path])
    assert places(board) == [("all", 1), ("few", 1)]


def test_numbers_are_shown_with_what_is_known_of_them():
    rows = Rows({"x": np.array([0.25, 0.75, NAN])})
    s = made_summary(rows, "x", "s")
    assert interval(s) == f"0.500 [{s.low:.3f}, {s.high:.3f}] (1 unscored)"
    assert interval(None) == "-"
    assert (leaderboard.show(12.345), leaderboard.show(-9.9996), leaderboard.show(0.0)) == ("12.3", "-10.000", "0.000")
    few = Summary("m", "c", "l", "high", 0.5, None, None, 3, 0, 0, 0, 0, "s", "s")
    assert interval(few) == "0.500 [-]"


HOSTILE = [
    "a|b",
    "a\\|b",
    "<script>alert(1)</script>",
    "two\nlines",
    "`code`",
    "[link](javascript:x)",
    "**bold**",
    "right\u202eleft",
    "lone \udc80",
    "\u2028|\r|",
]


def cells_of(line):
    """The cells of a Markdown table's line: split at pipes that no backslash escapes."""
    return re.split(r"(?<!\\)(?:\\\\)*\|", line)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_breaks_no_table(tmp_path, name):
    signature = f"clipscore|prefix:{name.replace('|', '%7C')}|v:1"
    make_run(tmp_path, name, ("score", BASE, signature, "high", name), benchmark=name)
    text = markdown(gather([tmp_path]))
    text.encode()
    lines = [line for line in text.split("\n") if line.startswith("|")]
    assert len(lines) == 3
    assert {len(cells_of(line)) for line in lines} == {5}
    outside = re.sub(r"`[^`\n]*`", "", text)
    assert "<script" not in outside
    assert text.count("`") - text.count("\\`") == 2  # the one code span of the signature
    assert "\u202e" not in text
    assert not re.search(r"(?<!\\)\]\(", outside)
    assert len(text.splitlines()) == len(text.split("\n")) - 1


def test_escape_by_hand():
    assert escape("a|b") == "a\\|b"
    assert escape("\\|") == "\\\\\\|"
    assert escape("<b>*x*`y`[z]") == "&lt;b&gt;\\*x\\*\\`y\\`\\[z\\]"
    assert escape("a\nb\tc\u202ed") == "a b c d"
    assert escape("héllo 日本") == "héllo 日本"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", "\n="])
def test_no_spreadsheet_runs_a_name(tmp_path, start):
    make_run(tmp_path, f"{start}cmd|' /C calc'!A0", one(BASE - 100), benchmark="=1+1")
    (row,) = csv.DictReader(io.StringIO(csv_text(gather([tmp_path])), newline=""))
    assert row["captioner"] == f"'{start}cmd|' /C calc'!A0".replace("\r", "\n")
    assert row["benchmark"] == "'=1+1"
    assert float(row["value"]) == pytest.approx(BASE.mean() - 100)  # a negative number stays one


def test_any_name_comes_back_from_csv_and_json(tmp_path):
    for k, name in enumerate([*HOSTILE, 'quote " and , comma']):
        make_run(tmp_path, name, one(BASE), folder=str(k))
    boards = gather([tmp_path])
    rows = list(csv.DictReader(io.StringIO(csv_text(boards), newline="")))
    assert {row["captioner"] for row in rows} == {
        *(name.replace("\r", "\n") for name in HOSTILE if name != "lone \udc80"),
        "lone \\udc80",
        'quote " and , comma',
    }
    csv_text(boards).encode()
    (board,) = json.loads(json_text(boards).encode())
    assert {line["label"] for line in board["lines"]} == {*HOSTILE, 'quote " and , comma'}


def written(tmp_path):
    folders = [make_run(tmp_path / "runs", label, one(BASE + k)) for k, label in enumerate(("a", "b"))]
    target = tmp_path / "board"
    leaderboard.write_board(gather([tmp_path / "runs"]), folders, target, "capbench leaderboard runs --to board")
    return target


def test_a_written_table_holds_and_can_be_made_again(tmp_path):
    target = written(tmp_path)
    check_board(target)
    before = (target / "README.md").read_bytes(), (target / "table.csv").read_bytes()
    assert b"capbench leaderboard runs --to board" in before[0]
    rewrite_board(target)
    assert ((target / "README.md").read_bytes(), (target / "table.csv").read_bytes()) == before
    kept = sorted(path.name for path in next((target / "entries").iterdir()).iterdir())
    assert kept == ["run.json", "scores.parquet", "summary.json"]  # no captions


@pytest.mark.parametrize("file", ["README.md", "table.csv"])
def test_an_edited_table_is_stale(tmp_path, file):
    target = written(tmp_path)
    text = (target / file).read_text()
    (target / file).write_text(text.replace("b", "B", 1))
    with pytest.raises(CheckFailed, match=f"is stale: {file} are not"):
        check_board(target)
    (target / file).unlink()
    with pytest.raises(CheckFailed, match=file):
        check_board(target)
    if file == "table.csv":
        rewrite_board(target)
        assert (target / file).read_text() == text


def test_an_edited_entry_makes_the_table_stale(tmp_path):
    target = written(tmp_path)
    entry = next((target / "entries").iterdir())
    (summary,) = json.loads((entry / "summary.json").read_text())
    (entry / "summary.json").write_text(json.dumps([{**summary, "value": 99.0}]))
    with pytest.raises(CheckFailed, match=r"README.md and table.csv"):
        check_board(target)
    rewrite_board(target)
    check_board(target)
    assert "99.0" in (target / "README.md").read_text()
