"""Several captions an image from the command line, as files of every form, programs and speakers give them."""

import json
import shlex
import sys

import pytest
from PIL import Image

TOY = {
    "1": ["a dog runs on grass", "a brown dog is running", "the dog plays in the park"],
    "2": ["two cats sleep on a bed", "two cats on a bed", "a pair of cats sleeping"],
}
REFERENCES = {"1": ["a dog runs in a park", "a brown dog"], "2": ["two cats asleep", "cats on a bed"]}
# the authors' scripts on these captions
WANTED = {"div1": 0.65625, "div2": 0.71875, "mbleu1": 0.536364, "mbleu2": 0.324305, "mbleu3": 0.221377}


def lists(captions):
    return json.dumps(captions)


def rows(captions):
    return "".join(json.dumps({"image_id": k, "caption": c}) + "\n" for k, own in captions.items() for c in own)


def coco(captions):
    return json.dumps([{"image_id": int(k), "caption": c} for k, own in captions.items() for c in own])


@pytest.fixture
def files(tmp_path, monkeypatch):
    """files(text) -> the path of the captions; the references are refs.json."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "refs.json").write_text(json.dumps(REFERENCES))

    def write(text):
        (tmp_path / "said.json").write_text(text)
        return "said.json"

    return write


def values(done):
    return {score["column"]: score["value"] for score in done.data["scores"]}


@pytest.mark.parametrize("form", [lists, rows, coco])
def test_the_published_toy_values_from_files_of_any_form(capbench, files, form):
    path = files(form(TOY))
    done = capbench("score", path, "refs.json", "--samples", 3, "-m", "diversity", "--json")
    assert done.code == 0
    assert values(done) == pytest.approx(WANTED | {"mbleu4": 3.5708e-05}, abs=1e-6)
    ran = capbench("run", path, "-b", "folder(captions='refs.json')", "--samples", 3, "-m", "diversity", "--json")
    assert values(ran) == values(done)


def test_the_table_says_which_captions_were_looked_at(capbench, files):
    done = capbench("score", files(lists(TOY)), "refs.json", "--samples", 3, "-m", "cider", "-m", "oracle_cider")
    assert "| CIDEr (first of 3 captions, idf of 2 images) " in done.out
    assert "| CIDEr, best of k " in done.out
    assert "|samples:first of 3|" in done.out
    assert "|samples:3|" in done.out


@pytest.mark.parametrize(
    ("captions", "samples", "code", "words"),
    [
        (TOY, (), 4, ["image '1' has 3 caption(s), not 1 (--samples 3 if they are all of one system)", "image '2'"]),
        (TOY, ("--samples", 2), 4, ["image '1' has 3 caption(s), not 2 (as many for each image)"]),
        ({**TOY, "2": TOY["2"][:2]}, ("--samples", 3), 4, ["image '2' has 2 caption(s), not 3"]),
        ({**TOY, "2": "a cat"}, ("--samples", 3), 4, ["image '2' has 1 caption(s), not 3"]),
        ({**TOY, "2": ["a", None, "b"]}, ("--samples", 3), 5, ["1 of 2 ids: the caption is null, not text: 2"]),
        ({"1": "a", "2": "b"}, (), 3, ["it compares several captions of an image, and there is one", "--samples K"]),
    ],
)
def test_counts_that_do_not_fit(capbench, files, captions, samples, code, words):
    metric = "bleu" if code == 4 and not samples else "diversity"
    done = capbench("score", files(lists(captions)), "refs.json", *samples, "-m", metric)
    assert done.code == code
    for part in words:
        assert part in done.err


def test_rows_of_one_image_without_a_word_about_samples(capbench, files):
    done = capbench("score", files(rows(TOY)), "refs.json", "-m", "bleu")
    assert done.code == 4
    assert "--samples K if the file has K captions of each" in done.err


PROGRAM = """
import json, sys
for line in sys.stdin:
    r = json.loads(line)
    print(json.dumps({"id": r["id"], "caption": f"seed {r['seed']} sample {r['sample']} left {r['left']}"}), flush=True)
"""


def test_a_program_is_asked_with_sample_and_seed(capbench, files, tmp_path):
    (tmp_path / "say.py").write_text(PROGRAM)
    program = f"command(program={f'{shlex.quote(sys.executable)} say.py'!r}, batch=2)"
    words = ("-b", "folder(captions='refs.json', images='.')", "-m", "diversity", "--runs", "runs", "--json")
    files("")
    for name in ("1.png", "2.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    done = capbench("run", program, *words, "--samples", 3, "--seed", 40)
    lines = [json.loads(line) for line in next(tmp_path.glob("runs/*/*/captions.jsonl")).read_text().splitlines()]
    assert [(c["id"], c["sample"], c["text"]) for c in lines] == [
        (id_, sample, f"seed {40 + sample} sample {sample} left {left}")
        for id_, left in (("1", 1), ("2", 0))
        for sample in range(3)
    ]
    assert done.data["notes"] == []


def test_a_speaker_that_is_not_sampled_is_noted(capbench, tmp_path):
    words = ("-b", "scenes", "-n", 6, "--samples", 4, "-m", "diversity", "--runs", tmp_path)
    cold, warm = capbench("run", "speaker", *words), capbench("run", "speaker", *words, "--temperature", 1)
    assert "note: the 4 captions of each image are one text" in cold.err
    assert "note" not in warm.err


def test_two_numbers_of_samples(capbench, files):
    words = ("-b", "folder(captions='refs.json')", "--samples", 2, "-m", "diversity")
    files(lists(TOY))
    done = capbench("run", "file(path='said.json', samples=3)", *words)
    assert done.code == 2
    assert "--samples states 2, said states 3" in done.err


def test_novelty_wants_training_captions(capbench, files):
    path = files(lists({k: own[0] for k, own in TOY.items()}))
    missing = capbench("score", path, "refs.json", "-m", "novelty")
    assert missing.code == 3
    assert "novelty(train='captions_train2014.json')" in missing.err
    found = capbench("score", path, "refs.json", "-m", "novelty(train='said.json')", "--json")
    assert values(found) == {"novel": 0}
