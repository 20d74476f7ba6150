"""Agreement of a short answer with those that people gave: the accuracy of VQA (Antol et al., ICCV 2015)."""

from __future__ import annotations

import re
from collections.abc import Sequence

ENOUGH = 3  # people that must agree for a full point
ARTICLES = {"a", "an", "the"}
WORDS = "zero one two three four five six seven eight nine ten"
NUMBERS = {word: str(i) for i, word in enumerate(WORDS.split())}


def accuracy(text: str, answers: Sequence[str], choices: Sequence[str] = ()) -> float:
    """0 to 1. Of three answers or more the mean over leaving one out of min(those that agree / 3, 1); else equality.

    choices: what was to be chosen from; then a letter that stands for a choice counts as it.
    """
    said = settled(text, choices)
    agree = [settled(answer, choices) == said for answer in answers]
    if len(answers) < ENOUGH:
        return float(any(agree))
    without = [min((sum(agree) - own) / ENOUGH, 1.0) for own in agree]
    return sum(without) / len(without)


def settled(text: str, choices: Sequence[str]) -> str:
    """An answer without case, punctuation and articles, numbers as digits; a choice's letter as the choice."""
    letter = re.fullmatch(r"\W*\(?([A-Za-z])\)?[.:]?\s*(.*)", text.strip(), re.DOTALL)
    if choices and letter and (i := ord(letter[1].casefold()) - ord("a")) < len(choices):
        rest = normal(letter[2])
        if not rest or rest == normal(choices[i]):
            return normal(choices[i])
    return normal(text)


def normal(text: str) -> str:
    """Small letters and digits alone."""
    words = re.findall(r"\w+", re.sub(r"(?<=\w)['\u2019](?=\w)", "", text.casefold()))
    return " ".join(NUMBERS.get(word, word) for word in words if word not in ARTICLES)


def with_letters(question: str, choices: Sequence[str]) -> str:
    """A question with its choices as lines A., B., ..."""
    return "\n".join([question, *(f"{chr(ord('A') + i)}. {choice}" for i, choice in enumerate(choices))])
