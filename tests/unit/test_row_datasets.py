"""Pictures inside shards, Parquet and Arrow: hf, webdataset, img2dataset, and what is wrong with such files."""

from __future__ import annotations

import gzip
import io
import json
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from capbench.containers import Place, inside
from capbench.datasets.hf import Hf
from capbench.datasets.img2dataset import Img2Dataset
from capbench.datasets.webdataset import WebDataset
from capbench.errors import BadData, MissingPart, UsageError
from capbench.images import ImageFault, as_file, content, digest, load

COLOURS = ("red", "green", "blue", "white", "black", "yellow")


def png(colour):
    out = io.BytesIO()
    Image.new("RGB", (3, 2), colour).save(out, "PNG")
    return out.getvalue()


def tar(path, entries, cut=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as shard:
        for name, data in entries:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            shard.addfile(info, io.BytesIO(data))
    if cut:
        path.write_bytes(path.read_bytes()[:-cut])
    return path


def shards(folder):
    """Two shards: keys 0000 to 0005, a caption each."""
    for s in (0, 1):
        entries = []
        for k in range(3 * s, 3 * s + 3):
            entries += [(f"{k:04d}.png", png(COLOURS[k])), (f"{k:04d}.txt", f"a {COLOURS[k]} square\n".encode())]
            entries.append((f"{k:04d}.json", json.dumps({"uid": f"u{k}", "alt": ["one", "two"]}).encode()))
        tar(folder / f"data-{s}.tar", entries)
    return folder


def pixel(sample):
    return load(sample.image).getpixel((0, 0))


EXPECTED = [Image.new("RGB", (1, 1), colour).getpixel((0, 0)) for colour in COLOURS]


def test_a_place_and_its_path_are_one():
    for place in (Place("a/x.tar", "b#c@1.jpg", 512, 20), Place("x.parquet", "image", 7), Place("a.tar.arrow", "i", 0)):
        assert inside(str(place)) == place
    for path in ("a.jpg", "x.tar", "x.tar#a@5", "x.parquet#image@3+4", "odd#name@3", "x.parquet#image@"):
        assert inside(path) is None


def test_shards_are_read_by_key_and_pictures_by_offset(tmp_path):
    samples = WebDataset(str(shards(tmp_path))).load()
    assert [s.id for s in samples] == [f"{k:04d}" for k in range(6)]
    assert [s.references for s in samples] == [(f"a {colour} square",) for colour in COLOURS]
    assert [pixel(s) for s in samples] == EXPECTED
    assert [s.image.digest for s in samples] == [digest(png(colour)) for colour in COLOURS]
    one = WebDataset(str(tmp_path), names="*-1.tar", field="json.alt", id_field="json.uid", tags="json.uid").load()
    assert [(s.id, s.references, s.tags["json.uid"]) for s in one] == [
        (f"u{k}", ("one", "two"), f"u{k}") for k in (3, 4, 5)
    ]


def test_keys_that_shards_share_are_refused_with_the_cure(tmp_path):
    for name in ("a", "b"):
        tar(tmp_path / f"{name}.tar", [("0.png", png("red")), ("0.txt", b"red")])
    with pytest.raises(BadData, match=r"b\.tar 0: id '0' is already at .*a\.tar 0 .*id_field='shard/key'"):
        WebDataset(str(tmp_path)).load()
    assert [s.id for s in WebDataset(str(tmp_path), id_field="shard/key").load()] == ["a/0", "b/0"]


def test_samples_group_as_webdataset_groups_them(tmp_path):
    entries = [("__meta__/x.json", b"{}"), ("d.r/a.b.PNG", png("red")), ("d.r/a.txt", b"red"), ("c.txt", b"no picture")]
    samples = WebDataset(str(tar(tmp_path / "x.tar", entries)), image="b.png").load()
    assert [(s.id, s.references, s.image is None) for s in samples] == [
        ("d.r/a", ("red",), False),
        ("c", ("no picture",), True),
    ]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda f: tar(f / "x.tar", [("a.png", png("red")), ("a.txt", b"red")], cut=8192), "without the mark"),
        (lambda f: tar(f / "x.tar", [("a.txt", b"red"), ("a.png", b"p" * 12_000)], cut=10_000), "unexpected end"),
        (lambda f: (f / "x.tar").write_bytes(gzip.compress(tar(f / "y", [("a.txt", b"red")]).read_bytes())), "unpack it"),
        (lambda f: (f / "x.tar").write_bytes(b"nothing of the kind" * 99), "cannot be read as a tar"),
        (lambda f: (f / "x.tar").write_bytes(b""), "cannot be read as a tar"),
        (lambda f: tar(f / "x.tar", [("a.txt", b"red"), ("a.json", b"{"), ("b.txt", b"\xff")]), r"a: the \.json(.|\n)*b: the \.txt"),
        (lambda f: tar(f / "x.tar", [("a.txt", b"1"), ("b.txt", b"2"), ("a.txt", b"3")]), "id 'a' is already"),
        (lambda f: tar(f / "x.tar", [("a.txt", b"1"), ("a.txt", b"2")]), r"a\.txt stands twice"),
        (lambda f: tar(f / "x.tar", [("a.txt", b"1"), ("b.png", png("red"))]), "image b: no 'txt'"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_shard_is_named(tmp_path, make, words):
    make(tmp_path)
    with pytest.raises(BadData, match=words):
        WebDataset(str(tmp_path)).load()


def test_a_shard_cut_at_a_member_loses_nothing_silently(tmp_path):
    path = tar(tmp_path / "x.tar", [("a.txt", b"red"), ("b.txt", b"blue")])
    path.write_bytes(path.read_bytes()[:1024])  # the first member, whole, and nothing more
    with pytest.raises(BadData, match="without the mark that ends a tar"):
        WebDataset(str(tmp_path)).load()
    path.write_bytes(tar(tmp_path / "y.tar", [("a.txt", b"red")]).read_bytes()[:1024] + b"x" * 512)
    (tmp_path / "y.tar").unlink()
    with pytest.raises(BadData, match="no header at byte 1024"):
        WebDataset(str(tmp_path)).load()


def table(path, n=6, group=2, **more):
    rows = {
        "image": [{"bytes": png(COLOURS[k]), "path": f"{k}.png"} for k in range(n)],
        "caption": [[f"a {COLOURS[k]} square", "a square"] for k in range(n)],
        "image_id": list(range(100, 100 + n)),
    } | more
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({k: v for k, v in rows.items() if v is not None}), path, row_group_size=group)
    return path


def test_parquet_rows_are_read_late_from_their_row_group(tmp_path):
    samples = Hf(str(table(tmp_path / "x.parquet"))).load()
    assert [s.id for s in samples] == [str(k) for k in range(100, 106)]
    assert samples[2].references == ("a blue square", "a square")
    assert [pixel(s) for s in reversed(samples)] == EXPECTED[::-1]
    assert samples[3].image.path == f"{tmp_path}/x.parquet#image@3"


def test_a_folder_as_on_the_hub_has_splits(tmp_path):
    table(tmp_path / "data" / "train-00000-of-00002.parquet", 3, image_id=None)
    table(tmp_path / "data" / "train-00001-of-00002.parquet", 3, image_id=None)
    table(tmp_path / "data" / "test-00000-of-00001.parquet", 2, image_id=None)
    with pytest.raises(UsageError, match=r"splits test, train(.|\n)*split='test'"):
        Hf(str(tmp_path)).load()
    with pytest.raises(UsageError, match="it has: test, train"):
        Hf(str(tmp_path), split="val").load()
    assert [s.id for s in Hf(str(tmp_path), split="train").load()] == ["0", "1", "2", "3", "4", "5"]
    for name in ("flickr_val", "test"):
        table(tmp_path / "plain" / f"{name}.parquet", 2)
    assert len(Hf(str(tmp_path / "plain"), split="val").load()) == 2


def test_one_file_has_the_split_that_its_name_states(tmp_path):
    path = str(table(tmp_path / "data" / "test-00000-of-00001.parquet", 2))
    assert len(Hf(path, split="test").load()) == 2
    with pytest.raises(UsageError, match=r"no split 'train'(.|\n)*it has: test"):
        Hf(path, split="train").load()
    with pytest.raises(UsageError, match="no splits: leave split out"):
        Hf(str(table(tmp_path / "x.parquet", 2)), split="train").load()


def test_a_file_that_is_not_there_is_not_looked_for_on_the_hub():
    for name in ("gone.parquet", "some/gone.arrow"):
        with pytest.raises(MissingPart, match=f"there is no file or folder {name}"):
            Hf(name).load()


def test_columns_can_be_named_and_a_wrong_name_lists_those_there_are(tmp_path):
    path = table(tmp_path / "x.parquet", photo=[png("red")] * 6, alt=["x"] * 6, kind=["a", "b"] * 3, uid=list("abcdef"))
    samples = Hf(str(path), image="photo", field="alt, caption", id_field="uid", tags="kind").load()
    assert samples[1].references == ("x", "a green square", "a square")
    assert (samples[1].id, dict(samples[1].tags), pixel(samples[1])) == ("b", {"kind": "b"}, EXPECTED[0])
    with pytest.raises(UsageError, match=r"no column 'captoin'(.|\n)*caption, image_id"):
        Hf(str(path), field="captoin").load()
    numbered = table(tmp_path / "y.parquet", caption=None, caption_0=list("abcdef"), caption_1=list("ghijkl"))
    assert Hf(str(numbered)).load()[0].references == ("a", "g")


def test_pictures_without_bytes_are_files_or_unreadable(tmp_path):
    (tmp_path / "a.png").write_bytes(png("blue"))
    table(tmp_path / "x.parquet", 3, image=[{"bytes": None, "path": "a.png"}, {"bytes": None, "path": None}, None])
    first, second, third = Hf(str(tmp_path)).load()
    assert pixel(first) == EXPECTED[2]
    assert (second.image.digest, third.image.digest) == ("", "")


def test_what_is_wrong_with_a_table_is_named(tmp_path):
    path = table(tmp_path / "x.parquet", image_id=[1, 2, 2, 3, None, 5])
    with pytest.raises(BadData, match=r"x\.parquet row 5: the id is null(.|\n)*row 3: id '2' is already at .*row 2"):
        Hf(str(path)).load()
    table(path, caption=[["a"], None, ["b"], [], ["c"], [None]])
    with pytest.raises(
        BadData,
        match=r"row 2: image 101: a reference is null(.|\n)*row 6: image 105(.|\n)*row 4: image 103 has no references",
    ):
        Hf(str(path)).load()
    table(path, image=[[png("red")]] * 6)
    with pytest.raises(BadData, match=r"row 1: image holds a list of pictures"):
        Hf(str(path), image="image").load()
    table(tmp_path / "y.parquet", caption=None)
    table(path)
    with pytest.raises(BadData, match=r"y\.parquet: it has no column caption"):
        Hf(str(tmp_path)).load()
    (tmp_path / "y.parquet").write_bytes(path.read_bytes()[:-50])
    with pytest.raises(BadData, match=r"y\.parquet: damaged"):
        Hf(str(tmp_path)).load()


def test_row_groups_too_large_to_be_held_are_refused(tmp_path, monkeypatch):
    path = table(tmp_path / "x.parquet", group=6)
    monkeypatch.setattr("capbench.datasets.rows.LARGEST_GROUP", 200)
    with pytest.raises(BadData, match=r"row group 0 holds .*row_group_size=100"):
        Hf(str(path)).load()


def test_a_file_that_changed_is_noticed(tmp_path):
    path = table(tmp_path / "x.parquet")
    samples = Hf(str(path)).load()
    assert pixel(samples[0]) == EXPECTED[0]
    table(path, image=[{"bytes": png("white"), "path": ""}] * 6)
    with pytest.raises(ImageFault, match="changed since"):
        load(samples[0].image)
    table(path, 1)
    with pytest.raises(ImageFault, match="no row 5"):
        load(samples[5].image)
    path.unlink()
    with pytest.raises(ImageFault, match="missing"):
        load(samples[0].image)


def test_an_arrow_file_is_mapped(tmp_path):
    rows = pa.table({"image": [{"bytes": png(c), "path": ""} for c in COLOURS], "text": list(COLOURS)})
    for name, new in (("stream.arrow", pa.ipc.new_stream), ("file.arrow", pa.ipc.new_file)):
        with pa.OSFile(str(tmp_path / name), "wb") as out, new(out, rows.schema) as writer:
            writer.write_table(rows, max_chunksize=4)
        samples = Hf(str(tmp_path / name)).load()
        assert [(pixel(s), s.references) for s in samples] == [
            (p, (c,)) for p, c in zip(EXPECTED, COLOURS, strict=True)
        ]


def test_no_such_data_set(tmp_path):
    with pytest.raises(MissingPart, match="no file or folder"):
        Hf(str(tmp_path / "nowhere")).load()
    with pytest.raises(MissingPart, match="no file or folder"):
        WebDataset(str(tmp_path / "nowhere")).load()
    with pytest.raises(BadData, match=r"has no file \*\.tar"):
        WebDataset(str(tmp_path)).load()
    (tmp_path / "x.csv").write_text("a")
    with pytest.raises(BadData, match=r"no \.parquet or \.arrow"):
        Hf(str(tmp_path / "x.csv")).load()


def downloaded(folder, form, keys=range(4), failed=(1,)):
    """A shard as img2dataset writes it; row 1 was not downloaded."""
    rows = {
        "key": [f"{k:09d}" for k in keys],
        "caption": [f"a {COLOURS[k]} square" for k in keys],
        "url": ["http://x"] * len(keys),
        "status": ["failed_to_download" if k in failed else "success" for k in keys],
    }
    good = [k for k in keys if k not in failed]
    folder.mkdir(parents=True, exist_ok=True)
    if form == "parquet":
        rows["jpg"] = [png(COLOURS[k]) if k in good else None for k in keys]
    if form == "webdataset":
        tar(
            folder / "00000.tar",
            [(f"{k:09d}.{e}", d) for k in good for e, d in (("jpg", png(COLOURS[k])), ("txt", b"x"))],
        )
    if form == "files":
        (folder / "00000").mkdir()
        for k in good:
            (folder / "00000" / f"{k:09d}.jpg").write_bytes(png(COLOURS[k]))
    pq.write_table(pa.table(rows), folder / "00000.parquet")
    return folder


@pytest.mark.parametrize("form", ["webdataset", "files", "parquet"])
def test_the_three_forms_of_img2dataset_are_one_data_set(tmp_path, form):
    samples = Img2Dataset(str(downloaded(tmp_path, form)), tags="url").load()
    assert [s.id for s in samples] == ["000000000", "000000002", "000000003"]
    assert [(pixel(s), s.references, s.tags["url"]) for s in samples] == [
        (EXPECTED[k], (f"a {COLOURS[k]} square",), "http://x") for k in (0, 2, 3)
    ]
    every = Img2Dataset(str(tmp_path), failed=True).load()
    assert [bool(s.image.digest) for s in every] == [True, False, True, True]


def test_a_download_that_is_not_whole_is_said_so(tmp_path):
    folder = downloaded(tmp_path / "a", "webdataset")
    tar(folder / "00000.tar", [("000000000.jpg", png("red")), ("000000009.jpg", png("red"))])
    tar(folder / "00001.tar", [("000010000.jpg", png("red"))])
    with pytest.raises(BadData) as error:
        Img2Dataset(str(folder)).load()
    for words in ("row 3: the picture 000000002 was downloaded and is not there", "000000009: the table does not list",
                  "00001.tar: there is no 00001.parquet"):  # fmt: skip
        assert words in error.value.message
    with pytest.raises(BadData, match="not one row was downloaded"):
        Img2Dataset(str(downloaded(tmp_path / "b", "files", failed=range(4)))).load()
    with pytest.raises(BadData, match="no column key"):
        Img2Dataset(str(table(tmp_path / "c" / "x.parquet").parent)).load()
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "00000.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(BadData, match=r"00000\.parquet: damaged"):
        Img2Dataset(str(tmp_path / "d")).load()


def test_a_program_gets_a_file_of_its_own(tmp_path):
    (sample, *_) = WebDataset(str(shards(tmp_path))).load()
    path = as_file(sample.image)
    assert path.read_bytes() == content(sample.image)
    assert path.suffix == ".png"
    assert as_file(sample.image) == path


def test_a_benchmark_of_shards_runs_by_its_toml(tmp_path, monkeypatch):
    from capbench import run

    shards(tmp_path / "here" / "shards")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here" / "b.toml").write_text(
        "name = \"b\"\nversion = 1\n[dataset]\nuse = \"webdataset(path='shards', field='txt, json.alt')\"\n"
    )
    made = run("human", "here/b.toml", ["bleu"], runs=None)
    assert [caption.text for caption in made.captions] == [f"a {colour} square" for colour in COLOURS]
