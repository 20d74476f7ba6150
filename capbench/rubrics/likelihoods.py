"""Numbers from how likely a judge's tokens were: a score smoothed over its digits, and the likelihood of a word.

Smoothing is FLEUR's (Lee et al., ACL 2024, arXiv 2406.06004): of a score below 1 each of the first two decimals is
replaced by its expectation, sum of p(d) d / 10 and of p(d) d / 100 over the ten digits; a score of 1 becomes
0.9 p("0") + 1.0 p("1") at its first digit. The likelihoods are those of the whole vocabulary and are not scaled up to 1
where other tokens have a share. Of a word's likelihood (VQAScore, Lin et al., ECCV 2024, arXiv 2404.01291) every
spelling counts: "Yes", " yes", "YES".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from capbench.protocols import Likely

DECIMALS = 2
SPACES = "\u2581\u0120\u010a"  # what tokenizers write for a blank or a line break


def smoothed(places: Sequence[Likely], printed: str) -> float | None:
    """The score that stands in the answer as ``printed``, 0 to 1, as the expectation of its digits.

    None where that cannot be: no likelihoods, or a tokenizer that does not write each digit as a token of its own.
    """
    digits = digits_of(places, printed)
    if digits is None:
        return None
    whole, decimals = digits
    if float(printed) >= 1:
        return 0.9 * whole.get("0", 0.0) + whole.get("1", 0.0)
    return math.fsum(
        share * int(digit) / 10 ** (k + 1) for k, place in enumerate(decimals) for digit, share in place.items()
    )


def digits_of(places: Sequence[Likely], printed: str) -> tuple[dict[str, float], list[dict[str, float]]] | None:
    """How likely each digit was, at the whole number and at the decimals; None where digits are no tokens."""
    tokens = [plain(place.token) for place in places]
    text = "".join(tokens)
    starts = [sum(map(len, tokens[:i])) for i in range(len(tokens))]
    found = list(re.finditer(rf"(?<![\d.]){re.escape(printed)}(?![\d])", text))
    if not found or not re.fullmatch(r"[01](\.\d+)?", printed):
        return None
    at = found[-1].start()
    wanted = [at + i for i, c in enumerate(printed) if c.isdigit()][: 1 + DECIMALS]
    chosen = []
    for place in wanted:
        own = [i for i, start in enumerate(starts) if start <= place < start + len(tokens[i])]
        if not own or tokens[own[0]].strip() != text[place]:
            return None
        chosen.append(digit_shares(places[own[0]]))
    if float(printed) < 1 and len(chosen) < 2:
        return None
    return chosen[0], chosen[1:]


def digit_shares(place: Likely) -> dict[str, float]:
    """Digit -> likelihood, over all its spellings."""
    shares: dict[str, float] = {}
    for token, likelihood in place.among:
        word = plain(token).strip()
        if len(word) == 1 and word in "0123456789":
            shares[word] = shares.get(word, 0.0) + math.exp(likelihood)
    return shares


def of_words(places: Sequence[Likely], words: Sequence[str]) -> Mapping[str, float] | None:
    """Word -> its likelihood at the first token that has a letter or digit; None where nothing is known."""
    first = next((place for place in places if any(c.isalnum() for c in plain(place.token))), None)
    if first is None or not first.among:
        return None
    known = {word.casefold(): word for word in words}
    shares = dict.fromkeys(words, 0.0)
    for token, likelihood in first.among:
        word = plain(token).strip(" \n\t.,:;!\"'*").casefold()
        if word in known:
            shares[known[word]] += math.exp(likelihood)
    return shares


def plain(token: str) -> str:
    """A token with blanks for what tokenizers write in their place."""
    return token.translate(dict.fromkeys(map(ord, SPACES), " "))
