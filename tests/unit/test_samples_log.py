"""Sample logs of lmms-eval: rows as its evaluator and its COCO task write them, made by hand after their code."""

import json

import pytest

import capbench
from capbench.errors import BadData, UsageError
from capbench.records import read
from capbench.types import Failure


def sample(n, text, **more):
    """What ``lmms_eval/evaluator.py`` logs of a document of ``coco2017_cap_val``."""
    name = f"{n:012d}.jpg"
    result = {"answer": [f"a cat number {n}", "a cat"], "pred": text, "image_id": n, "id": 7 * n}
    return {
        "doc_id": n - 1, "doc": {"question_id": name, "question": "Please carefully observe the image", "answer": result["answer"], "id": 7 * n},
        "target": result["answer"], "arguments": ["Provide a one-sentence caption for the provided image.", {"max_new_tokens": 64}],
        "resps": [[text]], "filtered_resps": [text], "doc_hash": "00", "coco_Bleu_4": result, "coco_CIDEr": result, **more,
    }  # fmt: skip


def written(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_captions_and_references_of_a_coco_task(tmp_path):
    path = written(tmp_path / "20260101_samples_coco2017_cap_val.jsonl", [sample(n, f"a dog {n}") for n in (9, 4, 25)])
    assert [(r.id, r.texts) for r in read(path)] == [("9", ("a dog 9",)), ("4", ("a dog 4",)), ("25", ("a dog 25",))]
    assert read(path, want="references")[1].texts == ("a cat number 4", "a cat")
    assert read(path, id_field="doc.question_id")[0].id == "000000000009.jpg"
    assert read(path, field="coco_CIDEr.pred")[2].texts == ("a dog 25",)
    assert read(path, tags=["doc.question_id"])[0].tags == {"doc.question_id": "000000000009.jpg"}


def test_it_scores_as_the_same_captions_in_cocos_form(tmp_path):
    log = written(tmp_path / "samples.jsonl", [sample(n, f"a cat number {n}") for n in range(1, 9)])
    results = tmp_path / "results.json"
    results.write_text(json.dumps([{"image_id": n, "caption": f"a cat number {n}"} for n in range(1, 9)]))
    references = tmp_path / "refs.json"
    references.write_text(json.dumps({str(n): [f"a cat number {n}", "a cat"] for n in range(1, 9)}))
    assert capbench.score(log, references).value("cider") == capbench.score(results, references).value("cider")


def test_the_whole_result_with_its_samples(tmp_path):
    path = tmp_path / "results.json"
    rows = [sample(n, "x") for n in (1, 2)]
    path.write_text(json.dumps({"results": {}, "samples": {"coco2017_cap_val": rows}}))
    assert [r.id for r in read(path)] == ["1", "2"]
    path.write_text(json.dumps({"samples": {"one": rows, "two": rows}}))
    with pytest.raises(UsageError, match="samples of 2 tasks: one, two"):
        read(path)


def test_where_the_id_stands_if_no_metric_has_it(tmp_path):
    rows = [{"doc_id": n, "doc": {"question_id": f"q{n}"}, "resps": [["x", "y"]], "target": "t"} for n in range(3)]
    first = read(written(tmp_path / "a.jsonl", rows))[0]
    assert (first.id, first.texts) == ("q0", ("x", "y"))
    rows[1]["doc"] = {}
    assert [r.id for r in read(written(tmp_path / "a.jsonl", rows))] == ["0", "1", "2"]
    assert read(written(tmp_path / "a.jsonl", rows), want="references")[0].texts == ("t",)


def test_samples_without_an_answer_are_failures(tmp_path):
    rows = [sample(1, "fine"), sample(2, "", filtered_resps=[], resps=[[]]), sample(3, "", filtered_resps=[None])]
    first, second, third = read(written(tmp_path / "a.jsonl", rows))
    assert first.texts == ("fine",)
    assert second.texts == (Failure("the sample has no answer"),)
    assert isinstance(third.texts[0], Failure)
    assert read(written(tmp_path / "a.jsonl", [sample(1, "")]))[0].texts == ("",), "an empty answer is one"


def test_a_document_that_stands_twice_is_a_fault(tmp_path):
    with pytest.raises(BadData, match="line 2"):
        read(written(tmp_path / "a.jsonl", [sample(1, "x"), sample(1, "y")]))
