"""Numbers and names as text that is safe where it stands."""

from __future__ import annotations

from capbench.types import GroupScore, Summary


def show(value: float) -> str:
    """A number for tables: three or four digits that matter."""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def interval(summary: Summary | GroupScore | None) -> str:
    """0.912 [0.901, 0.923], with the count of unscored rows beside it where there are any."""
    if summary is None:
        return "-"
    if summary.value is None:
        return f"unscored ({summary.unscored})"
    bounds = "-" if summary.low is None or summary.high is None else f"{show(summary.low)}, {show(summary.high)}"
    text = f"{show(summary.value)} [{bounds}]"
    return text + (f" ({summary.unscored} unscored)" if summary.unscored else "")


def escape(text: str) -> str:
    """A name that cannot break a Markdown table or become markup."""
    plain = printable(text)
    for mark in "\\|<>`*[]":
        plain = (
            plain.replace(mark, "\\" + mark)
            if mark not in "<>"
            else plain.replace(mark, {"<": "&lt;", ">": "&gt;"}[mark])
        )
    return plain


def printable(text: str) -> str:
    """A text on one line: control and format characters and lone surrogates become blanks."""
    return "".join(ch if ch.isprintable() else " " for ch in text)


def in_code(text: str) -> str:
    """A signature that cannot end the code span it stands in: such characters are percent-escaped."""
    return "".join(
        ch
        if ch.isprintable() and ch != "`"
        else "".join(f"%{byte:02X}" for byte in ch.encode("utf-8", "surrogatepass"))
        for ch in text
    )


def seconds_text(seconds: float | None) -> str:
    """Seconds with two digits that matter."""
    return "-" if seconds is None else f"{seconds:.2g}" if seconds < 1 else f"{seconds:.1f}"
