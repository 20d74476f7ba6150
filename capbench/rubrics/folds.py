"""From the answers about one item to its columns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from capbench.rubrics.model import Rubric, Rule

Values = Mapping[str, Any]
Answers = Mapping[str, Values | Sequence[Values]]


class Nothing(Exception):
    """There is nothing to make a number of."""


def columns_of(rubric: Rubric, answers: Answers, facts: Sequence[str] = ()) -> dict[str, float]:
    """Every column of one item; NaN where there is nothing to make it of.

    answers: by the steps' names, the values of each or a list of them. facts: those that the data have.
    """
    made: dict[str, float] = {}
    for name, rule in rubric.columns.items():
        try:
            made[name] = rule.times * folded(rule, answers, made, facts)
        except Nothing:
            made[name] = math.nan if rule.empty is None else rule.empty
    return made


def folded(rule: Rule, answers: Answers, made: Mapping[str, float], facts: Sequence[str]) -> float:
    """One column.

    Raises:
        Nothing: there is nothing to make it of.
    """
    if rule.fold == "f1":
        first, second = (made[name] for name in rule.of)
        return 0.0 if first + second == 0 else 2 * first * second / (first + second)
    if rule.fold == "fact_recall":
        matches, right = (numbers(value, answers) for value in rule.of)
        return fact_recall([int(match) for match in matches], right, len(facts))
    found = numbers(rule.of[0], answers)
    if not found:
        raise Nothing
    return sum(found) / len(found)


def numbers(value: str, answers: Answers) -> list[float]:
    """All numbers that STEP or STEP.FIELD stands for."""
    name, _, field = value.partition(".")
    given = answers[name]
    found: list[float] = []
    for one in [given] if isinstance(given, Mapping) else given:
        number = one[field or "value"]
        found += map(float, number) if isinstance(number, Sequence) else [float(number)]
    return found


def fact_recall(matches: Sequence[int], right: Sequence[float], facts: int) -> float:
    """The recall of DCScore (Ye et al., ICLR 2025, arXiv 2503.07906; section 3 and the authors' code).

    matches: for each fact that a caption states the number, from 1, of the known fact that says the same, 0 for none.
    right: 1 for those that are true. Of the known facts each that is stated truly by k statements of the caption
    counts, from each true one of them, 1/k; a true statement beyond the known facts joins both sides of the fraction.

    Raises:
        Nothing: there is no fact at all.
    """
    times = Counter(match for match in matches if match)
    hits = sum(truth / times[match] for match, truth in zip(matches, right, strict=True) if match)
    beyond = sum(truth for match, truth in zip(matches, right, strict=True) if not match)
    if facts + beyond == 0:
        raise Nothing
    return (hits + beyond) / (facts + beyond)
