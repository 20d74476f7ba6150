"""Languages by their codes, and how words are cut in each: the one place where ``lang`` becomes a tokenizer.

``languages.tsv`` has a line a language: its ISO 639 codes, its name, and what cuts its words. docs/languages.md
says why.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from capbench.errors import UsageError

DEFAULT = "en"
WHEN_CHANGED = {"signed": "unless default"}  # of a field that joins the signature only when it has another value
TOKENIZERS = {
    "ptb": "ptb",
    "zh": "sacrebleu(scheme='zh')",
    "ja-mecab": "sacrebleu(scheme='ja-mecab')",
    "ko-mecab": "sacrebleu(scheme='ko-mecab')",
    "char": "sacrebleu(scheme='char')",
    "spaces": "whitespace(bare=True)",
}
SHAPE = re.compile(r"(?P<language>[a-z]{2,3})(?P<rest>([-_][a-z0-9]{1,8})*)", re.IGNORECASE)
# codes of countries that people write for languages, where no language has that code
COUNTRIES = {"cn": "zh", "cz": "cs", "dk": "da", "gr": "el", "jp": "ja", "ua": "uk", "us": "en"}


@dataclass(frozen=True, slots=True)
class Language:
    """A language: its shortest code, its name in English, and the spec of its tokenizer."""

    code: str
    name: str
    tokenizer: str


@cache
def known() -> dict[str, Language]:
    """Every known language by its codes of two and three letters."""
    found: dict[str, Language] = {}
    table = Path(__file__).with_suffix(".tsv").read_text(encoding="utf-8")
    for line in table.splitlines()[1:]:
        code, code3, name, words = line.split("\t")
        found[code] = found[code3] = Language(code, name, TOKENIZERS[words])
    return found


def find(tag: str) -> Language:
    """The language of a tag such as zh, zh-CN, zh_CN, zho or pt-BR; script and region change nothing.

    Raises:
        UsageError: no such language; the cure has codes that are near, or whose names are.
    """
    shape = SHAPE.fullmatch(tag.strip())
    language = known().get(shape["language"].lower()) if shape else None
    if language is None:
        raise UsageError(f"no language has the code {tag!r}", near(tag.strip().lower()))
    return language


def near(word: str) -> str:
    """What somebody who wrote this word may have meant."""
    names = {language.name.lower(): language.code for language in known().values()}
    parts = re.split(r"[-_\s]+", word)
    codes = [COUNTRIES[part] for part in parts[:1] if part in COUNTRIES]
    codes += [names[name] for name in difflib.get_close_matches(word, names, n=2, cutoff=0.75)]
    codes += [known()[code].code for code in difflib.get_close_matches(parts[0], known(), n=3)]
    shown = [f"{code} ({known()[code].name})" for code in dict.fromkeys(codes)]
    rest = "und is any other language that is written with spaces"
    return f"did you mean {' or '.join(shown[:3])}? {rest}" if shown else f"codes are those of ISO 639; {rest}"


def settle(part: Any) -> None:
    """Put the shortest code into a frozen metric's ``lang`` and, where it names none, its ``tokenizer``.

    Raises:
        UsageError: as ``find``.
    """
    language = find(part.lang)
    object.__setattr__(part, "lang", language.code)
    if not getattr(part, "tokenizer", True):  # a metric of parsed texts has none
        object.__setattr__(part, "tokenizer", language.tokenizer)


def english_only(part: Any, what: str) -> None:
    """The same for a metric whose resources are English.

    Raises:
        UsageError: another language.
    """
    language = find(part.lang)
    if language.code != DEFAULT:
        raise UsageError(
            f"{part.name} has no {language.name} ({language.code}): {what}",
            "bleu, rouge_l, cider and chrf take any language, bertscore those of its model",
        )
    settle(part)


def readable(text: str) -> str:
    """A text with U+FFFD for each lone surrogate, which libraries that hand text on may refuse."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
