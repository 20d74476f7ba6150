"""How the values of a sweep are written, what grid they make, and what is refused."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from capbench.captioners.baselines import Nearest
from capbench.captioners.rerank import Rerank
from capbench.captioners.scenes import Speaker
from capbench.errors import UsageError
from capbench.types import Generation
from capbench.varying import grid, named_values, refuse_unused, shown, used_by

PLAIN = Generation()


def points(captioner, *words, generation=PLAIN):
    return grid(captioner, words, generation)


def test_the_first_parameter_varies_slowest_and_values_keep_their_order():
    made = points("speaker", "temperature=0.7,0", "beams=5,1", generation=Generation(max_tokens=9))
    assert [(p.generation.temperature, p.generation.beams) for p in made] == [(0.7, 5), (0.7, 1), (0.0, 5), (0.0, 1)]
    assert {p.generation.max_tokens for p in made} == {9}
    assert [p.label for p in made][:2] == ["temperature=0.7, beams=5", "temperature=0.7, beams=1"]
    assert {p.spec for p in made} == {"speaker"}
    assert {p.decoding for p in made} == {("temperature", "beams")}
    assert isinstance(made[2].generation.temperature, float)  # 0 and 0.0 are one run


def test_fields_of_the_captioner_go_into_its_spec_beside_those_that_are_there():
    made = points("speaker(seed=3)", "flaw=short,'none'", "generation.seed=1,2")
    assert [p.spec for p in made] == ["speaker(seed=3, flaw='short')"] * 2 + ["speaker(seed=3, flaw='none')"] * 2
    assert [p.generation.seed for p in made] == [1, 2, 1, 2]
    assert [p.spec for p in points("speaker(flaw='short', seed=0)", "captioner.seed=4,5")] == [
        "speaker(flaw='short', seed=4)",
        "speaker(flaw='short', seed=5)",
    ]


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("prompt='a, b',c", ["a, b", "c"]),
        ("prompt=\"it's, so\",it's", ["it's, so", "it's"]),
        (r"prompt='a \' , b', Describe it. ", ["a ' , b", "Describe it."]),
        (r"prompt='two\nlines',''", ["two\nlines", ""]),
        ("prompt=1,2.50,None,True", ["1", "2.50", "None", "True"]),
        ("prompt=a=b,{x: y, z}", ["a=b", "{x: y, z}"]),
        ("prompt=name(x='a, b', y=1),as (or not), b :(", ["name(x='a, b', y=1)", "as (or not)", "b :("]),
        ("prompt=日本, naïve ", ["日本", "naïve"]),
    ],
)
def test_text_is_written_bare_or_in_quotes(word, values):
    assert [p.generation.prompt for p in points("speaker", word)] == values


def test_lists_hold_together():
    made = points("rerank(captioners=['human'])", "captioners=['human', 'nearest'],['shuffled']", "n=1,2")
    assert [p.spec for p in made][::2] == [
        "rerank(captioners=['human', 'nearest'], n=1)",
        "rerank(captioners=['shuffled'], n=1)",
    ]


@settings(deadline=None)
@example(["''", "'5'", "5", "[1]"])
@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1, unique=True, max_size=4))
def test_every_text_can_be_given_as_python_writes_it(texts):
    made = grid("speaker", ["prompt=" + ",".join(map(repr, texts))], Generation())
    assert [p.generation.prompt for p in made] == texts
    assert grid("speaker", {"prompt": texts}, Generation()) == made


@given(st.text())
def test_any_word_is_read_or_refused(word):
    try:
        name, values = named_values(word)
    except UsageError:
        return
    assert name
    assert all(values)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing varies"),
        (["temperature"], "cannot read"),
        (["=1,2"], "cannot read"),
        (["temperature="], "cannot read"),
        (["temperature=0,,1"], "empty value"),
        (["temperature=0,1,"], "empty value"),
        (["prompt='a"], "not closed"),
        (["flaw=[1"], "not closed"),
        (["tempreture=1"], "no parameter is called 'tempreture'"),
        (["speaker.flaw=none"], "no parameter is called"),
        (["seed=1,2"], "parameter of decoding and one of the captioner"),
        (["beams=1,1"], "twice"),
        (["temperature=0.5,0.50"], "twice"),
        (["beams=1", "beams=2"], "varies twice"),
        (["seed.x=1"], "no parameter"),
        (["beams=0,1"], "beams is 1 or more|beams=0"),
        (["temperature=-0.1"], "temperature=-0.1"),
        (["max_tokens=-1"], "max_tokens=-1"),
        (["beams=1.5"], "beams takes a int"),
        (["temperature=hot"], "temperature takes a float"),
        (["temperature=True"], "temperature takes a float"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_cure(words, message):
    with pytest.raises(UsageError, match=message):
        points("speaker", *words)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(UsageError) as caught:
        points("speaker", "flow=none")
    assert caught.value.cure.startswith("did you mean flaw? decoding has prompt, max_tokens, temperature, beams, seed")
    assert caught.value.cure.endswith("speaker has flaw, seed")


class Knows:
    uses = frozenset({"prompt", "max_tokens", "context"})


def test_what_a_captioner_makes_no_use_of_is_not_varied():
    refuse_unused("knows", Knows(), ["prompt", "max_tokens"])
    refuse_unused("unknown", object(), ["temperature"])
    with pytest.raises(UsageError, match="knows makes no use of temperature, beams") as caught:
        refuse_unused("knows", Knows(), ["prompt", "temperature", "beams"])
    assert caught.value.cure == "it uses max_tokens, prompt"
    with pytest.raises(UsageError, match="nearest makes no use of temperature"):
        refuse_unused("nearest", Nearest(), ["temperature"])


def test_one_made_of_others_uses_what_they_use():
    assert used_by(Rerank(["nearest", "human"])) == frozenset()
    assert used_by(Rerank(["nearest", "speaker"])) == used_by(Speaker())


def test_values_are_shown_so_that_they_can_be_told_apart():
    assert [shown(v) for v in ("none", "", "a b", "1", 1, 0.5, None)] == [
        "none",
        "''",
        "'a b'",
        "'1'",
        "1",
        "0.5",
        "None",
    ]
    assert len(shown("x" * 100)) == 40
