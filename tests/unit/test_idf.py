"""Files of document frequencies: the same table comes back, others' files are read, bad ones are named."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import random
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capbench import idf
from capbench.backends.ptb import Ptb
from capbench.backends.tokenizers import Whitespace
from capbench.errors import BadData, MissingPart, UsageError
from capbench.idf import sources
from capbench.ragged import ragged

REFERENCES = [["a red car", "a car"], ["two red cats , asleep"], ["a cat"], [], ["日本 café \ud800"]]
MARK = Whitespace().fingerprint()
STATED = {"format": 1, "n_documents": 3, "tokenizer": MARK}


@pytest.fixture
def table():
    return idf.made(ragged(REFERENCES), Whitespace(), MARK)


def foreign(path, rows, stated=STATED, **columns):
    """A file as somebody else might write it: plain strings, no digest."""
    data = {f"w{i + 1}": [row[0][i] if i < len(row[0]) else None for row in rows] for i in range(4)}
    made = pa.table({**data, "documents": [n for _, n in rows], **columns})
    pq.write_table(made.replace_schema_metadata({"capbench.idf": json.dumps(stated)}), path, row_group_size=2)
    return path


ROWS = [(("car", "red"), 1), (("red",), 2), (("car",), 3), (("red", "car"), 1)]


def test_a_table_comes_back(table, tmp_path):
    idf.write(table, tmp_path / "a.parquet")
    again = idf.read(tmp_path / "a.parquet")
    assert (again.digest, again.n_documents, again.tokenizer) == (table.digest, 4, MARK)
    assert again.vocabulary == table.vocabulary
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_anybody_can_read_it(table, tmp_path):
    idf.write(table, tmp_path / "a.parquet")
    rows = pq.read_table(tmp_path / "a.parquet").to_pylist()
    found = {tuple(row[f"w{i}"] for i in range(1, 5) if row[f"w{i}"] is not None): row["documents"] for row in rows}
    assert len(found) == len(rows) == table.size
    assert (found["a",], found["red",], found["red", "car"], found["a", "red", "car"]) == (2, 2, 1, 1)
    assert found["two", "red", "cats", ","] == 1
    assert json.loads(pq.read_schema(tmp_path / "a.parquet").metadata[b"capbench.idf"]) == {
        "format": 1, "n_documents": 4, "tokenizer": MARK, "digest": table.digest,
    }  # fmt: skip


def test_a_file_of_somebody_else_is_read_and_equal_content_is_equal(tmp_path):
    made = idf.read(foreign(tmp_path / "a.parquet", ROWS, about=["x"] * 4))
    assert made.digest == idf.from_counts(dict(ROWS), 3, MARK).digest
    shuffled = idf.read(foreign(tmp_path / "b.parquet", ROWS[::-1]))
    assert made.digest == shuffled.digest


def test_an_empty_table_comes_back(tmp_path):
    idf.write(idf.made(ragged([[""], [""]]), Whitespace(), MARK), tmp_path / "a.parquet")
    assert idf.read(tmp_path / "a.parquet").n_documents == 2


@pytest.mark.parametrize(
    ("rows", "stated", "words"),
    [
        (ROWS, None, "states no format"),
        (ROWS, [1], "states no format"),
        (ROWS, {**STATED, "format": 2}, "made by a newer capbench"),
        (ROWS, {**STATED, "n_documents": 0}, "n_documents 0"),
        (ROWS, {**STATED, "n_documents": True}, "n_documents True"),
        (ROWS, {**STATED, "n_documents": "3"}, "n_documents '3'"),
        (ROWS, {**STATED, "tokenizer": ""}, "tokenizer ''"),
        (ROWS, {**STATED, "digest": "0" * 16}, "the digest differs"),
        (ROWS, {**STATED, "n_documents": 2}, "in more than its beginning"),
        ([*ROWS, (("red",), 1)], STATED, "stands twice"),
        ([(("red", None, "car"), 1), *ROWS], STATED, "has a hole"),
        ([(("x", "car"), 1), *ROWS], STATED, "a word of an n-gram is missing"),
        ([(("red", "red", "car"), 1), *ROWS], STATED, "the beginning of an n-gram is missing"),
        ([(("red",), None), *ROWS], STATED, "not whole numbers"),
        ([(("red",), 1.5)], STATED, "not whole numbers"),
        ([((1,), 1)], STATED, ""),
    ],
)
def test_a_file_that_is_no_table_is_named(tmp_path, rows, stated, words):
    path = foreign(tmp_path / "bad.parquet", rows, stated)
    if rows == [((1,), 1)]:  # numbers as words become their text, as they would be in a caption
        assert idf.read(path).vocabulary == ("1",)
        return
    with pytest.raises(BadData) as caught:
        idf.read(path)
    assert "bad.parquet" in caught.value.message
    assert words in caught.value.message
    assert "capbench idf" in caught.value.cure


def test_other_parquet_files_and_other_files_are_named(tmp_path):
    pq.write_table(pa.table({"x": [1]}), tmp_path / "other.parquet")
    (tmp_path / "text.parquet").write_text("PAR1 and so on")
    (tmp_path / "empty.parquet").touch()
    (tmp_path / "df.p").write_bytes(pickle.dumps({"document_frequency": {("a",): 1.0}, "ref_len": 2}))
    for name, words in (
        ("other.parquet", "it has no column w1"),
        ("text.parquet", "damaged"),
        ("empty.parquet", "not Parquet"),
        ("df.p", "not Parquet"),
    ):
        with pytest.raises(BadData, match=words) as caught:
            idf.read(tmp_path / name)
        assert name in caught.value.message
        assert "a pickle" in caught.value.cure
    with pytest.raises(MissingPart, match=r"no file .*gone"):
        idf.read(tmp_path / "gone.parquet")
    with pytest.raises(BadData):
        idf.read(tmp_path)


class Bomb:
    """What a pickle can do when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pickle_is_not_run(tmp_path):
    (tmp_path / "df.p").write_bytes(pickle.dumps(Bomb(tmp_path / "harm")))
    with pytest.raises(BadData):
        idf.read(tmp_path / "df.p")
    assert not (tmp_path / "harm").exists()


def test_damage_is_noticed_wherever_it_is(tmp_path):
    draw = random.Random(0)
    texts = [[" ".join(draw.choice("abcdefghij") for _ in range(8))] for _ in range(60)]
    table = idf.made(ragged(texts), Whitespace(), MARK)
    idf.write(table, tmp_path / "a.parquet")
    data = (tmp_path / "a.parquet").read_bytes()
    bad = tmp_path / "bad.parquet"
    unnoticed = 0
    for trial in range(400):
        changed = bytearray(data)
        if trial % 4 == 0:
            changed = changed[: draw.randrange(len(data))]
        else:
            changed[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        bad.write_bytes(changed)
        with contextlib.suppress(BadData):
            # a place that holds nothing of the table, such as the name of the program that wrote it
            assert idf.read(bad).digest == table.digest
            unnoticed += 1
    assert unnoticed < 200


def test_what_cannot_be_written_is_said(table, tmp_path):
    for path in (tmp_path / "no" / "a.parquet", tmp_path):
        with pytest.raises(UsageError, match="cannot write"):
            idf.write(table, path)
    assert not list(tmp_path.iterdir())
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="it is no file"):
        idf.write(table, tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "link").symlink_to("there")
    idf.write(table, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert idf.read(tmp_path / "there").digest == table.digest


def test_another_tokenizers_file_is_refused(table, tmp_path):
    idf.write(table, tmp_path / "a.parquet")
    assert idf.load(f"file:{tmp_path}/a.parquet", Whitespace(), MARK).digest == table.digest
    with pytest.raises(BadData, match="holds words of the tokenizer whitespace/1, and the metric's is ptb/") as caught:
        idf.load(f"file:{tmp_path}/a.parquet", Ptb(), Ptb().fingerprint())
    assert "--tokenizer" in caught.value.cure


def test_a_file_that_changes_is_read_again(tmp_path):
    path = foreign(tmp_path / "a.parquet", ROWS)
    first = idf.load(f"file:{path}", Whitespace(), MARK)
    assert idf.load(f"file:{path}", Whitespace(), MARK) is first
    foreign(path, [*ROWS, (("x", "car"), 1)], {**STATED, "n_documents": 50})
    with pytest.raises(BadData):
        idf.load(f"file:{path}", Whitespace(), MARK)
    foreign(path, ROWS, {**STATED, "n_documents": 50})
    assert idf.load(f"file:{path}", Whitespace(), MARK).n_documents == 50


def test_missing_sources_are_problems_with_a_cure(monkeypatch, tmp_path):
    assert idf.missing(f"file:{tmp_path}/gone").what.endswith("gone of document frequencies")
    monkeypatch.setattr(sources, "find_jar", lambda: None)
    assert idf.missing("coco-val").cure == "pip install 'capbench[coco]'"
    with pytest.raises(MissingPart, match="not installed"):
        idf.load("coco-val", Ptb(), Ptb().fingerprint())


def test_a_jar_that_is_not_the_packages_is_named(monkeypatch, tmp_path):
    import zipfile

    jar = tmp_path / "spice-1.0.jar"
    monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "find_jar", lambda: jar)
    notes = {"images": [{"id": 1}], "annotations": [{"image_id": 1, "caption": "a"}]}
    for entries, words in (
        (None, "not a zip file"),
        ({"other.json": "{}"}, "no item named"),
        ({sources.ENTRY: "{"}, "cannot be read"),
        ({sources.ENTRY: json.dumps(notes)}, "1 captions of 1 images, not 202654 of 40504"),
    ):
        jar.write_bytes(b"x")
        if entries is not None:
            with zipfile.ZipFile(jar, "w") as archive:
                for name, text in entries.items():
                    archive.writestr(name, text)
        with pytest.raises(BadData, match=words) as caught:
            idf.load("coco-val", Whitespace(), MARK)
        assert "--force-reinstall" in caught.value.cure
    assert not list(tmp_path.rglob("*.parquet"))


@pytest.fixture
def small_jar(monkeypatch, tmp_path):
    """COCO in small: three images, in a cache of its own."""
    import zipfile

    monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "find_jar", lambda: tmp_path / "j.jar")
    monkeypatch.setattr(sources, "IMAGES", 3)
    monkeypatch.setattr(sources, "CAPTIONS", 4)
    pairs = [(7, "A cat."), (5, "A dog, a cat."), (7, "A dog runs."), (9, "Two cats.")]
    notes = {"images": [{"id": i} for i in (5, 7, 9)]}
    notes["annotations"] = [{"image_id": image, "caption": text} for image, text in pairs]
    with zipfile.ZipFile(tmp_path / "j.jar", "w") as archive:
        archive.writestr(sources.ENTRY, json.dumps(notes))
    return tmp_path / "cache" / "idf"


def test_cocos_captions_are_counted_once_for_each_tokenizer(small_jar, monkeypatch):
    found = idf.load("coco-val", Ptb(), Ptb().fingerprint())
    by_hand = {("a",): 2, ("cat",): 2, ("dog",): 2, ("runs",): 1, ("two",): 1, ("cats",): 1, ("a", "cat"): 2,
               ("a", "dog"): 2, ("dog", "runs"): 1, ("dog", "a"): 1, ("two", "cats"): 1, ("a", "dog", "runs"): 1,
               ("a", "dog", "a"): 1, ("dog", "a", "cat"): 1, ("a", "dog", "a", "cat"): 1}  # fmt: skip
    assert found.digest == idf.from_counts(by_hand, 3, Ptb().fingerprint()).digest
    words = idf.load("coco-val", Whitespace(), MARK)
    assert "cat." in words.vocabulary
    assert len(list(small_jar.iterdir())) == 2
    monkeypatch.setattr(sources, "made", None)
    sources.remembered.cache_clear()
    assert idf.load("coco-val", Ptb(), Ptb().fingerprint()).digest == found.digest


def test_a_damaged_table_in_the_cache_is_made_again(small_jar):
    found = idf.load("coco-val", Ptb(), Ptb().fingerprint())
    (kept,) = small_jar.iterdir()
    kept.write_bytes(kept.read_bytes()[:-30])
    assert idf.load("coco-val", Ptb(), Ptb().fingerprint()).digest == found.digest
    assert idf.read(kept).digest == found.digest
    shutil.rmtree(small_jar)
    assert idf.load("coco-val", Ptb(), Ptb().fingerprint()).digest == found.digest


def test_numbers_that_no_table_holds(tmp_path):
    big = foreign(tmp_path / "big.parquet", [(("a",), 2**40)], {**STATED, "n_documents": 2**41})
    assert np.concatenate([level.documents for level in idf.read(big).levels]).tolist() == [2**40]
