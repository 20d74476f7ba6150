"""Published sets of judgements, read from files of the form in which their authors give them.

The large ones are written back into that form from rows that others published in another one, so the two
readers check each other on every row; the small ones are a few lines of the form, with the rows worked by hand.
"""

import csv
import gzip
import io
import json
from collections import Counter

import numpy as np
import pytest
from click.testing import CliRunner
from pycocoevalcap.cider.cider import Cider as TheirCider
from scipy import stats as scipy_stats
from scipy.io import loadmat, savemat

from capbench import metaeval
from capbench.backends.ptb import tokenize
from capbench.cli.judgements_command import command
from capbench.judgement_sets import convert


def rows_of(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write(path, value):
    path.write_text("".join(json.dumps(row) + "\n" for row in value) if isinstance(value, list) else json.dumps(value))
    return path


def coco(captions):
    """COCO's annotations: photo -> captions; caption numbers run from 1."""
    pairs = [(image, text) for image, texts in captions.items() for text in texts]
    return {
        "images": [{"id": image, "file_name": f"COCO_val2014_{image:012d}.jpg"} for image in captions],
        "annotations": [{"id": n, "image_id": image, "caption": text} for n, (image, text) in enumerate(pairs, 1)],
    }


# Flickr8k, from jmhessel/clipscore flickr8k_example/download.py: images are known up to the first dot (one
# photo of Flickr8k.token.txt is called 2258277193_586949ec62.jpg.1), texts without blanks at their ends.
TOKENS = """\
1.jpg#0\tA dog runs on grass .
1.jpg#1\tA brown dog .
2.jpg.1#0\tTwo cats sleep .
2.jpg.1#1\tCats on a bed .
3.jpg#0\tA red car .
3.jpg#1\tA dog beside a red car .
"""
EXPERT = """\
1.jpg\t2.jpg.1#0\t1\t1\t2
1.jpg\t1.jpg#1\t4\t4\t4
1.jpg\t3.jpg#1\t2\t3\t2
2.jpg\t2.jpg.1#1\t4\t4\t3
2.jpg\t1.jpg#0\t1\t1\t1
3.jpg\t1.jpg#1\t2\tNaN\t2
"""
CROWD = """\
1.jpg\t2.jpg.1#0\t0.0\t0\t3
1.jpg\t1.jpg#1\t1.0\t3\t0
3.jpg\t1.jpg#1\t0.3333333333333333\t1\t2
"""


@pytest.fixture
def flickr8k(tmp_path):
    (tmp_path / "Flickr8k.token.txt").write_text(TOKENS)
    (tmp_path / "ExpertAnnotations.txt").write_text(EXPERT)
    (tmp_path / "CrowdFlowerAnnotations.txt").write_text(CROWD)
    return tmp_path


def test_flickr8k_expert(flickr8k):
    found = convert([flickr8k / "ExpertAnnotations.txt"], captions=[flickr8k / "Flickr8k.token.txt"])
    assert found.name == "flickr8k-expert"
    assert [(r["image"], r["candidate"], r["ratings"]) for r in found.rows] == [
        ("1.jpg", "Two cats sleep .", [1, 1, 2]),
        ("1.jpg", "A dog beside a red car .", [2, 3, 2]),
        ("2.jpg", "A dog runs on grass .", [1, 1, 1]),
        ("3.jpg", "A brown dog .", [2, 2]),
    ]
    assert found.rows[0]["references"] == ["A dog runs on grass .", "A brown dog ."]
    assert found.rows[2]["references"] == ["Two cats sleep .", "Cats on a bed ."]
    assert found.left_out == {"the candidate is among the photo's own captions": 2}


def test_flickr8k_crowd_takes_candidates_out_of_the_references(flickr8k):
    found = convert([flickr8k / "CrowdFlowerAnnotations.txt"], captions=[flickr8k / "Flickr8k.token.txt"])
    assert found.name == "flickr8k-cf"
    assert [(r["image"], r["ratings"], r["references"]) for r in found.rows] == [
        ("1.jpg", [0.0], ["A dog runs on grass ."]),
        ("1.jpg", [1.0], ["A dog runs on grass ."]),
        ("3.jpg", [1 / 3], ["A red car .", "A dog beside a red car ."]),
    ]


def expert_files(folder, shared, photos=60):
    """Annotations of the published form over real captions: the photo's own, and those of others."""
    rows = rows_of(shared / "flickr8k" / "photos.jsonl.gz")[:photos]
    random = np.random.default_rng(0)
    token = [f"{row['image']}#{k}\t{text}" for row in rows for k, text in enumerate(row["captions"])]
    lines = []
    for i, row in enumerate(rows):
        for j, k in [(i, 2), *((int(j), int(random.integers(5))) for j in random.integers(0, photos, 5))]:
            ratings = np.clip(random.integers(1, 4, 3) + (1 if i == j else 0), 1, 4)
            lines.append("\t".join([row["image"], f"{rows[j]['image']}#{k}", *map(str, ratings)]))
    (folder / "tokens.txt").write_text("\n".join(token) + "\n")
    (folder / "expert.txt").write_text("\n".join(lines) + "\n")
    return rows, lines


def test_the_recipe_of_flickr8k_expert_is_that_of_the_reference_implementation(shared, tmp_path):
    """Rows as clipscore's two programs make them, CIDEr of pycocoevalcap over all of them, tau of scipy."""
    photos, lines = expert_files(tmp_path, shared)
    own = {row["image"]: [" ".join(text.split()) for text in row["captions"]] for row in photos}
    flat = []
    for line in lines:
        image, caption_id, *ratings = line.split("\t")
        home, _, number = caption_id.partition("#")
        if own[home][int(number)] not in own[image]:
            flat += [(image, own[home][int(number)], float(rating)) for rating in ratings]
    words = lambda text: " ".join(tokenize(text))  # noqa: E731
    refs = {i: [words(text) for text in own[image]] for i, (image, _, _) in enumerate(flat)}
    scores = TheirCider().compute_score(refs, {i: [words(text)] for i, (_, text, _) in enumerate(flat)})[1]
    converted = convert([tmp_path / "expert.txt"], captions=[tmp_path / "tokens.txt"])
    found = metaeval.evaluate(write(tmp_path / "expert.jsonl", list(converted.rows)), ["cider"])
    assert found.rows == len(flat) == 3 * len(converted.rows)
    assert 0 < converted.left_out["the candidate is among the photo's own captions"] < len(lines)
    tau = {r.statistic: r.value for r in found.results if r.group == "all"}
    for variant in "bc":
        wanted = scipy_stats.kendalltau(scores, [rating for _, _, rating in flat], variant=variant)[0]
        assert tau[f"tau_{variant}"] == pytest.approx(wanted, abs=1e-9)


def test_the_form_of_clipscore_gives_the_same_numbers(flickr8k):
    expert = convert([flickr8k / "ExpertAnnotations.txt"], captions=[flickr8k / "Flickr8k.token.txt"])
    index = {}
    for row in expert.rows:
        path = f"Flicker8k_Dataset/{row['image']}"
        entry = {"image_id": row["image"], "image_path": path, "ground_truth": row["references"], "human_judgement": []}
        judged = [{"image_path": path, "caption": row["candidate"], "rating": r} for r in row["ratings"]]
        index.setdefault(row["image"], entry)["human_judgement"] += [*judged, {**judged[0], "rating": float("nan")}]
    theirs = convert([write(flickr8k / "flickr8k.json", index)])
    assert (theirs.name, theirs.left_out) == ("clipscore", {"the rating is NaN": 4})
    flat = [(r["image"], r["candidate"], r["references"], one) for r in expert.rows for one in r["ratings"]]
    assert [(r["image"], r["candidate"], r["references"], *r["ratings"]) for r in theirs.rows] == flat


HEADER = ["HITId", "Title", "Input.image_url", *(f"Input.text{k}" for k in (1, 2, 3, 4))]
ANSWERS = [f"Answer.Q{k}Answer" for k in (1, 2, 3, 4)]


def turk(path, rows, captions=4):
    """A table of AMT_eval: semicolons, and two lines without a photo at the end."""
    text = io.StringIO()
    table = csv.writer(text, delimiter=";", lineterminator="\r\n")
    header = [*HEADER[: 3 + captions], *ANSWERS[:captions]]
    table.writerows([header, *(["h", "t", *row] for row in rows), [""] * len(header), [""] * len(header)])
    path.write_text(text.getvalue())
    return path


def test_composite(tmp_path):
    tokens = tmp_path / "Flickr8k.token.txt"
    tokens.write_text(TOKENS)
    thirty = tmp_path / "results_20130124.token"
    thirty.write_text("36979.jpg#0\tA man in a hat .\n36979.jpg#1\tSomebody outside .\n")
    captions = write(tmp_path / "captions_val2014.json", coco({36979: ["A cat; asleep.", "A cat on a mat."]}))
    files = [
        turk(
            tmp_path / "8k_correctness.csv",
            [["http://x.org/a/1.jpg", "a dog runs on grass", "a dog", "cats", 5, 4, 1]],
            3,
        ),
        turk(tmp_path / "30k_correctness.csv", [["http://x.org/b/36979.jpg", "a man", "b", "c", "d", 1, 2, 3, 4]]),
        turk(
            tmp_path / "coco_correctness.csv",
            [["http://x.org/c/COCO_val2014_000000036979.jpg", "A cat; asleep.", "a cat", "two", "d", 5, "", 3, 4]],
        ),
    ]
    found = convert(files, captions=[tokens, thirty, captions])
    assert found.name == "composite"
    assert [(r["image"], r["candidate"], r["ratings"], r["group"]) for r in found.rows] == [
        ("1.jpg", "a dog runs on grass", [5], "8k_correctness"),
        ("1.jpg", "a dog", [4], "8k_correctness"),
        ("1.jpg", "cats", [1], "8k_correctness"),
        ("36979.jpg", "a man", [1], "30k_correctness"),
        ("36979.jpg", "b", [2], "30k_correctness"),
        ("36979.jpg", "c", [3], "30k_correctness"),
        ("COCO_val2014_000000036979.jpg", "A cat; asleep.", [5], "coco_correctness"),
        ("COCO_val2014_000000036979.jpg", "two", [3], "coco_correctness"),
    ]
    assert [r["references"] for r in (found.rows[0], found.rows[3], found.rows[6])] == [
        ["A brown dog ."],
        ["A man in a hat .", "Somebody outside ."],
        ["A cat on a mat."],
    ]
    assert found.left_out == {"the row has no photo": 6, "the rating is empty": 1}


def struct(fields, values):
    made = np.empty((1, len(values)), dtype=[(name, object) for name in fields])
    for i, value in enumerate(values):
        made[0, i] = tuple(value)
    return made


def cell(text):
    return np.array([[text]], dtype=object)


@pytest.fixture
def matlab(tmp_path):
    """Four pairs: 48 to 0, 20 to 28, and two of 24 to 24 votes for the first caption."""
    pairs = [(f"2008_00000{i}.jpg", f" first {i}", f"second {i} ") for i in range(4)]
    wins = [48, 20, 24, 24]
    triplets = [
        (cell(f"reference {i} {k}"), cell(pairs[i][1]), cell(pairs[i][2]), 1 if k < wins[i] else -1)
        for i in range(4)
        for k in range(48)
    ]
    given = struct(["image", "sent1", "sent2"], pairs)
    savemat(tmp_path / "pair_pascal.mat", {"new_input": given, "category": np.array([[1, 2, 3, 4]])})
    savemat(tmp_path / "consensus_pascal.mat", {"triplets": struct(["A", "B", "C", "winner"], triplets)})
    return [tmp_path / "pair_pascal.mat", tmp_path / "consensus_pascal.mat"]


def test_the_matlab_files_have_the_form_that_public_readers_take_apart(matlab):
    """The expressions of the reader in jmhessel/clipscore issue 4."""
    data = loadmat(matlab[0])["new_input"][0]
    assert [x[0] for x in data[0]] == ["2008_000000.jpg", " first 0", "second 0 "]
    assert loadmat(matlab[0])["category"][0][3] == 4
    a, b, c, d = [x[0][0] for x in loadmat(matlab[1])["triplets"][0][48]]
    assert (a[0], b[0], c[0], d) == ("reference 1 0", " first 1", "second 1 ", 1)


def test_pascal_50s_as_matlab(matlab):
    found = convert(matlab)
    assert found.name == "pascal50s"
    assert [(r["image"], r["candidates"], r["group"]) for r in found.rows] == [
        (f"2008_00000{i}.jpg", [f"first {i}", f"second {i}"], group) for i, group in enumerate(("HC", "HI", "HM", "MM"))
    ]
    assert [r["preferred"] for r in found.rows][:2] == [0, 1]
    ties = {tuple(r["preferred"] for r in convert(matlab, seed=seed).rows[2:]) for seed in range(40)}
    assert ties == {(0, 0), (0, 1), (1, 0), (1, 1)}
    for i, row in enumerate(found.rows):
        assert len(set(row["references"])) == 5
        assert set(row["references"]) < {f"reference {i} {k}" for k in range(48)}
    assert convert(matlab[::-1]) == found
    assert convert(matlab, seed=1).rows[0]["references"] != found.rows[0]["references"]
    every = convert(matlab, references=0).rows[2]["references"]
    assert every == [f"reference 2 {k}" for k in range(48)]


def test_pascal_50s_of_fleur(shared, tmp_path):
    joined = rows_of(shared / "human" / "pascal50s.jsonl.gz")
    theirs = {"HI": [], "HC": [], "HM": [], "MM": []}
    for row in joined:
        entry = {"image": f"VOC2012/JPEGImages/{row['image']}", "captions": row["captions"], "label": row["preferred"]}
        theirs[row["category"]].append({**entry, "references": row["refs"]})
    found = convert([write(tmp_path / "pascal_50s.json", theirs)])
    assert found.name == "pascal50s"
    plain = [
        {k: v for k, v in row.items() if k != "scores"}
        for row in convert([shared / "human" / "pascal50s.jsonl.gz"]).rows
    ]
    assert sorted(found.rows, key=json.dumps) == sorted(plain, key=json.dumps)
    assert Counter(row["group"] for row in found.rows) == {"HI": 1000, "HC": 1000, "HM": 1000, "MM": 1000}


def test_thumb(shared, tmp_path):
    joined = rows_of(shared / "human" / "thumb_mscoco.jsonl.gz")
    rows, refs = [], {}
    for row in joined:
        refs[row["image_id"]] = row["refs"]
        rows.append(
            {
                "SYS": row["system"], "seg_id": str(row["image_id"]), "set_id": 5, "hyp": row["caption"],
                "image": f"COCO_val2014_{row['image_id']:012d}.jpg", "P": row["precision"], "R": row["recall"],
                "Fl": row["fluency_penalty"], "Inc": row["inclusive_penalty"], "Con": row["conciseness_penalty"],
                "human_score": row["total"],
            }
        )  # fmt: skip
    published = write(tmp_path / "mscoco_THumB-1.0.jsonl", rows)
    references = write(
        tmp_path / "mscoco_references.json", [{"seg_id": str(image), "refs": texts} for image, texts in refs.items()]
    )
    found = convert([published], captions=[references])
    other = convert([shared / "human" / "thumb_mscoco.jsonl.gz"])
    assert found.name == other.name == "thumb"
    as_numbers = [{**row, "image": int(row["image"][13:-4])} for row in found.rows]
    assert as_numbers == list(other.rows)
    assert Counter(row["group"] for row in found.rows) == {"machine": 2000, "human": 500}


def test_cxc(shared, tmp_path):
    joined, refs = shared / "human" / "cxc_sits_val.jsonl.gz", shared / "coco" / "karpathy_val_refs.jsonl.gz"
    table = io.StringIO()
    lines = csv.writer(table)
    lines.writerow(["caption", "image", "agg_score", "sampling_method"])
    for row in rows_of(joined):
        image = f"COCO_val2014_{row['image_id']:012d}.jpg"
        lines.writerow([f"COCO_val2014:sentid:{row['caption_id']}", image, row["rating"], row["sampling"]])
    (tmp_path / "sits_val.csv").write_text(table.getvalue())
    karpathy = {
        "images": [
            {
                "cocoid": row["image_id"], "filename": f"COCO_val2014_{row['image_id']:012d}.jpg", "split": "val",
                "filepath": "val2014",
                "sentences": [
                    {"raw": text, "sentid": id_} for id_, text in zip(row["caption_ids"], row["refs"], strict=True)
                ],
            }
            for row in rows_of(refs)
        ]
    }  # fmt: skip
    published = convert([tmp_path / "sits_val.csv"], captions=[write(tmp_path / "dataset_coco.json", karpathy)])
    found = convert([joined], captions=[refs])
    assert published.name == found.name == "cxc-sits"
    assert len(found.rows) == 19713
    assert published.left_out == found.left_out == {"the candidate is among the photo's own captions": 44722 - 19713}
    assert [{**row, "image": int(row["image"][13:-4])} for row in published.rows] == list(found.rows)
    assert not any(row["candidate"] in row["references"] for row in found.rows)


def test_foil(tmp_path):
    captions = {
        7: ["A cat sits.", "a cat  sits", "A pet.", "On a mat.", "Fur."],
        8: ["A dog."],
        9: ["Red bus.", "A bus."],
    }
    note = lambda id_, image, text, foil: {  # noqa: E731
        "id": id_, "image_id": image, "caption": text, "foil": foil, "foil_word": "dog" if foil else "ORIG",
        "target_word": "cat", "foil_id": id_,
    }  # fmt: skip
    published = {
        "info": {}, "licenses": [],
        "images": [{"id": i, "file_name": f"COCO_val2014_{i:012d}.jpg"} for i in (7, 8, 9, 10)],
        "annotations": [
            note(1, 7, "A cat sits.", False), note(1, 7, "A dog sits.", True), note(1, 7, "A bird sits.", True),
            note(2, 8, "A cat.", True), note(2, 8, "A dog.", False), note(3, 9, "A bus.", False),
            note(4, 10, "Sea.", False), note(4, 10, "Hill.", True),
        ],
    }  # fmt: skip
    paths = [write(tmp_path / "foilv1.0_test_2017.json", published)]
    coco_file = write(tmp_path / "captions_val2014.json", coco(captions))
    found = convert(paths, captions=[coco_file])
    assert found.name == "foil"
    image = "COCO_val2014_000000000007.jpg"
    refs = ["A pet.", "On a mat.", "Fur."]
    assert list(found.rows) == [
        {"image": image, "candidates": ["A cat sits.", "A dog sits."], "references": refs, "preferred": 0},
        {"image": image, "candidates": ["A cat sits.", "A bird sits."], "references": refs, "preferred": 0},
    ]
    assert found.left_out == {"no reference is left": 1, "the photo is not among the captions": 1}
    one = convert(paths, captions=[coco_file], references=1)
    assert [row["references"] for row in one.rows] == [["A pet."], ["A pet."]]


def test_sugarcrepe(shared, tmp_path):
    joined = rows_of(shared / "foil" / "sugarcrepe.jsonl.gz")
    kinds = {}
    for row in joined:
        own = kinds.setdefault(row["kind"], {})
        own[str(len(own))] = {
            "filename": f"{row['image_id']:012d}.jpg", "caption": row["caption"], "negative_caption": row["foil"]
        }  # fmt: skip
    paths = [write(tmp_path / f"{kind}.json", entries) for kind, entries in kinds.items()]
    refs = shared / "coco" / "val2017_refs.jsonl.gz"
    annotations = coco({row["image_id"]: row["refs"] for row in rows_of(refs)})
    published = convert(paths, captions=[write(tmp_path / "captions_val2017.json", annotations)])
    found = convert([shared / "foil" / "sugarcrepe.jsonl.gz"], captions=[refs])
    assert published.name == found.name == "sugarcrepe"
    assert published.left_out == found.left_out == {"the photo is not among the captions": 199}
    assert len(found.rows) == 7511 - 199
    assert [{**row, "image": int(row["image"][:12])} for row in published.rows] == list(found.rows)
    assert {row["group"] for row in found.rows} == {
        "add_att", "add_obj", "replace_att", "replace_obj", "replace_rel", "swap_att", "swap_obj",
    }  # fmt: skip
    strip = lambda text: "".join(ch for ch in text.casefold() if ch.isalnum())  # noqa: E731
    assert not any(strip(row["candidates"][0]) in map(strip, row["references"]) for row in found.rows)


def test_valse(shared, tmp_path):
    joined = [row for row in rows_of(shared / "foil" / "valse_foil_it.jsonl.gz") if row["refs"]]
    published = {
        f"foil_test_{i}": {
            "dataset": "FOIL dataset", "original_split": "test", "dataset_idx": i, "linguistic_phenomena": "noun phrases",
            "image_file": f"COCO_val2014_{row['image_id']:012d}.jpg", "caption": row["caption"], "foil": row["foil"],
            "classes": row["word"], "classes_foil": row["foil_word"], "mturk": row["annotators"],
        }
        for i, row in enumerate(joined)
    }  # fmt: skip
    refs = write(tmp_path / "captions_val2014.json", coco({row["image_id"]: row["refs"] for row in joined}))
    theirs = convert([write(tmp_path / "foil-it.json", published)], captions=[refs])
    found = convert([write(tmp_path / "joined.jsonl", joined)])
    assert theirs.name == found.name == "valse"
    valid = sum(row["annotators"]["caption"] >= 2 for row in joined)
    assert len(found.rows) == valid < len(joined) == 339
    assert found.left_out == {"fewer than two annotators found the pair valid": 339 - valid}
    for mine, row in zip(theirs.rows, found.rows, strict=True):
        assert mine == {**row, "image": f"COCO_val2014_{row['image']:012d}.jpg", "group": "noun phrases"}


def test_one_command(flickr8k):
    out = flickr8k / "expert.jsonl.gz"
    words = [
        str(flickr8k / "ExpertAnnotations.txt"),
        "--captions",
        str(flickr8k / "Flickr8k.token.txt"),
        "-o",
        str(out),
    ]
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 0
    assert f"{out}: 4 rows of flickr8k-expert" in done.output
    assert "left out: 2: the candidate is among the photo's own captions" in done.output
    assert len(metaeval.read(out)) == 4
