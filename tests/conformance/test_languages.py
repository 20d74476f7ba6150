"""Captions in seven languages: words and counts against sacrebleu, scores against pycocoevalcap, both run live."""

import contextlib
import gzip
import io
import json

import numpy as np
import pytest
from sacrebleu.metrics import BLEU

import capbench
from capbench import languages, plugins
from capbench.metrics.bleu import STATISTICS

coco_bleu = pytest.importorskip("pycocoevalcap.bleu.bleu", reason="pip install 'capbench[coco]'")
coco_rouge = pytest.importorskip("pycocoevalcap.rouge.rouge", reason="pip install 'capbench[coco]'")
coco_cider = pytest.importorskip("pycocoevalcap.cider.cider", reason="pip install 'capbench[coco]'")

LANGUAGES = ("en", "fr", "de", "es", "ja", "zh_CN", "ru")
CLOSE = {"rtol": 0, "atol": 1e-9}


@pytest.fixture(scope="session")
def captions(shared):
    """language -> id -> caption."""
    with gzip.open(shared / "tuxpaint" / "photos.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    found = {
        lang: {r["image"]: r["translations"][lang] for r in rows if lang in r["translations"]} for lang in LANGUAGES[1:]
    }
    return {"en": {r["image"]: r["captions"][0] for r in rows}, **found}


def others(texts):
    """Each id with the caption of the next one."""
    values = list(texts.values())
    return dict(zip(texts, values[1:] + values[:1], strict=True))


def score(tmp_path, predictions, texts, lang, tokenizer=""):
    (tmp_path / "p.json").write_text(json.dumps(predictions))
    (tmp_path / "r.json").write_text(json.dumps({key: [text] for key, text in texts.items()}))
    chosen = f"(tokenizer={tokenizer!r})" if tokenizer else ""
    metrics = [f"{name}{chosen}" for name in ("bleu", "rouge_l", "cider")]
    return capbench.score(tmp_path / "p.json", tmp_path / "r.json", metrics, lang=lang)


def words(lang, texts):
    """The words of texts by the tokenizer of the language."""
    with plugins.load("backends", languages.find(lang).tokenizer).value.open("cpu") as session:
        return session.tokenize(list(texts))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_caption_is_like_itself_and_not_like_the_next_one(captions, tmp_path, lang):
    texts = captions[lang]
    same, other = score(tmp_path, texts, texts, lang), score(tmp_path, others(texts), texts, lang)
    assert same.value("bleu1") == pytest.approx(1, abs=1e-9)
    assert same.value("rouge_l") == pytest.approx(1)
    assert other.value("bleu1") < 0.6
    assert other.value("rouge_l") < 0.6
    assert other.value("cider") < 0.2 * same.value("cider")
    if lang != "en":
        assert f"|lang:{languages.find(lang).code}|" in same.summaries[0].signature


@pytest.mark.parametrize(
    ("lang", "scheme"), [("zh_CN", "zh"), ("ja", "ja-mecab"), ("th", "char"), ("zh_CN", "char"), ("ko", "ko-mecab")]
)
def test_counts_are_sacrebleu_s_own(captions, tmp_path, lang, scheme):
    if scheme == "ko-mecab":
        pytest.importorskip("mecab_ko", reason="pip install 'capbench[ko]'")
    texts = captions["zh_CN" if lang in ("zh_CN", "th", "ko") else lang]
    named = "" if scheme != "char" or lang == "th" else "sacrebleu(scheme='char')"
    run = score(tmp_path, others(texts), texts, lang, named)
    rows = next(s for s in run.scored if s.key.startswith("bleu#")).rows.columns
    found = {name: int(rows[name].sum()) for name in STATISTICS}
    theirs = BLEU(tokenize=scheme, smooth_method="none").corpus_score(
        list(others(texts).values()), [list(texts.values())]
    )
    assert (found["testlen"], found["reflen"]) == (theirs.sys_len, theirs.ref_len)
    assert [found[f"correct{n}"] for n in (1, 2, 3, 4)] == theirs.counts
    assert [found[f"guess{n}"] for n in (1, 2, 3, 4)] == theirs.totals
    assert sum(theirs.counts) > 100


@pytest.mark.parametrize("lang", LANGUAGES)
def test_scores_are_pycocoevalcap_s_on_the_same_words(captions, tmp_path, lang):
    texts = captions[lang]
    run = score(tmp_path, others(texts), texts, lang)
    ids = list(run.ids)
    gts = {i: [" ".join(row)] for i, row in enumerate(words(lang, [texts[k] for k in ids]))}
    res = {i: [" ".join(row)] for i, row in enumerate(words(lang, [others(texts)[k] for k in ids]))}
    with contextlib.redirect_stdout(io.StringIO()):
        corpus, each = coco_bleu.Bleu(4).compute_score(gts, res)
        theirs = {f"bleu{n}": (corpus[n - 1], each[n - 1]) for n in (1, 2, 3, 4)}
        theirs["rouge_l"] = coco_rouge.Rouge().compute_score(gts, res)
        theirs["cider"] = coco_cider.Cider().compute_score(gts, res)
    rows = {name: column for s in run.scored for name, column in s.rows.columns.items()}
    for name, (total, items) in theirs.items():
        np.testing.assert_allclose(rows[name], items, **CLOSE, err_msg=name)
        assert run.value(name) == pytest.approx(total, abs=1e-9), name
