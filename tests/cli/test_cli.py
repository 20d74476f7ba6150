"""The command line as a new user meets it."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time

import pytest

from capbench.cli.main import COMMANDS

SMALL = ("-b", "scenes(n=42)", "--backend", "clip=scenes")


def test_help_names_every_command_and_exit_code(capbench):
    done = capbench("--help")
    assert done.code == 0
    assert all(f"\n  {name} " in done.out for name in COMMANDS)
    assert all(f"{code} " in done.out for code in (0, 1, 2, 3, 4, 5, 6, 130, 141))


@pytest.mark.parametrize("words", [["--help"], ["list"]])
def test_help_and_list_are_instant(words):
    costs = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "capbench", *words], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        costs.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert sorted(costs)[2] < 0.5


def test_no_heavy_package_is_imported_for_help_and_list():
    script = (
        "import sys\nfrom capbench.cli.main import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'pandas', 'pyarrow', 'transformers', 'numpy', 'PIL'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    for words in (["--help"], ["list"], ["run", "--help"], ["score", "--help"]):
        done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_run_twice_computes_nothing_the_second_time(capbench, tmp_path):
    words = ("run", "speaker", *SMALL, "-m", "cider", "-m", "clipscore", "--runs", tmp_path)
    first = capbench(*words)
    assert "42 captions, 2 metrics" in first.err
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    second = capbench(*words)
    assert "0 captions, 0 metrics and 0 cached values" in second.err
    assert second.out == first.out
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files


def test_a_metric_is_added_to_a_finished_run(capbench, tmp_path):
    capbench("run", "speaker", *SMALL, "-m", "cider", "--runs", tmp_path)
    done = capbench("run", "speaker", *SMALL, "-m", "rouge_l", "--runs", tmp_path)
    assert "0 captions, 1 metrics" in done.err
    (summary,) = tmp_path.rglob("summary.json")
    assert [s["column"] for s in json.loads(summary.read_text())] == ["cider", "rouge_l"]


def test_fresh_starts_over(capbench, tmp_path):
    words = ("run", "constant(text='a dog')", *SMALL, "-m", "cider", "--runs", tmp_path)
    capbench(*words)
    assert "42 captions, 1 metrics" in capbench(*words, "--fresh").err


def test_a_limit_takes_the_first_items(capbench, tmp_path):
    done = capbench("run", "human", *SMALL, "-m", "bleu", "-n", "10", "--runs", tmp_path, "--json")
    assert {entry["n"] for entry in done.data["scores"]} == {10}


def test_a_file_of_captions_is_a_captioner(capbench, tmp_path):
    captions = tmp_path / "mine.jsonl"
    captions.write_text(
        "".join(json.dumps({"id": f"scene-{i:05d}", "caption": "a red circle"}) + "\n" for i in range(42))
    )
    done = capbench("run", captions, *SMALL, "-m", "cider", "--runs", tmp_path / "runs", "--json")
    assert (done.code, done.data["captioner"]) == (0, "mine")
    limited = capbench("run", captions, *SMALL, "-m", "cider", "-n", "20", "--runs", tmp_path / "runs")
    assert limited.code == 0


def test_dry_run_says_what_would_be_done_and_does_nothing(capbench, tmp_path):
    done = capbench("run", "speaker", *SMALL, "-m", "clipscore", "--runs", tmp_path, "--dry-run")
    assert done.code == 0
    assert "of 42 cached" in done.out
    assert "after captioning" in done.out
    assert not list(tmp_path.iterdir())


def test_everything_missing_is_said_together(capbench, tmp_path):
    done = capbench(
        *("run", "command(program='no-such-program')", "-b", "scenes(n=42)", "-m", "clipscore(encoder='nope')"),
        *("-m", "cider(tokenizer='neither')", "--runs", tmp_path),
    )
    assert done.code == 3
    assert all(name in done.err for name in ("no-such-program", "nope", "neither"))
    assert "--backend nope=SPEC" in done.err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["run", "speeker", "-b", "scenes"], 2, "did you mean speaker"),
        (["run", "speaker(flaw='nose')", "-b", "scenes"], 2, "no_colour"),
        (["run", "speaker", "-b", "scene"], 2, "scenes"),
        (["run", "speaker", "-b", "scenes", "-m", "cider(variant='x')"], 2, "plain"),
        (["run", "speaker", "-b", "scenes", "--backend", "clip"], 2, "NAME=SPEC"),
        (["run", "speaker"], 2, "--benchmark"),
        (["nonsense"], 2, "nonsense"),
        (["list", "cidr"], 2, "did you mean cider"),
        (["leaderboard", "--runs", "nowhere"], 4, "no finished run"),
        (["score", "a", "b"], 2, "there is no file"),
        (["run", "speaker", "-b", __file__], 2, f"folder(captions={__file__!r})"),
        (
            ["run", "speaker", "-b", "scenes(n=42)", "-m", "self_retrieval(bags='rd100')", "--backend", "clip=scenes"],
            2,
            "bag",
        ),
    ],
)
def test_wrong_words_get_an_answer(capbench, words, code, says):
    done = capbench(*words)
    assert done.code == code
    assert says in done.err


def test_list_shows_groups_and_one_part(capbench):
    done = capbench("list")
    for name in ("cider", "speaker", "scenes_parser", "coco", "coco-karpathy-test"):
        assert name in done.out
    part = capbench("list", "clipscore", "--json").data["parts"][0]
    assert part["parameters"]["weight"] == "float = 2.5"
    assert part["columns"]["clipscore"]["label"] == "CLIPScore"
    assert "Images()" in part["needs"]["image"]


def test_leaderboard_of_two_runs_in_three_forms(capbench, tmp_path):
    for captioner in ("speaker", "shuffled"):
        capbench("run", captioner, *SMALL, "-m", "cider", "--runs", tmp_path)
    table = capbench("leaderboard", "--runs", tmp_path).out
    assert table.index("| 1 | speaker") < table.index("| 2 | shuffled")
    lines = capbench("leaderboard", "--runs", tmp_path, "--format", "csv").out.splitlines()
    assert len(lines) == 3
    boards = json.loads(capbench("leaderboard", "--runs", tmp_path, "--format", "json").out)
    assert [line["label"] for line in boards[0]["lines"]] == ["speaker", "shuffled"]


def test_a_written_leaderboard_is_checked(capbench, tmp_path):
    capbench("run", "speaker", *SMALL, "-m", "cider", "--runs", tmp_path / "runs")
    board = tmp_path / "board"
    assert capbench("leaderboard", "--runs", tmp_path / "runs", "--write", board, "--note", "make it").code == 0
    assert capbench("leaderboard", "--check", board).code == 0
    assert not list(board.rglob("captions.jsonl"))
    readme = board / "README.md"
    readme.write_text(readme.read_text().replace("speaker", "someone"))
    stale = capbench("leaderboard", "--check", board)
    assert (stale.code, "--rewrite" in stale.err) == (1, True)
    capbench("leaderboard", "--rewrite", board)
    assert capbench("leaderboard", "--check", board).code == 0
    assert "make it" in readme.read_text()


def test_leaderboard_in_other_forms(capbench, tmp_path):
    for captioner in ("speaker", "shuffled"):
        capbench("run", captioner, *SMALL, "-m", "cider", "--runs", tmp_path / "runs")
    given = ("leaderboard", "--runs", tmp_path / "runs")
    assert capbench(*given, "--format", "latex").out.count(r"\\") == 3
    assert capbench(*given, "--format", "model-index").out.startswith('model-index:\n- name: "speaker"\n')
    done = capbench(*given, "--html", tmp_path / "new" / "board.html", "--export", tmp_path / "records")
    assert (done.code, done.out) == (0, "")
    assert "wrote 2 records" in done.err
    assert len(list((tmp_path / "records" / "scenes").glob("*.json"))) == 2
    assert "Content-Security-Policy" in (tmp_path / "new" / "board.html").read_text()
    reported = tmp_path / "reported.toml"
    assert capbench(*given, "--reported", reported).code == 2
    reported.write_text("[[rows]]\ncaptioner = 'p'\nsource = 's, Table 1'\nvalues = {CIDEr = 120.1}\n")
    assert "Reported, not run" in capbench(*given, "--reported", reported).out
    assert "is a folder" in capbench(*given, "--html", tmp_path).err
    assert (done := capbench(*given, "--export", reported)).code == 2, done.err
    assert capbench(*given, "--reported", reported, "--write", tmp_path / "board").code == 2


def test_view_writes_a_page_and_says_what_is_wrong(capbench, tmp_path):
    for captioner in ("speaker", "shuffled"):
        capbench("run", captioner, *SMALL, "-m", "cider", "--runs", tmp_path / "runs")
    page = tmp_path / "page.html"
    done = capbench("view", tmp_path / "runs", "--html", page)
    assert (done.code, done.out, done.err.strip()) == (0, "", f"wrote {page}")
    done = capbench("view", tmp_path / "runs", *SMALL[:2], "--html", page)
    assert done.code == 0
    assert re.search(r"and \d+ pictures in page_files", done.err)
    assert list((tmp_path / "page_files").glob("*.jpg"))
    assert (wrong := capbench("view", tmp_path / "runs", "--html", tmp_path)).code == 2, wrong.err
    assert "is a folder" in wrong.err
    wrong = capbench("view", tmp_path / "runs", "--html", page / "page.html")
    assert (wrong.code, "cannot make the folder" in wrong.err) == (2, True)
    for words, code, says in (
        (("view",), 2, "RUN..."),
        (("view", tmp_path / "nowhere"), 4, "is no run"),
        (("view", tmp_path / "runs", "--data", "x"), 2, "-b BENCHMARK"),
        (("view", tmp_path / "runs", "-b", "coco-karpathy-test"), 4, ""),
        (("view", tmp_path / "runs", "-b", "scenes(n=60, seed=9)"), 4, "other ids, references or pictures"),
    ):
        done = capbench(*words, "--html", tmp_path / "bad.html")
        assert done.code == code, done.err
        assert says in done.err
        assert not (tmp_path / "bad.html").exists()


def test_cache_commands(capbench, tmp_path, monkeypatch):
    monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / "cache"))
    capbench("run", "speaker", *SMALL, "-m", "clipscore", "--runs", tmp_path)
    assert str(tmp_path / "cache") in capbench("cache", "path").out
    (line,) = json.loads(capbench("cache", "stats", "--json").out)
    assert (line["kind"], line["entries"]) == ("vectors", 84)
    assert capbench("cache", "verify").code == 0
    assert "dropped 84" in capbench("cache", "prune", "--days", "0").out


def test_doctor_says_what_is_missing_and_how_to_get_it(capbench):
    lines = capbench("doctor", "--json").data
    found = {line["what"].partition(":")[0]: line for line in lines}
    assert found["benchmark scenes"]["state"] == "ok"
    assert found["benchmark coco-karpathy-test"]["state"] == "missing"
    assert "--data" in found["benchmark coco-karpathy-test"]["cure"]
    assert not [line for line in lines if line["state"] == "broken"]


def test_interrupt_exits_130(tmp_path):
    slow = tmp_path / "slow.py"
    slow.write_text(
        "import json, pathlib, sys, time\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "for line in sys.stdin:\n"
        "    (folder / 'begun').touch()\n"
        "    while not (folder / 'go').exists(): time.sleep(0.02)\n"
        "    print(json.dumps({'id': json.loads(line)['id'], 'caption': 'a circle'}), flush=True)\n"
    )
    captioner = f"command(program={f'{sys.executable} {slow} {tmp_path}'!r}, batch=4)"
    words = [sys.executable, "-m", "capbench", "run", captioner, "-b", "scenes(n=7)", "-m", "rouge_l"]
    heeded = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731 -- a job in the background ignores it
    words += ["--runs", str(tmp_path / "runs")]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, preexec_fn=heeded) as process:  # noqa: PLW1509
        try:
            while not (tmp_path / "begun").exists():
                assert process.poll() is None
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            said = ""
            while "stopping" not in said:  # the batch ends after the signal, and not in 20 s
                assert process.poll() is None
                said += process.stderr.readline()
            (tmp_path / "go").touch()
            said += process.communicate(timeout=90)[1]
        finally:
            process.kill()
    assert process.returncode == 130
    assert "stopping when the 4 captions under way are made, or in 20 s" in said
    assert "goes on from there" in said
    assert "Traceback" not in said
    (kept,) = (tmp_path / "runs").rglob("captions.jsonl")
    assert kept.read_bytes().count(b"\n") == 4


def test_stderr_is_quiet_without_a_terminal(program, tmp_path):
    done = program("run", "speaker", *SMALL, "-m", "clipscore", "--runs", tmp_path)
    assert done.err.count("\n") == 1
    assert "\r" not in done.err


def test_environment_is_not_changed_by_the_tests():
    assert os.environ["CAPBENCH_PLUGINS"] == "off"
