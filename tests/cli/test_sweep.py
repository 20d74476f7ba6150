"""capbench sweep and the captioners made of others, as one types them, with good and bad words."""

import csv
import json
import re
from pathlib import Path

import pytest

from capbench.cli import run_command, sweep_command

SCORED = ("-b", "scenes", "-n", 20, "-m", "cider", "-m", "clipscore")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_grid_gives_a_table_files_and_runs_that_are_found_again(capbench, here):
    words = ("sweep", "speaker", *SCORED, "--vary", "flaw=none,short", "--vary", "temperature=0.0,0.7")
    made = capbench(*words, "--csv", "out/sweep.csv", "--html", "out/sweep.html")
    assert made.code == 0, made.err
    rows = [line for line in made.out.splitlines() if line.startswith("| ")]
    assert [re.split(r" *\| *", row)[1:3] for row in rows] == [
        ["flaw", "temperature"], ["-----", "-----------"], ["none", "0.0"], ["none", "0.7"], ["short", "0.0"], ["short", "0.7"],
    ]  # fmt: skip
    assert "point 4 of 4, flaw=short, temperature=0.7: 20 captions and 2 metrics were computed" in made.err
    assert (
        "note: the same captions, to the letter: flaw=short, temperature=0.0 | flaw=short, temperature=0.7" in made.err
    )
    lines = list(csv.DictReader((here / "out" / "sweep.csv").read_text().splitlines()))
    assert [line["trade_off"] for line in lines[2:]] == ["beaten", "beaten"]
    page = (here / "out" / "sweep.html").read_text()
    assert "A sweep of" in page
    again = capbench(*words, "--json")
    assert again.data["points"][2]["run"] == lines[2]["run"]
    assert again.err.count("0 captions and 0 metrics were computed") == 4
    alone = capbench("run", "speaker(flaw='short')", *SCORED, "--temperature", 0.7, "--json")
    assert alone.data["run"] == lines[3]["run"]
    board = capbench("leaderboard")
    assert board.out.count("speaker-short") >= 2


def test_a_dry_run_names_the_points_and_makes_nothing(capbench, here):
    made = capbench("sweep", "speaker", *SCORED, "--vary", "flaw=none,short", "--dry-run")
    assert made.code == 0
    assert [line.partition(": ")[0] for line in made.out.splitlines()] == ["flaw=none", "flaw=short"]
    assert not (here / "runs").exists()


def test_it_takes_what_run_takes_except_what_makes_no_sense_for_many(capbench):
    own = {param.name for param in sweep_command.command.params}
    taken = {param.name for param in run_command.command.params} - set(sweep_command.NOT_TAKEN)
    assert taken <= own
    made = capbench("sweep", "speaker", *SCORED, "--vary", "flaw=none", "--temperature", 0.7, "--samples", 2, "--json")
    (point,) = made.data["points"]
    record = json.loads((Path(point["run"]) / "run.json").read_text())
    assert record["identity"]["samples"] == 2
    assert record["identity"]["generation"]["temperature"] == 0.7


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--vary", "flow=none"), 2, "did you mean flaw?"),
        (("--vary", "flaw=none,wrong"), 2, "speaker has no flaw 'wrong'"),
        (("--vary", "seed=1,2"), 2, "write generation.seed or captioner.seed"),
        (("--vary", "beams=1,5"), 2, "speaker makes no use of beams"),
        (("--vary", "temperature=0,-1"), 2, "temperature is 0 or more"),
        (("--vary", "flaw"), 2, "write --vary NAME=V1,V2"),
        ((), 2, "Missing option '--vary'"),
        (("--vary", "flaw=none", "--x", "SPICE"), 2, "no column with a better side is called 'SPICE'"),
        (("--vary", "flaw=none", "--csv", "."), 2, "is a folder"),
        (("--vary", "flaw=none", "--backend", "clip=nobody"), 3, "no backend is called 'nobody'"),
    ],
)
def test_wrong_words_are_refused_before_any_work(capbench, here, words, code, said):
    made = capbench("sweep", "speaker", *SCORED, *words)
    assert made.code == code
    assert said in made.err
    assert not (here / "runs").exists()


def test_a_file_has_no_temperature(capbench, here):
    (here / "captions.json").write_text('{"scene-0000": "a circle"}')
    made = capbench("sweep", "captions.json", *SCORED, "--vary", "temperature=0,1")
    assert made.code == 2
    assert "captions makes no use of temperature: every point would be the same" in made.err


def test_a_point_that_fails_is_told_and_the_others_are_there(capbench, here):
    program = "import json, sys\nfor line in sys.stdin:\n    r = json.loads(line)\n    if r['beams'] == 5: sys.exit(3)\n    print(json.dumps({'id': r['id'], 'caption': 'a circle ' + str(r['beams'])}), flush=True)\n"
    (here / "fragile.py").write_text(program)
    made = capbench("sweep", "command(program='python fragile.py', restarts=0)", *SCORED, "--vary", "beams=1,5")
    assert made.code == 5
    assert "1 of 2 points went wrong" in made.err
    assert "exit code 3" in made.err
    rows = [line for line in made.out.splitlines() if line.startswith("| ")]
    assert "on the front" in rows[2]
    assert "unscored" in rows[3]


def test_a_sweep_is_repeated_from_recorded_replies(capbench, here, monkeypatch):
    judge = ("-m", "judge(rubric='clair', model='scripted_judge')")
    words = ("sweep", "speaker", "-b", "scenes", "-n", 8, "-m", "rouge_l", *judge, "--vary")
    monkeypatch.setenv("CAPBENCH_CACHE", str(here / "first"))
    first = capbench(*words, "flaw=none,short", "--json")
    assert capbench("export-replies", *sorted(map(str, (here / "runs" / "scenes").iterdir())), "r.gz").code == 0
    monkeypatch.setenv("CAPBENCH_CACHE", str(here / "second"))
    again = capbench(*words, "flaw=none,short", "--json", "--runs", "again", "--replay", "r.gz")
    assert [p["numbers"] for p in again.data["points"]] == [p["numbers"] for p in first.data["points"]]

    other = capbench(*words, "flaw=none,miscount", "--runs", "other", "--replay", "r.gz")
    assert other.code == 3
    assert "flaw=miscount: r.gz has no reply for 8 of 8 questions: item scene-00000 (clair, score)" in other.err
    assert "on the front" in other.out  # the other point is there
    for gone, code, said in (("gone.gz", 3, "there is no file gone.gz"), ("again", 3, "there is no file again")):
        refused = capbench(*words, "flaw=none", "--runs", "none", "--replay", gone)
        assert (refused.code, said in refused.err) == (code, True)
    unjudged = capbench("sweep", "speaker", *SCORED, "--vary", "flaw=none", "--runs", "none", "--replay", "r.gz")
    assert (unjudged.code, "no metric asks a judge" in unjudged.err) == (2, True)
    assert not (here / "none").exists()


def test_two_files_are_reranked_and_the_best_of_n_is_swept(capbench, here):
    names = [json.loads(line)["id"] for line in captions_of(capbench)]
    (here / "one.json").write_text(json.dumps(dict.fromkeys(names, "a red circle")))
    (here / "two.json").write_text(json.dumps(dict.fromkeys(names[1:], "two blue squares")))
    made = capbench("run", "rerank(captioners=['one.json', 'two.json'])", *SCORED)
    assert made.code == 0, made.err
    assert re.search(r"note: best by clip_cosine, of 20 captions: one \d+, two \d+", made.err)
    assert "note: two: 1 of 20 candidates were passed over" in made.err
    swept = capbench(
        "sweep", "rerank(captioners=['speaker'])", *SCORED, "--temperature", 0.7, "--vary", "n=1,3", "--json"
    )
    values = [point["numbers"]["CLIPScore"]["value"] for point in swept.data["points"]]
    assert values[1] >= values[0]
    refused = capbench("run", "rerank(captioners=['one.json'], by='cider')", *SCORED)
    assert refused.code == 2
    assert "would give away" in refused.err


def captions_of(capbench):
    """The lines of a run's captions."""
    run = capbench("run", "speaker", *SCORED, "--json").data["run"]
    return (Path(run) / "captions.jsonl").read_text().splitlines()


def test_fuse_asks_a_server_and_says_what_was_not_fused(capbench, here, loopback, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def script(key, attempt, body):
        return 200, loopback.completion("" if "invent" in key or len(server.bodies) == 1 else "a fused caption")

    spec = "fuse(captioners=['speaker', \"speaker(flaw='short')\"], llm=\"chat(model='tiny-eyes', url='{}')\")"
    with loopback.Server(script) as server:
        made = capbench("run", spec.format(server.url), *SCORED)
        again = capbench("run", spec.format(server.url), *SCORED)
    assert made.code == 0, made.err
    assert "note: 1 of 20 captions were not fused, the best one stands: the answer is empty (1)" in made.err
    assert "0 captions" in again.err
    assert len(server.bodies) == 20
    gone = capbench("run", spec.format(server.url).replace("tiny-eyes", "other"), *SCORED)
    assert gone.code == 3
    assert "llm: " in gone.err
