"""What evaluation servers take: one caption an image, valid JSON, and exactly the captions of the run."""

import json
import zipfile

import pytest
from pycocotools.coco import COCO

from capbench import export
from capbench.captioners.file import File
from capbench.cli import export_command
from capbench.errors import BadData, UsageError
from capbench.store import Identity, Record, Run
from capbench.types import Caption

HOSTILE = [
    'a "dog"\\',
    "line\nend\r\u2028\x85",
    "\x00\x1b[31m",
    "",
    "\U0001f600 ไทย",
    "</script>",
    "=1+1",
    "x " * 10_000,
]


def run_of(captions, samples=1):
    record = Record("finished", "x", Identity("b", 1, "d", "c", len(captions), samples), {})
    return Run(record, (), tuple(captions), (), tuple(dict.fromkeys(c.id for c in captions)))


@pytest.fixture
def hostile():
    return run_of([Caption(str(7 * i), text) for i, text in enumerate(HOSTILE)])


def test_what_is_read_back_is_what_was_said(hostile, tmp_path):
    out = tmp_path / "out.json"
    export.write(export.results(hostile), out)
    ids = [caption.id for caption in hostile.captions]
    assert File(str(out)).captions(ids) == HOSTILE
    assert File(str(out)).captions(ids[::-1]) == HOSTILE[::-1]
    data = json.loads(out.read_text(encoding="ascii"))
    assert [row["image_id"] for row in data] == [7 * i for i in range(len(HOSTILE))]
    assert {tuple(row) for row in data} == {("image_id", "caption")}


def test_cocos_own_api_loads_it(tmp_path):
    """pycocotools is what the servers read submissions with."""
    (tmp_path / "gt.json").write_text(
        json.dumps({"images": [{"id": 5}, {"id": 9}], "annotations": [{"id": 1, "image_id": 5, "caption": "x"}]})
    )
    export.write(export.results(run_of([Caption("9", "nine"), Caption("5", "five")])), tmp_path / "out.json")
    found = COCO(str(tmp_path / "gt.json")).loadRes(str(tmp_path / "out.json"))
    assert {key: [a["caption"] for a in notes] for key, notes in found.imgToAnns.items()} == {9: ["nine"], 5: ["five"]}


def test_a_lone_surrogate_is_replaced_and_counted(tmp_path):
    found = export.results(run_of([Caption("1", "a \ud83d b"), Caption("2", "\U0001f600")]))
    assert [row["caption"] for row in found.rows] == ["a \ufffd b", "\U0001f600"]
    assert found.mended == 1
    export.write(found, tmp_path / "o.json")
    assert b"\\ud83d\\ude00" in (tmp_path / "o.json").read_bytes()
    json.dumps(json.loads((tmp_path / "o.json").read_text())).encode().decode()
    json.loads((tmp_path / "o.json").read_text())[0]["caption"].encode("utf-8")


@pytest.mark.parametrize("bad", ["COCO_val2014_000000000042.jpg", "042", "4.0", "1e3", "+4", " 4", "٤", "", "4_2"])
def test_ids_that_are_no_numbers_are_all_named(bad):
    run = run_of([Caption("42", "x"), Caption(bad, "y")])
    with pytest.raises(BadData, match="the form vizwiz has numbers for ids, and 1 of 2 are none") as caught:
        export.results(run, "vizwiz")
    assert [fault.where for fault in caught.value.faults] == [f"image {bad}"]
    assert "textcaps" in caught.value.cure


def test_textcaps_takes_texts_even_those_that_look_like_numbers():
    rows = export.results(run_of([Caption("0054c91397f2fe05", "x"), Caption("12", "y")]), "textcaps").rows
    assert rows == ({"image_id": "0054c91397f2fe05", "caption": "x"}, {"image_id": "12", "caption": "y"})


def test_a_failed_caption_is_refused_or_has_a_stated_text():
    run = run_of([Caption("1", "x"), Caption("2", None, "failed", "out of memory"), Caption("3", "")])
    with pytest.raises(BadData, match=r"1 of 3 captions failed:\n  image 2: out of memory\n  -> .*--failed ''"):
        export.results(run)
    found = export.results(run, failed="")
    assert [row["caption"] for row in found.rows] == ["x", "", ""]
    assert (found.stood_in, found.mended) == (1, 0)


def test_one_of_several_samples_is_chosen_and_never_two():
    captions = [Caption(str(i), f"{i}/{k}", sample=k) for i in range(3) for k in range(2)]
    run = run_of(captions, samples=2)
    with pytest.raises(UsageError, match=r"2 captions an image.*\n  -> choose one with --sample 0 to --sample 1"):
        export.results(run)
    assert [row["caption"] for row in export.results(run, sample=1).rows] == ["0/1", "1/1", "2/1"]
    for wrong in (2, -1):
        with pytest.raises(UsageError, match=f"no sample {wrong}"):
            export.results(run, sample=wrong)
    with pytest.raises(BadData, match="several captions of 0"):
        export.results(run_of([Caption("0", "a"), Caption("0", "b")]))


def test_cocos_zip_holds_both_files_without_folders(tmp_path, hostile):
    out = tmp_path / "results.zip"
    names = ["captions_val2014_mine_results.json", "captions_test2014_mine_results.json"]
    export.write(export.results(hostile), out, names[0])
    export.write(export.results(run_of([Caption("1", "x")])), out, names[1])
    first = out.read_bytes()
    export.write(export.results(run_of([Caption("1", "x")])), out, names[1])
    assert out.read_bytes() == first
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == names
        assert archive.testzip() is None
        assert [row["caption"] for row in json.loads(archive.read(names[0]))] == HOSTILE
        assert json.loads(archive.read(names[1])) == [{"image_id": 1, "caption": "x"}]


def test_a_wrong_target_is_refused(tmp_path):
    found = export.results(run_of([Caption("1", "x")]))
    for name, inside in (("a.zip", ""), ("a.json", "captions_val2014_x_results.json")):
        with pytest.raises(UsageError, match=r"--inside names the file in a \.zip"):
            export.write(found, tmp_path / name, inside)
    for inside in ("results.json", "d/captions_val2014_x_results.json", "captions_val2014__results.json"):
        with pytest.raises(UsageError, match="takes no file"):
            export.write(found, tmp_path / "a.zip", inside)
    (tmp_path / "a.zip").write_text("no zip")
    with pytest.raises(BadData, match="is no zip"):
        export.write(found, tmp_path / "a.zip", "captions_val2014_x_results.json")
    assert (tmp_path / "a.zip").read_text() == "no zip"
    with pytest.raises(UsageError, match="coco, nocaps"):
        export.results(run_of([]), "flickr")


def test_the_folder_of_the_target_is_made(tmp_path):
    found = export.results(run_of([Caption("1", "x")]))
    for name, inside in (("a/x.json", ""), ("b/x.zip", "captions_val2014_x_results.json")):
        export.write(found, tmp_path / name, inside)
        assert (tmp_path / name).is_file()


def test_the_command_offers_every_form():
    assert export_command.FORMS == export.FORMS
