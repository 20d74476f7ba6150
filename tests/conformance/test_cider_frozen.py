"""cider(idf='coco-val') against pycocoevalcap 1.2 with document frequencies that it counts itself.

Its own PTBTokenizer cuts the 202,654 captions of COCO val2014, its own ``precook`` counts them, its own
``CiderScorer`` scores the 1,000 captions of the coco-caption demo.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections import defaultdict

import numpy as np
import pytest

import capbench
from capbench import idf
from capbench.backends.ptb import Ptb
from capbench.idf.sources import ENTRY, find_jar

coco_cider = pytest.importorskip("pycocoevalcap.cider.cider_scorer", reason="pip install 'capbench[coco]'")
coco_ptb = pytest.importorskip("pycocoevalcap.tokenizer.ptbtokenizer")

pytestmark = pytest.mark.slow


class Frozen(coco_cider.CiderScorer):
    """The scorer with frequencies of other images, as vrama91/cider's mode coco-val-df; else it is untouched."""

    ref_len = property(lambda _: np.log(40504.0), lambda _, __: None)


@pytest.fixture(scope="module")
def notes():
    with zipfile.ZipFile(find_jar()) as archive:
        return json.loads(archive.read(ENTRY))["annotations"]


@pytest.fixture(scope="module")
def their_words(notes):
    """Image -> its references as the reference's tokenizer cuts them."""
    if shutil.which("java") is None:
        pytest.skip("no java for the reference's tokenizer")
    captions = defaultdict(list)
    for note in notes:
        captions[note["image_id"]].append({"caption": note["caption"]})
    return coco_ptb.PTBTokenizer().tokenize(captions)


def frequencies(words):
    found = defaultdict(float)
    for references in words.values():
        for gram in {gram for text in references for gram in coco_cider.precook(text)}:
            found[gram] += 1
    return found


@pytest.fixture(scope="module")
def demo(shared, notes, tmp_path_factory):
    """The demo's captions, and files of them and of their images' references."""
    folder = tmp_path_factory.mktemp("demo")
    path = shared / "conformance/coco_fakecap/captions_val2014_fakecap_results.json"
    captions = {row["image_id"]: row["caption"] for row in json.loads(path.read_text(encoding="utf-8"))}
    references = {image: [] for image in captions}
    for note in notes:
        if note["image_id"] in references:
            references[note["image_id"]].append(note["caption"])
    for name, value in (("captions", captions), ("references", references)):
        (folder / f"{name}.json").write_text(json.dumps(value))
    return captions, folder


def by_image(run):
    frame = run.frame()
    return {int(image): value for image, value in zip(frame["item"], frame["value"], strict=True)}


@pytest.mark.java
def test_the_table_is_the_references_but_for_one_full_stop(their_words):
    # of a last "N." the reference takes the full stop off or leaves it on by what the next caption begins with
    changed = {
        image: [text.removesuffix(".") if text.endswith(" branch st. 200 n.") else text for text in references]
        for image, references in their_words.items()
    }
    assert sum(changed[image] != references for image, references in their_words.items()) == 1
    table = idf.load("coco-val", Ptb(), Ptb().fingerprint())
    assert (table.n_documents, table.size) == (40_504, 1_590_408)
    assert idf.from_counts(frequencies(changed), 40_504, Ptb().fingerprint()).digest == table.digest


@pytest.mark.java
def test_1000_captions_item_by_item(demo, their_words):
    captions, folder = demo
    cut = coco_ptb.PTBTokenizer().tokenize({image: [{"caption": text}] for image, text in captions.items()})
    scorer = Frozen()
    for image in captions:
        scorer += cut[image][0], their_words[image]
    scorer.document_frequency = frequencies(their_words)
    run = capbench.score(folder / "captions.json", folder / "references.json", ["cider(idf='coco-val')"])
    found = by_image(run)
    np.testing.assert_allclose([found[image] for image in captions], scorer.compute_cider(), rtol=0, atol=1e-9)
    assert run.summaries[0].signature.split("|")[1:4] == [
        "variant:d", "tokenizer:ptb/corenlp-3.4.1-compatible/1", "idf:frozen/40504@c1fc3369e606d97b",
    ]  # fmt: skip


def test_a_part_of_the_images_has_the_rows_of_all(demo, tmp_path):
    captions, folder = demo
    few = dict(list(captions.items())[:7])
    (tmp_path / "few.json").write_text(json.dumps(few))
    references = json.loads((folder / "references.json").read_text())
    (tmp_path / "references.json").write_text(json.dumps({str(image): references[str(image)] for image in few}))
    for spec in ("cider(idf='coco-val')", "cider(idf='coco-val', variant='plain')"):
        whole = by_image(capbench.score(folder / "captions.json", folder / "references.json", [spec]))
        part = by_image(capbench.score(tmp_path / "few.json", tmp_path / "references.json", [spec]))
        assert part == {image: whole[image] for image in few}
