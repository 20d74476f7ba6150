"""The FACTUAL parser: what is read from what a model writes, and the way through transformers on a small T5."""

from __future__ import annotations

import pytest

from capbench.backends.factual import PROMPT, Factual, facts_of, sentences, together
from capbench.errors import MissingPart, UsageError
from capbench.protocols import Elements
from capbench.testing import check_backend
from capbench.types import Failure

PAIRS = {
    "a red car": "( car , is , red )",
    "two dogs on grass": "( dogs , on , grass ) , ( dogs , is , 2 )",
    "a man": "( man )",
}


def test_facts_as_the_authors_write_them():
    written = "( girl , on , bed ) , ( girl , is , young )"
    assert facts_of(written) == [("girl", "on", "bed"), ("girl", "is", "young")]
    assert together([written]) == Elements(("girl", "bed"), (("girl", "young"),), (("girl", "on", "bed"),))
    assert together(["( city bus )"]) == Elements(("city bus",))


def test_blanks_case_and_the_marks_of_factual_mr_mean_nothing():
    assert facts_of("(bench,is,wooden),( Bench:1 , v:faces , sea )") == [
        ("bench", "is", "wooden"),
        ("bench", "faces", "sea"),
    ]


def test_a_graph_that_the_limit_cuts_off_keeps_its_whole_facts():
    assert facts_of("( bench , is , wooden ) , ( bench , v:faces , ") == [("bench", "is", "wooden")]
    assert facts_of("( bench , is , woo") == [("bench",)]


@pytest.mark.parametrize("written", ["", "   ", "no graph at all", "()", "( , , )", ") , ("])
def test_what_is_no_graph_is_a_failure_with_its_words(written):
    found = together([written])
    assert isinstance(found, Failure)
    assert "no scene graph" in found.reason


def test_facts_of_other_shapes_are_left_out():
    assert facts_of("( a , b ) , ( dog ) , ( a , b , c , d ) , ( dog , , cat )") == [("dog",)]


def test_one_sentence_without_a_graph_fails_the_text():
    assert isinstance(together(["( dog )", "sorry"]), Failure)


def test_sentences_of_a_text():
    assert sentences("A dog.  It runs!\nWhy? \n\n") == ["A dog.", "It runs!", "Why?"]
    assert sentences(" \0 ... ") == []
    assert together([]) == Elements()


def test_a_missing_model_is_named_with_the_command_that_gets_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    parser = Factual(model="somebody/no-such-parser")
    problem = parser.check()
    assert "pip install" in problem.cure or "hf download somebody/no-such-parser" in problem.cure
    with pytest.raises(MissingPart), parser.open("cpu"):
        pass


@pytest.mark.parametrize("wrong", [{"precision": "int4"}, {"beams": 0}, {"batch": 0}])
def test_what_cannot_be_run_is_refused(wrong):
    with pytest.raises(UsageError):
        Factual(**wrong)


@pytest.fixture(scope="module")
def small_t5(tmp_path_factory):
    """A folder with a T5 of two layers that has learnt three captions by heart, and its tokenizer."""
    torch = pytest.importorskip("torch", reason="pip install 'capbench[hf]': this test trains a small model")
    transformers = pytest.importorskip("transformers", reason="pip install 'capbench[hf]'")
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = sorted({w for pair in PAIRS.items() for text in pair for w in (PROMPT + text).split()})
    vocabulary = {word: i for i, word in enumerate(["<pad>", "</s>", "<unk>", *words])}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    raw.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, **special)
    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=len(vocabulary), d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, dropout_rate=0.0,
        pad_token_id=0, eos_token_id=1, decoder_start_token_id=0,
    )  # fmt: skip
    model = transformers.T5ForConditionalGeneration(config)
    given = tokenizer([PROMPT + text for text in PAIRS], padding=True, return_tensors="pt")
    wanted = tokenizer(list(PAIRS.values()), padding=True, return_tensors="pt")["input_ids"]
    labels = wanted.masked_fill(wanted == 0, -100)
    steps = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(400):
        loss = model(input_ids=given["input_ids"], attention_mask=given["attention_mask"], labels=labels).loss
        steps.zero_grad()
        loss.backward()
        steps.step()
    assert loss.item() < 0.01
    folder = tmp_path_factory.mktemp("models") / "small-t5"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.torch
def test_a_model_is_prompted_and_read_as_the_authors_do(small_t5):
    with Factual(model=str(small_t5)).open("cpu") as session:
        found = session.parse(["a red car", "two dogs on grass", "a man", "", "a red car\ntwo dogs on grass"])
    car, dogs = (
        Elements(("car",), (("car", "red"),)),
        Elements(("dogs", "grass"), (("dogs", "2"),), (("dogs", "on", "grass"),)),
    )
    both = Elements(("car", "dogs", "grass"), (("car", "red"), ("dogs", "2")), (("dogs", "on", "grass"),))
    assert found == [car, dogs, Elements(("man",)), Elements(), both]


@pytest.mark.torch
@pytest.mark.parametrize("beams", [1, 5])
def test_batch_and_order_change_nothing(small_t5, beams):
    texts = [*PAIRS, "a man on a red dogs", "two two two", "car", "a man\na red car"]
    made = []
    for batch in (1, 2, 32):
        with Factual(model=str(small_t5), beams=beams, batch=batch).open("cpu") as session:
            made.append(session.parse(texts))
            made.append(session.parse(texts[::-1])[::-1])
    assert all(one == made[0] for one in made)


@pytest.mark.torch
def test_the_backend_keeps_the_promises_of_its_kind(small_t5):
    parser = Factual(model=str(small_t5))
    assert parser.fingerprint().startswith("factual/small-t5@")
    assert parser.fingerprint() != Factual(model=str(small_t5), beams=1).fingerprint()
    assert check_backend(parser)


@pytest.mark.torch
def test_a_folder_without_a_parser_says_so(tmp_path, small_t5):
    (tmp_path / "config.json").write_text((small_t5 / "config.json").read_text())
    assert "no weights" in Factual(model=str(tmp_path)).check().what
