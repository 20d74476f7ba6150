"""What is said of published files that are wrong, of another set, or lack something."""

import builtins
import json

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.io import savemat

from capbench.cli.judgements_command import command
from capbench.cli.main import cli
from capbench.errors import BadData, MissingPart, UsageError
from capbench.judgement_sets import SETS, convert
from capbench.judgement_sets.captions import photo, read_captions, same_words

TOKENS = "1.jpg#0\tA dog .\n1.jpg#1\tA pet .\n2.jpg#0\tTwo cats .\n"
CRAB = {"filename": "000000000007.jpg", "caption": "A crab.", "negative_caption": "A crow."}
VALSE = {
    "image_file": "COCO_val2014_000000000007.jpg", "caption": "A crab.", "foil": "A crow.",
    "mturk": {"foil": 0, "caption": 3, "other": 0}, "linguistic_phenomena": "noun phrases",
}  # fmt: skip
PASCAL = {"image": "a/1.jpg", "captions": ["a", "b"], "label": 1, "references": ["c"]}
JOINED = {
    "category": "HC",
    "image": "1.jpg",
    "captions": ["a", "b"],
    "preferred": 0,
    "refs": ["c"],
    "fleur": [0.5, 0.2],
}
THUMB = {"SYS": "Human", "seg_id": "7", "hyp": "A crab.", "image": "COCO_val2014_000000000007.jpg", "human_score": 4.5}
JUDGED = {"caption": "A cat.", "rating": 2}
CLIPSCORE = {"1": {"image_path": "x/1.jpg", "ground_truth": ["A dog ."], "human_judgement": [JUDGED]}}


@pytest.fixture
def make(tmp_path):
    def call(content, name="set.json"):
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, list):
            path.write_text("".join(json.dumps(row) + "\n" for row in content))
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return call


@pytest.fixture
def refs(make):
    return [make([{"image_id": 7, "caption_ids": [1, 2], "refs": ["Sand.", "A beach."]}], "refs.jsonl")]


def told(stop):
    return "\n".join(str(fault) for fault in stop.value.faults)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"1": CRAB, "2": {**CRAB, "caption": None}}, "set.json entry '2': caption is null, not text"),
        ({"1": CRAB, "2": {"filename": "000000000007.jpg", "caption": "a"}}, "entry '2': no 'negative_caption' (it has: 'fi"),
        ({"1": CRAB, "2": [1]}, "entry '2': an object is wanted, and this is a list"),
        ('{"1": {"filename": "7.jpg", "caption": "a", "caption": "b", "negative_caption": "c"}}', "the key 'caption' stands twice"),
        ({"1": VALSE, "2": {**VALSE, "mturk": {"foil": 1}}}, "entry '2': no 'caption' (it has: 'foil')"),
        ({"1": VALSE, "2": {**VALSE, "mturk": {"caption": "3"}}}, "mturk has no number of votes"),
        ({"HC": [PASCAL, {**PASCAL, "label": 2}]}, "set.json entry 'HC' [1]: label is '2' (0 for the first caption"),
        ({"HC": [PASCAL, {**PASCAL, "captions": ["a"]}]}, "entry 'HC' [1]: captions has 1 texts where 2 are wanted"),
        ({"HC": [PASCAL, {**PASCAL, "references": "c"}]}, "references is not a list of texts"),
        ({"HC": [PASCAL], "HI": {"a": 1}}, "set.json entry 'HI': not a list of pairs"),
        ([JOINED, {**JOINED, "fleur": [0.5]}], "set.json line 2: fleur is not a list of two scores"),
        ([JOINED, {**JOINED, "fleur": [0.5, "x"]}], "line 2: a score of FLEUR is not a number: 'x'"),
        ([THUMB, {**THUMB, "human_score": "good"}], "line 2: total is not a number: 'good'"),
        ([THUMB, {**THUMB, "image": 7}], "line 2: image is a number (7), not text"),
        ({"1": {**CLIPSCORE["1"], "human_judgement": [JUDGED, {"caption": "a"}]}}, "entry '1' human_judgement[1]: no 'rating'"),
        ({**CLIPSCORE, "2": {"image_path": "b"}}, "entry '2': no 'human_judgement' (it has: 'image_path')"),
        ("caption,image,agg_score,sampling_method\nx:sentid:99,COCO_val2014_000000000007.jpg,1,c\n", "line 2: no caption number '99'"),
        ("caption,image,agg_score,sampling_method\nx:sentid:1,COCO_val2014_000000000007.jpg,1\n", "line 2: 3 cells where the header has 4"),
        ("caption,image,agg_score,sampling_method\nx:sentid:1,COCO_val2014_000000000009.jpg,high,c\n", "agg_score is not a number: 'high'"),
        ({"annotations": [{"id": 1, "image_id": 7, "caption": "A crow.", "foil": True}]}, "annotations[0]: no annotation of id 1 has foil false"),
        ({"annotations": [{"id": [1], "image_id": [7], "caption": "A crow.", "foil": True}, 3]}, "annotations[1]: an object is wanted"),
        ({"images": [7], "annotations": [{"id": 1, "image_id": [7], "caption": "a", "foil": True}, {"id": 1, "image_id": 7, "caption": "b", "foil": False}]}, "annotations[0]: the photo is '[7]', neither a name nor"),
        ({"annotations": [{"id": 1, "image_id": 7, "caption": "A crow.", "foil": "yes"}]}, "foil is \"'yes'\", neither true nor false"),
        ("Input.image_url;Input.text1;Answer.Q1Answer\nhttp://x/000000000007.jpg;a cat;five\n", "line 2: Answer.Q1Answer is not a number: 'five'"),
        ("Input.image_url;Input.text1;Answer.Q1Answer\nhttp://x/000000000007.jpg;a cat;5\n", "line 2: no 'Answer.Q2Answer'"),
    ],
)  # fmt: skip
def test_faults_have_their_place(make, refs, content, text):
    with pytest.raises(BadData) as stop:
        convert([make(content)], captions=refs)
    assert text in told(stop)


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ("1.jpg\t2.jpg#0\t1\t1\t2\n1.jpg\t2.jpg#0\t1\t1\n", "set.json line 2: 4 cells where 5 are wanted (cells are separated by tabs)"),
        ("1.jpg\t2.jpg#9\t1\t1\t2\n", "line 1: no caption '2.jpg#9' in"),
        ("3.jpg\t2.jpg#0\t1\t1\t2\n", "line 1: no captions of '3.jpg' in"),
        ("1.jpg\t2.jpg#0\t1\tx\t2\n", "line 1: a rating is not a number: 'x'"),
        ("1.jpg\t2.jpg#0\t1\tinf\t2\n", "line 1: a rating is not a number"),
        ("1.jpg\t2.jpg#0\t0.7\t1\t1\n", "line 1: ratings are 0.7, 1, 1, and an expert's are 1 to 4"),
        ("1.jpg\t2.jpg#0\t0.5\t1\t1\n1.jpg\t2.jpg#0\t0.7\t1\t1\n", "line 2: 0.7 is not the share of 1 yes and 1 no"),
    ],
)  # fmt: skip
def test_faults_of_flickr8k(make, lines, text):
    with pytest.raises(BadData) as stop:
        convert([make(lines)], captions=[make(TOKENS, "tokens.txt")])
    assert text in told(stop)


def test_all_faults_come_together(make, refs):
    with pytest.raises(BadData, match="3 fault") as stop:
        convert([make({"1": CRAB, "2": {}, "3": 4, "4": {**CRAB, "filename": 1}})], captions=refs)
    assert len(stop.value.faults) == 3


def test_an_unknown_file_and_a_name_that_does_not_fit(make, refs):
    with pytest.raises(
        BadData, match=r"it is none of flickr8k-expert, .*; it begins with a, b\n  -> capbench judgements --help"
    ):
        convert([make([{"a": 1, "b": 2}])])
    with pytest.raises(BadData, match=r"it is not foil-it\.json; it begins with filename"):
        convert([make({"1": CRAB})], name="valse", captions=refs)
    with pytest.raises(UsageError, match=r"no set of judgements 'coco'(.|\n)*flickr8k-expert, flickr8k-cf"):
        convert([make({"1": CRAB})], name="coco")
    with pytest.raises(BadData, match=r"one\.json is of sugarcrepe and .*two\.json of valse(.|\n)*convert them apart"):
        convert([make({"1": CRAB}, "one.json"), make({"1": VALSE}, "two.json")], captions=refs)


def test_captions_are_asked_for_by_name(make):
    with pytest.raises(
        UsageError, match=r"sugarcrepe needs the captions of the photos: --captions\n  -> give captions_val2017"
    ):
        convert([make({"1": CRAB})])
    with pytest.raises(UsageError, match=r"give Flickr8k\.token\.txt"):
        convert([make("1.jpg\t2.jpg#0\t1\t1\t2\n")])


def test_nothing_left_is_an_error(make, refs):
    with pytest.raises(
        BadData, match=r"nothing of .* is left \(1: the photo is not among the captions\)(.|\n)*right files"
    ):
        convert([make({"1": {**CRAB, "filename": "000000000008.jpg"}})], captions=refs)
    with pytest.raises(BadData, match="1: fewer than two annotators"):
        convert([make({"1": {**VALSE, "mturk": {"caption": 1}}})], captions=refs)


def test_composite_is_not_mixed(make):
    table = "Input.image_url;Input.text1;Input.text2;Input.text3;Answer.Q1Answer;Answer.Q2Answer;Answer.Q3Answer\n"
    line = "http://x/1.jpg;a;b;c;1;2;3\n"
    files = [make(table + line, "8k_correctness.csv"), make(table + line, "8k_throughness.csv")]
    with pytest.raises(BadData) as stop:
        convert(files, captions=[make(TOKENS, "tokens.txt")])
    assert "8k_throughness.csv line 2: 1.jpg is rated in 8k_correctness too (convert correctness" in told(stop)


def test_files_that_cannot_be_read(make, refs, tmp_path):
    with pytest.raises(MissingPart, match=r"none\.json: No such file"):
        convert([tmp_path / "none.json"])
    with pytest.raises(BadData, match=r"not UTF-8"):
        convert([make(b'{"1": "\xff"}')])
    with pytest.raises(BadData, match=r"is broken(.|\n)*line 1: cut short"):
        convert([make('{"1": {"filename": "a')], captions=refs)
    with pytest.raises(BadData, match=r"version 7\.3(.|\n)*save it with -v7"):
        convert([make(b"MATLAB 7.3 MAT-file, Platform" + b" " * 600, "pair_pascal.mat")])
    with pytest.raises(BadData, match=r"a damaged \.mat file"):
        convert([make(b"MATLAB 5.0 MAT-file, Platform" + b" " * 20, "pair_pascal.mat")])


def test_matlab_files_that_do_not_fit(tmp_path):
    def struct(fields, values):
        made = np.empty((1, len(values)), dtype=[(name, object) for name in fields])
        for i, value in enumerate(values):
            made[0, i] = value
        return made

    def files(winner=1, second="b", category=1, votes=48):
        cell = lambda text: np.array([[text]], dtype=object)  # noqa: E731
        given = struct("xyz", [("1.jpg", "a", "b")])
        triplets = struct("ABCw", [(cell("r"), cell("a"), cell(second), winner)] * votes)
        savemat(tmp_path / "pair.mat", {"new_input": given, "category": [[category]]})
        savemat(tmp_path / "consensus.mat", {"triplets": triplets})
        return [tmp_path / "pair.mat", tmp_path / "consensus.mat"]

    assert convert(files()).rows[0]["preferred"] == 0
    for change, text in [
        ({"winner": 2}, "pair 1: a triplet's winner is 2, not 1 or -1"),
        ({"second": "c"}, "pair 1: the pair is ['a', 'b'] and a triplet of it has ['a', 'c']"),
        ({"category": 5}, "pair 1: the category is 5, not 1 to 4"),
        ({"votes": 47}, "1 pairs, 1 categories and 47 triplets, which should be 48 a pair"),
        ({"second": ""}, "one value is wanted in a cell of the .mat file, and there are 0"),
    ]:
        with pytest.raises(BadData) as stop:
            convert(files(**change))
        assert text in told(stop)
    with pytest.raises(UsageError, match=r"none of .*pair\.mat has the variable triplets(.|\n)*give both files"):
        convert(files()[:1])


def test_matlab_files_need_scipy(tmp_path, monkeypatch):
    savemat(tmp_path / "pair.mat", {"new_input": 1})
    usual = builtins.__import__

    def without(name, *rest):
        if name.startswith("scipy"):
            raise ImportError(name)
        return usual(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingPart, match=r"reading it needs scipy\n  -> pip install 'capbench\[mat\]'"):
        convert([tmp_path / "pair.mat"])


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (974, 974), ("974", 974), ("COCO_val2014_000000000974.jpg", 974), ("000000000974.jpg", 974), ("val2014/COCO_val2014_000000000974.jpg", 974),
        ("http://x.org/COCO_train2014_000000000974.jpg", 974), ("36979.jpg", "36979"), ("2258277193_586949ec62.jpg.1", "2258277193_586949ec62"),
    ],
)  # fmt: skip
def test_photos_are_known_however_they_are_written(name, key):
    assert photo(name) == key


def test_same_words():
    assert same_words("A dog, sitting.", "a dog  sitting")
    assert not same_words("A dog sits", "A dog sat")


def test_captions_of_several_files_are_joined(make):
    one = make({"images": [{"id": 7}], "annotations": [{"id": 3, "image_id": 7, "caption": "Sand."}]}, "a.json")
    two = make([{"image_id": 7, "refs": ["Sand.", "A beach."]}, {"image_id": 8, "refs": ["Sea.", "Sea."]}], "b.jsonl")
    flickr = make("7.jpg#0\tA hat .\n", "c.token")
    found = read_captions([one, two, flickr])
    assert found.of_photo == {7: ("Sand.", "A beach."), 8: ("Sea.", "Sea."), "7": ("A hat .",)}
    assert found.by_id == {"3": (7, "Sand."), "7.jpg#0": ("7", "A hat .")}
    with pytest.raises(BadData, match=r"line 2: not photo\.jpg#NUMBER"):
        read_captions([make("7.jpg#0\tA hat .\nno tab\n", "d.token")])
    with pytest.raises(BadData, match="a number"):
        read_captions([make([{"image_id": 7, "refs": ["Sand.", 3]}], "e.jsonl")])


def test_hostile_captions_come_out_as_they_were(make, refs, tmp_path):
    texts = ["\x00\x1b[31m\u2028", "\ud800 lone", "👩‍👩‍👧 | `x`", "word " * 10_000]
    entries = {str(i): {**CRAB, "caption": text, "negative_caption": text + "x"} for i, text in enumerate(texts)}
    out = tmp_path / "out.jsonl"
    done = CliRunner().invoke(command, [str(make(entries)), "--captions", str(refs[0]), "-o", str(out)])
    assert done.exit_code == 0
    assert [json.loads(line)["candidates"][0] for line in out.read_text().split("\n")[:-1]] == texts


def test_the_command_refuses_to_write_over_what_it_reads(make, refs, tmp_path):
    path = make({"1": CRAB})
    for words, text in [
        ([str(path), "-o", str(path)], "is one of the files to be read"),
        ([str(path), "-o", str(tmp_path / "none" / "x.jsonl")], "there is no folder"),
    ]:
        with pytest.raises(UsageError, match=text):
            CliRunner().invoke(command, [*words, "--captions", str(refs[0])], catch_exceptions=False)
    assert json.loads(path.read_text()) == {"1": CRAB}


def test_the_help_lists_every_set():
    shown = CliRunner().invoke(cli, ["judgements", "--help"]).output
    assert all(name in shown for name in SETS)
