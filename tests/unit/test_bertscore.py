"""BERTScore with a small seeded model: the library's own call, a sum in numpy, and what is missing."""

import json

import numpy as np
import pytest

import capbench
from capbench import bert
from capbench.errors import CapbenchError, MissingPart
from capbench.metrics.bertscore import BertScore
from capbench.ragged import ragged
from capbench.testing import check_metric

CAPTIONS = ["a dog runs", "two cats, sleep!", "the red cat", "a cat on the dog .", "a a a", "dogs"]
REFERENCES = [["the dog runs", "a cat"], ["two cats"], ["a cat", "the red dog", "dogs run"], ["a"], [], ["an e b"]]
COLUMNS = ("bertscore_precision", "bertscore_recall", "bertscore_f1")


def metric(folder, **given):
    return BertScore(model=str(folder), **{"layer": 2, "device": "cpu", **given})


def rows(part, captions=CAPTIONS, references=REFERENCES):
    found = part.rows(captions, ragged(references))
    return np.stack([found[name] for name in COLUMNS])


def test_without_the_library_the_plan_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(bert.importlib.util, "find_spec", lambda _: None)
    assert BertScore().check().cure == "pip install 'capbench[bert]'"
    for name in ("p", "r"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"1": "a", "2": "b"}))
    with pytest.raises(MissingPart, match=r"capbench\[bert\]"):
        capbench.score(tmp_path / "p.json", tmp_path / "r.json", ["bertscore"])


@pytest.mark.torch
@pytest.mark.parametrize("given", [{}, {"layer": 1}, {"layer": 3}, {"idf": True}, {"batch": 1}])
def test_it_is_the_library_s_own_call(tiny_bert, given):
    import bert_score

    scored = [i for i, texts in enumerate(REFERENCES) if texts]
    found = rows(metric(tiny_bert, **given))
    assert np.isnan(found).all(axis=0).tolist() == [not texts for texts in REFERENCES]
    theirs = bert_score.BERTScorer(
        model_type=str(tiny_bert), num_layers=given.get("layer", 2), idf="idf" in given, device="cpu", nthreads=0,
        lang="en",
    )  # fmt: skip
    theirs._tokenizer.model_max_length = 64  # without it the library fails with transformers 5
    lists = [REFERENCES[i] for i in scored]
    if "idf" in given:
        theirs.compute_idf([text for texts in lists for text in texts])
    expected = np.stack([part.numpy() for part in theirs.score([CAPTIONS[i] for i in scored], lists)])
    np.testing.assert_allclose(found[:, scored], expected, rtol=0, atol=1e-6)
    assert np.ptp(found[2, scored]) > 0.01


@pytest.mark.torch
def test_the_formula_in_numpy(tiny_bert):
    import torch
    import transformers

    model = transformers.AutoModel.from_pretrained(tiny_bert).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_bert)

    def vectors(text):
        with torch.no_grad():
            states = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states
        tokens = states[2][0].numpy()  # of layer 2, the two special tokens among them
        return tokens / np.linalg.norm(tokens, axis=1, keepdims=True)

    caption, references = "a dog runs", ["the dog runs .", "a cat"]
    best = np.zeros(3)
    for reference in references:
        cosines = vectors(caption) @ vectors(reference).T
        # every token is matched; the special ones have no weight
        p, r = cosines.max(axis=1)[1:-1].mean(), cosines.max(axis=0)[1:-1].mean()
        best = np.maximum(best, [p, r, 2 * p * r / (p + r)])
    np.testing.assert_allclose(rows(metric(tiny_bert), [caption], [references])[:, 0], best, rtol=0, atol=1e-5)


@pytest.mark.torch
def test_rescaling_is_with_the_library_s_baseline(tiny_bert, tmp_path):
    import shutil

    import bert_score
    import pandas as pd

    folder = tmp_path / "distilbert-base-uncased"  # a name the library has a baseline and a layer for
    shutil.copytree(tiny_bert, folder)
    plain, rescaled = metric(folder), metric(folder, rescale_with_baseline=True)
    assert rescaled.check() is None
    table = pd.read_csv(bert.Path(bert_score.__file__).parent / "rescale_baseline" / "en" / f"{folder.name}.tsv")
    base = table.iloc[2][["P", "R", "F"]].to_numpy()[:, None]
    np.testing.assert_allclose(rows(rescaled), (rows(plain) - base) / (1 - base), rtol=0, atol=1e-5)
    assert rescaled.stated()["library"].endswith("-rescaled")
    assert metric(folder, layer=0).setting.layers() == 5
    assert "1 to 3" in metric(folder, layer=0).check().cure


@pytest.mark.torch
@pytest.mark.parametrize("text", ["", " ", "\x00", "\ud800", "\U0001f600" * 50, "a dog " * 5000, "\u2028", "zzz"])
def test_hostile_text_is_scored_like_any_other(tiny_bert, text):
    found = rows(metric(tiny_bert), [text, "a dog"], [["a dog"], [text, "a dog"]])
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[:, 1], 1, atol=1e-6)
    if not text.strip():
        assert (found[:, 0] == 0).all()


@pytest.mark.torch
def test_a_roberta_is_cut_where_its_positions_end(tmp_path):
    torch = pytest.importorskip("torch", reason="pip install 'capbench[bert]'")
    transformers = pytest.importorskip("transformers", reason="pip install 'capbench[bert]'")
    pytest.importorskip("bert_score", reason="pip install 'capbench[bert]'")
    folder = tmp_path / "tiny-roberta"
    torch.manual_seed(1)
    letters = {char: 4 + i for i, char in enumerate("abcdeghinorstu\u0120")}
    vocabulary = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, **letters, "<mask>": 4 + len(letters)}
    config = transformers.RobertaConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=34, pad_token_id=1, type_vocab_size=1,
    )  # fmt: skip
    transformers.RobertaModel(config, add_pooling_layer=False).save_pretrained(folder)
    transformers.RobertaTokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder)
    found = rows(metric(folder, layer=1), ["a dog " * 100, "", "a dog"], [["a dog"], ["a"], ["a dog", "the cats"]])
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[:, 2], 1, atol=1e-6)


@pytest.mark.torch
def test_it_keeps_the_promises_of_a_metric(tiny_bert):
    for part in (metric(tiny_bert), metric(tiny_bert, idf=True)):
        passed = set(check_metric(part))
        assert "an item without a caption is unscored" in passed
        assert "permuting items permutes rows" in passed
        assert ("leaving an item out changes no other row" in passed) == (not part.idf)


@pytest.mark.torch
def test_the_signature_has_the_library_s_hash_and_the_weights(tiny_bert, tmp_path):
    import bert_score

    (tmp_path / "p.json").write_text(json.dumps({"1": "a dog", "2": "two cats"}))
    (tmp_path / "r.json").write_text(json.dumps({"1": ["a dog"], "2": ["a cat", "cats"]}))
    run = capbench.score(tmp_path / "p.json", tmp_path / "r.json", [f"bertscore(model={str(tiny_bert)!r}, layer=2)"])
    code = bert_score.BERTScorer(model_type=str(tiny_bert), num_layers=2).hash.replace(str(tiny_bert), "tiny-bert")
    text = run.summaries[0].signature
    assert text.startswith(f"bertscore|library:{code}|weights:")
    assert str(tiny_bert.parent) not in text
    assert {s.column for s in run.summaries} == set(COLUMNS)
    before = metric(tiny_bert).stated()
    assert metric(tiny_bert, layer=1).stated()["library"] != before["library"]
    (tiny_bert / "vocab.txt").write_text("changed")
    try:
        assert metric(tiny_bert).stated()["weights"] != before["weights"]
    finally:
        (tiny_bert / "vocab.txt").unlink()


@pytest.mark.torch
def test_everything_that_is_missing_has_a_cure(tiny_bert, tmp_path, monkeypatch):
    hub = pytest.importorskip("huggingface_hub", reason="pip install 'capbench[bert]'")
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    assert metric(tiny_bert).check() is None
    assert "hf download roberta-large" in BertScore().check().cure
    assert "neither a folder" in metric("../no such").check().what
    assert "1 to 3" in metric(tiny_bert, layer=0).check().cure
    assert "has no layer 9" in metric(tiny_bert, layer=9).check().what
    assert "has no layer -1" in metric(tiny_bert, layer=-1).check().what
    assert "no baseline" in metric(tiny_bert, rescale_with_baseline=True).check().what
    (tmp_path / "config.json").write_text("{")
    (tmp_path / "model.safetensors").write_bytes(b"no model")
    assert "is no model's" in metric(tmp_path).check().what
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "config.json").write_text('{"n_layers": 3}')
    assert "no weights" in metric(tmp_path).check().what
    (tmp_path / "model.safetensors").write_bytes(b"no model")
    assert "has no layer 4" in metric(tmp_path, layer=4).check().what
    with pytest.raises(CapbenchError, match="cannot be loaded"):
        rows(metric(tmp_path))


@pytest.mark.torch
def test_a_model_in_the_hub_s_cache_is_found_and_its_revision_is_what_runs(tiny_bert, tmp_path, monkeypatch):
    import shutil

    hub = pytest.importorskip("huggingface_hub", reason="pip install 'capbench[bert]'")
    repo = tmp_path / "models--someone--tiny"
    shutil.copytree(tiny_bert, repo / "snapshots" / "c0ffee")
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("c0ffee")
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    part = metric("someone/tiny")
    assert part.check() is None
    assert part.stated()["library"].startswith("someone/tiny_L2_")
    assert part.setting.folder() == repo / "snapshots" / "c0ffee"


@pytest.mark.torch
def test_the_models_of_languages_are_the_library_s(tiny_bert):
    from bert_score.utils import lang2model

    for lang in ("en", "zh", "tr", "de", "ja", "ru"):
        assert BertScore(lang=lang).model == lang2model[lang]
    assert BertScore(lang="zh-CN").model == "bert-base-chinese"
