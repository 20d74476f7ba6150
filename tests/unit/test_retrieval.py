"""Retrieval against sums by hand, a loop, and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import top_k_accuracy_score

from capbench.bags import galleries, make_bags
from capbench.errors import UsageError
from capbench.metrics.retrieval import SelfRetrieval, count_rivals
from capbench.types import Bag, BagSet


def gallery(*members, n):
    ids = [str(i) for i in range(n)]
    return galleries(BagSet("g", "", "", tuple(Bag(str(k), tuple(map(str, m))) for k, m in enumerate(members))), ids)


def rows(image, text, where=None, ties="expected"):
    image, text = np.asarray(image, np.float32), np.asarray(text, np.float32)
    where = gallery(range(len(image)), n=len(image)) if where is None else where
    return SelfRetrieval(ties=ties).rows(image, text, where)


def unit(shape, seed=0):
    matrix = np.random.default_rng(seed).normal(size=shape)
    return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)


def test_three_pictures_by_hand():
    text = [[0.8, 0.6, 0.0], [0.8, 0.6, 0.0], [0.8, 0.5, 0.3]]  # own picture: first, second, third
    found = rows(np.eye(3), text)
    assert found.columns["r1"].tolist() == [1, 0, 0]
    assert found.columns["rank"].tolist() == [1, 2, 3]
    assert found.columns["tied"].tolist() == [0, 0, 0]
    assert found.columns["chance"].tolist() == [1 / 3] * 3
    assert set(found.columns) == {"r1", "rank", "tied", "twins", "short", "chance"}  # 5 and 10 of 3 pictures say nothing
    assert (found.items.tolist(), found.bags) == ([0, 1, 2], None)  # one gallery: its targets are resampled


@pytest.mark.parametrize(
    ("ties", "r1", "r5", "rank"),
    [
        ("expected", [1 / 6, 1 / 3, 1.0], [5 / 6, 1, 1], [3.5, 2, 1]),
        ("pessimistic", [0, 0, 1], [0, 1, 1], [6, 3, 1]),
        ("optimistic", [1, 1, 1], [1, 1, 1], [1, 1, 1]),
    ],
)
def test_ties_by_hand(ties, r1, r5, rank):
    text = np.zeros((6, 6))
    text[0] = 1  # tied with all five others
    text[1, [0, 1, 2]] = 1  # tied with two others
    text[2:] = np.eye(6)[2:]
    found = rows(np.eye(6), text, ties=ties).columns
    assert found["r1"][:3] == pytest.approx(r1)
    assert found["r5"][:3] == pytest.approx(r5)
    assert found["rank"][:3].tolist() == rank
    assert found["tied"][:3].tolist() == [1, 1, 0]
    assert "r10" not in found


def test_ties_below_the_best_by_hand():
    # one picture above, then the target tied with two: places 2, 3 and 4 alike
    text = np.zeros((6, 6))
    text[0] = [0.5, 0.5, 0.5, 0.9, 0, 0]
    found = rows(np.eye(6), text).columns
    assert (found["r1"][0], found["r5"][0], found["rank"][0]) == (0, 1, 3)


def test_equal_captions_score_exactly_chance():
    image = unit((40, 16))
    for size, r1, r5 in ((10, 0.1, 0.5), (20, 0.05, 0.25)):
        where = gallery(*(range(s, s + size) for s in range(0, 40, size)), n=40)
        found = rows(image, np.tile(unit((1, 16), 5), (40, 1)), where).columns
        assert found["r1"].mean() == pytest.approx(r1, abs=1e-15)
        assert found["r5"].mean() == pytest.approx(r5, abs=1e-15)
        assert found["rank"].mean() == (size + 1) / 2
        assert found["chance"].tolist() == [r1] * 40


def test_captions_that_point_nowhere_score_exactly_chance():
    found = rows(unit((20, 8)), np.zeros((20, 8))).columns
    assert found["r1"] == pytest.approx(np.full(20, 1 / 20), abs=1e-16)
    assert found["r10"].tolist() == [0.5] * 20
    assert found["rank"].tolist() == [10.5] * 20


def test_a_picture_without_a_vector_is_no_distractor():
    image, text = np.eye(6), np.tile([0.1, 0.2, 0.3, 0.4, 0.5, 0.9], (6, 1))
    whole = rows(image, text).columns
    image = image.copy()
    image[5] = np.nan  # was above all the others
    found = rows(image, text).columns
    assert found["rank"][:5].tolist() == (whole["rank"][:5] - 1).tolist() == [5, 4, 3, 2, 1]
    assert np.isnan([found[name][5] for name in found]).all()
    assert found["short"][:5].tolist() == [1] * 5
    assert found["chance"][:5].tolist() == [0.2] * 5


def test_a_caption_without_a_vector_is_unscored_and_moves_nothing():
    image, text = unit((12, 4)), unit((12, 4), 1)
    whole = rows(image, text).columns
    text[3, 2] = np.nan
    found = rows(image, text).columns
    others = np.arange(12) != 3
    for name, column in found.items():
        assert np.isnan(column[3])
        assert column[others].tolist() == whole[name][others].tolist()
    assert found["short"][others].tolist() == [0] * 11


def test_identical_pictures_tie_whatever_the_caption():
    image = unit((30, 7))
    image[[4, 17, 29]] = image[4]
    image[8] = -0.0 * image[8]
    image[9] = 0.0 * image[9]  # zeros of either sign are one picture
    found = rows(image, image).columns
    assert found["tied"][[4, 17, 29]].tolist() == [1, 1, 1]
    assert found["r1"][[4, 17, 29]] == pytest.approx([1 / 3] * 3)
    assert found["tied"][[8, 9]].tolist() == [1, 1]
    assert found["rank"][[4, 17, 29]].tolist() == [2, 2, 2]


def loop(image, text, where, depth):
    """Each tied order is as likely: the share of places 0..ties in which the target is in the top."""
    hits, ranks = [], []
    for target, bag in zip(where.targets, where.bags, strict=True):
        members = where.members[where.offsets[bag] : where.offsets[bag + 1]]
        mine = int(text[target] @ image[target])
        theirs = [int(text[target] @ image[m]) for m in members if m != target]
        above, equal = sum(s > mine for s in theirs), sum(s == mine for s in theirs)
        hits.append(np.mean([above + place < depth for place in range(equal + 1)]))
        ranks.append(np.mean([1 + above + place for place in range(equal + 1)]))
    return hits, ranks


@pytest.mark.parametrize("seed", range(5))
def test_whole_numbers_with_many_ties_against_a_loop(seed):
    random = np.random.default_rng(seed)
    image, text = random.integers(-2, 3, (2, 36, 3))
    where = gallery(range(12), range(12, 24), range(24, 36), range(6, 19), n=36)
    found = rows(image, text, where).columns
    for depth in (1, 5, 10):
        hits, ranks = loop(image, text, where, depth)
        assert found[f"r{depth}"] == pytest.approx(hits, abs=1e-15)
        assert found["rank"].tolist() == ranks
    assert 0.2 < found["tied"].mean() < 1


@pytest.mark.parametrize("seed", range(3))
def test_without_ties_it_is_top_k_accuracy(seed):
    image, text = unit((150, 24), seed), unit((150, 24), seed + 100)
    text = image + 2.5 * text
    found = rows(image, text).columns
    assert found["tied"].sum() == 0
    for depth in (1, 5, 10):
        theirs = top_k_accuracy_score(np.arange(150), text.astype(float) @ image.T.astype(float), k=depth)
        assert found[f"r{depth}"].mean() == pytest.approx(theirs, abs=1e-12)
        assert 0.1 < theirs < 0.999


def test_overlapping_bags_judge_a_picture_in_each():
    # picture 1 is beaten by 0 in the first gallery and by nobody in the second
    text = np.array([[1.0, 0, 0, 0], [0.9, 0.5, 0.1, 0.2], [0, 0, 1, 0], [0, 0, 0, 1]])
    found = rows(np.eye(4), text, gallery([0, 1, 2], [1, 2, 3], n=4))
    assert found.items.tolist() == [0, 1, 2, 1, 2, 3]
    assert found.bags.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.columns["r1"].tolist() == [1, 0, 1, 1, 1, 1]
    assert found.columns["rank"].tolist() == [1, 2, 1, 1, 1, 1]


def test_only_targets_are_judged():
    ids = [str(i) for i in range(20)]
    found = rows(unit((20, 4)), unit((20, 4), 1), galleries(make_bags("x", "draws(size=7)", ids), ids))
    assert found.items.tolist() == list(range(20))
    assert found.columns["chance"].tolist() == [1 / 7] * 20
    assert "r5" in found.columns
    assert "r10" not in found.columns


@pytest.mark.parametrize(
    ("size", "names"), [(1, set()), (2, {"r1"}), (5, {"r1"}), (6, {"r1", "r5"}), (10, {"r1", "r5"})]
)
def test_a_depth_that_no_gallery_exceeds_is_left_out(size, names):
    found = rows(unit((20, 4)), unit((20, 4)), gallery(range(size), n=20)).columns
    assert {name for name in found if name[1:].isdigit()} == names


def test_a_large_gallery_does_not_depend_on_the_block():
    image, text = unit((2100, 3)), unit((2100, 3), 1)
    text[1024:] = text[:1076]  # equal captions on both sides of the block's edge
    (above, equal, _), size, _ = count_rivals(image, text, gallery(range(2100), n=2100))
    scores = text.astype(np.float64) @ image.T.astype(np.float64)
    exact = (scores > np.diag(scores)[:, None]).sum(axis=1)
    assert above.tolist() == exact.tolist()  # float64 decides between neighbours
    assert size.tolist() == [2100] * 2100
    assert equal.sum() == 0


def test_another_rule_for_ties_is_refused():
    with pytest.raises(UsageError, match="expected, pessimistic, optimistic, not 'lucky'"):
        _ = SelfRetrieval(ties="lucky").needs
