"""What METEOR's option ``-norm`` makes of a line: English tokens, punctuation kept, lower case.

Source: behaviour of ``meteor-1.5.jar``. Java's character classes are ASCII where Python's are not, so they are
spelled out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

BLANKS = " \t\n\r\f"
ALPHA = (
    "A-Za-z\u0160\u017d\u0161\u017e\u0178\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u017e"
    "\u0400-\u04ff\u0500-\u0527\ua640-\ua66e\ua67e-\ua697\u1d00-\u1d7f"
)
ALNUM = "0-9" + ALPHA
PLAIN = re.compile("[a-z0-9 ]*")
# what stands for dots in a row while single dots are looked at; METEOR's own word, since a text may hold it
DOTS = "DOTMULTI"
APART = re.compile(f"([^{ALNUM} \t\n\x0b\f\r.'`,\\-\u2018\u2019])")
DOT_RUN = re.compile(r"\.(\.+)")
DOT_END = re.compile(rf"{DOTS}\.([^.])")
COMMAS = tuple(map(re.compile, ("([^0-9]),([^0-9])", "([0-9]),([^0-9])", "([^0-9]),([0-9])")))
QUOTE = re.compile("[`\u2018\u2019]")
DOUBLE_QUOTE = re.compile("[\u201c\u201d]|''")
HYPHEN = re.compile(f"([{ALNUM}.])-([{ALNUM}])")
APOSTROPHES = (
    (re.compile(f"([^{ALPHA}])'([^{ALPHA}])"), r"\1 ' \2"),
    (re.compile(f"([^{ALNUM}])'([{ALPHA}])"), r"\1 ' \2"),
    (re.compile(f"([{ALPHA}])'([^{ALPHA}])"), r"\1 ' \2"),
    (re.compile(f"([{ALPHA}])'([{ALPHA}])"), r"\1 '\2"),
    (re.compile("([0-9])'(s)"), r"\1 '\2"),
)
LETTER = re.compile(f"[{ALPHA}]")
WHITE = re.compile("[ \u2000-\u200a\u202f\u205f\u3000\u00a0]+")
SPLIT = re.compile(f"[{BLANKS}]+")
NUMERIC_ONLY = 2


def normalize(line: str, prefixes: Mapping[str, int]) -> tuple[str, ...]:
    """The tokens of a line. prefixes: words whose last dot stays -> 1, or 2 where a number must follow."""
    if PLAIN.fullmatch(line):
        return tuple(line.split())
    text = DOT_RUN.sub(rf" {DOTS}\1", APART.sub(r" \1 ", f" {line} "))
    while f"{DOTS}." in text:
        text = DOT_END.sub(rf"DOT{DOTS} \1", text).replace(f"{DOTS}.", f"DOT{DOTS}")
    for comma in COMMAS:
        text = comma.sub(r"\1 , \2", text)
    text = DOUBLE_QUOTE.sub(' " ', QUOTE.sub("'", text))
    text = HYPHEN.sub(r"\1 \2", text.replace("\u2013", "-").replace("--", "-"))
    for pattern, replacement in APOSTROPHES:
        text = pattern.sub(replacement, text)
    words = blank_split(text)
    following = [*words[1:], ""]
    text = " ".join(last_dot(word, after, prefixes) for word, after in zip(words, following, strict=True))
    while f"DOT{DOTS}" in text:
        text = text.replace(f"DOT{DOTS}", f"{DOTS}.")
    return tuple(blank_split(WHITE.sub(" ", text.replace(DOTS, ".")).lower()))


def last_dot(word: str, after: str, prefixes: Mapping[str, int]) -> str:
    """A word with its last dot apart, kept, or, in what looks like an acronym, all dots gone."""
    if len(word) < 2 or not word.endswith("."):
        return word
    body = word[:-1]
    kind = prefixes.get(body)
    if "." in body and LETTER.search(body):
        return word.replace(".", "")
    if kind == 1 or "a" <= after[:1] <= "z":
        return word
    if kind == NUMERIC_ONLY and "0" <= after[:1] <= "9":
        return word
    return body + " ."


def blank_split(text: str) -> list[str]:
    """Words between blanks, as Java's StringTokenizer cuts them; Python's split knows more blanks."""
    return [word for word in SPLIT.split(text) if word]


def java_hash(word: str) -> int:
    """Java's String.hashCode: METEOR compares these 32 bits, not the words."""
    units = memoryview(word.encode("utf-16-le", "surrogatepass")).cast("H")
    value = 0
    for unit in units:
        value = (31 * value + unit) & 0xFFFFFFFF
    return value
