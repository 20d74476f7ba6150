import json

import pytest

from capbench import rubrics
from capbench.errors import BadData, UsageError
from capbench.protocols import JudgeReply, Likely
from capbench.rubrics import answers, folds, given, likelihoods, matching, templates
from capbench.rubrics.model import Read, Step


def number(text, **more):
    step = Step("s", "p", "number", **({"low": 0, "high": 100} | more))
    return answers.read(step, JudgeReply(text))["value"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"score": 85, "reason": "both are of a dog, 100% sure"}', 85),
        ('Sure!\n```json\n{"score": "85"}\n```', 85),
        ("{'score': 85, 'reason': 'Python\\'s way'}", 85),
        ("85", 85),
        ("Score: 85.", 85),
        ("I would say 85/100", 85),
        ("85 out of 100, so 85", 85),
        ('{"score": 0.5}', 0.5),  # no hidden change of scale: half a percent is half a percent
        ('{"score": 85} {"score": 85}', 85),
    ],
)
def test_a_number_is_read(text, value):
    assert number(text) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it holds no number"),
        ("between 80 and 90", "it holds several numbers"),
        ('{"score": 85} or rather {"score": 20}', "it gives two different answers"),
        ('{"points": 85}', "its object has no score"),
        ('{"score": null}', "score is None and no number"),
        ('{"score": true}', "score is True and no number"),
        ('{"score": NaN}', "score is nan and no number"),
        ('{"score": 1e999}', "score is inf and no number"),
        ('{"score": "high"}', "score is 'high' and no number"),
        ('{"score": 101}', "101 is not on the scale of 0 to 100"),
        ("-3", "-3 is not on the scale of 0 to 100"),
        ("[" * 5000, "it holds no number"),
    ],
)
def test_what_is_no_number_is_not_guessed(text, why):
    with pytest.raises(answers.Unreadable, match=why.replace("(", r"\(")):
        number(text)


def test_an_answer_that_is_cut_off_is_none():
    step = Step("s", "p", "number", high=100, tokens=5)
    with pytest.raises(answers.Unreadable, match="cut off at 5 tokens"):
        answers.read(step, JudgeReply("8", "length"))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("yes", "yes"), ("Yes.", "yes"), ("**No**, it is not", "no"), ("The answer is no", "no"),
        ('{"score": "yes"}', "yes"), ("YES", "yes"),
    ],
)  # fmt: skip
def test_a_choice_is_read(text, word):
    step = Step("s", "p", "choice", choices={"yes": 1, "no": 0})
    assert answers.read(step, JudgeReply(text))["word"] == word


@pytest.mark.parametrize("text", ["", "yes and no", "maybe", "it isn't", "none", "?!", '{"score": "perhaps"}'])
def test_what_is_no_choice_is_not_guessed(text):
    with pytest.raises(answers.Unreadable):
        answers.read(Step("s", "p", "choice", choices={"yes": 1, "no": 0}), JudgeReply(text))


def test_fields_lists_and_questions_are_read():
    fields = {"pred": Read(choices={"yes": 1, "no": 0}), "score": Read(0, 5)}
    step = Step("s", "p", "fields", fields=fields)
    read = answers.read(step, JudgeReply("{'pred': 'yes', 'score': 4.8}"))  # as the example of VDCscore's prompt has it
    assert read == {"pred": 1, "score": 4.8}
    assert answers.read(step, JudgeReply('{"pred": false, "score": 0}')) == {"pred": 0, "score": 0}
    for text in ('{"pred": "yes"}', '{"pred": "perhaps", "score": 1}', '{"pred": "yes", "score": 6}'):
        with pytest.raises(answers.Unreadable):
            answers.read(step, JudgeReply(text))
    listed = Step("s", "p", "list")
    for text in ('["a", "b "]', "- a\n- b", "1. a\n2) b", '{"facts": ["a", "b"]}'):
        assert answers.read(listed, JudgeReply(text)) == {"value": ["a", "b"]}
    for text in ("[]", "None."):
        assert answers.read(listed, JudgeReply(text)) == {"value": []}
    with pytest.raises(answers.Unreadable, match="no list of texts"):
        answers.read(listed, JudgeReply("a and b"))
    asked = Step("s", "p", "questions")
    text = json.dumps([{"question": "q", "answer": "a", "category": "c"}])
    assert answers.read(asked, JudgeReply(text)) == {"value": [{"question": "q", "answer": "a"}]}
    with pytest.raises(answers.Unreadable):
        answers.read(asked, JudgeReply('[{"question": "q"}]'))


def test_lists_with_an_entry_for_each_are_of_that_length():
    numbers = Step("s", "p", "numbers", aligned="said")
    assert answers.read(numbers, JudgeReply("[2, 0, 1]"), 3, 2) == {"value": [2, 0, 1]}
    for text, why in (
        ("[1, 2]", "2 entries, and 3"),
        ("[3, 0, 1]", "not on the scale"),
        ("[1.5, 0, 1]", "not whole"),
        ("x", "no list"),
    ):
        with pytest.raises(answers.Unreadable, match=why):
            answers.read(numbers, JudgeReply(text), 3, 2)
    choices = Step("s", "p", "choices", aligned="said", choices={"yes": 1, "no": 0})
    assert answers.read(choices, JudgeReply('["yes", "No"]'), 2) == {"value": [1, 0]}


def test_refusals_are_told_from_other_words():
    assert answers.refusal(JudgeReply("", refusal="no")) == "no"
    assert answers.refusal(JudgeReply("x", "content_filter")) == "filtered: x"
    assert answers.declines("I'm sorry, but I can\u2019t rate people.")
    assert not answers.declines("The man is sorry that he cannot come: 80")


TENTHS = (("8", -0.5), (" 7", -1.5), ("9", -2.0), ("x", -3.0))


@pytest.mark.parametrize(
    ("tokens", "printed", "value"),
    [
        # by hand: sums of p(d) d / 10 over the spellings of digits alone
        (["0", ".", "8"], "0.8", None),
        ([" 0", ".", "8", "</s>"], "0.8", None),
    ],
)
def test_smoothing_by_hand(tokens, printed, value):
    import math

    among = {"8": TENTHS}
    places = [Likely(token, among.get(token, ((token, -0.1),))) for token in tokens]
    by_hand = 0.8 * math.exp(-0.5) + 0.7 * math.exp(-1.5) + 0.9 * math.exp(-2.0)
    assert likelihoods.smoothed(places, printed) == pytest.approx(by_hand, abs=1e-12)


def test_two_decimals_and_one_by_hand():
    import math

    places = [
        Likely("0", (("0", -0.2),)),
        Likely(".", ()),
        Likely("8", TENTHS),
        Likely("5", (("5", -0.7), ("0", -0.9))),
    ]
    tenths = 0.8 * math.exp(-0.5) + 0.7 * math.exp(-1.5) + 0.9 * math.exp(-2.0)
    assert likelihoods.smoothed(places, "0.85") == pytest.approx(tenths + 0.05 * math.exp(-0.7), abs=1e-12)
    one = [Likely("1", (("1", -0.3), ("0", -1.4))), Likely(".", ()), Likely("0", (("0", 0.0),))]
    assert likelihoods.smoothed(one, "1.0") == pytest.approx(math.exp(-0.3) + 0.9 * math.exp(-1.4), abs=1e-12)
    assert likelihoods.smoothed([], "0.8") is None
    assert likelihoods.smoothed(places, "0.7") is None  # it is not what the tokens say


def test_the_likelihood_of_a_word_is_of_all_its_spellings():
    import math

    place = Likely(" Yes", ((" Yes", -0.4), ("yes", -2.0), ("\u2581No", -3.0), ("Maybe", -2.5)))
    found = likelihoods.of_words([Likely("\n"), place], ["yes", "no"])
    assert found["yes"] == pytest.approx(math.exp(-0.4) + math.exp(-2.0))
    assert found["no"] == pytest.approx(math.exp(-3.0))
    assert likelihoods.of_words([], ["yes"]) is None


def test_accuracy_is_that_of_vqa():
    ten = ["red"] * 2 + ["blue"] * 5 + ["green"] * 3
    assert matching.accuracy("Blue.", ten) == 1
    # two of ten: left out once each, 2 x min(1/3, 1) + 8 x min(2/3, 1), over 10
    assert matching.accuracy("red", ten) == pytest.approx((2 * 1 / 3 + 8 * 2 / 3) / 10)
    assert matching.accuracy("the two dogs", ["2 dogs"]) == 1
    assert matching.accuracy("pink", ten) == 0
    choices = ["a dog", "a cat"]
    assert [matching.accuracy(text, ["a cat"], choices) for text in ("B", "(b) a cat", "a cat", "A", "cat")] == [
        1,
        1,
        1,
        0,
        1,
    ]


def test_the_recall_of_facts_by_hand():
    # facts 1..4; statements: two true ones of fact 1, a false one of fact 2, a true one of none
    assert folds.fact_recall([1, 1, 2, 0], [1, 1, 0, 1], 4) == (1 / 2 + 1 / 2 + 0 + 1) / (4 + 1)
    assert folds.fact_recall([], [], 4) == 0
    with pytest.raises(folds.Nothing):
        folds.fact_recall([], [], 0)


def test_templates_are_filled_once():
    values = {"caption": "{references} {{x}}", "references": ["a\nb", "c"]}
    assert (
        templates.filled('{caption}|{references}|{{"score": 1}}', values)
        == '{references} {{x}}|1. a b\n2. c|{"score": 1}'
    )


def test_shipped_rubrics_are_whole_and_their_prompts_have_no_open_field():
    names = rubrics.shipped()
    assert names == ["capqa", "clair", "dcscore", "figure", "fleur", "pairwise", "vdcscore", "vqascore"]
    for name in names:
        rubric = rubrics.load(name)
        assert rubric.name == name
        assert rubric.source
        assert len({rubric.digest, *(rubrics.load(other).digest for other in names if other != name)}) == len(names)


GOOD = """
name = "mine"
version = 1
about = "x"
sees = ["caption"]
[[steps]]
name = "score"
answer = "number"
prompt = "Rate {caption}"
[columns.mine]
label = "Mine"
of = ["score"]
"""


def test_a_rubric_of_ones_own_and_what_can_be_wrong_with_it(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    first = rubrics.load(str(path))
    assert list(first.columns) == ["mine"]
    for old, new, why in (
        ("{caption}", "{image}", r"nothing fills in \{image\}"),
        ('sees = ["caption"]', 'sees = ["references"]', "does not see the caption"),
        ('of = ["score"]', 'of = ["points"]', "nothing before it is called 'points'"),
        ('answer = "number"', 'answer = "choice"', "a choice is among two words or more"),
        ('answer = "number"', 'answer = "essay"', "steps"),
        ('label = "Mine"', 'lable = "Mine"', "lable"),
        ("columns.mine", "columns.cost", "column 'cost'"),
        ('name = "score"', 'name = "score"\neach = "parts"', "each = 'parts' is no list"),
        ('name = "score"', 'name = "score"\nshows = ["image"]', "does not see it"),
        ("[[steps]]", "[[steps", "is not TOML"),
    ):
        path.write_text(GOOD.replace(old, new))
        with pytest.raises(BadData, match=why):
            rubrics.load(str(path))
    path.write_text(GOOD.replace("Rate", "Judge"))
    changed = rubrics.load(str(path))
    assert changed.digest != first.digest
    assert changed.prompts != first.prompts
    with pytest.raises(UsageError, match="did you mean clair"):
        rubrics.load("claire")
    with pytest.raises(UsageError, match="there is no rubric"):
        rubrics.load("./none.toml")


def test_facts_and_questions_are_read_with_their_faults(tmp_path):
    path = tmp_path / "given.jsonl"
    path.write_text(
        '{"id": 1, "facts": ["There is a dog. "]}\n'
        '{"image_name": "x.jpg", "oracle_caption": "c", "oracle_facts": ["f", "g"]}\n'
        '{"id": 1, "questions": [{"question": "Who?", "answers": ["dog", "puppy"]}]}\n'
        '{"v_7": [{"question": "What?", "answer": "a bus", "category": "short"}]}\n'
    )
    found = given.read_given(str(path))
    assert found["1"] == (("There is a dog.",), ({"question": "Who?", "answer": "dog", "answers": ("dog", "puppy")},))
    assert found["x.jpg"][0] == ("f", "g")
    assert found["v_7"][1][0]["answer"] == "a bus"
    path.write_text(
        '{"id": 1}\n{"facts": []}\n[1]\n{"id": 2, "facts": [3]}\n{"id": 3, "questions": [{"question": "x"}]}\nno\n'
    )
    with pytest.raises(BadData) as caught:
        given.read_given(str(path))
    said = {int(fault.where.rpartition(" ")[2]): fault.what for fault in caught.value.faults}
    assert {line: said[line] for line in (1, 2, 4, 5)} == {
        1: "it has neither facts nor questions", 2: "it has no id", 4: "facts is no list of texts",
        5: "the answer of 'x' is no text",
    }  # fmt: skip
    assert sorted(said) == [1, 2, 3, 4, 5, 6]


def test_the_facts_of_decapbench_are_read(shared):
    found = given.read_given(str(shared / "detailed" / "decapbench_facts.jsonl.gz"))
    assert len(found) == 400
    assert round(sum(len(facts) for facts, _ in found.values()) / 400, 1) == 53.0  # as the paper's repository has it
