"""Galleries: which pictures are in them, and that they are the same on every machine for ever."""

import hashlib
import json

import numpy as np
import pytest

from capbench.bags import BagFile, Blocks, Draws, bag_digest, galleries, make_bags, shuffled
from capbench.errors import BadData, UsageError
from capbench.types import Bag, BagSet

IDS = [f"id{i:03d}" for i in range(251)]


def digest_by_hand(bags):
    """Eight bytes of blake2b over one JSON line a bag: [members, targets]."""
    lines = "".join(json.dumps([list(m), None if t is None else list(t)]) + "\n" for m, t in bags)
    return hashlib.blake2b(lines.encode(), digest_size=8).hexdigest()


def test_rd100_is_the_file_cut_into_hundreds_and_the_last_51_are_dropped():
    found = make_bags("rd100", "rd100", IDS)
    assert [bag.members for bag in found.bags] == [tuple(IDS[:100]), tuple(IDS[100:200])]
    assert [bag.targets for bag in found.bags] == [None, None]
    assert found.recipe == "blocks(size=100,order=file,seed=0)"
    assert found == make_bags("rd100", "blocks(size=100)", IDS)


def test_blocks_of_four_by_hand():
    assert Blocks(4).bags("abcdefghij") == (Bag("block-0000", tuple("abcd")), Bag("block-0001", tuple("efgh")))
    assert Blocks(10).bags("abcdefghij") == (Bag("block-0000", tuple("abcdefghij")),)
    assert Blocks(1).bags("ab") == (Bag("block-0000", ("a",)), Bag("block-0001", ("b",)))


def test_random_order_sorts_by_a_hash_of_seed_and_id():
    by_hand = sorted(IDS, key=lambda i: hashlib.blake2b(f"7/{i}".encode()).digest())
    assert shuffled(IDS, 7) == by_hand
    found = Blocks(100, "random", 7).bags(IDS)
    assert found[0].members + found[1].members == tuple(by_hand[:200])
    assert Blocks(100, "random", 8).bags(IDS) != found
    assert shuffled(IDS[::-1], 7) == by_hand  # whatever the order of the file


def draw_by_hand(seed, ids, size):
    """Each id's distractors: a stream of 64-bit words of blake2b, modulo the number of ids."""
    made = []
    for i, target in enumerate(ids):
        chosen, part = [], 0
        while len(chosen) < size - 1:
            words = []
            for counter in range(-(-2 * size // 8)):
                block = hashlib.blake2b(f"{seed}/{target}/{part}/{counter}".encode()).digest()
                words += [int.from_bytes(block[k : k + 8], "big") for k in range(0, 64, 8)]
            for word in words[: 2 * size]:
                j = word % len(ids)
                if j != i and j not in chosen and len(chosen) < size - 1:
                    chosen.append(j)
            part += 1
        made.append(((target, *(ids[j] for j in chosen)), (target,)))
    return made


@pytest.mark.parametrize(("n", "size", "seed"), [(251, 100, 0), (20, 19, 3), (5, 5, 1), (40, 2, 0)])
def test_draws_are_those_of_the_hash_stream(n, size, seed):
    found = Draws(size, seed).bags(IDS[:n])
    assert [(bag.members, bag.targets) for bag in found] == draw_by_hand(seed, IDS[:n], size)
    for bag, target in zip(found, IDS, strict=False):
        assert (bag.members[0], bag.targets) == (target, (target,))
        assert len(set(bag.members)) == size


def test_draws_fall_evenly():
    counts = np.zeros(200)
    index = {id_: i for i, id_ in enumerate(IDS[:200])}
    for bag in Draws(50, 0).bags(IDS[:200]):
        for member in bag.members[1:]:
            counts[index[member]] += 1
    assert counts.sum() == 200 * 49
    # each id is drawn by 199 others with chance 49/199: mean 49, standard deviation 6.1
    assert abs(counts - 49).max() < 5 * 6.1
    assert 0.7 < counts.std() / 6.1 < 1.3


def test_digests_are_of_members_and_targets_in_order():
    assert bag_digest(Blocks(2).bags("abcd")) == digest_by_hand([("ab", None), ("cd", None)]) == "5e6fc05e1f2770a5"
    assert make_bags("x", "draws(size=3)", "abcde").digest == digest_by_hand(draw_by_hand(0, "abcde", 3))
    assert bag_digest([Bag("x", ("a", "b"))]) != bag_digest([Bag("x", ("b", "a"))])
    assert bag_digest([Bag("x", ("a", "b"))]) != bag_digest([Bag("x", ("a", "b"), ("a",))])
    assert bag_digest([Bag("x", ("a", "b"))]) == bag_digest([Bag("renamed", ("a", "b"))])


@pytest.mark.parametrize(
    ("recipe", "frozen"),
    [
        ("blocks(size=100)", "5e749cb08496a2e6"),
        ("blocks(size=100, order='random')", "4a0ae314353e30b7"),
        ("draws(size=100)", "106e1134d4d5849d"),
        ("full()", "61de7ee75ff8fbe7"),
    ],
)
def test_frozen_digests(recipe, frozen):
    assert make_bags("x", recipe, IDS).digest == frozen


def test_ids_with_lone_surrogates_have_bags_too():
    ids = ["\udc80", "\ud800x", "c", "d"]
    for recipe in ("draws(size=3)", "blocks(size=2, order='random')", "full"):
        members = [m for bag in make_bags("x", recipe, ids).bags for m in bag.members]
        assert set(members) == set(ids)


def test_the_full_gallery_holds_all():
    assert make_bags("full", "full", IDS).bags == (Bag("all", tuple(IDS)),)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("blocks(size=0)", "size must be at least 1, not 0"),
        ("blocks(size=-3)", "size must be at least 1, not -3"),
        ("draws(size=1)", "size must be at least 2, not 1"),
        ("draws(size=252)", "needs 252 images or more; there are 251"),
        ("blocks(size=252)", "makes no bag of 251 images"),
        ("blocks(order='sorted')", "'file' or 'random', not 'sorted'"),
        ("blocks(sise=3)", "did you mean size"),
        ("nonsense", "no bag set or recipe is called 'nonsense'"),
        ("file()", "lacks path"),
    ],
)
def test_what_makes_no_gallery_is_refused(recipe, words):
    with pytest.raises(UsageError) as caught:
        make_bags("x", recipe, IDS)
    assert words in str(caught.value)


def bag_file(tmp_path, content):
    path = tmp_path / "bags.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return BagFile(str(path))


def test_a_bag_file_takes_numbers_and_texts(tmp_path):
    found = bag_file(tmp_path, [[1, "2", 3], ["3", "1"]]).bags(["1", "2", "3"])
    assert found == (Bag("bag-0000", ("1", "2", "3")), Bag("bag-0001", ("3", "1")))
    assert make_bags("x", f"file(path={str(tmp_path / 'bags.json')!r})", ["1", "2", "3"]).recipe == "file()"


@pytest.mark.parametrize("content", ["{", "{}", "[1]", "5", "[[1], 2]"])
def test_what_is_no_list_of_bags_is_refused(tmp_path, content):
    with pytest.raises(BadData, match=r"cannot read bags|is not a list of lists"):
        bag_file(tmp_path, content).bags(["1"])


def test_all_faults_of_a_bag_file_are_said(tmp_path):
    with pytest.raises(BadData) as caught:
        bag_file(tmp_path, [["a", "b"], ["a", "x", "y"], ["a", "a"], ["b"], []]).bags(["a", "b"])
    text = [str(fault) for fault in caught.value.faults]
    assert len(text) == 4
    assert "bag-0001: no image x, y in the benchmark" in text[0]
    assert all("two or more different ids" in line for line in text[1:])
    with pytest.raises(BadData, match="cannot read bags"):
        BagFile(str(tmp_path / "absent.json")).bags(["a"])


def test_galleries_are_indices_and_broken_bags_are_left_out():
    bags = (Bag("x", ("c", "a")), Bag("y", ("a", "gone")), Bag("z", ("b", "c", "a"), ("a", "b")))
    found = galleries(BagSet("s", "r", "", bags), ["a", "b", "c"])
    assert found.members.tolist() == [2, 0, 1, 2, 0]
    assert found.offsets.tolist() == [0, 2, 5]
    assert found.targets.tolist() == [2, 0, 0, 1]
    assert found.bags.tolist() == [0, 0, 1, 1]
