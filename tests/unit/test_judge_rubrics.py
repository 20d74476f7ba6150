"""Every shipped rubric from end to end: over a server that answers well, badly, slowly or not, and on a small model."""

import json

import numpy as np
import pytest
from PIL import Image

import capbench
from capbench import rubrics
from capbench.details import details_of

KINDS = ("good", "slow", "malformed", "refused", "filtered", "cut")
FACTS = ["There is a dog.", "The dog is brown.", "The dog runs."]
QUESTIONS = [{"question": "What is there?", "answer": "a dog"}, {"question": "Which colour?", "answer": "brown"}]
METRICS = [name for name in rubrics.shipped() if name != "pairwise"]
LOGPROBS = {"content": [
    {"token": "0", "logprob": -0.1, "top_logprobs": [{"token": "0", "logprob": -0.1}]},
    {"token": ".", "logprob": -0.1, "top_logprobs": []},
    {"token": "8", "logprob": -0.7, "top_logprobs": [{"token": "8", "logprob": -0.7}, {"token": "6", "logprob": -1.2}]},
]}  # fmt: skip
YES = {
    "content": [
        {
            "token": "Yes",
            "logprob": -0.2,
            "top_logprobs": [{"token": "Yes", "logprob": -0.2}, {"token": "no", "logprob": -2.0}],
        }
    ]
}
SMOOTH = 0.8 * np.exp(-0.7) + 0.6 * np.exp(-1.2)

# a phrase of each step's prompt -> what a good judge answers, and how many questions it is asked of one item
STEPS = {
    "in percent from 0 to 100": ('{"score": 70, "reason": "alike"}', 1),
    "Rate how well the caption": ("0.8", 1),
    "Is this what the picture shows": ("Yes", 1),
    "Write twenty short questions": (json.dumps(QUESTIONS), 1),
    "Answer the question from this description": ("a dog", 2),
    "Compare an answer with the right one": ('{"pred": "yes", "score": 4}', 2),
    "apart into atomic facts": ('["A dog.", "It is brown.", "It flies.", "A cat."]', 1),
    "give the number of the known fact": ("[1, 2, 0, 0]", 1),
    "say whether it is true of the image": ('["yes", "yes", "no", "yes"]', 1),
    "Somebody describes a picture": ("brown", 2),
    "a figure of a scientific article": ('{"helpfulness": 5, "ocr": "yes", "takeaway": "no"}', 1),
}
# by hand. dcscore: 3 of 4 are true; facts 1 and 2 and one beyond the three: (2 + 1) / (3 + 1)
VALUES = {
    "clair": {"clair": 0.7},
    "fleur": {"fleur": SMOOTH, "fleur_printed": 0.8},
    "vqascore": {"vqascore": np.exp(-0.2), "vqa_share": np.exp(-0.2) / (np.exp(-0.2) + np.exp(-2.0))},
    "vdcscore": {"vdc_accuracy": 1.0, "vdcscore": 4.0},
    "dcscore": {"dc_precision": 0.75, "dc_recall": 0.75, "dcscore": 0.75},
    "capqa": {"capqa": 0.5},
    "figure": {"helpfulness": 5.0, "ocr": 1.0, "takeaway": 0.0},
}
ASKED = {"vdcscore": 5, "dcscore": 3, "capqa": 2}  # questions about an item that goes well
GIVEN = {"dcscore": "facts", "capqa": "questions"}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def files(tmp_path):
    """Captions that are called as they go, a reference and a picture each, facts and questions."""
    (tmp_path / "pictures").mkdir()
    for i, kind in enumerate(KINDS):
        Image.new("RGB", (8, 8), (i, i, i)).save(tmp_path / "pictures" / f"{kind}.png")
    (tmp_path / "captions.json").write_text(json.dumps({f"{kind}.png": f"a {kind} dog" for kind in KINDS}))
    (tmp_path / "references.json").write_text(json.dumps({f"{kind}.png": [f"the {kind} one"] for kind in KINDS}))
    for name, value in (("facts", FACTS), ("questions", QUESTIONS)):
        lines = [json.dumps({"id": f"{kind}.png", name: value}) for kind in KINDS]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    return tmp_path


def score(files, rubric, model):
    facts = f", facts={str(files / (GIVEN[rubric] + '.jsonl'))!r}" if rubric in GIVEN else ""
    spec = f"judge(rubric={rubric!r}, model={model!r}{facts})"
    return capbench.score(files / "captions.json", files / "references.json", [spec], images=files / "pictures")


def scripted(loopback):
    """Answers every step well, and the first one of each bad kind badly."""

    def script(key, attempt, body):
        text = body["messages"][-1]["content"][-1]["text"]
        ((phrase, (good, _)),) = [(phrase, step) for phrase, step in STEPS.items() if phrase in text]
        answer = loopback.completion(good)
        if phrase.startswith("Rate"):
            answer["choices"][0]["logprobs"] = LOGPROBS
        if phrase.startswith("Is this"):
            answer["choices"][0]["logprobs"] = YES
            answer["choices"][0]["finish_reason"] = "length"
        if "malformed" in text:
            answer = loopback.completion("")
        elif "refused" in text:
            answer = loopback.completion("", refusal="I won't")
        elif "filtered" in text:
            answer = loopback.completion("", finish="content_filter")
        elif "cut" in text and not phrase.startswith("Is this"):
            answer = loopback.completion(good[: len(good) // 2], finish="length")
        elif "cut" in text:
            answer = loopback.completion("Yes", finish="length")  # and without likelihoods
        elif "slow" in text and attempt == 1:
            return "busy"
        return 200, answer

    return loopback.Server(script)


@pytest.mark.parametrize("rubric", METRICS)
def test_a_rubric_over_a_server(rubric, files, loopback):
    with scripted(loopback) as server:
        model = f"judge_chat(model='tiny-eyes', url={server.url!r})"
        run = score(files, rubric, model)
        bodies = len(server.bodies)
        again = score(files, rubric, model)
        assert len(server.bodies) == bodies
    (scored,) = run.scored
    columns = dict(zip(KINDS, np.array([scored.rows.columns[name] for name in VALUES[rubric]]).T, strict=True))
    for kind in ("good", "slow"):
        np.testing.assert_allclose(columns[kind], list(VALUES[rubric].values()), atol=1e-5)
    for kind in ("malformed", "refused", "filtered", "cut"):
        assert np.isnan(columns[kind]).all(), kind
    counts = {
        name: dict(zip(KINDS, scored.rows.columns[name].tolist(), strict=True))
        for name in ("asked", "unreadable", "refused")
    }
    well, ill = ASKED.get(rubric, 1), 2 if rubric == "capqa" else 1
    assert counts["asked"] == {kind: well if kind in ("good", "slow") else ill for kind in KINDS}
    assert counts["unreadable"] == {kind: ill if kind in ("malformed", "cut") else 0 for kind in KINDS}
    assert counts["refused"] == {kind: ill if kind in ("refused", "filtered") else 0 for kind in KINDS}
    reasons = {KINDS[row]: why for row, why in scored.reasons.items()}
    assert set(reasons) == {"malformed", "refused", "filtered", "cut"}
    assert "I won't" in reasons["refused"]
    assert reasons["filtered"].startswith("the judge refuses")
    if rubric != "vqascore":
        assert "cut off at" in reasons["cut"]
        assert scored.rows.columns["tokens_in"][0] == 100 * well
    pictures = [b for b in server.bodies if any(part["type"] == "image_url" for part in b["messages"][-1]["content"])]
    assert len(pictures) == (len(server.bodies) if "image" in rubrics.load(rubric).sees else 0)
    assert [s.value for s in again.summaries] == [s.value for s in run.summaries]


def test_questions_of_the_data_are_not_made_again(files, loopback):
    with scripted(loopback) as server:
        spec = f"judge(rubric='vdcscore', model=\"judge_chat(model='tiny-eyes', url={server.url!r})\", facts={str(files / 'questions.jsonl')!r})"
        run = capbench.score(files / "captions.json", files / "references.json", [spec])
    assert not any("Write twenty" in body["messages"][-1]["content"][-1]["text"] for body in server.bodies)
    assert run.scored[0].rows.columns["asked"][0] == 4


def test_an_unreadable_answer_can_be_asked_for_again_with_another_seed(files, loopback):
    seeds = []

    def script(key, attempt, body):
        seeds.append(body["seed"])
        return 200, loopback.completion('{"score": 50}' if body["seed"] == 1 else "well")

    with loopback.Server(script) as server:
        model = f"judge_chat(model='tiny-eyes', url={server.url!r}, concurrency=1)"
        runs = [
            capbench.score(
                files / "captions.json", files / "references.json", [f"judge(model={model!r}, tries={tries})"]
            )
            for tries in (1, 2)
        ]
    once, twice = (run.scored[0].rows.columns for run in runs)
    assert np.isnan(once["clair"]).all()
    assert (twice["clair"] == 0.5).all()
    assert (twice["unreadable"] == 1).all()
    assert (twice["asked"] == 2).all()
    assert seeds == [0] * 6 + [1] * 6  # the first answers were in the cache


def test_repeats_are_asked_with_seeds_of_their_own_and_their_mean_counts(files, loopback):
    with loopback.Server(lambda key, attempt, body: (200, loopback.completion(str(10 * (1 + body["seed"]))))) as server:
        model = f"judge_chat(model='tiny-eyes', url={server.url!r})"
        spec = f"judge(model={model!r}, repeats=3, temperature=0.7, seed=4)"
        run = capbench.score(files / "captions.json", files / "references.json", [spec])
    assert run.value("clair") == pytest.approx((0.5 + 0.6 + 0.7) / 3)
    assert {body["temperature"] for body in server.bodies} == {0.7}


@pytest.mark.torch
@pytest.mark.parametrize("rubric", METRICS)
def test_a_rubric_on_a_small_model(rubric, files, tiny_captioner):
    run = score(files, rubric, f"judge_hf(model={str(tiny_captioner('llava'))!r})")
    (scored,) = run.scored
    columns = scored.rows.columns
    first = columns[next(iter(VALUES[rubric]))]
    asked = 2 if rubric == "capqa" else 1
    assert columns["asked"].tolist() == [asked] * 6
    # a model that was never trained writes words without end: they are counted as what they are
    states = [[one["state"] for one in details_of(run, "judge")[f"{kind}.png"]["exchanges"]] for kind in KINDS]
    assert columns["unreadable"].tolist() == [own.count("unreadable") for own in states]
    assert (columns["unreadable"] >= 1).all()
    assert np.isnan(first).all()
    words = "among its likeliest first words" if rubric == "vqascore" else "cut off at"
    assert all(words in why for why in scored.reasons.values())
    assert (columns["tokens_out"] > 0).all()
