"""The commands of bags, with good and bad input."""

import json

import pytest
from PIL import Image

WORLD = ("-b", "scenes(n=42)", "--encoder", "scenes")


def test_build_check_run_show(capbench, tmp_path):
    folder = tmp_path / "bags"
    done = capbench("bags", "build", folder, *WORLD, "--size", "3", "--size", "5", "--hard", "4", "--most", "6")
    assert done.code == 0
    assert "3.json: 6 bags of 3, least similarity" in done.out
    assert {path.name for path in folder.iterdir()} == {"3.json", "5.json", "hard-4.json", "manifest.json"}
    done = capbench("bags", "check", folder, "-b", "scenes(n=42)")
    assert (done.code, done.err) == (0, "")
    assert done.out.count("as the manifest says") == 3
    bags = f"file(path={str(folder / '3.json')!r})"
    spec = f"self_retrieval(bags={bags!r}, encoder='scenes')"
    run = ("run", "speaker", "-b", "scenes(n=42)", "--runs", tmp_path / "runs")
    done = capbench(*run, "-m", spec, "--json")
    found = {score["column"]: score for score in done.data["scores"]}
    assert found["r1"]["n"] == 18
    assert found["chance"]["value"] == pytest.approx(1 / 3)
    assert found["median"]["value"] == 1
    done = capbench("bags", "show", folder / "3.json", "-b", "scenes(n=42)", "--out", tmp_path / "page", "--first", "2")
    assert done.out.strip() == str(tmp_path / "page" / "index.html")
    page = (tmp_path / "page" / "index.html").read_text()
    assert page.count("<section>") == 2
    assert "The first 2 of 6 are shown." in page
    assert len(list((tmp_path / "page" / "pictures").iterdir())) == 6


def test_pictures_that_cannot_be_read_are_named(capbench, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(8):
        Image.new("RGB", (8, 8), (30 * i, 255 - 20 * i, 90)).save(photos / f"{i}.png")
    (photos / "2.png").write_bytes((photos / "2.png").read_bytes()[:40])
    (photos / "5.png").write_bytes(b"")
    where = ("-b", f"folder(images={str(photos)!r})", "--by", "image", "--encoder", "mini", "--near", "1")
    done = capbench("bags", "build", tmp_path / "bags", *where, "--size", "2")
    assert done.code == 0
    assert "note: 2.png: the file is not a picture that Pillow knows\nnote: 5.png: the file" in done.err
    assert "2 pictures are in no bag: without a vector" in done.err
    assert capbench("bags", "check", tmp_path / "bags", *where[:2]).code == 0
    (tmp_path / "theirs.json").write_text('[["0.png", "2.png", "5.png"], ["1.png", "3.png", "4.png"]]')
    done = capbench("bags", "check", tmp_path / "theirs.json", *where[:2])
    assert done.code == 1
    assert "2 pictures cannot be read: 2.png (the file is not a picture that Pillow knows), 5.png (the" in done.err
    captions = {f"{i}.png": "a picture" for i in range(8)}
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(json.dumps(captions))
    words = (tmp_path / "a.json", tmp_path / "b.json", *where[:2], "--bags", tmp_path / "theirs.json")
    page = tmp_path / "page.html"
    done = capbench("compare", *words, "--encoder", "mini", "--html", page, "--runs", tmp_path / "runs")
    assert done.code == 5
    assert "judged among 1 of 3 pictures: the others cannot be encoded" in page.read_text()
    assert "rank 1 of 1<" in page.read_text()


def test_bags_that_have_changed_end_with_1(capbench, tmp_path):
    capbench("bags", "build", tmp_path, *WORLD, "--size", "3")
    bags = json.loads((tmp_path / "3.json").read_text())
    (tmp_path / "3.json").write_text(json.dumps(bags[1:]))
    done = capbench("bags", "check", tmp_path, "-b", "scenes(n=42)")
    assert done.code == 1
    assert "its members are not those that were built" in done.err
    assert capbench("bags", "check", tmp_path, "-b", "scenes(n=42, seed=1)").code == 1
    assert capbench("bags", "check", tmp_path, "-b", "scenes(n=3)").code == 4


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("build", "OUT", "-b", "scenes(n=42)", "--encoder", "nosuch"), 3, "bind it: --backend nosuch=SPEC"),
        (("build", "OUT", *WORLD, "--size", "1"), 2, "not in the range"),
        (("build", "OUT", *WORLD, "--least", "high"), 2, "write --least 0.6 or --least 5=0.6"),
        (("build", "OUT", *WORLD, "--least", "4=0.6"), 2, "no bags of 4 are asked for"),
        (("build", "OUT", *WORLD, "--least", "2"), 2, "no bag comes out of 42 images"),
        (("build", "FILE", *WORLD), 2, "cannot make the folder"),
        (("build", "OUT", "-b", "nosuch"), 2, "no benchmark is called"),
        (("show", "absent.json", "-b", "scenes(n=42)"), 4, "cannot read bags from absent.json"),
        (("show", "FILE", "-b", "scenes(n=42)"), 4, "not a list of lists"),
        (("check", "OUT", "-b", "scenes(n=42)"), 3, "is no file of bags"),
        (("check", "FILE", "-b", "scenes(n=42)"), 4, "not a list of lists"),
        (("build",), 2, "Missing argument"),
    ],
)
def test_what_is_wrong_is_said_with_its_code(capbench, tmp_path, words, code, said):
    (tmp_path / "file").write_text("{}")
    places = {"OUT": tmp_path / "out", "FILE": tmp_path / "file"}
    done = capbench("bags", *[places.get(word, word) for word in words])
    assert done.code == code
    assert said in done.err
    assert not (tmp_path / "out").exists()


def test_a_threshold_of_a_size_goes_before_the_one_for_all(capbench, tmp_path):
    capbench("bags", "build", tmp_path, *WORLD, "--size", "3", "--size", "2", "--least", "3=0.2", "--least", "0.9")
    files = json.loads((tmp_path / "manifest.json").read_text())["files"]
    assert 0.2 <= files["3.json"]["least"] < 0.9 <= files["2.json"]["least"]


def test_two_runs_on_bags_are_compared(capbench, tmp_path):
    for speaker in ("speaker", "speaker(flaw='no_colour')"):
        words = ("-b", "scenes(n=84)", "-m", "self_retrieval(bags='scenes-3', encoder='scenes')", "--runs", tmp_path)
        assert capbench("run", speaker, *words).code == 0
    runs = [path.parent for path in tmp_path.glob("*/*/run.json")]
    done = capbench("compare", *runs)
    assert done.code == 0
    assert "R@1" in done.out
    assert "median" not in done.out  # no sum gives it, so it is in no comparison
