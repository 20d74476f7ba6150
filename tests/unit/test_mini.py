"""The encoder for photographs: its promises, hostile input, and its recall on real photographs."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from capbench.backends import mini
from capbench.backends.mini import FOLDER, PICTURES, TEXTS, WIDTH, WORDS, Mini
from capbench.backends.mini.words import INSIDE, MOST, NOTHING, OTHER, Reader
from capbench.errors import MissingPart
from capbench.images import reference
from capbench.testing import check_backend
from capbench.types import ImageRef

HOSTILE = [
    "",
    " \n\t",
    "\x00\x07",
    "\ud800 lone",
    "👩‍👩‍👧 🐶",
    "犬が走る",
    "ﷺ" * 300,
    "a" * 100_000,
    "dog " * 10_000,
    "'s '",
    "##s <pad>",
]


@pytest.fixture(scope="module")
def session():
    with Mini().open("cpu") as opened:
        yield opened


@pytest.fixture(scope="module")
def reader():
    return Reader((FOLDER / WORDS).read_text("utf-8").split("\n"))


def test_it_keeps_the_promises_of_an_encoder():
    held = check_backend(Mini())
    assert "images does not depend on the batch" in held
    assert "texts does not depend on the batch" in held


def test_the_model_is_small_and_its_digest_follows_its_files(tmp_path):
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 25_000_000
    for name in (PICTURES, TEXTS, WORDS):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    same = mini.digest(tmp_path)
    assert Mini().fingerprint() == f"mini/1@{same}"
    (tmp_path / WORDS).write_text("other", "utf-8")
    mini.digest.cache_clear()
    assert mini.digest(tmp_path) not in {same, "missing"}


def test_a_missing_file_or_runtime_is_named_with_its_cure(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(mini, "FOLDER", tmp_path)
        assert Mini().fingerprint() == "mini/1@missing"
        with pytest.raises(MissingPart, match=r"lacks pictures\.onnx, texts\.onnx, words\.txt"), Mini().open("cpu"):
            pass
    monkeypatch.setattr(mini, "find_spec", lambda name: None)
    assert Mini().check().cure == "pip install 'capbench[mini]'"


def test_every_sign_is_a_word_and_a_piece_and_no_entry_stands_twice(reader):
    vocabulary = (FOLDER / WORDS).read_text("utf-8").split("\n")
    assert len(set(vocabulary)) == len(vocabulary)
    for sign in "abcdefghijklmnopqrstuvwxyz0123456789":
        assert sign in reader.numbers
        assert INSIDE + sign in reader.numbers


def test_words_are_read_whatever_their_case_accents_and_marks(reader):
    wanted, _ = reader.read("a dog runs in the cafe")
    assert len(wanted) == 6
    assert OTHER not in wanted
    assert reader.read("A DOG, runs... (in) the Café!") == (wanted, False)
    assert reader.read("a dog's ball") == reader.read("a dog 's ball") == reader.read("a dog’s ball")
    assert reader.read("a dog's ball") == reader.read("a dog ball")
    assert reader.read("'snow' isn't") == reader.read("snow isnt")


def test_an_unknown_word_is_its_longest_pieces():
    reader = Reader(["<pad>", "<nothing>", "<other>", "snow", "s", "##board", "##b", "##o", "##er", "##ish"])
    assert reader.read("snowboarderish snow") == ([3, 5, 8, 9, 3], False)
    assert reader.read("s q") == ([4, OTHER], False)
    assert reader.read("snowq") == ([3, OTHER], False)
    assert reader.read("...") == ([NOTHING], False)


def test_a_text_that_is_cut_says_so_and_is_its_beginning(session):
    exact, long = "dog " * MOST, "dog " * MOST + "cat"
    encoded = session.texts([exact, long, "dog"])
    assert encoded.cut.tolist() == [False, True, False]
    assert (encoded.vectors[0] == encoded.vectors[1]).all()


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_has_a_vector_of_length_1(session, text):
    encoded = session.texts([text])
    assert encoded.vectors.shape == (1, WIDTH)
    assert np.linalg.norm(encoded.vectors[0]) == pytest.approx(1, abs=1e-5)


def test_a_batch_gives_the_same_bits_as_single_items(session, tmp_path):
    chance = np.random.default_rng(0)
    refs = []
    for i, size in enumerate([(7, 5), (224, 224), (640, 480), (1, 1)]):
        Image.fromarray(chance.integers(0, 256, (*size, 3), np.uint8)).save(tmp_path / f"{i}.png")
        refs.append(reference(tmp_path / f"{i}.png"))
    together = session.images(refs)
    assert not together.failures
    for ref, row in zip(refs, together.vectors, strict=True):
        assert (session.images([ref]).vectors[0] == row).all()
    texts = ["a dog", "two girls in red run over wet grass", ""]
    assert all(
        (session.texts([t]).vectors[0] == r).all() for t, r in zip(texts, session.texts(texts).vectors, strict=True)
    )


def test_an_unreadable_picture_fails_alone(session, tmp_path):
    Image.new("RGB", (30, 20), "red").save(tmp_path / "good.png")
    (tmp_path / "bad.jpg").write_bytes(b"not a picture")
    refs = [reference(tmp_path / "bad.jpg"), reference(tmp_path / "good.png"), ImageRef("none.jpg")]
    encoded = session.images(refs)
    assert sorted(encoded.failures) == [0, 2]
    assert "not a picture" in encoded.failures[0]
    assert np.isnan(encoded.vectors[[0, 2]]).all()
    assert np.isfinite(encoded.vectors[1]).all()


def test_no_items_are_no_rows(session):
    assert session.images([]).vectors.shape == (0, WIDTH)
    assert session.texts([]).vectors.shape == (0, WIDTH)


def test_encoding_imports_no_torch(tmp_path):
    Image.new("RGB", (30, 20), "red").save(tmp_path / "a.png")
    code = (
        "import sys; from capbench.backends.mini import Mini; from capbench.images import reference\n"
        "with Mini().open('cpu') as s: s.images([reference(sys.argv[1])]); s.texts(['a red thing'])\n"
        "assert not {'torch', 'transformers', 'timm', 'onnx'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.png")], check=True, env=dict(os.environ))


@pytest.mark.slow
def test_recall_on_the_dev_photographs_is_the_cards(shared, root, tmp_path):
    spec = importlib.util.spec_from_file_location("measure_mini", root / "tests" / "perf" / "measure_mini.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    found = script.measure(shared, tmp_path)
    card = card_figures(root / "docs" / "mini.md")
    assert len(card) == 8
    for name, value in card.items():
        assert found[name] == pytest.approx(value, abs=0.35), name


def card_figures(path: Path) -> dict[str, float]:
    """The rows of the card's table of results: name -> the figure of mini."""
    table = path.read_text("utf-8").split("| figure |")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    return {row[0]: float(row[1]) for row in rows}
