"""Captioners compared on bags, on scores chosen by hand: chance, sizes, intervals over bags, and what differs most."""

import json

import numpy as np
import pytest

from capbench import bag_text, comparison_text, stats
from capbench.bag_compare import Contender, compare_on_bags
from capbench.errors import NotComparable
from capbench.signature import short_hash
from capbench.store import Identity, Record, Run, Stated
from capbench.tables import Scored
from capbench.types import Bag, Rows, Summary

NAN = float("nan")
SPEC = "self_retrieval(bags='b')"


def contender(label, found, *, size=3, ranks=None, bags=True, signature="self_retrieval|bags:x|encoder:e|v:2"):
    """A run with R@1 on bags of ``size``, all of whose pictures are targets (size: one for all, or one a bag)."""
    found = np.asarray(found, float)
    sizes = np.full(len(found) // size, size) if isinstance(size, int) else np.asarray(size)
    numbers = np.repeat(np.arange(len(sizes)), sizes)
    if not bags:
        sizes, numbers = np.array([len(found)]), np.zeros(len(found), int)
    chance = np.where(np.isnan(found), NAN, 1 / sizes[numbers])
    ranks = np.where(found == 1, 1.0, np.where(np.isnan(found), NAN, 2.0)) if ranks is None else ranks
    columns = {"r1": found, "rank": np.asarray(ranks, float), "chance": chance}
    ids = tuple(f"i{k:03d}" for k in range(len(found)))
    rows = Rows(columns, np.arange(len(ids)), numbers if bags else None)
    short = short_hash(signature)
    holes = int(np.isnan(found).sum())
    value = stats.intervals(rows)["r1"]
    bounds = [None if np.isnan(x) else float(x) for x in value]
    summary = Summary(
        "self_retrieval", "r1", "R@1", "high", *bounds, len(ids) - holes, holes, 0, 0, 0, signature, short
    )
    record = Record(
        "finished", label, Identity("bench", 1, "d", label, len(ids)), {}, {}, [Stated(SPEC, "", signature, short)]
    )
    scored = Scored(f"self_retrieval#{short}", rows, {}, np.zeros(len(ids), np.int64))
    return Contender(Run(record, (summary,), (), (scored,), ids), {"b": scored.key})


def bags_of(sizes):
    ends = np.cumsum([0, *sizes])
    return [Bag(f"bag <{k}>", tuple(f"i{i:03d}" for i in range(a, b))) for k, (a, b) in enumerate(zip(ends, ends[1:]))]  # noqa: B905, RUF007 -- neighbours


def test_r1_beside_chance_and_the_difference_over_bags_by_hand():
    # 12 bags of 3. The first finds all of the first 6 bags, the second one of three in every bag.
    first, second = np.repeat([1.0, 0.0], 18), np.tile([1.0, 0.0, 0.0], 12)
    made = compare_on_bags([contender("a", first), contender("b", second)], {"b": bags_of([3] * 12)})
    (one,) = made.sets
    (line,) = one.lines
    assert (line.size, line.bags, line.chance) == (3, 12, pytest.approx(1 / 3))
    assert [score.interval.value for score in line.scores] == [0.5, pytest.approx(1 / 3)]
    (found,) = made.differences.lines
    assert found.difference.value == pytest.approx(0.5 - 1 / 3)
    assert found.difference.units == 12
    # a bag's difference is 2/3 or -1/3, six of each: their spread is 1/2, and the mean of 12 has 1/2 / sqrt(12)
    assert found.difference.error == pytest.approx(0.5 / np.sqrt(12), rel=0.03)
    # were the 36 pictures independent it would be smaller: sd of (0,1,1 | 0,0,-1)-like rows over sqrt(36)
    assert found.difference.error > 1.2 * np.std(first - second) / 6
    assert (line.scores[1].interval.low, line.scores[1].interval.high) == (pytest.approx(1 / 3), pytest.approx(1 / 3))


def test_what_so_few_bags_can_show_is_said():
    first, second = np.repeat([1.0, 0.0], 18), np.tile([1.0, 0.0, 0.0], 12)
    made = compare_on_bags([contender("a", first), contender("b", second)], {"b": bags_of([3] * 12)})
    (said,) = bag_text.reach(made)
    d = made.differences.lines[0].difference
    assert f"b, 12 bags: a difference in R@1 is known to within {(d.high - d.low) / 2:.3f} (95%)" in said
    # (1.96 + 0.84) standard errors, as every table of power has it
    assert float(said.partition("a true one of ")[2].split()[0]) == pytest.approx(2.80 * 0.5 / np.sqrt(12), rel=0.04)
    few = compare_on_bags([contender("a", first[:9]), contender("b", second[:9])], {"b": bags_of([3] * 3)})
    assert bag_text.reach(few) == ["b, 3 bags: fewer than 10 are no sample to resample: no interval and no test."]
    assert bag_text.size_table(few)[1] == [["b", "3", "3", "0.333", "1.000 [-]", "0.333 [-]"]]
    assert np.isnan(few.differences.lines[0].difference.p)
    same = compare_on_bags([contender("a", first), contender("b", first)], {"b": bags_of([3] * 12)})
    assert bag_text.reach(same) == [
        "b, 12 bags: every bag has the same difference, so these bags do not tell how well it is known."
    ]


def test_each_size_of_bag_has_its_own_chance():
    sizes = [2] * 10 + [4] * 10
    first = np.concatenate([np.ones(20), np.zeros(40)])
    made = compare_on_bags(
        [contender("a", first, size=sizes), contender("b", 1 - first, size=sizes)], {"b": bags_of(sizes)}
    )
    lines = made.sets[0].lines
    assert [(x.size, x.bags, x.chance) for x in lines] == [(2, 10, 0.5), (4, 10, 0.25), (0, 20, (20 / 2 + 40 / 4) / 60)]
    assert [x.scores[0].interval.value for x in lines] == [1, 0, pytest.approx(1 / 3)]
    assert [row[1] for row in bag_text.size_table(made)[1]] == ["2", "4", "all"]


def test_the_bags_that_differ_most_come_first_and_equal_ones_are_not_shown():
    first = np.array([[1, 1, 1], [1, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0]], float)
    second = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0], [1, 1, 1], [0, 0, 0]], float)
    ranks = np.full((5, 3), 2.0)
    ranks[4] = 2, 3, 3
    other = np.full((5, 3), 2.0)
    made = compare_on_bags(
        [contender("a", first.ravel(), ranks=ranks.ravel()), contender("b", second.ravel(), ranks=other.ravel())],
        {"b": bags_of([3] * 5)},
    )
    (one,) = made.sets
    # |1 - 0| = 1; |1 - 1/3| = 2/3; equal shares but other pictures; other ranks only; nothing
    assert [bag.id for bag in one.bags] == ["bag <3>", "bag <0>", "bag <2>", "bag <4>", "bag <1>"]
    assert [bag.shares for bag in one.bags][:2] == [(0, 1), (1, pytest.approx(1 / 3))]
    assert [bag.id for bag in bag_text.differing(one, 9)] == ["bag <3>", "bag <0>", "bag <2>", "bag <4>"]
    _, rows = bag_text.differing_table(made.names, one, 2)
    assert [row[:5] for row in rows] == [
        ["bag <3>", "i009", "b", "2", "2"], ["bag <3>", "i010", "b", "2", "2"], ["bag <3>", "i011", "b", "2", "2"],
        ["bag <0>", "i000", "a", "2", "2"], ["bag <0>", "i001", "a", "2", "2"],
    ]  # fmt: skip


def test_ties_and_what_is_unscored_are_said_as_they_are():
    first = np.tile([1, 0.5, NAN], 10)
    made = compare_on_bags(
        [contender("a", first, ranks=np.tile([1, 1.5, NAN], 10)), contender("b", np.zeros(30))],
        {"b": bags_of([3] * 10)},
    )
    line = made.sets[0].lines[0]
    assert (line.scores[0].n, line.scores[0].unscored, line.size) == (20, 10, 3)
    assert made.differences.lines[0].difference.only_second == 10
    _, rows = bag_text.differing_table(made.names, made.sets[0], 1)
    assert [row[2] for row in rows] == ["a", "a (tied, 0.50)"]
    assert [row[3] for row in rows] == ["1", "1.5"]
    assert "(10 unscored)" in bag_text.markdown(made)


def test_a_single_gallery_is_resampled_by_pictures():
    first, second = np.repeat([1.0, 0.0], 20), np.tile([1.0, 0.0], 20)
    made = compare_on_bags(
        [contender("a", first, bags=False), contender("b", second, bags=False)], {"b": bags_of([40])}
    )
    (one,) = made.sets
    assert (one.unit, one.lines[0].size, one.lines[0].bags, len(one.bags)) == ("pictures", 40, 1, 1)
    assert made.differences.lines[0].difference.units == 40
    assert "b, 40 pictures:" in bag_text.markdown(made)
    _, rows = bag_text.differing_table(made.names, one, 5)
    assert len(rows) == bag_text.TARGETS + 1
    assert rows[-1][1] == "and 10 more"


def test_three_systems_are_all_pairs_adjusted_together():
    random = np.random.default_rng(0)
    found = [(random.random(90) < share).astype(float) for share in (0.9, 0.5, 0.4)]
    made = compare_on_bags([contender(n, f) for n, f in zip("abc", found, strict=True)], {"b": bags_of([3] * 30)})
    assert made.differences.family == 3
    worst = max(made.differences.lines, key=lambda line: line.difference.p)
    assert worst.adjusted == pytest.approx(max(x.difference.p * k for k, x in zip(
        (3, 2, 1), sorted(made.differences.lines, key=lambda x: x.difference.p), strict=True)))  # fmt: skip
    heads, rows = bag_text.differing_table(made.names, made.sets[0], 1)
    assert heads[3:] == ["rank by a", "rank by b", "rank by c", "caption of a", "caption of b", "caption of c"]
    assert {len(row) for row in rows} == {9}


def test_other_bags_or_another_encoder_are_refused_with_the_field():
    found = np.zeros(36)
    other = contender("b", found, signature="self_retrieval|bags:y|encoder:e|v:2")
    with pytest.raises(NotComparable, match=r"a, b: b R@1.*bags: x / y") as caught:
        compare_on_bags([contender("a", found), other], {"b": ()})
    assert caught.value.exit_code == 4


def test_without_the_benchmark_the_bags_are_those_of_the_scores():
    made = compare_on_bags([contender("a", np.zeros(36)), contender("b", np.ones(36))], {"b": ()})
    assert made.sets[0].bags[0].id == "bag 1"
    assert made.sets[0].bags[0].members == ("i000", "i001", "i002")


@pytest.mark.parametrize("form", bag_text.FORMS)
def test_hostile_names_break_no_form(form):
    name = "a|b <script>alert(1)</script> \\end{tabular} \u202e \udc80\n| x |"
    made = compare_on_bags([contender(name, np.zeros(36)), contender("b", np.ones(36))], {"b": bags_of([3] * 12)})
    text = bag_text.FORMS[form](made)
    if form == "json":
        assert json.loads(text)["sets"][0]["bags"][0]["targets"][0]["runs"][0]["run"] == name
        return
    text.encode()
    assert "<script>" not in "".join(line for line in text.splitlines() if not line.startswith("% "))
    if form == "md":
        table = text.split("\n\n")[1].splitlines()
        assert len({line.replace("\\|", "").count("|") for line in table}) == 1
    else:
        assert "".join(x for x in text.splitlines() if not x.startswith("% ")).count("\\end{tabular}") == 2
        assert comparison_text.tex(name).count("\\end{tabular}") == 0


def test_a_long_caption_does_not_widen_the_console_and_is_whole_elsewhere(monkeypatch):
    long = "a red dog and " * 2500
    pair = [contender("a", np.zeros(36)), contender("b", np.ones(36))]
    said = {0: {name: {0: long} for name in pair[0].run.ids}}
    monkeypatch.setattr("capbench.bag_compare.captions_of", lambda _: said)
    made = compare_on_bags(pair, {"b": bags_of([3] * 12)})
    shown = bag_text.markdown(made)
    assert max(map(len, shown.splitlines())) < 1000
    assert f"{long[:200].rstrip()}..." in shown
    assert long in bag_text.json_text(made)
