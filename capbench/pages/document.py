"""One HTML document from data, style sheets and scripts.

Everything that comes from a run stands in one block of JSON that no browser executes, with ``<``, ``>`` and ``&``
escaped; the scripts put it on the page as text. The policy allows the page's own scripts and styles by their
hashes and nothing else, so that even a text that became markup could neither run nor load anything.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from importlib.metadata import version
from importlib.resources import files
from typing import Any

STYLES = ("page.css", "table.css", "images.css", "elements.css", "paintings.css")
BOARD_SCRIPTS = ("dom.js", "text.js", "theme.js", "marks.js", "whisker.js", "table.js", "scatter.js", "notes.js")
VIEW_SCRIPTS = (
    "virtual.js", "select.js", "images.js", "elements.js", "candidates.js", "paintings.js", "judged.js", "item.js",
    "bags.js",
)  # fmt: skip

HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="capbench {version}">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
"""
BODY = """<body>
<a class="skip" href="#main">Skip to the content</a>
<p class="wait">{title}: reading the data …</p>
<noscript><p class="wait">This page draws its tables with JavaScript, which is off.</p></noscript>
<script type="application/json" id="data">{data}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def document(title: str, kind: str, content: Mapping[str, Any]) -> str:
    """The page. kind: "boards", "view" or "sweep", which says what ``content`` holds."""
    style = "\n".join(asset(name) for name in STYLES)
    names = (*BOARD_SCRIPTS, *(VIEW_SCRIPTS if kind == "view" else ()), f"{kind}.js", "main.js")
    script = "\n".join(asset(name) for name in names)
    policy = "; ".join([
        "default-src 'none'",
        f"script-src {source_hash(script)}",
        f"style-src {source_hash(style)}",
        "img-src 'self' file: data:",
        "base-uri 'none'",
        "form-action 'none'",
    ])  # fmt: skip
    return head(title, style, policy) + BODY.format(
        title=html.escape(plain_title(title)),
        data=embedded({"kind": kind, "made": version("capbench"), **content}),
        script=script,
    )


def head(title: str, style: str, policy: str) -> str:
    """A page up to its body. policy: what it may run and load."""
    return HEAD.format(
        policy=html.escape(policy),
        version=html.escape(version("capbench")),
        title=html.escape(plain_title(title)),
        style=style,
    )


def asset(name: str) -> str:
    """The text of a style sheet or script."""
    return (files("capbench.pages") / "assets" / name).read_text(encoding="utf-8")


def source_hash(text: str) -> str:
    """A text as a policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def embedded(value: Any) -> str:
    """JSON that cannot end the block it stands in: ASCII, and no character that means anything to HTML."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def plain_title(text: str) -> str:
    """A title on one line of printable characters."""
    return "".join(ch if ch.isprintable() else " " for ch in text)
