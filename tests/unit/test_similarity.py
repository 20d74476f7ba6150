"""Exact comparison of vectors: the same answer in any block, in float64's order, against plain loops."""

import math
from fractions import Fraction

import numpy as np
import pytest

from capbench.ragged import Ragged, one_each
from capbench.similarity import neighbours, products
from capbench.similarity.lookalikes import Alike
from capbench.similarity.neighbours import ABSENT, nearest
from capbench.similarity.products import distinct_rows, exact_dots, slack
from capbench.similarity.rivals import Gallery


def unit(shape, seed=0):
    matrix = np.random.default_rng(seed).normal(size=shape)
    return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)


def test_a_score_is_the_sum_of_products_by_halves():
    a, b = np.float32([[1, 2, 3, 4, 5]]), np.float32([[7, 11, 13, 17, 19]])
    # products 7 22 39 68 95; the upper half is added to the lower: 7+68, 22+95, 39; then 75+39, 117; then 231
    assert exact_dots(a, b).tolist() == [231.0]
    thirds = np.float32([[0.1, 0.2, 0.3]])
    p = [float(x) ** 2 for x in thirds[0]]
    assert exact_dots(thirds, thirds).tolist() == [(p[0] + p[2]) + p[1]]
    assert exact_dots(np.empty((2, 0), np.float32), np.empty((2, 0), np.float32)).tolist() == [0, 0]


@pytest.mark.parametrize("width", [1, 2, 7, 64, 513])
def test_a_score_is_that_of_rational_numbers_and_the_same_wherever_the_pair_stands(width):
    a, b = unit((700, width), 1), unit((700, width), 2)
    whole = exact_dots(a, b)
    assert [exact_dots(a[i : i + 1], b[i : i + 1])[0] for i in range(0, 700, 53)] == whole[::53].tolist()
    assert exact_dots(a[::-1], b[::-1])[::-1].tolist() == whole.tolist()
    for i in range(0, 700, 233):
        exact = sum(Fraction(float(x)) * Fraction(float(y)) for x, y in zip(a[i], b[i], strict=True))
        assert float(exact) == pytest.approx(whole[i], abs=1e-15)


@pytest.mark.parametrize("width", [2, 16, 100, 512, 1024])
def test_float32_products_err_by_less_than_the_slack(width):
    a, b = unit((300, width), 3), unit((400, width), 4)
    b[:300] = a + 0.05 * b[:300]
    errors = abs((a @ b.T).astype(np.float64) - a.astype(np.float64) @ b.T.astype(np.float64))
    bound = slack(a, products.longest_norm(b))
    assert (2 * errors.max(axis=1) < bound).all()
    assert bound.max() < 3e-5
    assert slack(np.zeros((1, width), np.float32), 1.0).tolist() == [0.0]


def test_distinct_rows_are_told_by_their_numbers():
    rows = np.float32([[0.0, 1], [2, 3], [-0.0, 1], [2, 3.0000002], [2, 3]])
    first, same = distinct_rows(rows)
    assert first.tolist() == [0, 1, 3]
    assert same.tolist() == [0, 1, 0, 2, 1]
    first, same = distinct_rows(np.asfortranarray(np.tile(rows, (900, 1))))
    assert (len(first), same[-5:].tolist()) == (3, [0, 1, 0, 2, 1])


def loop(queries, vectors, copies, own):
    """Above, equal and own of each query, by float64 scores in the one order, a pair at a time."""
    made = []
    for query, right in zip(queries, own, strict=True):
        scores = np.array([exact_dots(query[None], v[None])[0] for v in vectors])
        best = max(scores[right])
        wrong = np.array(copies, float)
        np.subtract.at(wrong, right, 1)
        made.append((wrong[scores > best].sum(), wrong[scores == best].sum(), sum(scores[r] == best for r in right)))
    return np.array(made, float).T.tolist()


@pytest.mark.parametrize("block", [(4096, 4096), (1, 1), (7, 5), (64, 3), (1000, 33)])
@pytest.mark.parametrize("kind", ["whole", "random", "close"])
def test_rivals_are_those_of_a_loop_in_any_block(kind, block):
    random = np.random.default_rng(5)
    if kind == "whole":
        queries, vectors = (random.integers(-2, 3, (n, 4)).astype(np.float32) for n in (40, 60))
        vectors = np.unique(vectors, axis=0)
    else:
        queries, vectors = unit((40, 32), 6), unit((60, 32), 7)
    if kind == "close":  # all vectors within a few roundings of one another
        vectors = (vectors[:1] + 1e-7 * vectors).astype(np.float32)
        vectors = np.unique(vectors, axis=0)
    copies = random.integers(1, 4, len(vectors))
    own = [random.choice(len(vectors), random.integers(1, 4), replace=False) for _ in queries]
    ends = np.append(0, np.cumsum([len(right) for right in own]))
    found = Gallery(vectors, copies).rivals(queries, np.arange(40), Ragged(np.concatenate(own), ends), block)
    assert [part.tolist() for part in found] == loop(queries, vectors, copies, own)
    if kind == "whole":
        assert found.equal.max() > 2


def test_identical_vectors_have_identical_scores_wherever_they_stand():
    # a matrix product alone gives other last bits at the edge of a block: the ties would come and go
    query, one = unit((1, 100), 8), unit((1, 100), 9)
    for n in (3, 17, 257):
        queries = np.repeat(query, n, axis=0)
        others = unit((n, 100), n)
        others[::2] = one
        _, same = distinct_rows(others)
        for block in ((4096, 4096), (37, 11)):
            found = Gallery(others, np.ones(n, np.int64)).rivals(queries, np.arange(n), one_each(np.arange(n)), block)
            for column in found[:2]:
                assert len(set(column[::2].tolist())) == 1
            assert found.equal[::2].tolist() == [(n + 1) // 2 - 1] * ((n + 1) // 2)
        assert len(set(same[::2].tolist())) == 1


def test_one_caption_for_all_gives_each_rank_once_in_any_block():
    for n, width in ((50, 5), (130, 64), (300, 512)):
        vectors = unit((n, width), n)
        vectors = (vectors[:1] + 3e-8 * vectors).astype(np.float32)  # a product cannot order these
        first, same = distinct_rows(vectors)
        query = np.repeat(unit((1, width), 1), n, axis=0)
        for block in ((4096, 4096), (16, 16), (3, 50)):
            found = Gallery(vectors[first], np.bincount(same)).rivals(query, np.arange(n), one_each(same), block)
            places = found.above + found.equal / 2
            assert places.sum() == n * (n - 1) / 2


def brute(queries, vectors, depth, same):
    scores = np.array([[exact_dots(q[None], v[None])[0] for v in vectors] for q in queries])
    if same:
        np.fill_diagonal(scores, -np.inf)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
    return order, np.take_along_axis(scores, order, 1)


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize("kind", ["whole", "random", "close"])
@pytest.mark.parametrize("block", [(4096, 4096), (13, 7)])
def test_nearest_are_those_of_a_stable_sort(kind, same, block, monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", block)
    vectors = unit((61, 16), 10)
    if kind == "whole":
        vectors = np.random.default_rng(1).integers(-1, 2, (61, 3)).astype(np.float32)
    elif kind == "close":
        vectors = (vectors[:1] + 1e-7 * vectors).astype(np.float32)
    queries = vectors if same else unit((20, vectors.shape[1]), 11)
    for depth in (1, 5, 40):
        found, scores = nearest(queries, vectors, depth, same=same)
        order, exact = brute(queries, vectors, depth, same)
        assert found.tolist() == order.tolist()
        assert scores.tolist() == exact.tolist()


def test_where_there_are_too_few_neighbours_there_are_none():
    found, scores = nearest(unit((3, 4)), unit((3, 4)), 5, same=True)
    assert (found[:, 2:] == ABSENT).all()
    assert (scores[:, 2:] == -np.inf).all()
    assert (np.sort(found[:, :2]) == [[1, 2], [0, 2], [0, 1]]).all()
    assert nearest(unit((2, 4)), np.empty((0, 4), np.float32), 1)[0].tolist() == [[ABSENT], [ABSENT]]


def test_faiss_changes_nothing(monkeypatch):
    pytest.importorskip("faiss", reason="pip install 'capbench[faiss]': this test compares with it")
    vectors = unit((500, 24), 12)
    vectors[100:140] = vectors[100]  # more equal ones than are asked for
    plain = nearest(vectors, vectors, 6, same=True)
    monkeypatch.setattr(neighbours, "LARGE", 100)
    by_faiss = nearest(vectors, vectors, 6, same=True)
    assert by_faiss[0].tolist() == plain[0].tolist()
    assert by_faiss[1].tolist() == plain[1].tolist()
    assert plain[0][100].tolist() == [101, 102, 103, 104, 105, 106]


def line(*places):
    """Unit vectors at these angles in degrees."""
    return np.float32([[math.cos(math.radians(p)), math.sin(math.radians(p))] for p in places])


def alike(vectors, near=2.0, images=None, pool=20):
    found, scores = nearest(vectors, vectors, min(pool, len(vectors) - 1), same=True)
    return Alike(vectors, images, found, scores, near)


def test_bags_by_hand():
    # means of the two nearest: 0: (1, 3) 1: (1, 2) 3: (2, 3) | 40: (5, 9) 45: (4, 5) 49: (4, 9) | 90: far
    vectors = line(0, 1, 3, 40, 45, 49, 90)
    made = alike(vectors)
    assert made.bags(3) == [[1, 0, 2], [4, 5, 3]]  # seeds are the middles; the nearest stands first
    assert made.bags(3, least=math.cos(math.radians(3.5))) == [[1, 0, 2]]
    assert made.bags(3, limit=1) == [[1, 0, 2]]
    assert made.bags(7) == [[3, 4, 5, 2, 1, 0, 6]]  # 40 is the middle of all
    assert made.bags(8) == []
    assert made.bags(2) == [[0, 1], [2, 3], [4, 5]]  # 2's nearest is used; without a threshold it takes the next
    assert made.bags(2, least=math.cos(math.radians(10))) == [[0, 1], [4, 5]]


def test_a_used_neighbour_is_passed_over():
    vectors = line(0, 1, 2.1, 3.8)
    assert alike(vectors).bags(2) == [[0, 1], [2, 3]]
    assert alike(vectors, pool=1).bags(2) == [[0, 1], [3, 2]]  # 2's only known neighbour is used, 3's is not


def test_near_duplicates_are_never_in_one_bag():
    vectors = line(0, 0.1, 5, 5.05, 9)
    near = math.cos(math.radians(1))
    assert alike(vectors, near, vectors).bags(3) == [[3, 4, 1]]  # 2 is 3 again
    assert alike(vectors, near, vectors).hard(3) == [[0, 2, 3], [1, 2, 3], [2, 4, 1], [3, 4, 1], [4, 3, 2]]
    assert alike(vectors, near).bags(3) == [[3, 2, 4]]  # without pictures nothing tells them


def test_the_least_similar_pair_decides():
    vectors = line(0, 10, -10)
    assert alike(vectors).bags(3, least=math.cos(math.radians(20.01))) == [[0, 1, 2]]
    assert alike(vectors).bags(3, least=math.cos(math.radians(19.99))) == []
