"""Bad captions and references: what is said, which exit code, and that nothing else is lost or shifted."""

import json

import pytest

REFERENCES = {
    "1": ["a dog runs on grass", "a brown dog"],
    "2": ["two cats sleep", "a pair of cats"],
    "3": ["a red car", "the car is red"],
    "4": ["a tall tree", "one tree in a field"],
}
GOOD = {"1": "a dog on grass", "2": "cats sleep", "3": "the red car", "4": "a tall tree in a field"}


@pytest.fixture
def score(capbench, tmp_path):
    """score(predictions, *options) with the references above; predictions: data, text or bytes."""

    def call(predictions, *options, references=REFERENCES):
        for name, value in (("p.json", predictions), ("r.json", references)):
            data = (
                value if isinstance(value, bytes) else (value if isinstance(value, str) else json.dumps(value)).encode()
            )
            (tmp_path / name).write_bytes(data)
        return capbench("score", tmp_path / "p.json", tmp_path / "r.json", *options)

    return call


def per_item(score, tmp_path, predictions, metric="rouge_l"):
    """id -> value of every item."""
    (tmp_path / "items.jsonl").unlink(missing_ok=True)
    score(predictions, "-m", metric, "--per-item", tmp_path / "items.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "items.jsonl").read_text().splitlines()]
    return {line["id"]: line["value"] for line in lines}


def test_good_captions_get_every_number(score):
    done = score(GOOD, "--json")
    assert done.code == 0
    keys = {"metric", "column", "value", "low", "high", "n", "unscored", "signature"}
    assert all(keys <= set(entry) for entry in done.data["scores"])
    assert [entry["column"] for entry in done.data["scores"]] == [
        *("bleu1", "bleu2", "bleu3", "bleu4"),
        "rouge_l",
        "cider",
    ]
    assert all(entry["low"] <= entry["value"] <= entry["high"] for entry in done.data["scores"])


def test_a_missing_id_is_unscored_named_and_the_others_keep_their_numbers(score, tmp_path):
    whole = per_item(score, tmp_path, GOOD)
    rest = {k: v for k, v in GOOD.items() if k != "2"}
    assert per_item(score, tmp_path, rest) == whole | {"2": None}
    done = score(rest, "--json")
    assert done.code == 5
    assert "1 of 4 ids: no caption in p.json: 2" in done.err
    assert all((entry["n"], entry["unscored"]) == (3, 1) for entry in done.data["scores"])
    assert "allow it: --max-missing 0.25" in done.err
    assert score(rest, "--max-missing", "0.25").code == 0


def test_an_extra_id_is_refused_unless_it_is_said_to_be_ignored(score):
    extra = {**GOOD, "9": "nobody's caption"}
    done = score(extra)
    assert (done.code, "'9'" in done.err, "--ignore-extra" in done.err) == (4, True, True)
    ignored = score(extra, "--ignore-extra", "--json")
    assert ignored.code == 0
    assert [e["value"] for e in ignored.data["scores"]] == [e["value"] for e in score(GOOD, "--json").data["scores"]]


def test_references_in_the_place_of_captions_are_told(score):
    done = score(REFERENCES, references=GOOD)
    assert (done.code, "capbench score PREDICTIONS REFERENCES" in done.err) == (4, True)
    one = score({**GOOD, "1": ["a dog", "a cat"]})
    assert (one.code, "PREDICTIONS REFERENCES" in one.err) == (4, False)


def test_a_split_of_a_karpathy_file(score):
    images = [
        {"cocoid": int(id_), "split": "test" if id_ < "4" else "train", "sentences": [{"raw": t} for t in texts]}
        for id_, texts in REFERENCES.items()
    ]
    karpathy, captions = {"images": images, "dataset": "coco"}, {k: v for k, v in GOOD.items() if k < "4"}
    done = score(captions, references=karpathy)
    assert (done.code, "all captions are of the split test: score --split test" in done.err) == (5, True)
    alone = score(captions, "--json", references={k: v for k, v in REFERENCES.items() if k < "4"})
    assert score(captions, "--json", "--split", "test", references=karpathy).data["scores"] == alone.data["scores"]
    done = score(captions, "--split", "val", references=karpathy)
    assert (done.code, "it has: test (3), train (1)" in done.err) == (2, True)


def test_order_of_entries_changes_nothing(score):
    backwards = dict(reversed(GOOD.items()))
    assert score(backwards, "--json").data["scores"] == score(GOOD, "--json").data["scores"]


def test_numbers_and_their_texts_are_the_same_ids(score):
    as_numbers = [{"image_id": int(k), "caption": v} for k, v in GOOD.items()]
    assert score(as_numbers, "--json").data["scores"] == score(GOOD, "--json").data["scores"]
    both = [*as_numbers, {"image_id": "3", "caption": "again"}]
    done = score(both)
    assert done.code == 4
    assert "the same id" in done.err
    assert "[2]" in done.err
    assert "[4]" in done.err


def test_two_captions_for_one_image_are_refused_unless_stated(score):
    twice = [{"image_id": k, "caption": v} for k, v in GOOD.items() for _ in range(2)]
    done = score(twice)
    assert done.code == 4
    assert "--samples K" in done.err
    both = score(twice, "--samples", "2", "--json")
    assert both.code == 0
    marks = ["first of 2 captions"] * 5 + ["first of 2 captions, idf of 4 images"]
    assert [(e["n"], e["mark"]) for e in both.data["scores"]] == [(4, mark) for mark in marks]
    single = [e["value"] for e in score(GOOD, "--json").data["scores"]]
    assert [e["value"] for e in both.data["scores"]] == pytest.approx(single)
    assert score(twice[:-1], "--samples", "2").code == 4


def test_all_faults_of_a_file_are_reported_together(score):
    rows = [{"image_id": 1, "caption": "a"}, {"image_id": 1, "caption": "b"}, {"caption": "c"}, {"image_id": 9}]
    done = score(rows)
    assert done.code == 4
    assert "[1]" in done.err
    assert "[2]" in done.err


def test_no_references_for_one_image_names_it(score):
    done = score(GOOD, references={**REFERENCES, "3": []})
    assert (done.code, "3" in done.err, "no references" in done.err) == (4, True, True)


@pytest.mark.parametrize("text", ["", " ", "...", "?!", "\u2026"])
def test_a_caption_without_words_is_an_answer_of_zero(score, tmp_path, text):
    done = score({**GOOD, "2": text}, "--json")
    assert done.code == 0
    assert {e["unscored"] for e in done.data["scores"]} == {0}
    assert {e["empty"] for e in done.data["scores"]} == {1}
    assert per_item(score, tmp_path, {**GOOD, "2": text})["2"] == 0


@pytest.mark.parametrize("value", [None, 7, 1.5, True, {"x": 1}, []])
def test_a_caption_that_is_not_text_is_unscored_with_a_reason(score, tmp_path, value):
    whole = per_item(score, tmp_path, GOOD)
    assert per_item(score, tmp_path, {**GOOD, "2": value}) == whole | {"2": None}
    done = score({**GOOD, "2": value})
    assert done.code == 5
    assert ": 2" in done.err


HOSTILE = [
    "\r",
    "\r\n",
    "\n",
    "\v",
    "\f",
    "\x1c",
    "\x85",
    "\u2028",
    "\u2029",
    "\x00",
    "\ud800",
    "\U0001f600",
    "\ufeff",
    "\u202e",
]


@pytest.mark.parametrize("mark", HOSTILE, ids=[f"U+{ord(m[0]):04X}x{len(m)}" for m in HOSTILE])
def test_no_character_shifts_a_caption(score, tmp_path, mark):
    whole = per_item(score, tmp_path, GOOD)
    found = per_item(score, tmp_path, {**GOOD, "2": f"cats{mark} sleep{mark}"})
    assert {k: v for k, v in found.items() if k != "2"} == {k: v for k, v in whole.items() if k != "2"}
    assert found["2"] is not None
    lines = "\n".join(json.dumps({"id": k, "caption": v}) for k, v in {**GOOD, "2": f"cats{mark} sleep{mark}"}.items())
    assert per_item(score, tmp_path, lines) == found


def test_a_megabyte_is_scored(score):
    done = score({**GOOD, "2": "cats sleep " * 100_000}, "--json")
    assert done.code == 0
    assert {e["unscored"] for e in done.data["scores"]} == {0}


def test_a_file_that_is_not_utf8_says_where(score):
    done = score(b'{"1": "caf\xe9", "2": "x", "3": "x", "4": "x"}')
    assert done.code == 4
    assert "UTF-8" in done.err
    assert "line 1" in done.err


@pytest.mark.parametrize("cut", [10, 30, 60])
def test_a_half_written_file_is_refused(score, cut):
    assert score(json.dumps(GOOD)[:cut]).code == 4
    lines = "\n".join(json.dumps({"id": k, "caption": v}) for k, v in GOOD.items())
    done = score(lines[: len(lines) - 5])
    assert done.code == 4
    assert "line 4" in done.err


def test_ids_that_fit_nowhere_show_both_sides(score):
    done = score({f"COCO_val2014_{int(k):012d}.jpg": v for k, v in GOOD.items()})
    assert done.code == 4
    assert "COCO_val2014_000000000001.jpg" in done.err
    assert "'1'" in done.err


def test_one_image_leaves_cider_unscored_and_the_rest_scored(score):
    done = score({"1": "a dog"}, "--json", references={"1": ["a dog"]})
    assert done.code == 5
    values = {e["column"]: e["value"] for e in done.data["scores"]}
    assert values["cider"] is None
    assert values["rouge_l"] == 1.0
    assert "ln(1" in done.err or "log" in done.err


def test_no_traceback_without_v(score, program, tmp_path):
    score(GOOD)
    for words in (["score", "no-such-file", tmp_path / "r.json"], ["run", "nobody", "-b", "scenes"]):
        assert "Traceback" not in program(*words).err
        assert "Traceback" in program("-v", *words).err
