"""What a judge was asked and answered, on the page of an image."""

import json

import pytest

import capbench
from capbench import benchmark, pages

ANSWERS = {0: '{"score": 90, "reason": "<b>fine</b>"}', 1: "I'm sorry, but I can't help with that.", 2: "who knows?"}


@pytest.fixture(scope="module")
def judged(tmp_path_factory, loopback):
    """A page of three images: an answer with markup in it, a refusal, and words without a number."""
    root = tmp_path_factory.mktemp("judged")
    samples = benchmark.load("scenes").samples[:3]
    captions = {sample.id: f"caption {i}" for i, sample in enumerate(samples)}
    (root / "captions.json").write_text(json.dumps(captions))

    def script(key, attempt, body):
        text = body["messages"][-1]["content"][-1]["text"]
        (number,) = [i for i in ANSWERS if f"caption {i}" in text]
        return 200, loopback.completion(ANSWERS[number])

    with loopback.Server(script) as server:
        spec = f"judge(model=\"judge_chat(model='tiny-eyes', url={server.url!r})\")"
        capbench.run(str(root / "captions.json"), "scenes", [spec], limit=3, runs=root / "runs")
    pages.write_view([root / "runs"], root / "page.html", benchmark.load("scenes"))
    return root / "page.html"


def test_questions_and_answers_stand_below_the_caption(show, judged, screenshot):
    wanted = {
        0: ("the judge was asked 1 question", ("value: 90", ANSWERS[0])),
        1: ("the judge was asked 1 question, 1 without an answer that can be read", ("score refused", ANSWERS[1])),
        2: ("the judge was asked 1 question, 1 without an answer that can be read", ("it holds no number", ANSWERS[2])),
    }
    for i, (summary, said) in wanted.items():
        page = show(judged, fragment=f"#image-{i}")
        (block,) = page.all("dialog .judged")
        text = block.get_attribute("textContent")
        assert text.startswith(summary)
        assert all(words in text for words in said)
        assert not block.find_elements("css selector", "b")
    assert screenshot(page, "judged", whole=False).stat().st_size > 10_000
