"""Bradley-Terry against others' numbers and implementations; contests, groups and intervals against sums by hand."""

import math
from collections import defaultdict
from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import minimize

from capbench import arena
from capbench.arena import strengths
from capbench.arena.contests import Contest
from capbench.arena.elo import played
from capbench.arena.ranking import CENTRE
from capbench.arena.text import Shown, markdown
from capbench.errors import UsageError
from capbench.pages.arena import arena_page

TEAMS = ("Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore")
# The Eastern division of the American League, 1987: row beat column so often (Agresti, Categorical Data Analysis, 2nd
# ed., section 10.6.1), and the strengths in log odds against Baltimore as R's BradleyTerry2 prints them for these data.
BASEBALL = [
    [0, 7, 9, 7, 7, 9, 11], [6, 0, 7, 5, 11, 9, 9], [4, 6, 0, 7, 7, 8, 12], [6, 8, 6, 0, 6, 7, 10],
    [6, 2, 6, 7, 0, 7, 12], [4, 4, 5, 6, 6, 0, 6], [2, 4, 1, 3, 1, 7, 0],
]  # fmt: skip
PUBLISHED = (1.5814, 1.4364, 1.2945, 1.2476, 1.1077, 0.6839, 0.0)


def contest(a, b, choice, item="1"):
    return Contest(item, a, b, choice, "judge")


def season():
    return [
        contest(TEAMS[i], TEAMS[j], TEAMS[i], f"{i}-{j}-{k}")
        for i in range(7)
        for j in range(7)
        for k in range(BASEBALL[i][j])
    ]


def random_contests(seed, systems=6, items=40, ties=0.2):
    """Every pair on every item, by strengths that are drawn."""
    random = np.random.default_rng(seed)
    true = random.normal(0, 1, systems)
    made = []
    for item in range(items):
        for i, j in combinations(range(systems), 2):
            chance = 1 / (1 + math.exp(true[j] - true[i]))
            choice = "" if random.random() < ties else f"s{i}" if random.random() < chance else f"s{j}"
            made.append(contest(f"s{i}", f"s{j}", choice, str(item)))
    return made


def by_name(ranking):
    return {place.system: place for group in ranking.groups for place in group}


def test_a_published_season():
    found = by_name(arena.rank(season(), anchor="Baltimore", resamples=100))
    points = [(found[team].strength - CENTRE) / strengths.SCALE for team in TEAMS]
    assert points == pytest.approx(PUBLISHED, abs=5e-5)


def test_two_systems_by_hand():
    """3 won, 1 lost, 2 tied: 4 wins to 2, odds 2, 400 log10(2) points."""
    contests = [contest("x", "y", choice, str(k)) for k, choice in enumerate(["x", "x", "x", "y", "", ""])]
    ranking = arena.rank(contests)
    first, second = ranking.groups[0]
    assert (first.system, second.system) == ("x", "y")
    assert first.strength - second.strength == pytest.approx(400 * math.log10(2), abs=1e-9)
    assert (first.strength + second.strength) / 2 == pytest.approx(1000)
    tally = ranking.tally("x")
    assert (tally.won, tally.tied, tally.lost, tally.rate) == (3, 2, 1, pytest.approx(4 / 6))
    assert math.isnan(first.low)  # six items
    assert [first.rank, second.rank] == [1, 1]


@pytest.mark.parametrize("seed", range(5))
def test_logistic_regression_of_statsmodels(seed):
    """Ties as a won and a lost row of half weight; the last system has 0."""
    import statsmodels.api as sm

    contests = random_contests(seed)
    names = sorted({c.a for c in contests} | {c.b for c in contests})
    rows, won, weights = [], [], []
    for c in contests:
        row = np.zeros(len(names))
        row[names.index(c.a)], row[names.index(c.b)] = 1, -1
        for value, weight in [(1, 0.5), (0, 0.5)] if not c.choice else [(int(c.choice == c.a), 1.0)]:
            rows.append(row[:-1])
            won.append(value)
            weights.append(weight)
    model = sm.GLM(won, np.array(rows), family=sm.families.Binomial(), freq_weights=np.array(weights))
    wanted = [*model.fit(tol=1e-14, maxiter=200).params, 0.0]
    found = by_name(arena.rank(contests, anchor=names[-1], resamples=100))
    assert [(found[name].strength - 1000) / strengths.SCALE for name in names] == pytest.approx(wanted, abs=1e-6)


def test_a_general_optimiser():
    """The likelihood as it is written down, climbed by scipy without our derivatives."""
    contests = random_contests(11, systems=4, items=25)
    names = sorted({c.a for c in contests} | {c.b for c in contests})

    def loss(b):
        total = 0.0
        for c in contests:
            gap = b[names.index(c.a)] - b[names.index(c.b)]
            score = 0.5 if not c.choice else float(c.choice == c.a)
            total += score * np.logaddexp(0, -gap) + (1 - score) * np.logaddexp(0, gap)
        return total + b.sum() ** 2  # fixes the mean

    wanted = minimize(loss, np.zeros(len(names)), method="BFGS", options={"gtol": 1e-9}).x
    found = by_name(arena.rank(contests, resamples=100))
    assert [(found[n].strength - 1000) / strengths.SCALE for n in names] == pytest.approx(wanted, abs=1e-6)


def test_lopsided_tables_are_fitted_too():
    """A chain of odds of 2,000 to 1: Newton's first steps overshoot, and the answer is known."""
    wins = np.zeros((1, 4, 4))
    for i in range(3):
        wins[0, i, i + 1], wins[0, i + 1, i] = 2000, 1
    found = strengths.fit(wins, np.ones((1, 4), bool))[0]
    assert -np.diff(found) == pytest.approx([math.log(2000)] * 3, abs=1e-8)
    assert found.sum() == pytest.approx(0, abs=1e-9)


def test_who_cannot_be_ranked_is_said():
    ring = [contest("a", "b", "a"), contest("b", "c", "b"), contest("c", "a", "c")]
    other = [contest("x", "y", "x"), contest("x", "y", "y"), contest("p", "q", "p")]
    edges = [contest("top", "a", "top"), contest("a", "low", "a"), contest("a", "in", "in"), contest("in", "hi", "hi")]
    ranking = arena.rank([*ring, *other, *edges, contest("hi", "hi2", "hi2")])
    assert [{p.system for p in group} for group in ranking.groups] == [{"a", "b", "c"}, {"x", "y"}]
    assert {p.strength for p in ranking.groups[1]} == {1000.0}
    assert {a.system: a.standing for a in ranking.apart} == {
        "p": "unconnected", "q": "unconnected", "top": "won everything", "low": "lost everything", "in": "always above",
        "hi": "always above", "hi2": "won everything",
    }  # fmt: skip


def test_the_anchor_chooses_the_main_group():
    groups = [contest(a, b, w) for a, b in ("ab", "bc", "xy") for w in (a, b)]
    assert {p.system for p in arena.rank(groups).groups[0]} == {"a", "b", "c"}
    ranking = arena.rank(groups, anchor="y")
    assert {p.system: p.strength for p in ranking.groups[0]} == {"x": 1000.0, "y": 1000.0}
    with pytest.raises(UsageError, match="no system is called 'z'"):
        arena.rank(groups, anchor="z")


def test_no_chain_of_wins_at_all():
    ranking = arena.rank([contest("a", "b", "a"), contest("b", "c", "b")])
    assert ranking.groups == ()
    assert [(a.system, a.standing) for a in ranking.apart] == [
        ("a", "won everything"), ("b", "in between"), ("c", "lost everything"),
    ]  # fmt: skip


def test_an_interval_is_open_where_resamples_lose_every_defeat():
    """One loss in 30 items: about a third of the resamples have none, and the upper end is infinite."""
    contests = [contest("a", "b", "b" if k == 0 else "a", str(k)) for k in range(30)]
    first, second = arena.rank(contests, resamples=500).groups[0]
    assert (first.system, first.high, second.low) == ("a", math.inf, -math.inf)
    assert math.isfinite(first.low)
    assert math.isfinite(second.high)
    assert [first.rank, second.rank] == [1, 2]
    swapped = [contest("b", "a", c.choice, c.item) for c in contests]
    first, second = arena.rank(swapped, resamples=500).groups[0]
    assert (first.system, first.high, second.low) == ("a", math.inf, -math.inf)
    anchored = arena.rank(contests, anchor="a", resamples=500).groups[0]
    assert (anchored[0].low, anchored[0].high) == pytest.approx((1000, 1000))
    assert anchored[1].low == -math.inf


def test_a_system_met_on_few_items_has_no_interval_and_is_told_apart_from_none():
    contests = [contest("a", "b", "b" if k % 5 == 0 else "a", str(k)) for k in range(60)]
    few = [contest("c", "a", "a" if k % 5 == 0 else "c", str(k)) for k in range(9)]
    found = by_name(arena.rank([*contests, *few], resamples=200))
    assert found["c"].strength > found["a"].strength
    assert math.isnan(found["c"].low)
    assert found["a"].low > found["b"].high
    assert [found[name].rank for name in "abc"] == [1, 2, 1]
    more = by_name(arena.rank([*contests, *few, contest("c", "a", "c", "9")], resamples=200))
    assert math.isfinite(more["c"].low)


def test_the_interval_is_that_of_items_and_not_of_contests():
    """Ten copies of each item's contests say nothing new: the same strengths and the same interval."""
    contests = random_contests(3, systems=3, items=30)
    once = arena.rank(contests, resamples=400).groups
    copies = arena.rank([c for c in contests for _ in range(10)], resamples=400).groups
    for one, other in zip(once[0], copies[0], strict=True):
        assert (other.strength, other.low, other.high) == pytest.approx((one.strength, one.low, one.high), abs=1e-6)
        assert one.system == other.system
        assert one.rank == other.rank


def test_intervals_are_percentiles_of_strengths_fitted_one_by_one():
    """The bootstrap in a plain loop over the same draws."""
    from capbench import stats

    contests = random_contests(5, systems=3, items=20, ties=0.1)
    ranking = arena.rank(contests, resamples=100, seed=7)
    items = list(dict.fromkeys(c.item for c in contests))
    drawn = defaultdict(list)
    for weights in stats.resampled_weights(len(items), 100, 7):
        for row in weights:
            times = dict(zip(items, row.astype(int), strict=True))
            redrawn = [contest(c.a, c.b, c.choice) for c in contests for _ in range(times[c.item])]
            for place in arena.rank(redrawn).groups[0]:
                drawn[place.system].append(place.strength)
    for place in ranking.groups[0]:
        own = sorted(drawn[place.system])
        assert len(own) == 100
        assert (place.low, place.high) == pytest.approx((own[2], own[97]), abs=1e-6)  # outward from 2.475 and 96.525


@pytest.mark.parametrize(
    ("answers", "choice", "outcome", "favours"),
    [
        (("a", "a"), "x", "same", ""), (("b", "b"), "y", "same", ""), (("tie", "tie"), "", "same", ""),
        (("a", "tie"), "", "one tie", ""), (("a", "b"), "", "contradictory", "first"),
        (("b", "a"), "", "contradictory", "second"),
    ],
)  # fmt: skip
def test_both_orders_are_one_contest(answers, choice, outcome, favours):
    shown, swapped = answers
    verdicts = [arena.Verdict("1", "x", "y", shown, "j", "a"), arena.Verdict("1", "x", "y", swapped, "j", "b")]
    contests, swaps = arena.contests_of(verdicts)
    assert [c.choice for c in contests] == [choice]
    assert [(s.outcome, s.favours) for s in swaps] == [(outcome, favours)]
    dropped, _ = arena.contests_of(verdicts, "drop")
    assert len(dropped) == (outcome != "contradictory")
    # the same two written the other way round
    turned = [verdicts[0], arena.Verdict("1", "y", "x", {"a": "b", "b": "a"}.get(swapped, "tie"), "j", "a")]
    again, swaps = arena.contests_of(turned)
    assert ([c.choice for c in again], swaps[0].outcome, swaps[0].favours) == ([choice], outcome, favours)


def test_repeats_other_judges_turns_and_unknown_orders_count_by_themselves():
    v = arena.Verdict
    verdicts = [
        v("1", "x", "y", "a", "j", "a"), v("1", "x", "y", "a", "j", "a"), v("1", "x", "y", "b", "j", "b"),
        v("1", "x", "y", "b", "k", "b"), v("1", "x", "y", "a", "j", ""), v("1", "x", "y", "b", "j", "b", turn="2"),
        v("2", "x", "y", "tie", "j", "a"),
    ]  # fmt: skip
    contests, swaps = arena.contests_of(verdicts)
    assert len(swaps) == 1
    assert [c.choice for c in contests] == ["", "x", "x", "y", "y", ""]


def test_elo_in_a_plain_loop():
    contests = random_contests(2, systems=4, items=10)
    orders = np.random.default_rng(0).integers(0, len(contests), (3, len(contests)))
    for order, got in zip(orders, played(contests, orders), strict=True):
        rating = dict.fromkeys(dict.fromkeys(n for c in contests for n in (c.a, c.b)), 1000.0)
        for k in order:
            c = contests[k]
            expected = 1 / (1 + 10 ** ((rating[c.b] - rating[c.a]) / 400))
            score = 0.5 if not c.choice else float(c.choice == c.a)
            rating[c.a] += 4 * (score - expected)
            rating[c.b] -= 4 * (score - expected)
        assert list(rating.values()) == pytest.approx(got.tolist())
    found = arena.elo(contests, draws=3)
    assert found == {
        name: pytest.approx(value)
        for name, value in zip(found, np.median(played(contests, orders), axis=0), strict=True)
    }


def meetings(a, b, won, lost):
    """Contests of two systems, on as many items."""
    return [contest(a, b, winner, str(k)) for k, winner in enumerate([a] * won + [b] * lost)]


def test_a_rank_that_is_better_than_one_above_it_is_told_with_the_reason():
    """loud met the others on twelve items only: below even by its strength, and told apart from nobody."""
    ranking = arena.rank([*meetings("best", "even", 120, 80), *meetings("even", "loud", 7, 5)], resamples=1000)
    assert [(p.system, p.rank, p.stronger) for p in ranking.groups[0]] == [
        ("best", 1, ()), ("even", 2, ("best",)), ("loud", 1, ()),
    ]  # fmt: skip
    said = (
        "Not in the order of strengths: loud (1) stands below even (2): best is stronger than even beyond chance, and "
        "not stronger than loud."
    )
    shown = Shown(ranking, {"judge": 212})
    assert said in markdown(shown)
    assert f"<li>{said}</li>" in arena_page(shown)


def test_ranks_that_rise_are_left_alone():
    ranking = arena.rank([*meetings("best", "even", 120, 80), *meetings("even", "low", 120, 80)], resamples=1000)
    assert [(p.system, p.rank) for p in ranking.groups[0]] == [("best", 1), ("even", 2), ("low", 3)]
    assert "order of strengths" not in markdown(Shown(ranking, {"judge": 400}))
