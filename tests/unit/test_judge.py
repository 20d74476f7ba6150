import gzip
import json

import numpy as np
import pytest

import capbench
from capbench import plugins
from capbench.cli.main import main
from capbench.details import details_of
from capbench.errors import MissingPart, UsageError

REFERENCES = {"a": ["a brown dog runs"], "b": ["two cats sleep"], "c": ["a red bus"], "d": ["a man eats"]}
CAPTIONS = {"a": "a dog runs", "b": "cats on a bed", "c": "a bus", "d": "a person"}


@pytest.fixture
def files(tmp_path):
    """captions.json and references.json of four items, and a cache of their own."""
    (tmp_path / "captions.json").write_text(json.dumps(CAPTIONS))
    (tmp_path / "references.json").write_text(json.dumps(REFERENCES))
    return tmp_path


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / "cache"))


def caption_of(body):
    """The caption in a prompt of the rubric clair."""
    return body["messages"][-1]["content"][-1]["text"].split("Caption:\n1. ")[1].split("\n")[0]


def judge(server, rubric="clair", more="", options=""):
    return f"judge(rubric={rubric!r}, model=\"judge_chat(model='tiny-eyes', url={server.url!r}{more})\"{options})"


def scores_by_caption(loopback, scores, **named):
    """A server that scores captions as the table says; other texts are sent as they are."""

    def script(key, attempt, body):
        answer = scores[caption_of(body)]
        return 200, loopback.completion(json.dumps({"score": answer}) if isinstance(answer, int) else answer, **named)

    return loopback.Server(script)


def column(run, name):
    (scored,) = run.scored
    return scored.rows.columns[name]


def test_clair_over_a_server(files, loopback):
    scores = dict(zip(CAPTIONS.values(), [90, 40, 75, 20], strict=True))
    with scores_by_caption(loopback, scores) as server:
        run = capbench.score(files / "captions.json", files / "references.json", [judge(server)])
        assert len(server.bodies) == 4
        again = capbench.score(files / "captions.json", files / "references.json", [judge(server)])
        assert len(server.bodies) == 4  # every reply is in the cache
    np.testing.assert_allclose(column(run, "clair"), [0.9, 0.4, 0.75, 0.2])
    np.testing.assert_array_equal(column(run, "tokens_in"), [100] * 4)
    assert run.value("clair") == pytest.approx((0.9 + 0.4 + 0.75 + 0.2) / 4)
    assert [s.value for s in again.summaries] == [s.value for s in run.summaries]
    body = server.bodies[0]
    assert body["temperature"] == 0
    assert body["seed"] == 0
    assert "logprobs" not in body
    assert all(
        reference in "".join(m["messages"][-1]["content"][-1]["text"] for m in server.bodies)
        for own in REFERENCES.values()
        for reference in own
    )


def test_an_answer_that_cannot_be_read_has_no_number_and_its_text_is_kept(files, loopback):
    answers = dict(
        zip(CAPTIONS.values(), [90, "It is hard to say.", "I'm sorry, but I can't help with that.", 120], strict=True)
    )
    with scores_by_caption(loopback, answers) as server:
        run = capbench.score(files / "captions.json", files / "references.json", [judge(server)])
    np.testing.assert_array_equal(column(run, "clair"), [0.9, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(column(run, "unreadable"), [0, 1, 0, 1])
    np.testing.assert_array_equal(column(run, "refused"), [0, 0, 1, 0])
    (scored,) = run.scored
    assert scored.reasons[1] == "the judge's answer (score) cannot be read: it holds no number"
    assert scored.reasons[2].startswith("the judge refuses (score): I'm sorry")
    assert scored.reasons[3] == "the judge's answer (score) cannot be read: 120 is not on the scale of 0 to 100"
    (told,) = details_of(run, "judge")["b"]["exchanges"]
    assert told["reply"]["text"] == "It is hard to say."
    assert told["state"] == "unreadable"
    marks = {s.mark for s in run.summaries}
    assert marks == {"2 unreadable, 1 refused"}


def test_a_run_is_repeated_from_its_replies_alone(files, loopback, capsys):
    scores = dict(zip(CAPTIONS.values(), [90, 40, 75, 20], strict=True))
    data = f"folder(captions={str(files / 'references.json')!r})"
    with scores_by_caption(loopback, scores) as server:
        spec = judge(server)
        words = [str(files / "captions.json"), "-b", data, "-m", spec]
        with pytest.raises(SystemExit, match="0"):
            main(["run", *words, "--runs", str(files / "runs")])
    assert "judges were asked 4 questions" in capsys.readouterr().err
    (folder,) = (path.parent for path in (files / "runs").rglob("run.json"))
    out = files / "replies.jsonl.gz"
    with pytest.raises(SystemExit, match="0"):
        main(["export-replies", str(folder), str(out)])
    assert "4 replies of 1 judge" in capsys.readouterr().err
    text = gzip.decompress(out.read_bytes()).decode()
    assert not any(caption in text for caption in CAPTIONS.values())
    (files / "cache" / "values.sqlite").unlink()
    with pytest.raises(SystemExit, match="0"):  # the server is gone
        main(["run", *words, "--runs", str(files / "again"), "--replay", str(out)])
    (other,) = (path.parent for path in (files / "again").rglob("run.json"))
    first, second = (capbench.load_run(path) for path in (folder, other))
    assert first.summaries == second.summaries
    with pytest.raises(SystemExit, match="0"):
        main(["export-replies", str(other), str(files / "third.gz")])
    assert (files / "third.gz").read_bytes() == out.read_bytes()

    changed = {**CAPTIONS, "c": "a tram"}
    (files / "captions.json").write_text(json.dumps(changed))
    capsys.readouterr()
    with pytest.raises(SystemExit, match="3"):
        main(["run", *words, "--runs", str(files / "changed"), "--replay", str(out)])
    assert "has no reply for 1 of 4 questions: item c (clair, score)" in capsys.readouterr().err


def test_a_file_that_is_not_of_replies_is_refused(files):
    (files / "x.gz").write_text("{}")
    for name, words in (("x.gz", "holds no recorded replies"), ("none.gz", "there is no file")):
        with pytest.raises(MissingPart, match=words):
            capbench.score(
                files / "captions.json", files / "references.json", ["judge(model='m')"], replay=str(files / name)
            )
    with pytest.raises(UsageError, match="no metric asks a judge"):
        capbench.score(files / "captions.json", files / "references.json", ["bleu"], replay="x.gz")


def test_the_signature_says_how_the_judge_was_asked():
    metric = plugins.load("metrics", "judge(rubric='clair', temperature=0.5, seed=3, repeats=2)").value
    assert metric.stated()["rubric"] == "clair@1"
    assert len(metric.stated()["prompts"]) == len(metric.stated()["rubric_digest"]) == 16


def test_a_server_that_refuses_in_the_middle_ends_the_run_and_its_replies_are_kept(files, loopback):
    good = []

    def script(key, attempt, body):
        if len(good) == 2:
            return 401, {"error": {"message": "the key has expired"}}
        good.append(caption_of(body))
        return 200, loopback.completion('{"score": 50}')

    with loopback.Server(script) as server:
        spec = judge(server, more=", concurrency=1")
        with pytest.raises(MissingPart, match="the key has expired"):
            capbench.score(files / "captions.json", files / "references.json", [spec])
        asked = len(server.bodies)
        server.script = lambda key, attempt, body: (200, loopback.completion('{"score": 50}'))
        run = capbench.score(files / "captions.json", files / "references.json", [spec])
        assert len(server.bodies) - asked == 2
    assert run.value("clair") == 0.5


def test_an_item_without_facts_is_unscored_and_not_asked_about(files):
    lines = [json.dumps({"id": name, "facts": [text]}) for name, (text,) in REFERENCES.items() if name != "c"]
    (files / "facts.jsonl").write_text("\n".join(lines))
    spec = f"judge(rubric='dcscore', model='scripted_judge', facts={str(files / 'facts.jsonl')!r})"
    run = capbench.score(files / "captions.json", files / "references.json", [spec])
    np.testing.assert_array_equal(column(run, "asked"), [3, 3, 0, 3])
    assert run.scored[0].reasons == {2: "there are no facts of it"}
    with pytest.raises(MissingPart, match="dcscore sees facts"):
        capbench.score(
            files / "captions.json", files / "references.json", ["judge(rubric='dcscore', model='scripted_judge')"]
        )


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("judge(rubric='claire')", "did you mean clair"),
        ("judge(rubric='pairwise')", "compares two captions"),
        ("judge(repeats=2)", "temperature=0.7"),
        ("judge(tries=0)", "1 or more"),
        ("judge(facts='x.jsonl')", "sees no facts or questions"),
    ],
)
def test_parameters_that_mean_nothing_are_refused(spec, words):
    with pytest.raises(UsageError) as caught:
        plugins.load("metrics", spec)
    assert words in str(caught.value)


def test_a_rubric_that_sees_elements_gets_those_of_the_references(tmp_path, loopback):
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\nversion = 1\nabout = "x"\nsees = ["caption", "elements"]\n[[steps]]\nname = "score"\n'
        'answer = "number"\nprompt = "Of {caption}:\\n{elements}"\n[columns.mine]\nlabel = "Mine"\nof = ["score"]\n'
    )
    with loopback.Server(lambda key, attempt, body: (200, loopback.completion("1"))) as server:
        run = capbench.run("speaker", "scenes", [judge(server, str(tmp_path / "mine.toml"))], limit=1, runs=None)
    (body,) = server.bodies
    text = body["messages"][-1]["content"][-1]["text"]
    assert text.split("\n")[1].startswith("1. ")
    assert len(text.split("\n")) > 3
    assert run.value("mine") == 1
    assert "scenes_parser" in run.summaries[0].signature
