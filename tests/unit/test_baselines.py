"""Baselines take what they say they take, and never their own picture's."""

import numpy as np
import pytest

from capbench.bags import shuffled
from capbench.captioners.baselines import Constant, Human, Nearest, Shuffled
from capbench.ragged import ragged
from capbench.types import Failure


def own_references(n, each=2):
    return ragged([[f"{i} of {k}" for k in range(each)] for i in range(n)])


def owners(answers):
    return [int(text.split(" of ")[0]) for text in answers]


def test_constant_says_the_same_of_all():
    assert Constant("x").captions(ids=["a", "b", "c"]) == ["x", "x", "x"]
    assert Constant("x").fingerprint() != Constant("y").fingerprint()


@pytest.mark.parametrize("n", [2, 3, 10, 101])
@pytest.mark.parametrize("seed", [0, 1])
def test_shuffled_gives_nobody_his_own_and_everything_once(n, seed):
    ids = [f"i{k}" for k in range(n)]
    answers = Shuffled(seed).captions(ids, own_references(n))
    assert sorted(owners(answers)) == list(range(n))
    assert all(owner != i for i, owner in enumerate(owners(answers)))
    assert all(text.endswith(" of 0") for text in answers)


def test_shuffled_is_a_seeded_cycle():
    ids = [f"i{k}" for k in range(10)]
    line = [ids.index(id_) for id_ in shuffled(ids, 3)]
    after = dict(zip(line, [*line[1:], line[0]], strict=True))
    assert owners(Shuffled(3).captions(ids, own_references(10))) == [after[i] for i in range(10)]
    assert Shuffled(4).captions(ids, own_references(10)) != Shuffled(3).captions(ids, own_references(10))


def test_shuffled_passes_over_pictures_without_references():
    answers = Shuffled().captions(["a", "b", "c"], ragged([["0 of 0"], [], ["2 of 0"]]))
    assert [answers[0], answers[2]] == ["2 of 0", "0 of 0"]
    assert isinstance(answers[1], Failure)


def test_human_is_the_first_reference():
    answers = Human().captions(ragged([["a", "b"], ["c"], []]))
    assert answers[:2] == ["a", "c"]
    assert isinstance(answers[2], Failure)
    assert Human.leaves_one_out


def nearest(image, references):
    return Nearest().captions(np.array(image, np.float32), references)


def test_nearest_takes_from_the_nearest_other():
    # 0 and 1 are close, 2 is closer to 1 than to 0
    image = [[1, 0], [0.8, 0.6], [0, 1]]
    assert owners(nearest(image, own_references(3))) == [1, 0, 1]
    assert nearest(image, own_references(3))[0] == "1 of 0"


def test_nearest_never_takes_its_own_and_ties_go_to_the_earlier():
    assert owners(nearest(np.ones((4, 2)), own_references(4))) == [1, 0, 0, 0]


def test_nearest_against_a_loop_across_blocks():
    random = np.random.default_rng(0)
    image = random.integers(-9, 10, (1100, 3)).astype(np.float32)
    scores = (image.astype(int) @ image.astype(int).T).astype(float)
    np.fill_diagonal(scores, -np.inf)
    assert owners(nearest(image, own_references(1100))) == scores.argmax(axis=1).tolist()


def test_nearest_skips_donors_without_references_or_vectors():
    image = [[1, 0], [1, 0.1], [np.nan, np.nan], [0, 1]]
    answers = nearest(image, ragged([["0 of 0"], [], ["2 of 0"], ["3 of 0"]]))
    assert [answers[0], answers[1], answers[3]] == ["3 of 0", "0 of 0", "0 of 0"]
    assert isinstance(answers[2], Failure)


def test_one_image_has_nothing_to_take_from():
    assert nearest([[1, 0]], own_references(1)) == [Failure("no other picture to take from")]
    assert all(isinstance(a, Failure) for a in Shuffled().captions(["a"], own_references(1)))
    assert Human().captions(own_references(1)) == ["0 of 0"]


def test_one_donor_serves_the_others_and_not_itself():
    answers = nearest([[1, 0], [0, 1]], ragged([["0 of 0"], []]))
    assert answers == [Failure("no other picture to take from"), "0 of 0"]
    none = nearest([[1, 0], [0, 1]], ragged([[], []]))
    assert none == [Failure("no other picture to take from")] * 2
