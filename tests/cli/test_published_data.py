"""Every data set that is named by the files to bring, on a small file of its published form, from the command line.

The forms: see the docstrings of capbench.datasets. What differs between files of one data set (null, missing
keys, flags) is in the small files too.
"""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from capbench import api, benchmark

DOMAINS = ["in-domain", "near-domain", "out-domain"]


def jpeg(shade):
    data = io.BytesIO()
    Image.new("RGB", (4, 4), (shade, 0, 0)).save(data, "JPEG")
    return data.getvalue()


def dump(path, value):
    path.write_text(json.dumps(value), encoding="utf-8")


def nocaps(folder):
    """Ids from 0, ten captions an image, open_images_id beside the COCO keys."""
    images = [
        {
            "id": i,
            "open_images_id": f"{i:016x}",
            "height": 4,
            "width": 4,
            "coco_url": f"https://s3.amazonaws.com/nocaps/val/{i:016x}.jpg",
            "file_name": f"{i:016x}.jpg",
            "license": 0,
            "date_captured": "2018-11-06 11:04:33",
            "domain": DOMAINS[i % 3],
        }
        for i in range(9)
    ]
    notes = [
        {"id": 10 * i + k, "image_id": i, "caption": f"A thing number {i} seen {k}."}
        for i in range(9)
        for k in range(10)
    ]
    dump(folder / "nocaps_val_4500_captions.json", {"licenses": [], "info": {}, "images": images, "annotations": notes})
    return {str(i): f"{i:016x}.jpg" for i in range(9)}


def flickr30k(folder):
    images = [
        {
            "sentids": [5 * i + k for k in range(5)],
            "imgid": i,
            "sentences": [
                {"tokens": ["dog", str(i)], "raw": f"Dog {i} runs {k}.", "imgid": i, "sentid": 5 * i + k}
                for k in range(5)
            ],
            "split": ("train", "test")[i % 2],
            "filename": f"10000{i}.jpg",
        }
        for i in range(6)
    ]
    dump(folder / "dataset_flickr30k.json", {"images": images, "dataset": "flickr30k"})
    return {f"10000{i}.jpg": f"10000{i}.jpg" for i in (1, 3, 5)}


def textcaps(folder):
    """A row a caption; each row repeats all references of its image."""
    rows = [
        {
            "image_id": f"{i:016x}",
            "image_classes": ["Sign"],
            "flickr_original_url": "https://x",
            "image_width": 4,
            "image_height": 4,
            "image_name": f"{i:016x}",
            "image_path": f"train/{i:016x}.jpg",
            "caption_id": 5 * i + k,
            "caption_str": f"Sign {i} says {k}.",
            "caption_tokens": ["sign"],
            "reference_strs": [f"Sign {i} says {j}." for j in range(5)],
            "reference_tokens": [["sign"]] * 5,
            "set_name": "val",
        }
        for k in range(5)
        for i in range(4)
    ]
    data = {"dataset_type": "val", "dataset_name": "textcaps", "dataset_version": "0.1", "data": rows}
    dump(folder / "TextCaps_0.1_val.json", data)
    return {f"{i:016x}": f"{i:016x}.jpg" for i in range(4)}


def vizwiz(folder):
    """Two flags an annotation; all captions of the last image are flagged."""
    images = [
        {
            "file_name": f"VizWiz_val_{i:08d}.jpg",
            "vizwiz_url": f"https://x/VizWiz_val_{i:08d}.jpg",
            "id": 23431 + i,
            "text_detected": i % 2 == 0,
        }
        for i in range(6)
    ]
    notes = [
        {
            "caption": "Quality issues are too severe to recognize visual content."
            if i == 5 or k == 4
            else f"Can {i} held {k}.",
            "image_id": 23431 + i,
            "is_precanned": i == 5 or k == 4,
            "is_rejected": k == 3,
            "id": 5 * i + k,
            "text_detected": i % 2 == 0,
        }
        for i in range(6)
        for k in range(5)
    ]
    dump(folder / "val.json", {"info": {}, "images": images, "annotations": notes})
    return {str(23431 + i): f"VizWiz_val_{i:08d}.jpg" for i in range(5)}


def xm3600(folder):
    lines = []
    for i in range(6):
        captions = {
            lang: {"caption": texts, "caption/tokenized": texts, "caption/tokenized/lowercase": texts}
            for lang, texts in (("en", [f"A house {i}.", f"House {i} by a road."]), ("th", [f"บ้าน {i}", f"ถนน {i}"]))
        }
        lines.append(json.dumps({"image/key": f"{i:016x}", "image/locale": ["th", "en"][i % 2], **captions}))
    (folder / "captions.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return {f"{i:016x}": f"{i:016x}.jpg" for i in range(6)}


def detailcaps(folder):
    sources = ["COCO", "LAION", "SAM"]
    names = ["coco/train2017/000000000001.jpg", "https://x/y.jpg?z=1", "sa_1", "coco/2.jpg", "https://x/2.jpg", "sa_2"]
    table = {
        "CogVLM": ["a"] * 6,
        "GPT4_Eval": ["{}"] * 6,
        **{
            f"GT_Caption_{who}": [f"{who} tells of {i}." for i in range(6)] for who in ("GPT4O", "GPT4V", "Gemini15Pro")
        },
        "LLaVA_v15": ["a"] * 6,
        "ShareCaptioner": ["a"] * 6,
        "binary": [jpeg(20 * i) for i in range(6)],
        "image": names,
        "source": [sources[i % 3] for i in range(6)],
    }
    pq.write_table(pa.table(table), folder / "DetailCaps-4870.parquet")
    return dict.fromkeys(names)


FORMS = {
    "nocaps-val": (nocaps, 9, 10, DOMAINS),
    "flickr30k-karpathy-test": (flickr30k, 3, 5, None),
    "textcaps-val": (textcaps, 4, 5, None),
    "vizwiz-val": (vizwiz, 5, 3, ["false", "true"]),
    "xm3600-en": (xm3600, 6, 2, ["en", "th"]),
    "detailcaps-4870": (detailcaps, 6, 3, ["COCO", "LAION", "SAM"]),
}
METRICS = ["-m", "cider()", "-m", "bleu()"]


@pytest.mark.parametrize("name", FORMS)
def test_without_its_files_a_benchmark_says_what_to_bring(capbench, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = capbench("run", "human", "-b", name)
    assert said.code == 4
    file = benchmark.read(name)[0].dataset.place.partition("the file ")[2].split(" ")[0]
    assert file in said.err.split("->")[0]
    assert f"-> the file {file} (" in said.err
    assert "https://" in said.err
    assert "--data FOLDER" in said.err


@pytest.mark.parametrize("name", FORMS)
def test_a_small_file_of_the_form(capbench, name, tmp_path):
    make, items, refs, values = FORMS[name]
    pictures = make(tmp_path)
    made = benchmark.load(name, data=str(tmp_path))
    assert [sample.id for sample in made.samples] == list(pictures)
    assert {len(sample.references) for sample in made.samples} == {refs}
    assert all(sample.image is None for sample in made.samples)
    own = {str(i): s.references[0] for i, s in zip(pictures, made.samples, strict=True)}
    dump(tmp_path / "mine.json", own)
    said = capbench(
        "run", tmp_path / "mine.json", "-b", name, "--data", tmp_path, *METRICS, "--json", "--runs", tmp_path / "r"
    )
    assert said.code == 0, said.err
    assert {s["n"] for s in said.data["scores"]} == {items}
    bleu1 = next(s["value"] for s in said.data["scores"] if s["column"] == "bleu1")
    assert bleu1 == pytest.approx(1, abs=1e-6)  # each caption is one of its references
    found = [group["name"] for group in said.data.get("groups", [])]
    assert found == ([*values, "all"] if values else [])


@pytest.mark.parametrize("name", [name for name in FORMS if name != "detailcaps-4870"])
def test_the_pictures_are_found_below_images(capbench, name, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for shade, file in enumerate(FORMS[name][0](tmp_path).values()):
        (photos / file).write_bytes(jpeg(25 * shade))
    made = benchmark.load(name, data=str(tmp_path), images=str(photos))
    assert all(sample.image.digest for sample in made.samples)
    assert len({sample.image.digest for sample in made.samples}) == len(made.samples)
    said = capbench(
        "run",
        "constant(text='x')",
        "-b",
        name,
        "--data",
        tmp_path,
        "--images",
        tmp_path / "no",
        *METRICS,
        "--runs",
        tmp_path,
    )
    assert said.code == 4
    assert "images: there is no" in said.err


def test_detailcaps_pictures_come_out_of_the_file(capbench, tmp_path):
    detailcaps(tmp_path)
    file = str(tmp_path / "DetailCaps-4870.parquet")
    spec = f"detailcaps(annotations={file!r}, pictures=True)"
    samples = benchmark.load(spec).samples
    with_them = [s.image for s in samples]
    assert [Image.open(ref.path).getpixel((0, 0))[0] for ref in with_them] == pytest.approx(
        [20 * i for i in range(6)], abs=3
    )
    assert with_them == [s.image for s in benchmark.load(spec).samples]
    said = capbench("run", "constant", "-b", spec, "--images", tmp_path, "--runs", tmp_path)
    assert (said.code, "takes no folder of pictures" in said.err) == (2, True)
    rows = pq.read_table(file).drop_columns(["binary"]).to_pylist()
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = f"detailcaps(annotations={str(tmp_path / 'rows.jsonl')!r}"
    assert [s.references for s in benchmark.load(lines + ")").samples] == [s.references for s in samples]
    said = capbench("run", "constant", "-b", lines + ", pictures=True)", "--runs", tmp_path)
    assert (said.code, "holds no pictures" in said.err) == (4, True)


def test_a_language_of_xm3600(capbench, tmp_path):
    xm3600(tmp_path)
    spec = f"xm3600(annotations={str(tmp_path / 'captions.jsonl')!r}, lang='{{}}')"
    thai = benchmark.load(spec.format("th")).samples
    assert thai[0].references == ("บ้าน 0", "ถนน 0")
    assert thai[0].tags == {"lang": "th", "locale": "th"}
    said = capbench(
        "run",
        "constant(text='บ้าน')",
        "-b",
        spec.format("th"),
        "--lang",
        "th",
        "--by",
        "locale",
        "--json",
        "--runs",
        tmp_path,
    )
    assert (said.code, [g["name"] for g in said.data["groups"]]) == (0, ["en", "th", "all"])
    assert {s["signature"].count("sacrebleu/char") for s in said.data["scores"]} == {1}
    said = capbench("run", "human", "-b", spec.format("thai"), "--runs", tmp_path)
    assert (said.code, "no language 'thai'\n  -> did you mean th" in said.err) == (2, True)
    said = capbench("run", "human", "-b", spec.format("fr"), "--runs", tmp_path)
    assert (said.code, "no field 'fr.caption'" in said.err) == (2, True)


def test_nocaps_with_spice_says_how_to_go_on_without_it(capbench, tmp_path):
    nocaps(tmp_path)
    said = capbench("run", "human", "-b", "nocaps-val", "--data", tmp_path, "--runs", tmp_path)
    assert said.code == 3
    assert "metric spice()" in said.err


def test_nocaps_from_captions_to_the_server_and_back(capbench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nocaps(tmp_path)
    dump(tmp_path / "a.json", [{"image_id": i, "caption": f"A thing number {i} \ud83d"} for i in range(9)])
    dump(tmp_path / "b.json", [{"image_id": i, "caption": "A thing."} for i in range(8)])
    for file in ("a.json", "b.json"):
        said = capbench("run", file, "-b", "nocaps-val", "--data", ".", *METRICS, "--max-missing", "1")
        assert said.code == 0
        assert "| CIDEr   | out-domain" in said.out
    said = capbench("leaderboard", "--by", "domain")
    lines = [line.split(" | ") for line in said.out.splitlines() if line.startswith(("| 1 ", "| 2 "))]
    assert [(line[1], line[2], line[3]) for line in lines] == [
        (who, group, n) for who in "ab" for group, n in [*((domain, "3") for domain in DOMAINS), ("all", "9")]
    ]
    assert "(1 unscored)" in lines[6][4]
    table = capbench("leaderboard", "--by", "domain", "--format", "json").data
    assert [line["label"] for line in table[0]["lines"]] == ["a", "b"]
    csv = capbench("leaderboard", "--by", "domain", "--format", "csv").out.splitlines()
    assert len(csv) == 1 + 2 * 4 * 5  # systems, groups, columns
    (a,) = (tmp_path / "runs" / "nocaps-val").glob("a-*")
    (b,) = (tmp_path / "runs" / "nocaps-val").glob("b-*")
    said = capbench("export", a, "out.json", "--form", "nocaps")
    assert (said.code, "9 captions, 9 with a lone surrogate" in said.err) == (0, True)
    assert json.loads((tmp_path / "out.json").read_text())[8] == {"image_id": 8, "caption": "A thing number 8 \ufffd"}
    said = capbench("export", b, "out.json", "--form", "nocaps")
    assert (said.code, "image 8: no caption in b.json" in said.err) == (4, True)
    assert capbench("export", b, "out.json", "--form", "nocaps", "--failed", "").code == 0
    assert json.loads((tmp_path / "out.json").read_text())[8] == {"image_id": 8, "caption": ""}
    assert capbench("export", tmp_path, "out.json").code == 4


def test_captions_of_a_hidden_test_set_are_made_and_exported_without_a_metric(capbench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_images").mkdir()
    rows = [{"image_id": name, "image_name": name, "set_name": "test"} for name in ("aa", "bb")]
    dump(tmp_path / "TextCaps_0.1_test.json", {"dataset_type": "test", "data": rows})
    for name in ("aa", "bb"):
        (tmp_path / "test_images" / f"{name}.jpg").write_bytes(jpeg(1))
    spec = "folder(captions='TextCaps_0.1_test.json', id_field='image_id', references=False, images='test_images')"
    said = capbench("run", "constant(text='a sign')", "-b", spec)
    assert (said.code, said.out.startswith("captions only")) == (0, True)
    (run,) = (tmp_path / "runs" / "folder").iterdir()
    assert capbench("export", run, "out.json", "--form", "textcaps").code == 0
    assert json.loads((tmp_path / "out.json").read_text()) == [
        {"image_id": n, "caption": "a sign"} for n in ("aa", "bb")
    ]
    said = capbench("leaderboard")
    assert (said.code, "no finished run" in said.err) == (4, True)


def test_a_split_is_not_written_and_an_unknown_tag_is_named(capbench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    vizwiz(tmp_path)
    assert capbench("run", "constant(text='a can')", "-b", "vizwiz-val", "--data", ".", *METRICS).code == 0
    assert capbench("run", "human", "-b", "scenes(n=9)", "-m", "bleu()").code == 0
    said = capbench("leaderboard", "--by", "text_detected")
    assert (said.code, "scenes has no tag 'text_detected' and is left out" in said.err) == (0, True)
    said = capbench("leaderboard", "--by", "hue")
    assert (said.code, "no tag 'hue'" in said.err) == (2, True)
    said = capbench("leaderboard", "vizwiz-val", "--by", "text_detected", "--write", "t")
    assert (said.code, "printed, not written" in said.err) == (2, True)
    assert capbench("leaderboard", "vizwiz-val", "--write", "t").code == 0
    said = capbench("leaderboard", "--runs", "t/entries", "--by", "text_detected")
    assert (said.code, "| false | 2 |" in said.out, "| true | 3 |" in said.out) == (0, True, True)
    (entry,) = (tmp_path / "t" / "entries").iterdir()
    assert [g.items for g in api.load_run(entry, by="text_detected").groups] == [2, 3, 5]
    for tags in tmp_path.glob("runs/vizwiz-val/*/tags.parquet"):
        tags.unlink()
    assert capbench("run", "shuffled", "-b", "vizwiz-val", "--data", ".", *METRICS).code == 0
    said = capbench("leaderboard", "vizwiz-val", "--by", "text_detected")
    assert (said.code, "run the same command again" in said.err) == (4, True)
    assert capbench("run", "constant(text='a can')", "-b", "vizwiz-val", "--data", ".", *METRICS).code == 0
    assert capbench("leaderboard", "vizwiz-val", "--by", "text_detected").code == 0
    assert len(capbench("leaderboard", "vizwiz-val", "--by", "text_detected").out.splitlines()) > 8


def test_other_data_without_the_usual_tag_are_not_split(capbench, tmp_path):
    nocaps(tmp_path)
    path = str(tmp_path / "nocaps_val_4500_captions.json")
    words = [
        "run",
        "constant(text='a thing')",
        "-b",
        "nocaps-val",
        "--dataset",
        f"coco(annotations={path!r})",
        *METRICS,
    ]
    said = capbench(*words, "--runs", tmp_path, "--json")
    assert (said.code, "groups" in said.data) == (0, False)
    said = capbench(*words, "--runs", tmp_path, "--by", "domain")
    assert (said.code, "no tags to split by" in said.err) == (2, True)
