"""The main job on real photographs: two BLIP-2 systems and the human baseline on Flickr8k's dev split."""

import gzip
import json
import subprocess
import sys
import zipfile

import pytest
from pycocoevalcap.cider.cider import Cider

from capbench import api, engine
from capbench.backends.ptb import tokenize
from capbench.bags import make_bags

TOML = """
name = "flickr8k-dev"
version = 1
refs = "{refs}"
[dataset]
use = "folder(captions='{captions}', images='photos', ids='{ids}')"
[[metrics]]
use = "cider()"
headline = true
[[metrics]]
use = "bleu()"
"""
SYSTEMS = ("outputs.blip2_zero_shot", "outputs.blip2_lora")


@pytest.fixture(scope="module")
def world(shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("flickr8k")
    for part in sorted((shared / "flickr8k").glob("photos_dev-*.zip")):
        zipfile.ZipFile(part).extractall(folder / "photos")
    rows = [json.loads(line) for line in gzip.open(shared / "flickr8k" / "photos.jsonl.gz", "rt", encoding="utf-8")]
    dev = [row for row in rows if row["set"] == "dev"]
    (folder / "dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in dev))
    outputs = shared / "flickr8k" / "system_outputs.jsonl.gz"
    (folder / "outputs.jsonl.gz").write_bytes(outputs.read_bytes())
    (folder / "951.toml").write_text(TOML.format(refs="leave-one-out", captions="dev.jsonl", ids="outputs.jsonl.gz"))
    (folder / "1000.toml").write_text(TOML.format(refs="all", captions="dev.jsonl", ids="").replace(", ids=''", ""))
    return folder


def capbench(folder, *words):
    command = [sys.executable, "-m", "capbench", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_one_command_a_captioner_makes_a_leaderboard(world):
    captioners = [*(f"file(path='outputs.jsonl.gz', field='{field}')" for field in SYSTEMS), "human"]
    for captioner in captioners:
        done = capbench(world, "run", captioner, "-b", "951.toml", "--runs", "runs")
        assert done.returncode == 0, done.stderr
    board = capbench(world, "leaderboard", "--runs", "runs", "--format", "json")
    (table,) = json.loads(board.stdout)
    assert [line["label"] for line in table["lines"]] == ["blip2_lora", "blip2_zero_shot", "human"]
    assert [line["rank"] for line in table["lines"]] == [1, 2, 3]
    assert table["items"] == 951
    cells = [cell for line in table["lines"] for cell in line["cells"]]
    assert {(cell["n"], cell["unscored"]) for cell in cells} == {(951, 0)}
    assert all("|refs:4|" in cell["signature"] for cell in cells)
    values = {line["label"]: line["cells"][0]["value"] for line in table["lines"]}
    assert values == pytest.approx(expected(world), abs=1e-9)


def test_the_runs_are_shown_with_their_photographs(world):
    done = capbench(world, "view", "runs", "-b", "951.toml", "--html", "view.html")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "and 951 pictures in view_files" in done.stderr
    text = (world / "view.html").read_text(encoding="utf-8")
    view = json.loads(text.partition('id="data">')[2].partition("</script>")[0])["view"]
    outputs = {r["image"]: r["outputs"] for r in map(json.loads, gzip.open(world / "outputs.jsonl.gz", "rt"))}
    rows = {r["image"]: r for r in map(json.loads, (world / "dev.jsonl").read_text().splitlines())}
    assert set(view["ids"]) == set(outputs)
    for i, name in enumerate(view["ids"]):
        said = dict(
            zip([line["label"] for line in view["board"]["lines"]], (own[i] for own in view["captions"]), strict=True)
        )
        assert said == {
            "blip2_zero_shot": outputs[name]["blip2_zero_shot"],
            "blip2_lora": outputs[name]["blip2_lora"],
            "human": rows[name]["captions"][0],
        }
        assert view["references"][i] == rows[name]["captions"]
        assert (world / "view_files" / view["pictures"][i]).stat().st_size > 0
    assert view["leftOut"] is True


def expected(world):
    """CIDEr of the three by pycocoevalcap, on the same words, with the first reference left out."""
    rows = {r["image"]: r for r in map(json.loads, (world / "dev.jsonl").read_text().splitlines())}
    outputs = {r["image"]: r["outputs"] for r in map(json.loads, gzip.open(world / "outputs.jsonl.gz", "rt"))}
    words = lambda text: " ".join(tokenize(text))  # noqa: E731
    references = {i: [words(t) for t in rows[i]["captions"][1:]] for i in outputs}
    systems = {name: {i: [words(o[name])] for i, o in outputs.items()} for name in ("blip2_lora", "blip2_zero_shot")}
    systems["human"] = {i: [words(rows[i]["captions"][0])] for i in outputs}
    return {name: Cider().compute_score(references, texts)[0] for name, texts in systems.items()}


def test_on_all_1000_the_49_missing_are_named_and_the_exit_code_is_5(world):
    done = capbench(world, "run", f"file(path='outputs.jsonl.gz', field='{SYSTEMS[1]}')", "-b", "1000.toml")
    assert done.returncode == 5
    assert "49 of 1000 ids: no caption in outputs.jsonl.gz" in done.stderr
    missing = {json.loads(line)["image"] for line in (world / "dev.jsonl").read_text().splitlines()}
    missing -= {json.loads(line)["image"] for line in gzip.open(world / "outputs.jsonl.gz", "rt")}
    assert len(missing) == 49
    assert all(name in done.stderr for name in missing)


def test_the_galleries_of_the_951_photographs(world, shared, root):
    name = "bag_candidates.jsonl.gz"
    (world / name).write_bytes((shared / "flickr8k" / name).read_bytes())
    (world / "retrieval.toml").write_text((root / "tests" / "conformance" / "flickr8k_retrieval.toml").read_text())
    job = api.job_of("human", str(world / "retrieval.toml"), backends={"clip": "scenes"}, runs=None)
    facts = engine.facts_of(job.benchmark, 0)
    assert len(facts.ids) == 951
    sizes = {name: [len(bag.members) for bag in bags.bags] for name, bags in facts.bag_sets.items()}
    assert sizes == {"look-alikes-5": [5] * 34, "look-alikes-3": [3] * 34}
    rd100 = make_bags("rd100", "rd100", facts.ids)
    assert [len(bag.members) for bag in rd100.bags] == [100] * 9  # 51 are left over
    # the drawn world's encoder can read no photograph: each is unscored, with a reason, and the 51 are outside
    run = api.run("human", str(world / "retrieval.toml"), backends={"clip": "scenes"}, runs=None)
    rank = {s.label: s for s in run.summaries if s.column == "rank"}
    assert [(s.n, s.unscored, s.outside) for s in rank.values()] == [
        (0, 900, 51), (0, 951, 0), (0, 170, 781), (0, 102, 849),
    ]  # fmt: skip
    assert all("not a scene" in why for scored in run.scored for why in scored.reasons.values())


def test_the_two_systems_on_bags_of_photographs(world, shared, root):
    name = "bag_candidates.jsonl.gz"
    (world / name).write_bytes((shared / "flickr8k" / name).read_bytes())
    (world / "retrieval.toml").write_text((root / "tests" / "conformance" / "flickr8k_retrieval.toml").read_text())
    words = [*(f"file(path='outputs.jsonl.gz', field='{field}')" for field in SYSTEMS), "human"]
    bags = ("--bags", "look-alikes-5,look-alikes-3", "-m", "self_retrieval(bags='look-alikes-5')")
    asked = ("-b", "retrieval.toml", "--backend", "clip=mini", "--json", "--html", "bags.html", "--runs", "bag-runs")
    done = capbench(world, "compare", *words, *bags, *asked)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    committed = root / "leaderboards" / "flickr8k-dev-mini" / "entries"
    stated = {}
    for folder in committed.iterdir():
        label = json.loads((folder / "run.json").read_text())["label"]
        numbers = json.loads((folder / "summary.json").read_text())
        stated |= {(label, s["label"]): s["value"] for s in numbers if s["column"] == "r1"}
    for one, size, label in zip(found["sets"], (5, 3), ("bags of 5 R@1", "bags of 3 R@1"), strict=True):
        (line,) = one["sizes"]
        assert (line["pictures"], line["bags"], line["chance"]) == (size, 34, pytest.approx(1 / size))
        for run in line["runs"]:
            assert run["r1"] == pytest.approx(stated[run["run"], label], abs=0.011)  # another BLAS may turn one
    # R@1 of the differences again, from the ranks of each bag: the standard error of a mean of 34 bags
    for line in found["lines"]:
        (one,) = (one for one in found["sets"] if line["signature"] == one["signature"])
        finds = [
            {name: [r["rank"] == 1 for t in bag["targets"] for r in t["runs"] if r["run"] == name] for name in names}
            for names in [(line["first"], line["second"])]
            for bag in one["bags"]
        ]
        apart = [(sum(bag[line["first"]]) - sum(bag[line["second"]])) / len(bag[line["first"]]) for bag in finds]
        mean = sum(apart) / 34
        error = (sum((x - mean) ** 2 for x in apart) / 34 / 34) ** 0.5
        assert line["difference"] == pytest.approx(mean, abs=1e-9)
        assert line["standard_error"] == pytest.approx(error, rel=0.03)
        assert line["units"] == 34
    page = (world / "bags.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 34 * (5 + 3)
