"""A text without what is no language: markup, control tokens of models, emoji."""

from __future__ import annotations

import html
import re

from capbench.languages import readable

ENTITY = re.compile(r"&#?\w{1,31};")
# "<b>", "</s>", "<|im_end|>", "<br/>", "<!-- x -->", but not "<3" or "a < b"; pictures among the characters
NO_LANGUAGE = re.compile(
    r"</?[A-Za-z|!][^<>]*>|[\u200d\ufe0f\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff\U000e0020-\U000e007f]"
)


def prose(text: str) -> str:
    """What the pipeline reads of a text: entities as the characters that they stand for, one blank between words."""
    spelt_out = ENTITY.sub(lambda found: html.unescape(found[0]), readable(text))
    return " ".join(NO_LANGUAGE.sub(" ", spelt_out).replace("\0", " ").split())
