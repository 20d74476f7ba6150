"""Document frequencies from the command line: made, used, marked, and refused."""

import json

import pytest

from capbench import idf

SMALL = "scenes(n=42)"


@pytest.fixture
def two_files(tmp_path):
    """files(n) -> words for score: captions and references of n images."""

    def make(n):
        texts = {f"{i}": f"a dog number {i} on grass" for i in range(n)}
        (tmp_path / "captions.json").write_text(json.dumps(texts))
        (tmp_path / "references.json").write_text(json.dumps({k: [v, f"dog {k}"] for k, v in texts.items()}))
        return "score", tmp_path / "captions.json", tmp_path / "references.json"

    return make


def test_a_file_is_made_and_used(capbench, two_files, tmp_path):
    words = two_files(60)
    out = tmp_path / "idf.parquet"
    done = capbench("idf", words[2], out)
    assert (done.code, done.err) == (0, "")
    told = done.out.splitlines()
    assert told[0].endswith("of 60 images, words of ptb/corenlp-3.4.1-compatible/1")
    used = capbench(*words, "-m", f"cider(idf='file:{out}')", "--json")
    assert used.code == 0
    (score,) = used.data["scores"]
    assert told[1] in score["signature"].split("|")
    assert str(tmp_path) not in score["signature"]
    assert (score["mark"], used.data["notes"]) == ("", [])
    own = capbench(*words, "-m", "cider", "--json").data["scores"][0]
    assert (own["value"], own["low"]) == (score["value"], score["low"])
    assert own["short"] != score["short"]
    assert "|idf:" not in own["signature"]


def test_what_it_says_as_json(capbench, two_files, tmp_path):
    words = two_files(5)
    done = capbench("idf", words[2], tmp_path / "o", "--tokenizer", "whitespace", "--json")
    table = idf.read(tmp_path / "o")
    assert done.data == {
        "file": str(tmp_path / "o"), "n_documents": 5, "ngrams": table.size, "tokenizer": "whitespace/1",
        "idf": table.fingerprint,
    }  # fmt: skip


def test_files_of_equal_content_share_a_column_and_others_do_not(capbench, two_files, tmp_path):
    words = two_files(60)
    capbench("idf", words[2], tmp_path / "a.parquet")
    capbench("idf", words[2], tmp_path / "b.parquet")
    capbench("idf", SMALL, tmp_path / "c.parquet")
    specs = [f"cider(idf='file:{tmp_path}/{name}.parquet')" for name in "abc"]
    runs = [capbench(*words, "-m", spec, "--json").data["scores"][0] for spec in specs]
    assert runs[0]["signature"] == runs[1]["signature"] != runs[2]["signature"]
    assert runs[0]["value"] != runs[2]["value"]


def test_numbers_of_few_images_are_marked_wherever_they_stand(capbench, two_files, tmp_path):
    words = two_files(12)
    done = capbench(*words, "-m", "cider", "-m", "bleu")
    assert done.code == 0
    assert "| CIDEr (idf of 12 images) |" in done.out
    assert "| BLEU-1 " in done.out
    assert "note: cider: document frequencies come from 12 images (fewer than 50)" in done.err
    assert "idf='coco-val'" in done.err
    data = capbench(*words, "-m", "cider", "-m", "bleu", "--json").data
    assert [s["mark"] for s in data["scores"]] == ["idf of 12 images", "", "", "", ""]
    assert len(data["notes"]) == 1
    whole = capbench(*two_files(50), "-m", "cider")
    assert "idf of" not in whole.out
    assert "note:" not in whole.err


def test_the_mark_stays_with_a_run_and_in_its_table(capbench, tmp_path):
    words = ("run", "speaker", "-b", SMALL, "--runs", tmp_path)
    assert "| CIDEr (idf of 42 images) |" in capbench(*words, "-m", "cider").out
    more = capbench(*words, "-m", "bleu")
    assert "CIDEr" not in more.out
    again = capbench(*words, "-m", "cider")
    assert "0 captions, 0 metrics" in again.err
    assert "| CIDEr (idf of 42 images) |" in again.out
    assert again.err.count("note: cider: document frequencies come from 42 images") == 1
    table = capbench("leaderboard", "--runs", tmp_path).out
    assert "by CIDEr, idf of 42 images: not comparable with the others" in table
    assert "BLEU-1 ↑" in table
    assert "CIDEr (idf of 42 images) ↑" in capbench("leaderboard", "--runs", tmp_path, "--sort", "bleu4").out
    assert "idf of 42 images" in capbench("leaderboard", "--runs", tmp_path, "--format", "csv").out


def test_one_image_is_an_error_with_the_cure(capbench, two_files):
    done = capbench(*two_files(1), "-m", "cider")
    assert done.code == 5
    assert "every weight is ln(1/1) = 0" in done.err
    assert "idf='coco-val'" in done.err
    assert "note:" not in done.err


def test_a_table_of_few_images_is_marked_too(capbench, two_files, tmp_path):
    assert "note: 3 images hardly tell words apart" in capbench("idf", two_files(3)[2], tmp_path / "o").err
    done = capbench(*two_files(60), "-m", f"cider(idf='file:{tmp_path}/o')")
    assert "CIDEr (idf of 3 images)" in done.out


def test_all_that_is_missing_is_said_before_any_work(capbench, two_files, tmp_path):
    words = two_files(60)
    done = capbench(*words, "-m", f"cider(idf='file:{tmp_path}/gone')", "-m", "clipscore")
    assert done.code == 3
    assert f"there is no file {tmp_path}/gone of document frequencies" in done.err
    assert "capbench idf REFERENCES OUT" in done.err
    assert "clip" in done.err


@pytest.mark.parametrize(
    ("spec", "code", "said"),
    [
        ("cider(idf='coco')", 2, "idf is corpus, coco-val or file:PATH, not 'coco'"),
        ("cider(idf='file:{folder}/captions.json')", 4, "captions.json is no file of document frequencies"),
        ("cider(idf='file:{folder}')", 3, "there is no file"),
        ("cider(idf='file:{folder}/o', tokenizer='whitespace')", 4, "holds words of the tokenizer ptb/"),
        ("cider(idf=3)", 2, "takes a str"),
        ("cider(idf='coco-val', lang='de')", 2, "coco-val is of English captions, and the language is de"),
    ],
)
def test_bad_words_are_answered(capbench, two_files, tmp_path, spec, code, said):
    words = two_files(60)
    capbench("idf", words[2], tmp_path / "o")
    done = capbench(*words, "-m", spec.format(folder=tmp_path))
    assert done.code == code
    assert said in done.err


def test_another_language_has_its_own_words(capbench, two_files, tmp_path):
    words = two_files(60)
    made = capbench("idf", words[2], tmp_path / "o", "--lang", "pt-BR", "--json")
    assert made.data["tokenizer"] == "whitespace/bare/1"
    used = capbench(*words, "-m", f"cider(idf='file:{tmp_path}/o')", "--lang", "pt", "--json")
    assert made.data["idf"] in used.data["scores"][0]["signature"]
    assert capbench(*words, "-m", f"cider(idf='file:{tmp_path}/o')").code == 4
    assert capbench("idf", words[2], tmp_path / "o2", "--lang", "qqq").code == 2


def test_what_cannot_be_counted(capbench, two_files, tmp_path):
    one = tmp_path / "one.jsonl"
    one.write_text('{"id": "a", "caption": "a dog"}\n')
    for words, code, said in (
        ((one, tmp_path / "o"), 4, "1 of 1 images have references"),
        ((two_files(4)[2], tmp_path), 2, "it is a folder, or the references"),
        ((two_files(4)[2], two_files(4)[2]), 2, "it is a folder, or the references"),
        ((two_files(4)[2], tmp_path / "no" / "o"), 2, "cannot write"),
        ((two_files(4)[2], tmp_path / "o", "--tokenizer", "ptbb"), 3, "no backend is called 'ptbb'"),
        ((two_files(4)[2], tmp_path / "o", "--tokenizer", "scenes"), 3, "a tokenizer is needed"),
        ((tmp_path / "gone.json", tmp_path / "o"), 2, "gone.json"),
    ):
        done = capbench("idf", *words)
        assert done.code == code, done.err
        assert said in done.err
        assert not (tmp_path / "o").exists()
    assert json.loads(two_files(4)[2].read_text())


def test_hostile_captions_are_counted(capbench, tmp_path):
    texts = ["\u0000\u0007 a\r\nb", "😀" * 50, "x " * 10_000, "\ud800 | `a`", "", "ＡＢ\u2028ab"]
    path = tmp_path / "r.jsonl"
    path.write_text("".join(json.dumps({"id": str(i), "caption": t}) + "\n" for i, t in enumerate(texts)))
    for tokenizer in ("ptb", "whitespace"):
        assert capbench("idf", path, tmp_path / "o", "--tokenizer", tokenizer).code == 0
        spec = f"cider(idf='file:{tmp_path}/o', tokenizer='{tokenizer}')"
        done = capbench("score", path, path, "-m", spec, "--per-item", tmp_path / "items")
        assert done.code == 0, done.err
        values = [json.loads(line)["value"] for line in (tmp_path / "items").read_text().splitlines()]
        # "\ud800 | `a`" is three words between blanks, and so has no n-gram of four
        assert tokenizer == "ptb" or values[3] == pytest.approx(7.5)
        assert all(0 <= value <= 10 for value in values)
