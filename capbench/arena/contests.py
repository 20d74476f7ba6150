"""Verdicts as contests: what a judge said of a pair in both orders is one verdict, not two.

A judge that was asked twice, with the captions swapped, has one opinion of the pair:

    both orders choose the same                     that one
    both tie, or one ties and the other chooses     a tie
    each order chooses another (a contradiction)    a tie, or dropped

Of several repeats, the k-th with one caption first goes with the k-th with the other first; what has no partner, or
no known order, counts by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from capbench.arena.verdicts import Verdict

Contradictory = Literal["tie", "drop"]
Joined = Literal["same", "one tie", "contradictory"]


@dataclass(frozen=True, slots=True)
class Contest:
    """What counts: ``choice`` of a judge between two systems on an item; "" is a tie."""

    item: str
    a: str
    b: str
    choice: str
    judge: str
    group: str = ""
    turn: str = ""


@dataclass(frozen=True, slots=True)
class Swap:
    """The two verdicts of one judge on one pair, and what became of them. favours: whom a contradiction favours."""

    item: str
    judge: str
    outcome: Joined
    favours: Literal["first", "second", ""]


def contests_of(verdicts: Sequence[Verdict], contradictory: Contradictory = "tie") -> tuple[list[Contest], list[Swap]]:
    """Contests in order of their first verdicts, and every swap that was found."""
    places: dict[tuple[str, str, str, frozenset[str]], list[Verdict]] = {}
    for v in verdicts:
        places.setdefault((v.judge, v.item, v.turn, frozenset((v.a, v.b))), []).append(v)
    contests: list[Contest] = []
    swaps: list[Swap] = []
    for own in places.values():
        pairs, alone = partners(own)
        for one, other in pairs:
            swap, choice = joined(one, other)
            swaps.append(swap)
            if swap.outcome != "contradictory" or contradictory == "tie":
                contests.append(Contest(one.item, one.a, one.b, choice, one.judge, one.group, one.turn))
        contests += [Contest(v.item, v.a, v.b, v.choice, v.judge, v.group, v.turn) for v in alone]
    return contests, swaps


def partners(verdicts: Sequence[Verdict]) -> tuple[list[tuple[Verdict, Verdict]], list[Verdict]]:
    """One judge's verdicts on one pair: those with both orders two by two, and the others."""
    orders: dict[str, list[Verdict]] = {}
    for v in verdicts:
        orders.setdefault(shown_first(v), []).append(v)
    alone = orders.pop("", [])
    one, other = [*orders.values(), [], []][:2]
    most = min(len(one), len(other))
    return list(zip(one, other, strict=False)), [*one[most:], *other[most:], *alone]


def joined(one: Verdict, other: Verdict) -> tuple[Swap, str]:
    """What two verdicts in two orders come to: the swap, and the choice."""
    if one.choice == other.choice:
        return Swap(one.item, one.judge, "same", ""), one.choice
    if not one.choice or not other.choice:
        return Swap(one.item, one.judge, "one tie", ""), ""
    favours: Literal["first", "second"] = "first" if one.choice == shown_first(one) else "second"
    return Swap(one.item, one.judge, "contradictory", favours), ""


def shown_first(verdict: Verdict) -> str:
    """The system whose caption was shown first; "": not known."""
    return {"a": verdict.a, "b": verdict.b, "": ""}[verdict.first]


def systems_of(contests: Iterable[Contest]) -> tuple[str, ...]:
    """Every system, in order of appearance."""
    return tuple(dict.fromkeys(name for c in contests for name in (c.a, c.b)))
