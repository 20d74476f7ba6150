"""Retrieval against sums by hand, a loop, and scikit-learn."""

import math

import numpy as np
import pytest
from sklearn.metrics import top_k_accuracy_score

from capbench import stats, trial
from capbench.bags import galleries, make_bags
from capbench.errors import UsageError
from capbench.metrics.retrieval import SelfRetrieval, count_rivals
from capbench.scoring import Part, signature_of
from capbench.similarity.lookalikes import Alike
from capbench.similarity.neighbours import nearest
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
    assert set(found.columns) == {
        "r1",
        "rank",
        "tied",
        "twins",
        "short",
        "chance",
    }  # 5 and 10 of 3 pictures say nothing
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


def one_caption(n, width=16):
    """The same text for everything, and pictures in general position."""
    return unit((n, width)), np.tile(unit((1, width), 5), (n, 1))


@pytest.mark.parametrize(
    ("recipe", "size", "judged"),
    [
        ("blocks(size=100)", 100, 900),
        ("blocks(size=100, order='random', seed=3)", 100, 900),
        ("blocks(size=7)", 7, 945),
        ("blocks(size=5)", 5, 950),
        ("blocks(size=3)", 3, 951),
        ("full", 951, 951),
    ],
)
@pytest.mark.parametrize("ties", ["expected", "pessimistic", "optimistic"])
def test_where_galleries_share_out_the_pictures_one_caption_for_all_scores_one_in_size(recipe, size, judged, ties):
    ids = [str(i) for i in range(951)]
    where = galleries(make_bags("x", recipe, ids), ids)
    found = rows(*one_caption(951), where, ties).columns
    assert len(found["r1"]) == judged
    assert found["r1"].sum() == judged // size  # one of each gallery, whatever the rule for ties
    assert found["rank"].mean() == (size + 1) / 2
    perfect = rows(unit((951, 16)), unit((951, 16)), where, ties).columns
    assert (perfect["r1"].mean(), perfect["rank"].mean(), perfect["tied"].sum()) == (1, 1, 0)


def test_tied_as_a_whole_one_caption_scores_one_in_size_too():
    ids = [str(i) for i in range(951)]
    for recipe, size in (("blocks(size=100)", 100), ("blocks(size=5)", 5), ("full", 951), ("draws(size=20)", 20)):
        found = rows(np.ones((951, 4)) / 2, np.ones((951, 4)) / 2, galleries(make_bags("x", recipe, ids), ids)).columns
        assert found["r1"] == pytest.approx(np.full(len(found["r1"]), 1 / size), abs=1e-18)
        assert found["tied"].mean() == 1
        assert found["twins"].mean() == 1


def test_draws_without_replacement_give_one_caption_one_in_size_on_average():
    # the picture at place r of n is first if all s - 1 others come from the n - r below it:
    # C(n-r, s-1) / C(n-1, s-1), and over all r this sums to C(n, s) / C(n-1, s-1) = n / s
    n, size, seeds = 120, 6, 60
    ids = [str(i) for i in range(n)]
    image, text = one_caption(n)
    shares = [
        rows(image, text, galleries(make_bags("x", f"draws(size={size}, seed={k})", ids), ids)).columns["r1"].mean()
        for k in range(seeds)
    ]
    place = np.arange(1, n + 1)
    chances = np.array([math.comb(n - r, size - 1) / math.comb(n - 1, size - 1) for r in place])
    assert chances.mean() == pytest.approx(1 / size)
    error = math.sqrt((chances * (1 - chances)).sum()) / n / math.sqrt(seeds)
    assert abs(np.mean(shares) - 1 / size) < 4 * error
    assert error < 0.005


def test_draws_with_replacement_give_it_a_little_more():
    # each of s - 1 draws among the n - 1 others must be below: ((n-r) / (n-1))^(s-1)
    n, size, seeds = 30, 8, 300
    ids = [str(i) for i in range(n)]
    image, text = one_caption(n)
    shares, members = [], 0
    for k in range(seeds):
        made = make_bags("x", f"draws(size={size}, seed={k}, replace=True)", ids)
        members += sum(len(set(bag.members)) < size for bag in made.bags)
        shares.append(rows(image, text, galleries(made, ids)).columns["r1"].mean())
    chances = ((n - np.arange(1, n + 1)) / (n - 1)) ** (size - 1)
    error = math.sqrt((chances * (1 - chances)).sum()) / n / math.sqrt(seeds)
    assert chances.mean() > 1 / size + 4 * error  # so that the test tells it from draws without replacement
    assert abs(np.mean(shares) - chances.mean()) < 4 * error
    assert members > 0.4 * n * seeds  # 1 - (28/29)(27/29)...(23/29) = 54% of the galleries hold one twice


def test_a_distractor_drawn_twice_counts_twice():
    made = make_bags("x", "draws(size=9, replace=True)", list("abc"))
    assert all(len(bag.members) == 9 and set(bag.members[1:]) <= set("abc") - {bag.members[0]} for bag in made.bags)
    found = rows(np.eye(3), [[0, 1, 0], [0, 1, 0], [0, 1, 0]], galleries(made, list("abc")), "optimistic").columns
    copies = [bag.members.count("b") for bag in made.bags]
    assert found["rank"].tolist() == [1 + copies[0], 1, 1 + copies[2]]  # a and c: every b is above
    assert found["chance"].tolist() == [1 / 9] * 3


def hard_galleries(vectors, size):
    found, scores = nearest(vectors, vectors, size - 1, same=True)
    bags = Alike(vectors, None, found, scores, 2.0).hard(size)
    ids = [str(i) for i in range(len(vectors))]
    named = tuple(Bag(str(k), tuple(map(str, bag)), (str(bag[0]),)) for k, bag in enumerate(bags))
    return galleries(BagSet("hard", "", "", named), ids)


def test_hard_negatives_give_one_caption_one_in_size_if_its_scores_do_not_follow_the_neighbours():
    # scores independent of who is whose neighbour: each of the s pictures of a gallery is as likely the first
    size, n, rounds = 5, 200, 40
    where = hard_galleries(unit((n, 8), 1), size)
    shares = []
    for k in range(rounds):
        image = unit((n, 16), 100 + k)
        shares.append(rows(image, np.tile(unit((1, 16), 5), (n, 1)), where).columns["r1"].mean())
    error = np.std(shares, ddof=1) / math.sqrt(rounds)
    assert abs(np.mean(shares) - 1 / size) < 4 * error
    assert error < 0.01


@pytest.mark.parametrize("n", [12, 100])
def test_hard_negatives_on_a_ring_leave_one_caption_a_single_find(n):
    # each picture against its two neighbours on a circle: only the one that is nearest to the caption is first
    angles = 2 * np.pi * np.arange(n) / n
    image = np.column_stack([np.cos(angles), np.sin(angles)])
    caption = [math.cos(0.3 / n), math.sin(0.3 / n)]
    where = hard_galleries(image.astype(np.float32), 3)
    neighbours = {tuple(sorted(row)) for row in where.members.reshape(n, 3).tolist()}
    assert neighbours == {tuple(sorted((i, (i + 1) % n, (i - 1) % n))) for i in range(n)}
    found = rows(image, np.tile(caption, (n, 1)), where).columns
    assert np.flatnonzero(found["r1"]).tolist() == [0]
    assert rows(image, image, where).columns["r1"].mean() == 1


def test_d3_pairs_count_only_when_both_are_right():
    # pair 0: both right; pair 1: one right; pair 2: the same caption; pair 3: both wrong
    image = np.eye(8)
    text = image.copy()
    text[2] = image[3]
    text[4:6] = [0, 0, 0, 0, 0.9, 0.1, 0, 0]
    text[[6, 7]] = image[[7, 6]]
    pairs = gallery([0, 1], [2, 3], [4, 5], [6, 7], n=8)
    metric = SelfRetrieval(whole=True)
    found = metric.rows(*(np.asarray(a, np.float32) for a in (image, text)), pairs)
    assert found.columns["whole"].tolist() == [0.5, 0.5, 0, 0, 0, 0, 0, 0]
    assert stats.intervals(found, metric.reduce)["whole"].value == 1 / 4
    assert found.columns["r1"].mean() == (2 + 1 + 1 + 0) / 8


@pytest.mark.parametrize(("ties", "whole"), [("expected", 0), ("pessimistic", 0), ("optimistic", 1)])
def test_d3_pairs_are_never_won_by_one_caption_unless_ties_are_given_away(ties, whole):
    pairs = gallery(*([k, k + 1] for k in range(0, 40, 2)), n=40)
    metric = SelfRetrieval(whole=True, ties=ties)
    image, text = one_caption(40)
    assert stats.intervals(metric.rows(image, text, pairs), metric.reduce)["whole"].value == 0
    tied = metric.rows(image, np.zeros((40, 16), np.float32), pairs)
    assert stats.intervals(tied, metric.reduce)["whole"].value == whole
    assert stats.intervals(metric.rows(image, image, pairs), metric.reduce)["whole"].value == 1


def test_galleries_of_unlike_size_count_alike_and_a_hole_leaves_the_whole_out():
    image = np.eye(9, dtype=np.float32)
    text = image.copy()
    text[1] = image[0]
    metric = SelfRetrieval(whole=True)
    where = gallery([0, 1], [2, 3, 4, 5, 6], [7, 8], n=9)
    assert stats.intervals(metric.rows(image, text, where), metric.reduce)["whole"].value == pytest.approx(2 / 3)
    text[8] = np.nan
    found = metric.rows(image, text, where)
    assert stats.intervals(found, metric.reduce)["whole"].value == pytest.approx(1 / 2)
    assert np.isnan(found.columns["whole"]).tolist() == [False] * 7 + [True] * 2
    assert np.isnan(found.columns["r1"]).tolist() == [False] * 8 + [True]
    assert set(SelfRetrieval().rows(image, text, where).columns).isdisjoint({"whole", "galleries"})


def test_members_in_another_order_change_nothing():
    image, text = unit((60, 8)), unit((60, 8), 1)
    image[7] = image[3]
    random = np.random.default_rng(2)
    bags = [list(range(k, k + 10)) for k in range(0, 60, 10)]
    plain = rows(image, image + 0.8 * text, gallery(*bags, n=60))
    ids = [str(i) for i in range(60)]
    named = []
    for k, bag in enumerate(bags):
        mixed = random.permutation(bag)
        named.append(Bag(str(k), tuple(map(str, mixed)), tuple(map(str, bag))))
    other = rows(image, image + 0.8 * text, galleries(BagSet("g", "", "", tuple(named)), ids))
    assert other.items.tolist() == plain.items.tolist()
    assert {n: c.tolist() for n, c in other.columns.items()} == {n: c.tolist() for n, c in plain.columns.items()}


@pytest.mark.parametrize("recipe", ["rd100", "blocks(size=7)", "draws(size=5)"])
def test_another_order_of_the_file_is_another_signature(recipe):
    facts = trial.world_facts()
    recipe = recipe if recipe != "rd100" else "blocks(size=10)"
    part = Part(SelfRetrieval(bags=recipe), "", "self_retrieval")
    texts = {signature_of(part, trial.subset(facts, order), {}).text for order in (range(28), range(27, -1, -1))}
    assert len(texts) == 2
    full = Part(SelfRetrieval(bags="blocks(size=4, order='random')"), "", "self_retrieval")
    same = {signature_of(full, trial.subset(facts, order), {}).text for order in (range(28), range(27, -1, -1))}
    assert len(same) == 1  # a seeded order does not depend on the file's


def test_the_same_picture_under_two_ids_is_a_twin():
    image, text = unit((6, 4)), unit((6, 4), 1)
    image[4] = image[1]
    found = rows(image, text, gallery(range(6), [0, 1, 2], n=6)).columns
    assert found["twins"].tolist() == [0, 1, 0, 0, 1, 0, 0, 0, 0]  # in the second gallery the other is not there


def test_the_median_is_of_all_ranks():
    metric = SelfRetrieval()
    assert metric.overall({"rank": np.array([1, 2.5, np.nan, 9, 4])}) == {"median": 3.25}
    assert np.isnan(metric.overall({"rank": np.array([np.nan])})["median"])


def test_near_ties_are_decided_by_float64_however_the_gallery_is_cut():
    random = np.random.default_rng(3)
    image = (unit((1, 64), 1) + 2e-8 * random.normal(size=(500, 64))).astype(np.float32)
    text = (image + 1e-3 * random.normal(size=(500, 64))).astype(np.float32)
    scores = text.astype(np.float64) @ image.T.astype(np.float64)
    found = rows(image, text).columns
    exact = 1 + (scores > np.diag(scores)[:, None] + 1e-15).sum(axis=1)
    assert abs(found["rank"] - exact).max() <= 0.5
    naive = 1 + ((text @ image.T) > np.diag(text @ image.T)[:, None]).sum(axis=1)
    assert (naive != exact).mean() > 0.2  # what a float32 product alone would say
