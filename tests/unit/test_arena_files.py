"""Files of verdicts: each published form, everything that can be wrong with them, and verdicts made from scores."""

import gzip
import json

import pytest

import capbench
from capbench import arena
from capbench.arena import text
from capbench.arena.verdicts import Verdict
from capbench.errors import BadData, MissingPart, NotComparable, UsageError
from capbench.pages.arena import arena_page

HOSTILE = ["<script>x</script>", "a|b`*[c]", "=1+1", "line\nbreak \u202e", "\ud800", "W" * 300]


def written(tmp_path, *rows, name="v.jsonl"):
    path = tmp_path / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def told(path):
    return [(v.item, v.a, v.b, v.winner, v.judge, v.first) for v in arena.read([path]).rows]


def test_our_own_form(tmp_path):
    path = written(
        tmp_path,
        {"item": 1, "a": "x", "b": "y", "winner": "a"},
        {"item": "1", "a": "x", "b": "y", "winner": "y", "judge": "ann", "first": "b", "group": "g", "turn": 2},
        {"item": "2", "a": "b", "b": "a", "winner": "a"},
        {"item": "2", "a": "x", "b": "y", "winner": "tie", "first": None},
    )
    wanted = [("1", "x", "y", "a", "", ""), ("1", "x", "y", "b", "ann", "b"), ("2", "b", "a", "a", "", "")]
    wanted.append(("2", "x", "y", "tie", "", ""))
    assert told(path) == wanted
    rows = arena.read([path]).rows
    assert (rows[1].group, rows[1].turn, rows[1].where) == ("g", "2", f"{path} line 2")
    arena.write(rows, tmp_path / "again.jsonl")
    assert told(tmp_path / "again.jsonl") == wanted
    packed = tmp_path / "v.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert told(packed) == wanted


def test_a_table(tmp_path):
    path = tmp_path / "v.csv"
    path.write_text('item,a,b,winner,judge,first\n1,x,"y, z",b,ann,a\n2,x,"y, z",tie,,\n')
    assert told(path) == [("1", "x", "y, z", "b", "ann", "a"), ("2", "x", "y, z", "tie", "", "")]


def test_files_of_chatbot_arena(tmp_path):
    row = {"question_id": "q", "model_a": "m", "model_b": "n", "judge": "arena_user_1", "turn": 1, "anony": True}
    path = written(tmp_path, *({**row, "winner": w} for w in ("model_a", "model_b", "tie", "tie (bothbad)")))
    assert [v[3] for v in told(path)] == ["a", "b", "tie", "tie"]
    assert told(path)[0] == ("q", "m", "n", "a", "arena_user_1", "a")


def test_the_kaggle_file(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text(
        "id,model_a,model_b,prompt,winner_model_a,winner_model_b,winner_tie\n1,m,n,p,1,0,0\n2,m,n,p,0,1,0\n3,n,m,p,0,0,1\n4,n,m,p,1,1,0\n"
    )
    with pytest.raises(BadData, match="line 5: not one winner: winner_model_a '1', winner_model_b '1', winner_tie '0'"):
        arena.read([path])
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    assert [(v[0], v[1], v[3]) for v in told(path)] == [("1", "m", "a"), ("2", "m", "b"), ("3", "n", "tie")]


def test_mt_bench_pairs_hold_both_orders(tmp_path):
    row = {"question_id": 81, "model_1": "m", "model_2": "n", "judge": ["gpt-4", "pair-v2"], "turn": 1}
    path = written(
        tmp_path,
        {**row, "g1_winner": "model_1", "g2_winner": "model_1"},
        {**row, "g1_winner": "model_1", "g2_winner": "model_2", "question_id": 82},
        {**row, "g1_winner": "error", "g2_winner": "tie", "question_id": 83},
    )
    found = arena.read([path])
    assert [(v.item, v.winner, v.first) for v in found.rows] == [
        ("81", "a", "a"), ("81", "a", "b"), ("82", "a", "a"), ("82", "b", "b"), ("83", "tie", "b"),
    ]  # fmt: skip
    assert found.judges == ("gpt-4 pair-v2",)
    assert found.unread == {"gpt-4 pair-v2 gave no verdict": 1}
    contests, swaps = arena.contests_of(found.rows)
    assert [c.choice for c in contests] == ["m", "", ""]
    assert [s.outcome for s in swaps] == ["same", "contradictory"]


def test_caparena_has_a_person_and_a_model_in_one_row(tmp_path):
    row = {"img": "i.jpg", "source1": "m", "source2": "n", "caption1": "", "caption2": "", "cluster": "level 2"}
    rows = [
        {**row, "winner": "n", "judge": "Caption 2 is better."}, {**row, "winner": "equal", "judge": "<Tie>"},
        {**row, "winner": "m", "judge": "Both are fine"}, {**row, "winner": "m"}, {**row, "judge": "Caption 1 is better"},
    ]  # fmt: skip
    path = tmp_path / "annots.json"
    path.write_text(json.dumps(rows))
    found = arena.read([path])
    assert [(v.judge, v.winner) for v in found.rows] == [
        ("human", "b"), ("model", "b"), ("human", "tie"), ("model", "tie"), ("human", "a"), ("human", "a"),
        ("model", "a"),
    ]  # fmt: skip
    assert {v.group for v in found.rows} == {"level 2"}
    assert found.rows[2].where == f"{path} [1]"
    assert found.unread == {"model gave no verdict": 1}


def test_every_fault_is_told_with_its_line(tmp_path):
    path = written(
        tmp_path,
        {"item": "1", "a": "x", "b": "y", "winner": "a"},
        {"item": "1", "a": "x", "b": "x", "winner": "a"},
        {"a": "x", "b": "y", "winner": "a"},
        {"item": "1", "a": "x", "b": "y", "winner": "c"},
        {"item": "1", "a": "x", "b": "y"},
        {"item": "1", "a": ["x"], "b": "y", "winner": "a"},
        {"item": "1", "a": "x", "b": "y", "winner": "a", "first": "left"},
        {"item": True, "a": "x", "b": "", "winner": "a"},
    )
    path.write_text(path.read_text() + '{"item": "1", "a"\n')
    with pytest.raises(BadData) as caught:
        arena.read([path])
    said = {fault.where.rpartition(" ")[2]: fault.what for fault in caught.value.faults if " line 8" not in fault.where}
    assert said == {
        "2": "'x' against itself", "3": "no item", "4": "winner is \"'c'\"", "5": "no winner", "6": "a is a list",
        "7": "first is \"'left'\"", "9": said["9"],
    }  # fmt: skip
    assert said["9"].startswith("cut short")
    eighth = [fault.what for fault in caught.value.faults if fault.where.endswith(" line 8")]
    assert eighth == ["no b", "item is true or false"]


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        ("", BadData, "is empty"), ("[1, {}]", BadData, r"\[0\]: not a JSON object"), ("3,4\n1,2\n", BadData, "no verdict; it has '3', '4'"),
        ('{"a": 1}\n{"b": 2}\n', BadData, "no verdict"), (None, MissingPart, "cannot read"),
        ('{"source1": "m", "source2": "n", "img": "i", "judge": "?"}', BadData, "holds no verdicts"),
    ],
)  # fmt: skip
def test_what_is_no_file_of_verdicts(tmp_path, content, error, said):
    path = tmp_path / "x"
    if content is not None:
        path.write_text(content)
    with pytest.raises(error, match=said):
        arena.read([path])


def shown(rows, **options):
    contests, swaps = arena.contests_of(rows)
    return text.Shown(arena.rank(contests, **options), {"j": len(rows)}, swaps)


def test_names_are_hostile_text():
    rows = [
        Verdict(str(i), a, b, w, "j") for i in range(12) for a in HOSTILE for b in HOSTILE if a < b for w in ("a", "b")
    ]
    rows.append(Verdict("1", "<img src=x>", HOSTILE[0], "a", "j"))
    made = shown(rows, resamples=100)
    printed = text.markdown(made)
    assert "<script" not in printed
    assert "<img" not in printed
    assert "\nbreak" not in printed
    assert "a\\|b" in printed
    page = arena_page(made)
    assert "<script" not in page
    assert "<img" not in page
    assert page.encode()
    table = text.csv_text(made)
    assert "'=1+1," in table
    assert table.encode()
    names = {line["system"] for line in json.loads(text.json_text(made))["systems"]}
    assert names == {*HOSTILE, "<img src=x>"}


def test_json_says_which_ends_are_open():
    rows = [Verdict(str(k), "a", "b", "b" if k == 0 else "a", "j") for k in range(30)]
    lines = json.loads(text.json_text(shown(rows, resamples=300)))["systems"]
    assert [(line["open_low"], line["open_high"], line["high"] is None) for line in lines] == [
        (False, True, True),
        (True, False, False),
    ]
    assert "∞]" in text.markdown(shown(rows, resamples=300))
    assert arena_page(shown(rows, resamples=300)).count("<path") == 2


def files(tmp_path, name, captions):
    path = tmp_path / f"{name}.jsonl"
    path.write_text("".join(json.dumps({"id": str(k), "caption": c}) + "\n" for k, c in enumerate(captions)))
    return path


def test_verdicts_by_the_scores_of_runs(tmp_path):
    """The better score of each item wins: the scores are those that the runs state."""
    references = tmp_path / "refs.json"
    references.write_text(json.dumps({str(k): [f"a dog number {k} on grass"] for k in range(4)}))
    texts = {
        "one": ["a dog number 0 on grass", "a dog", "a dog number 2", "cat"],
        "two": ["a dog", "a dog number 1 on grass", "a dog number 2", "cat"],
    }
    runs = [capbench.score(files(tmp_path, n, c), references, ["rouge_l"]) for n, c in texts.items()]
    found = arena.by_metric(runs, "rouge_l")
    assert [(v.item, v.winner) for v in found.rows] == [("0", "a"), ("1", "b"), ("2", "tie"), ("3", "tie")]
    assert found.judges == ("by ROUGE-L",)
    assert {(v.a, v.b) for v in found.rows} == {("one", "two")}
    with pytest.raises(UsageError, match="no column is called 'cider'"):
        arena.by_metric(runs, "cider")
    with pytest.raises(UsageError, match="one run alone"):
        arena.by_metric(runs[:1], "rouge_l")
    references.write_text(json.dumps({str(k): ["another text"] for k in range(4)}))
    third = capbench.score(files(tmp_path, "three", texts["one"]), references, ["rouge_l"])
    with pytest.raises(NotComparable, match="signatures differ in data"):
        arena.by_metric([*runs, third], "rouge_l")
