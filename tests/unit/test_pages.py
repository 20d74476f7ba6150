"""The data of pages, and the document that holds them; what Chromium makes of it is tested in tests/browser."""

import base64
import hashlib
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import capbench
from capbench import benchmark, images, leaderboard, pages, run_folders, store
from capbench.errors import BadData, MissingPart, NotComparable, UsageError
from capbench.facts import facts_of
from capbench.pages.document import document, embedded
from capbench.pages.pictures import thumbnails
from capbench.pages.view import read_runs, view_data

ENCODER = {"clip": "scenes"}
BAGS = "self_retrieval(bags='blocks(size=10)')"
DRAWS = "self_retrieval(bags='draws(size=5)')"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    for captioner in ("speaker", "shuffled"):
        capbench.run(captioner, "scenes", ["rouge_l", BAGS, DRAWS], backends=ENCODER, limit=30, runs=root)
    return root


@pytest.fixture(scope="module")
def bench():
    return benchmark.load("scenes")


def content(path):
    """The data of a written page."""
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])


@pytest.mark.parametrize(
    "text", ["</script>", "<!--", "]]>", "&lt;", "\u2028\u2029", "\ud800", "\x00", "日本", "'\"\\"]
)
def test_no_text_ends_the_block_it_stands_in(text):
    made = embedded({text: [text]})
    assert made.isascii()
    assert not set(made) & set("<>&")
    assert json.loads(made) == {text: [text]}


def test_only_the_pages_own_scripts_and_styles_may_run():
    text = document("<t>", "view", {"view": {}})
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1].replace("&#x27;", "'")
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert not re.search("unsafe|https?:|\\*", policy)
    for tag, rule in (("style", "style-src"), ('script type="module"', "script-src")):
        inside = re.search(f"<{tag}>(.*?)</{tag.split()[0]}>", text, re.DOTALL)[1]
        assert rules[rule] == f"'sha256-{base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()}'"
    assert "<title>&lt;t&gt;</title>" in text
    assert not re.search(r'\son\w+=|\sstyle=|src="|href="(?!#main|data:,)', text.partition('id="data"')[0])


def test_scripts_never_make_markup_of_texts():
    for kind in ("view", "boards"):
        script = document("t", kind, {}).rpartition('<script type="module">')[2]
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "fetch(",
                     "XMLHttpRequest", "import(", "http:", "https:"):  # fmt: skip
            assert word not in script.replace("http://www.w3.org/2000/svg", ""), word


def test_a_view_holds_what_the_runs_and_the_benchmark_say(runs, bench):
    viewed = read_runs([runs])
    data = view_data(viewed, facts_of(bench, 30))
    assert [line["label"] for line in data["board"]["lines"]] == ["speaker", "shuffled"]
    assert data["ids"] == tuple(s.id for s in bench.samples[:30])
    assert data["references"] == [list(s.references) for s in bench.samples[:30]]
    for s, run in enumerate(viewed.runs):
        assert data["captions"][s] == [c.text for c in run.captions]
        rouge = next(x for x in run.scored if "rouge_l" in x.rows.columns).rows.columns["rouge_l"]
        k = next(k for k, c in enumerate(data["board"]["columns"]) if c["metric"] == "rouge_l")
        assert data["scores"][s][k] == pytest.approx(rouge.tolist(), rel=1e-4)
    json.loads(embedded(data))


def test_galleries_have_the_benchmarks_members_and_the_runs_ranks(runs, bench):
    viewed = read_runs([runs])
    blocks, draws = view_data(viewed, facts_of(bench, 30))["galleries"]
    assert [bag["members"] for bag in blocks["bags"]] == [list(range(k, k + 10)) for k in (0, 10, 20)]
    assert [bag["id"] for bag in blocks["bags"]] == ["block-0000", "block-0001", "block-0002"]
    assert len(draws["bags"]) == 30
    for k, bag in enumerate(draws["bags"]):
        assert (bag["members"][0], len(bag["members"])) == (k, 5)
        assert all(own[0] is not None and own[1:] == [None] * 4 for own in bag["ranks"])
    for s, run in enumerate(viewed.runs):
        rank = next(x for x in run.scored if x.key.startswith("self_retrieval") and len(np.unique(x.rows.bags)) == 3)
        shown = [value for bag in blocks["bags"] for value in bag["ranks"][s]]
        assert shown == pytest.approx(rank.rows.columns["rank"].tolist(), abs=0.006)


def test_without_the_benchmark_galleries_are_their_targets(runs):
    blocks, draws = view_data(read_runs([runs]), None)["galleries"]
    assert [bag["members"] for bag in blocks["bags"]] == [list(range(k, k + 10)) for k in (0, 10, 20)]
    assert [bag["members"] for bag in draws["bags"]] == [[k] for k in range(30)]


def test_captions_in_another_order_keep_their_pictures(runs, bench, tmp_path):
    for k, folder in enumerate(run_folders.find_runs(runs)):
        copy = tmp_path / "runs" / str(k)
        shutil.copytree(folder, copy)
        lines = (copy / store.CAPTIONS).read_text().splitlines(keepends=True)
        (copy / store.CAPTIONS).write_text("".join(lines if k else lines[::-1]))
    shutil.copytree(tmp_path / "runs" / "0", tmp_path / "runs" / "twin")
    pages.write_view([runs], tmp_path / "a.html", bench)
    pages.write_view([tmp_path / "runs"], tmp_path / "b.html", bench)
    plain, turned = (content(tmp_path / name)["view"] for name in ("a.html", "b.html"))
    assert turned["ids"] == plain["ids"]
    labels = [line["label"] for line in plain["board"]["lines"]]
    for s, line in enumerate(turned["board"]["lines"]):
        k = labels.index(store.read_record(tmp_path / "runs" / line["run"]).label)
        assert turned["captions"][s] == plain["captions"][k]
        assert turned["scores"][s] == plain["scores"][k]
    assert {line["label"] for line in turned["board"]["lines"]} >= {"0", "twin"}  # of one name
    assert len(turned["board"]["lines"]) == 3


def test_several_captions_an_image_stand_together(tmp_path):
    made = capbench.run("speaker", "scenes", ["rouge_l"], limit=3, runs=tmp_path)
    one = made.captions
    two = tuple(replace(c, sample=1, text=None, status="failed", reason="no") for c in one)
    (made.folder / store.CAPTIONS).write_text("".join(map(store.caption_line, [*one, *two])))
    data = view_data(read_runs([tmp_path]), None)
    assert data["captions"] == [[[c.text, None] for c in one]]
    assert data["reasons"] == [{0: "no", 1: "no", 2: "no"}]


def test_entries_of_a_leaderboard_have_scores_and_no_captions(runs, tmp_path):
    entries, _ = leaderboard.read_entries([runs])
    leaderboard.write_board(leaderboard.gather([runs]), [e.folder for e in entries], tmp_path / "board", "x")
    pages.write_view([tmp_path / "board"], tmp_path / "page.html")
    data = content(tmp_path / "page.html")["view"]
    assert data["captions"] == [None, None]
    assert all(value is not None for value in data["scores"][0][0])


def test_pictures_are_thumbnails_named_by_their_digests(runs, bench, tmp_path):
    assert pages.write_view([runs], tmp_path / "new" / "page.html", bench, size=48) == 30
    folder = tmp_path / "new" / "page_files"
    data = content(tmp_path / "new" / "page.html")["view"]
    assert {path.name for path in folder.iterdir()} == set(data["pictures"])
    assert all(re.fullmatch(r"[0-9a-f]{24}-48\.jpg", name) for name in data["pictures"])
    with Image.open(folder / data["pictures"][0]) as picture:
        assert max(picture.size) <= 48
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    pages.write_view([runs], tmp_path / "new" / "page.html", bench, size=48)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_picture_that_cannot_be_shown_says_why(tmp_path):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    Image.new("RGBA", (600, 300), (200, 10, 10, 128)).save(good)
    bad.write_bytes(b"nothing")
    files, unseen = thumbnails(
        [images.reference(good), images.reference(bad), None, images.reference(tmp_path / "no")], tmp_path / "f", 100
    )
    assert [bool(name) for name in files] == [True, False, False, False]
    assert unseen == {
        1: "the file is not a picture that Pillow knows",
        2: "no picture",
        3: "the picture cannot be read",
    }
    with Image.open(tmp_path / "f" / files[0]) as picture:
        assert (picture.size, picture.mode) == ((100, 50), "RGB")


def test_one_picture_under_many_ids_is_made_once(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (300, 300)).save(path)
    files, unseen = thumbnails([images.reference(path)] * 500, tmp_path / "f", 64)
    assert (len(set(files)), len(files), unseen) == (1, 500, {})
    assert len(list((tmp_path / "f").iterdir())) == 1


def test_runs_on_other_images_do_not_share_a_page(runs, tmp_path):
    capbench.run("speaker", "scenes", ["rouge_l"], limit=20, runs=tmp_path / "less")
    with pytest.raises(NotComparable, match=r"a page shows runs on the same images.*\n.*has 20 images, 20 of them"):
        pages.write_view([runs, tmp_path / "less"], tmp_path / "page.html")
    capbench.run("speaker", "scenes(n=30, seed=5)", ["rouge_l"], runs=tmp_path / "other", limit=30)
    with pytest.raises(NotComparable, match="has other references or pictures"):
        pages.write_view([runs, tmp_path / "other"], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_another_benchmark_is_refused(runs, bench, tmp_path):
    changed = replace(bench, digest="0" * 16)
    with pytest.raises(NotComparable, match="has other ids, references or pictures than the runs"):
        pages.write_view([runs], tmp_path / "page.html", changed)


def test_a_run_without_pictures_may_be_shown_with_them(runs, bench, tmp_path):
    blind = replace(bench, samples=tuple(replace(s, image=None) for s in bench.samples))
    with_pictures, without = benchmark.data_digests(bench)
    assert benchmark.data_digests(blind) == (without, without)
    for folder in run_folders.find_runs(runs):
        record = store.read_record(folder)
        assert record.identity.data == with_pictures
        copy = tmp_path / "blind" / folder.name
        copy.mkdir(parents=True)
        for name in (store.CAPTIONS, store.SCORES, store.SUMMARY):
            (copy / name).write_bytes((folder / name).read_bytes())
        store.write_record(copy, replace(record, identity=replace(record.identity, data=without)))
    assert pages.write_view([tmp_path / "blind"], tmp_path / "page.html", bench, size=32) == 30


@pytest.mark.parametrize(("what", "error"), [("nothing", BadData), ("started", MissingPart)])
def test_what_is_no_finished_run_is_refused(tmp_path, what, error):
    folder = tmp_path / "run"
    folder.mkdir()
    if what == "started":
        folder = capbench.run("speaker", "scenes", ["rouge_l"], limit=3, runs=tmp_path).folder
        store.write_record(folder, replace(store.read_record(folder), status="started"))
    with pytest.raises(error):
        pages.write_view([folder], tmp_path / "page.html")


def test_an_unknown_column_is_refused(runs, tmp_path):
    with pytest.raises(UsageError, match="no column is called 'cidr'"):
        pages.write_view([runs], tmp_path / "page.html", sort="cidr")


def test_the_headline_is_the_one_that_most_runs_have(tmp_path):
    for captioner in ("human", "speaker", "shuffled"):  # human is scored without its own caption
        capbench.run(captioner, "scenes", ["rouge_l"], limit=10, runs=tmp_path)
    table = read_runs([tmp_path]).table
    assert [line.label for line in table.lines] == ["speaker", "shuffled", "human"]
    assert [column.label for column in table.columns] == ["ROUGE-L", "ROUGE-L"]
    assert "|refs:5|" in table.columns[0].signature


def test_paintings_stand_beside_the_caption_with_their_seeds(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / "cache"))
    backends = {"clip": "scenes", "painter": "scenes_painter"}
    for captioner, metric in (("speaker", "reconstruction(seeds=2)"), ("shuffled", "rouge_l")):
        capbench.run(captioner, "scenes", [metric], backends=backends, limit=4, runs=tmp_path / "runs")
    target = tmp_path / "view.html"
    pages.write_view([tmp_path / "runs"], target)
    own = dict(
        zip(
            (line["label"] for line in content(target)["view"]["board"]["lines"]),
            content(target)["view"]["paintings"],
            strict=True,
        )
    )
    assert own["shuffled"] is None
    assert [[(seed, value, why) for _, seed, value, why, _ in item] for item in own["speaker"]] == [
        [(0, 1.0, ""), (1, 1.0, "")]
    ] * 4
    for item in own["speaker"]:
        for file, *_ in item:
            with Image.open(tmp_path / "view_files" / file) as shown:
                assert shown.size == (144, 144)
    shutil.rmtree(tmp_path / "cache" / "painted")
    other = tmp_path / "other.html"
    pages.write_view([tmp_path / "runs"], other)
    gone = next(own for own in content(other)["view"]["paintings"] if own)
    assert {(file, why) for item in gone for file, _, _, why, _ in item} == {
        ("", "the painting is no longer in the cache")
    }


@pytest.mark.parametrize("digest", ["../../../etc/passwd", "", "A" * 32, "0" * 31])
def test_a_run_s_folder_names_no_file_but_a_painting(digest):
    from capbench.pages.paintings import reference

    assert reference({"digest": digest, "file": "painted/00/x.png"}) is None
