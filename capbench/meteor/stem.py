"""The Snowball English stemmer ("Porter 2") of 2008, as METEOR 1.5 carries it.

Source: snowballstem.org, "The English (Porter2) stemming algorithm". Later Snowball releases changed rules
and exceptions, so that a current library gives other stems.
"""

from __future__ import annotations

import re

VOWELS = "aeiouy"
DOUBLES = ("bb", "dd", "ff", "gg", "mm", "nn", "pp", "rr", "tt")
IRREGULAR = {
    "skis": "ski", "skies": "sky", "dying": "die", "lying": "lie", "tying": "tie", "idly": "idl",
    "gently": "gentl", "ugly": "ugli", "early": "earli", "only": "onli", "singly": "singl",
    **{word: word for word in ("sky", "news", "howe", "atlas", "cosmos", "bias", "andes")},
}  # fmt: skip
INVARIANT = frozenset({"inning", "outing", "canning", "herring", "earring", "proceed", "exceed", "succeed"})
PREFIX = re.compile("(gener|commun|arsen)")
REGION = re.compile(f"[^{VOWELS}]*[{VOWELS}]+[^{VOWELS}]")
SHORT = re.compile(f"(.*[^{VOWELS}][{VOWELS}][^{VOWELS}wxY]|[{VOWELS}][^{VOWELS}])$", re.DOTALL)
STEP_2 = {
    "ization": "ize", "ational": "ate", "fulness": "ful", "ousness": "ous", "iveness": "ive", "tional": "tion",
    "biliti": "ble", "lessli": "less", "entli": "ent", "ation": "ate", "alism": "al", "aliti": "al", "ousli": "ous",
    "iviti": "ive", "fulli": "ful", "enci": "ence", "anci": "ance", "abli": "able", "izer": "ize", "ator": "ate",
    "alli": "al", "bli": "ble", "ogi": "og", "li": "",
}  # fmt: skip
STEP_3 = {
    "ational": "ate", "tional": "tion", "alize": "al", "icate": "ic", "iciti": "ic", "ative": "", "ical": "ic",
    "ness": "", "ful": "",
}  # fmt: skip
STEP_4 = (
    "ement", "ance", "ence", "able", "ible", "ment", "ant", "ent", "ism", "ate", "iti", "ous", "ive", "ize", "ion",
    "al", "er", "ic",
)  # fmt: skip


def stem(word: str) -> str:
    """The stem of a lower-case word; shorter than three letters it stays as it is."""
    if len(word) < 3:
        return word
    if word in IRREGULAR:
        return IRREGULAR[word]
    word = word.removeprefix("'")
    if word.startswith("y"):
        word = "Y" + word[1:]
    word = re.sub(f"([{VOWELS}])y", r"\1Y", word)
    start = region(word)
    starts = (start, region(word, start))
    word = plural(word)
    if word not in INVARIANT:
        word = past(word, starts[0])
        if len(word) > 2 and word[-1] in "yY" and word[-2] not in VOWELS:
            word = word[:-1] + "i"
        word = derived(word, starts)
        word = last_suffix(word, starts)
    return word.replace("Y", "y")


def region(word: str, start: int | None = None) -> int:
    """Where R1 begins or, after R1's start, R2: behind the first consonant that follows a vowel."""
    if start is None:
        known = PREFIX.match(word)
        if known:
            return known.end()
        start = 0
    found = REGION.match(word, start)
    return found.end() if found else len(word)


def plural(word: str) -> str:
    """Steps 0 and 1a: the genitive and the plural."""
    for suffix in ("'s'", "'s", "'"):
        if word.endswith(suffix):
            word = word[: -len(suffix)]
            break
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith(("ied", "ies")):
        return word[:-2] if len(word) > 4 else word[:-1]
    if word.endswith(("us", "ss")) or not word.endswith("s"):
        return word
    return word[:-1] if any(letter in VOWELS for letter in word[:-2]) else word


def past(word: str, start: int) -> str:
    """Step 1b: -eed, -ed and -ing, with -ly."""
    for suffix in ("eedly", "eed"):
        if word.endswith(suffix):
            return word[: -len(suffix)] + "ee" if len(word) - len(suffix) >= start else word
    for suffix in ("ingly", "edly", "ing", "ed"):
        if word.endswith(suffix):
            body = word[: -len(suffix)]
            if not any(letter in VOWELS for letter in body):
                return word
            if body.endswith(("at", "bl", "iz")):
                return body + "e"
            if body.endswith(DOUBLES):
                return body[:-1]
            return body + "e" if start >= len(body) and SHORT.match(body) else body
    return word


def derived(word: str, starts: tuple[int, int]) -> str:
    """Steps 2 and 3: endings that make one word of another, in R1."""
    for suffix, end in STEP_2.items():
        if word.endswith(suffix):
            body = word[: -len(suffix)]
            fits = len(body) >= starts[0] and {"ogi": body.endswith("l"), "li": body[-1:] in tuple("cdeghkmnrt")}.get(
                suffix, True
            )
            word = body + end if fits else word
            break
    for suffix, end in STEP_3.items():
        if word.endswith(suffix):
            body = word[: -len(suffix)]
            return body + end if len(body) >= starts[1 if suffix == "ative" else 0] else word
    return word


def last_suffix(word: str, starts: tuple[int, int]) -> str:
    """Steps 4 and 5: endings in R2, then a last e or l."""
    for suffix in STEP_4:
        if word.endswith(suffix):
            body = word[: -len(suffix)]
            if len(body) >= starts[1] and (suffix != "ion" or body.endswith(("s", "t"))):
                word = body
            break
    body = word[:-1]
    if word.endswith("e"):
        drop = len(body) >= starts[1] or (len(body) >= starts[0] and not SHORT.match(body))
        return body if drop else word
    return body if word.endswith("ll") and len(body) >= starts[1] else word
