"""BLEU, ROUGE-L and CIDEr with capbench's own tokenizer against published and recorded numbers.

Outside values: what the coco-caption demo, clipscore, pacscore and nlg-eval print; pycocoevalcap 1.2 with
Java 17 for six captioners on the 5,000 images of the Karpathy test split and for aac-metrics' examples.
THumB and Pascal-50S: means and accuracies by the same program.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from capbench.backends.ptb import Ptb
from capbench.backends.tokenizers import Whitespace
from capbench.metrics.bleu import Bleu
from capbench.metrics.cider import Cider
from capbench.metrics.rouge import RougeL
from capbench.ragged import Ragged, Words

LABELS = {
    "BLEU-1": "bleu1",
    "BLEU-2": "bleu2",
    "BLEU-3": "bleu3",
    "BLEU-4": "bleu4",
    "ROUGE-L": "rouge_l",
    "CIDEr": "cider",
}
SYSTEMS = (
    "Dai-et-al-2017",
    "Liu-et-al-2017",
    "Mun-et-al-2017",
    "Shetty-et-al-2017",
    "Tavakoli-et-al-2017",
    "Vinyals-et-al-2017",
)
RECORDED = 0.5e-6 + 1e-12  # six digits after the point


@pytest.fixture(scope="module")
def karpathy(shared):
    """The rows of references, their words, and the rows of outputs."""
    references = read(shared / "coco/karpathy_test_refs.jsonl.gz")
    outputs = {row["image_id"]: row["outputs"] for row in read(shared / "coco/system_outputs_karpathy_test.jsonl.gz")}
    offsets = np.cumsum([0, *(len(row["refs"]) for row in references)], dtype=np.int64)
    return references, Ragged(tokens([text for row in references for text in row["refs"]]), offsets), outputs


@pytest.fixture(scope="module")
def goldens(shared):
    return json.loads((shared / "conformance/golden.json").read_text(encoding="utf-8"))["runs"]


def read(path):
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def tokens(texts, backend=Ptb()):  # noqa: B008
    with backend.open("cpu") as session:
        return Words.of(session.tokenize(texts))


def score(candidates, references):
    """Column -> (corpus, per item)."""
    bleu = Bleu().rows(candidates, references)
    corpus = Bleu().reduce({name: column.sum(keepdims=True) for name, column in bleu.items()})
    found = {name: (corpus[name][0], bleu[name]) for name in corpus}
    for metric in (RougeL(), Cider()):
        (column,) = metric.rows(candidates, references).values()
        found[metric.name] = (column.mean(), column)
    return found


def score_texts(candidates, references, backend=Ptb()):  # noqa: B008
    offsets = np.cumsum([0, *map(len, references)], dtype=np.int64)
    flat = [text for row in references for text in row]
    return score(tokens(candidates, backend), Ragged(tokens(flat, backend), offsets))


def check_corpus(found, expected, within):
    checked = {label: found[column][0] for label, column in LABELS.items() if label in expected}
    assert checked == pytest.approx({label: expected[label] for label in checked}, abs=within)
    assert "CIDEr" in checked


@pytest.mark.parametrize("system", SYSTEMS)
def test_six_captioners_on_5000_images(shared, karpathy, system):
    rows, references, outputs = karpathy
    found = score(tokens([outputs[row["image_id"]][system] for row in rows]), references)
    golden = json.loads((shared / "coco/golden_karpathy_test.json").read_text(encoding="utf-8"))
    check_corpus(found, golden["systems"][system], RECORDED)
    if system == "Vinyals-et-al-2017":
        each = {row["image_id"]: row for row in read(shared / "coco/golden_karpathy_test_per_image.jsonl.gz")}
        for label, column in LABELS.items():
            recorded = [each[row["image_id"]][label] for row in rows]
            np.testing.assert_allclose(found[column][1], recorded, rtol=0, atol=RECORDED, err_msg=label)


def test_the_coco_caption_demo(shared):
    package = importlib.util.find_spec("pycocoevalcap")
    jar = Path(package.submodule_search_locations[0]) / "spice/spice-1.0.jar" if package else Path("spice-1.0.jar")
    if not jar.is_file():
        pytest.skip("its references are in pycocoevalcap's spice-1.0.jar: pip install 'capbench[coco]'")
    with zipfile.ZipFile(jar) as archive:
        annotations = json.loads(archive.read("coco/annotations/captions_val2014.json"))["annotations"]
    folder = shared / "conformance/coco_fakecap"
    captions = json.loads((folder / "captions_val2014_fakecap_results.json").read_text(encoding="utf-8"))
    references = {row["image_id"]: [] for row in captions}
    for row in annotations:
        if row["image_id"] in references:
            references[row["image_id"]].append(row["caption"])
    found = score_texts([row["caption"] for row in captions], [references[row["image_id"]] for row in captions])
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    check_corpus(found, expected["scores"], 1e-9)
    check_corpus(found, expected["published_3_digits"], 0.0005)


@pytest.mark.parametrize("captions", ["good_captions.json", "bad_captions.json"])
@pytest.mark.parametrize("source", ["clipscore", "pacscore"])
def test_two_image_examples(shared, goldens, source, captions):
    folder = shared / "conformance" / source
    candidates = json.loads((folder / captions).read_text(encoding="utf-8"))
    references = json.loads((folder / "refs.json").read_text(encoding="utf-8"))
    found = score_texts(list(candidates.values()), [references[name] for name in candidates])
    printed = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    check_corpus(found, printed[captions], 0.00005 + 1e-9)
    check_recorded(found, goldens[f"{source}/{captions}"])


def check_recorded(found, golden):
    check_corpus(found, golden["corpus"], RECORDED)
    for label, column in LABELS.items():
        np.testing.assert_allclose(found[column][1], golden["per_item"][label], rtol=0, atol=RECORDED, err_msg=label)


@pytest.mark.parametrize(
    ("captions", "plain", "d"),
    [
        ("good_captions.json", 0.7496345418397592, 0.5637412591757252),
        ("bad_captions.json", 0.39484498789441574, 0.2790165307163397),
    ],
)
def test_plain_and_d_to_every_digit(shared, captions, plain, d):
    folder = shared / "conformance/clipscore"
    candidates = json.loads((folder / captions).read_text(encoding="utf-8"))
    references = json.loads((folder / "refs.json").read_text(encoding="utf-8"))
    words = tokens(list(candidates.values()))
    offsets = np.cumsum([0, *(len(references[name]) for name in candidates)], dtype=np.int64)
    theirs = Ragged(tokens([text for name in candidates for text in references[name]]), offsets)
    assert Cider("plain").rows(words, theirs)["cider"].mean() == pytest.approx(plain, abs=1e-12)
    assert Cider("d").rows(words, theirs)["cider"].mean() == pytest.approx(d, abs=1e-12)


@pytest.mark.parametrize("example", ["example_1.csv", "example_2.csv"])
def test_audio_captions(shared, goldens, example):
    with (shared / "conformance/aac_metrics" / example).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    references = [[row[f"caption_{i}"] for i in range(1, 6)] for row in rows]
    found = score_texts([row["caption_predicted"] for row in rows], references)
    check_recorded(found, goldens[f"aac_metrics/{example}"])


def test_lines_split_at_blanks(shared):
    folder = shared / "conformance/nlg_eval"
    hyp, *refs = (
        (folder / name).read_text(encoding="utf-8").splitlines() for name in ("hyp.txt", "ref1.txt", "ref2.txt")
    )
    found = score_texts(hyp, list(zip(*refs, strict=True)), Whitespace(lower=True))
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    check_corpus(found, expected, RECORDED)


def test_unusual_captions(shared):
    golden = json.loads((shared / "conformance/ptb_edges.json").read_text(encoding="utf-8"))
    items = [golden["items"][name] for name in golden["order"]]
    found = score_texts([item["candidate"] for item in items], [item["references"] for item in items])
    for n in (1, 2, 3, 4):
        assert found[f"bleu{n}"][0] == pytest.approx(golden["corpus"]["bleu"][n - 1], abs=1e-9)
        np.testing.assert_allclose(found[f"bleu{n}"][1], [item["bleu"][n - 1] for item in items], rtol=0, atol=1e-9)
    for name in ("rouge_l", "cider"):
        assert found[name][0] == pytest.approx(golden["corpus"][name], abs=1e-9)
        np.testing.assert_allclose(found[name][1], [item[name] for item in items], rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("system", "cider", "rouge_l", "bleu4"),
    [
        ("Up-Down", 1.1072, 0.5216, 0.1835),
        ("Unified-VLP", 1.2845, 0.5596, 0.2017),
        ("VinVL-base", 1.3838, 0.5638, 0.2183),
        ("VinVL-large", 1.4181, 0.5686, 0.2284),
        ("Human", 1.1148, 0.5088, 0.1616),
    ],
)
def test_thumb(shared, system, cider, rouge_l, bleu4):
    rows = [row for row in read(shared / "human/thumb_mscoco.jsonl.gz") if row["system"] == system]
    found = score_texts([row["caption"] for row in rows], [row["refs"] for row in rows])
    means = [found[name][1].mean() for name in ("cider", "rouge_l", "bleu4")]
    assert means == pytest.approx([cider, rouge_l, bleu4], abs=0.00005 + 1e-9)


def test_pascal50s_accuracy(shared):
    pairs = read(shared / "human/pascal50s.jsonl.gz")
    found = score_texts(
        [text for pair in pairs for text in pair["captions"]], [pair["refs"] for pair in pairs for _ in "ab"]
    )
    published = {
        "bleu1": (62.6, 94.8, 92.3, 60.3), "bleu4": (61.1, 93.6, 84.8, 58.7),
        "rouge_l": (62.7, 95.9, 91.7, 60.4), "cider": (65.4, 98.6, 90.1, 65.0),
    }  # fmt: skip
    kinds = np.array([pair["category"] for pair in pairs])
    for name, expected in published.items():
        left, right = found[name][1].reshape(-1, 2).T
        right_choice = np.where(np.array([pair["preferred"] for pair in pairs]) == 0, left > right, right > left)
        accuracy = [100 * right_choice[kinds == kind].mean() for kind in ("HC", "HI", "HM", "MM")]
        assert accuracy == pytest.approx(expected, abs=0.05 + 1e-9), name
