"""Which tags are languages, what cuts their words, and where the language comes from."""

import json
import locale
import re

import pytest

import capbench
from capbench import languages, plugins
from capbench.backends.sacre import SacreBleu
from capbench.backends.tokenizers import Whitespace, bare_words
from capbench.errors import UsageError
from capbench.metrics.bertscore import BertScore
from capbench.metrics.bleu import Bleu
from capbench.metrics.chrf import Chrf
from capbench.metrics.cider import Cider
from capbench.metrics.meteor import Meteor
from capbench.metrics.rouge import RougeL
from capbench.metrics.spice import Spice
from capbench.metrics.spider import Spider
from capbench.signature import of_metric
from capbench.testing import check_backend

TAKE_ANY = (Bleu, RougeL, Cider)


@pytest.mark.parametrize(
    ("lang", "tokenizer"),
    [
        ("en", "ptb"),
        ("zh", "sacrebleu(scheme='zh')"),
        ("yue", "sacrebleu(scheme='zh')"),
        ("ja", "sacrebleu(scheme='ja-mecab')"),
        ("ko", "sacrebleu(scheme='ko-mecab')"),
        *((lang, "sacrebleu(scheme='char')") for lang in ("th", "lo", "km", "my", "bo")),
        *((lang, "whitespace(bare=True)") for lang in ("de", "fr", "ru", "ar", "hi", "vi", "fil", "quz", "und")),
    ],
)
def test_a_language_has_a_tokenizer_and_a_named_one_wins(lang, tokenizer):
    for make in TAKE_ANY:
        assert make(lang=lang).tokenizer == tokenizer
        assert {need.tokenizer for need in make(lang=lang).needs.values()} == {tokenizer}
        assert make(lang=lang, tokenizer="ptb").tokenizer == "ptb"
    assert plugins.load("backends", tokenizer).value.kind == "tokenizer"


@pytest.mark.parametrize("tag", ["zh", "zh-CN", "zh_CN", "ZH", "zho", "cmn", "zh-Hant-TW", "zho_Hans", " zh "])
def test_tags_of_one_language_are_one_value(tag):
    assert Bleu(lang=tag) == Bleu(lang="zh")
    assert languages.find(tag).name == "Chinese"


def test_pt_br_is_portuguese_and_en_us_is_today_s_english():
    assert languages.find("pt-BR").code == "pt"
    assert Bleu(lang="en-US") == Bleu()


@pytest.mark.parametrize(
    ("tag", "hint"),
    [
        ("german", "de (German)"),
        ("Chinese", "zh (Chinese)"),
        ("jp", "ja (Japanese)"),
        ("cn", "zh (Chinese)"),
        ("eng-", "en (English)"),
        ("zhh", "zh (Chinese)"),
        ("", "und is any other language"),
        ("12", "und is any other language"),
        ("zh CN", "zh (Chinese)"),
        ("\ud800", "und is any other language"),
    ],
)
def test_nonsense_is_refused_with_what_is_near(tag, hint):
    with pytest.raises(UsageError) as caught:
        Bleu(lang=tag)
    assert "no language has the code" in str(caught.value)
    assert hint in caught.value.cure


def test_the_table_has_the_languages_of_the_c_library_s_locales():
    # codes there that ISO 639 does not have, or has withdrawn
    others = {"a3", "c", "cz", "in", "iw", "jp", "pd", "ph", "pp", "sp"}
    stated = {re.split(r"[_.@]", name)[0] for name in locale.locale_alias}
    two = {code for code in stated if len(code) == 2} - others
    assert len(two) > 140
    assert not two - set(languages.known())
    lines = (languages.Path(languages.__file__).with_suffix(".tsv")).read_text(encoding="utf-8").splitlines()[1:]
    codes = [line.split("\t")[1] for line in lines]
    assert len(set(codes)) == len(codes)
    assert len({line.split("\t")[0] for line in lines if line.index("\t") == 2}) == 184  # ISO 639-1 in all


def test_every_language_of_crossmodal_3600_is_known():
    codes = (
        "ar bn cs da de el en es fa fi fil fr he hi hr hu id it ja ko mi nl no pl pt quz ro ru sv sw te th tr uk vi zh"
    )
    assert [languages.find(code).code for code in codes.split()] == codes.split()


def test_words_between_blanks_are_bare():
    assert bare_words("Ein Frosch.") == ("ein", "frosch")
    assert bare_words("«L'eau», dit-il — (oui !)") == ("l'eau", "dit-il", "oui")
    assert bare_words("Чёрный дрозд…") == ("чёрный", "дрозд")
    assert bare_words("¿Qué? un E\u0301") == ("qué", "un", "é")
    assert bare_words("एक कुत्ता।") == ("एक", "कुत्ता")
    assert bare_words("3,5 m² ... $5") == ("3,5", "m²", "$5")
    assert bare_words("") == ()
    assert check_backend(Whitespace(bare=True))
    assert Whitespace(bare=True).fingerprint() != Whitespace(lower=True).fingerprint()


def test_lang_stands_in_the_signature_and_english_keeps_its_own():
    assert of_metric(Bleu(), "", {"ptb": "P"}, []).text == "bleu|tokenizer:P|v:1"
    assert of_metric(Cider(), "", {"ptb": "P"}, []).text == "cider|variant:d|tokenizer:P|v:1"
    assert of_metric(Bleu(lang="zh-CN", tokenizer="t"), "", {"t": "T"}, []).text == "bleu|tokenizer:T|lang:zh|v:1"
    assert of_metric(Bleu(lang="de"), "", {}, []).short != of_metric(Bleu(lang="fr"), "", {}, []).short


@pytest.mark.parametrize("make", [Meteor, Spice, Spider])
def test_metrics_with_english_resources_refuse_other_languages(make):
    assert make(lang="en-GB") == make()
    with pytest.raises(UsageError, match=rf"{make.name} has no French \(fr\)") as caught:
        make(lang="fr")
    assert "chrf" in caught.value.cure


@pytest.fixture
def files(tmp_path):
    (tmp_path / "p.json").write_text(json.dumps({"1": "一只狗在跑", "2": "两只猫"}), encoding="utf-8")
    (tmp_path / "r.json").write_text(json.dumps({"1": ["一只狗跑"], "2": ["两只猫睡觉"]}), encoding="utf-8")
    return tmp_path / "p.json", tmp_path / "r.json"


def test_the_command_s_language_is_for_metrics_that_name_none(files):
    run = capbench.score(*files, ["bleu", "rouge_l(lang='und')", "chrf"], lang="zh_CN")
    signatures = {s.metric: s.signature for s in run.summaries}
    assert "|tokenizer:sacrebleu/zh/" in signatures["bleu"]
    assert "|lang:zh|" in signatures["bleu"]
    assert "|tokenizer:whitespace/bare/1|lang:und|" in signatures["rouge_l"]
    assert "lang" not in signatures["chrf"]
    # by hand: 4 of 5 and 3 of 3 characters match, 8 against 4 + 5 = 9 of the references
    assert run.value("bleu1") == pytest.approx(7 / 8 * 2.718281828459045 ** (1 - 9 / 8), abs=1e-9)


def test_english_by_name_is_the_same_column_as_by_default(files):
    named, plain = capbench.score(*files, ["bleu"], lang="en"), capbench.score(*files, ["bleu"])
    assert [s.signature for s in named.summaries] == [s.signature for s in plain.summaries]


def test_a_wrong_language_is_refused_even_where_no_metric_asks(files):
    with pytest.raises(UsageError, match="'klingon'"):
        capbench.score(*files, ["chrf"], lang="klingon")
    with pytest.raises(UsageError, match="spice has no Chinese"):
        capbench.score(*files, ["spice"], lang="zh")


def test_a_benchmark_states_its_language_and_the_command_can_say_otherwise(files, tmp_path):
    toml = tmp_path / "mine.toml"
    toml.write_text(f'name = "mine"\nversion = 1\nlang = "zh"\n[dataset]\nuse = "folder(captions={str(files[1])!r})"\n')
    captions = f"file(path={str(files[0])!r})"
    stated = capbench.run(captions, str(toml), ["bleu"], runs=None).summaries[0].signature
    assert "|lang:zh|" in stated
    said = capbench.run(captions, str(toml), ["bleu"], runs=None, lang="de").summaries[0].signature
    assert "|lang:de|" in said


def test_defaults_reach_only_parts_that_have_the_parameter():
    assert plugins.load("metrics", "bleu", {"lang": "de"}).value == Bleu(lang="de")
    assert plugins.load("metrics", "bleu(lang='fr')", {"lang": "de"}).value == Bleu(lang="fr")
    assert plugins.load("metrics", "chrf", {"lang": "de"}).value == Chrf()
    assert plugins.load("metrics", "bertscore", {"lang": "de", "device": "cuda"}).value == BertScore(
        lang="de", device="cuda"
    )


@pytest.mark.parametrize(
    ("scheme", "module", "extra"), [("ja-mecab", "ja_mecab", "ja"), ("ko-mecab", "ko_mecab", "ko")]
)
def test_without_the_dictionary_the_plan_says_what_to_install(monkeypatch, files, scheme, module, extra):
    import importlib

    monkeypatch.setattr(importlib.import_module(f"sacrebleu.tokenizers.tokenizer_{module}"), "MeCab", None)
    problem = SacreBleu(scheme).check()
    assert problem is not None
    assert f"capbench[{extra}]" in problem.cure
    with pytest.raises(capbench.errors.MissingPart, match=f"capbench.{extra}"):
        capbench.score(*files, ["bleu"], lang=extra)


def test_a_ready_value_or_another_type_is_left_as_it_is(tmp_path):
    file = tmp_path / "parts.py"
    file.write_text(
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Part:\n"
        "    lang: str = 'xx'\n    device: int = 3\nREADY = Part()\n"
    )
    given = {"lang": "de", "device": "cuda"}
    assert plugins.load("metrics", f"{file}:READY", given).value.lang == "xx"
    made = plugins.load("metrics", f"{file}:Part", given).value
    assert (made.lang, made.device) == ("de", 3)
