"""Judges of transformers through the real code: likelihoods against sums worked by hand from known logits."""

import json
import math

import numpy as np
import pytest
from PIL import Image

from capbench import rubrics
from capbench.errors import CapbenchError
from capbench.images import reference
from capbench.judges.hf import JudgeHf
from capbench.protocols import JudgePrompt, Likely
from capbench.rubrics import answers, likelihoods
from capbench.testing import check_backend
from capbench.types import Failure

pytestmark = pytest.mark.torch
TEMPLATE = "{% for turn in messages %}{{ turn['role'] }} : {{ turn['content'] }} {% endfor %}ask "
PIECES = [
    "<pad>",
    "<s>",
    "</s>",
    "<unk>",
    "ask",
    "0",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "8",
    "9",
    ".",
    "yes",
    "no",
    "user",
    ":",
]


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """chain(NAME, logits) -> a LLaMA without layers: the logits of the next token depend on the last one as stated."""
    import torch
    import transformers as t
    from tokenizers import Tokenizer, models, pre_tokenizers

    def make(name, logits):
        numbers = {piece: i for i, piece in enumerate(PIECES)}
        made = Tokenizer(models.WordLevel(numbers, unk_token="<unk>"))
        made.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)]
        )
        words = t.PreTrainedTokenizerFast(
            tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
        )
        words.chat_template = TEMPLATE
        n = len(PIECES)
        config = t.LlamaConfig(
            hidden_size=n, intermediate_size=4, num_hidden_layers=0, num_attention_heads=2, num_key_value_heads=2, vocab_size=n,
            head_dim=2, pad_token_id=0, bos_token_id=1, eos_token_id=2, max_position_embeddings=4096, rms_norm_eps=0.0,
            tie_word_embeddings=False,
        )  # fmt: skip
        model = t.LlamaForCausalLM(config)
        table = torch.full((n, n), -20.0)  # [last, next]
        for last, nexts in logits.items():
            for token, logit in nexts.items():
                table[numbers[last], numbers[token]] = logit
        with torch.no_grad():
            model.model.embed_tokens.weight.copy_(torch.eye(n))
            model.model.norm.weight.fill_(1 / math.sqrt(n))  # the norm makes a unit vector sqrt(n) long
            model.lm_head.weight.copy_(table.T)
        folder = tmp_path_factory.mktemp("judges") / name
        model.save_pretrained(folder)
        words.save_pretrained(folder)
        return folder

    return make


def shares(nexts):
    """The likelihoods of the next tokens by hand: the softmax over the whole vocabulary."""
    total = sum(math.exp(x) for x in nexts.values()) + (len(PIECES) - len(nexts)) * math.exp(-20)
    return {token: math.exp(x) / total for token, x in nexts.items()}


WHOLE = {"0": 4.0, "1": 2.0}
TENTHS = {"8": 3.0, "7": 2.5, "9": 1.0}
EIGHT = {"5": 2.0, "</s>": 1.0}
FLEUR = {"ask": WHOLE, "0": {".": 9.0}, ".": TENTHS, "8": EIGHT, "5": {"</s>": 9.0}}


def asked(folder, rubric, image=None, more=()):
    (step,) = rubrics.load(rubric).steps
    prompt = JudgePrompt("ask", images=more, tokens=step.tokens, likely=step.places)
    with JudgeHf(str(folder)).open("cpu") as session:
        ((_, reply),) = session.ask([prompt])
    return step, reply


def test_a_score_is_smoothed_over_the_likelihoods_of_its_digits(chain):
    step, reply = asked(chain("fleur", FLEUR), "fleur")
    assert (reply.text.replace(" ", ""), reply.finish, reply.model) == ("0.85", "stop", "fleur")
    reply = answers.JudgeReply("0.85", "stop", likely=reply.likely)  # its tokenizer writes blanks between words
    found = answers.read(step, reply)
    tenths, hundredths = shares(TENTHS), shares(EIGHT)
    by_hand = 0.8 * tenths["8"] + 0.7 * tenths["7"] + 0.9 * tenths["9"] + 0.05 * hundredths["5"]
    rest = math.exp(-20) * 10  # of digits that are as good as impossible
    assert found["value"] == pytest.approx(by_hand, abs=10 * rest)
    assert found["printed"] == 0.85
    assert found["smoothed"] == 1
    assert abs(found["value"] - 0.85) > 0.02


def test_a_score_of_one_is_smoothed_at_its_first_digit(chain):
    step, reply = asked(chain("one", {**FLEUR, "ask": {"0": 1.0, "1": 2.0}, "1": {"</s>": 9.0}}), "fleur")
    whole = shares({"0": 1.0, "1": 2.0})
    assert answers.read(step, reply)["value"] == pytest.approx(0.9 * whole["0"] + whole["1"], abs=1e-6)


def test_the_likelihood_of_yes_is_that_of_the_whole_vocabulary(chain):
    nexts = {"yes": 1.0, "no": 1.5, "5": 0.5}
    step, reply = asked(chain("yes", {"ask": nexts}), "vqascore")
    found = answers.read(step, reply)
    share = shares(nexts)
    assert found["p.yes"] == pytest.approx(share["yes"], abs=1e-6)
    assert found["p.no"] == pytest.approx(share["no"], abs=1e-6)
    assert found["share.yes"] == pytest.approx(share["yes"] / (share["yes"] + share["no"]), abs=1e-6)
    assert reply.finish == "length"  # one token is asked for


def test_a_judge_that_sees_pictures_gives_the_likelihoods_of_its_own_logits(tiny_captioner, tmp_path):
    import torch

    folder = tiny_captioner("llava")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = reference(tmp_path / "a.png")
    judge = JudgeHf(str(folder), batch=3)
    prompts = [
        JudgePrompt(f"is this {word} ?", images=(image,), tokens=4, likely=20)
        for word in ("a cat", "the red car", "one")
    ]
    with judge.open("cpu") as session:
        together = dict(session.ask(prompts))
        inputs = session.talker.tensors([("", prompts[0].text)], [[Image.open(tmp_path / "a.png")]])
        with torch.inference_mode():
            logits = session.talker.model(**inputs).logits[0, -1].float()
        alone = dict(session.ask(prompts[:1]))
        (gone,) = session.ask([JudgePrompt("is this ?", images=(reference(tmp_path / "none.png"),), tokens=4)])
    own = torch.log_softmax(logits, -1)
    words = session.talker.tokenizer
    best = {words.decode([i]): float(own[i]) for i in torch.topk(own, 20).indices.tolist()}
    first = together[0].likely[0]
    assert first.token == max(best, key=best.get)
    for token, likelihood in first.among[:20]:
        assert likelihood == pytest.approx(best[token], abs=1e-4)
    assert alone[0].text == together[0].text
    assert len({together[i].text for i in range(3)}) > 1
    assert isinstance(gone[1], Failure)


def test_the_promises_of_a_backend_are_kept(tiny_captioner, chain):
    assert "ask does not depend on the batch" in check_backend(JudgeHf(str(tiny_captioner("qwen2_vl"))))
    one, other = JudgeHf(str(chain("a", FLEUR))), JudgeHf(str(chain("b", {**FLEUR, "ask": {"1": 1.0}})))
    assert one.fingerprint() != other.fingerprint()
    assert one.fingerprint().startswith("judge_hf/a@")


def test_what_cannot_be_a_judge_says_so(tiny_captioner, chain, tmp_path):
    with (
        pytest.raises(CapbenchError, match="cannot be asked in words"),
        JudgeHf(str(tiny_captioner("blip"))).open("cpu"),
    ):
        pass
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with (
        JudgeHf(str(chain("text", FLEUR))).open("cpu") as session,
        pytest.raises(CapbenchError, match="is a model of text"),
    ):
        list(session.ask([JudgePrompt("x", images=(reference(tmp_path / "a.png"),))]))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    assert "no weights" in JudgeHf(str(tmp_path)).check().what


def test_likelihoods_of_tokens_that_are_no_digits_smooth_nothing():
    places = [Likely("0.8", (("0.8", -0.1), ("0.7", -2.0)))]
    assert likelihoods.smoothed(places, "0.8") is None
