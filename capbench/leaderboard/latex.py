"""Tables as LaTeX, for papers: a booktabs tabular a benchmark."""

from __future__ import annotations

from collections.abc import Sequence

from capbench.leaderboard.boards import Board
from capbench.leaderboard.markdown import rank_text
from capbench.leaderboard.text import in_code, printable, show
from capbench.types import Summary

HEAD = r"% needs \usepackage{booktabs}; bold: nothing is better beyond chance in that column"
ARROWS = {"high": r"\,$\uparrow$", "low": r"\,$\downarrow$", "none": ""}
SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "[": "{[}", "]": "{]}", "`": r"\textasciigrave{}",
}  # fmt: skip


def latex(boards: Sequence[Board]) -> str:
    """Every table as a tabular of its own, with its signatures as comments below."""
    return "\n".join([HEAD, *map(one_latex, boards)])


def one_latex(board: Board) -> str:
    """One tabular."""
    heads = [f"{escape_latex(c.label)}{ARROWS[c.better]}" for c in board.columns]
    lines = [
        f"% {in_code(board.benchmark)} version {board.version}, {board.items} images, by {in_code(board.sorted_by)}",
        rf"\begin{{tabular}}{{rl{'r' * len(heads)}}}",
        r"\toprule",
        " & ".join(["", "Captioner", *heads]) + r" \\",
        r"\midrule",
    ]
    for i, line in enumerate(board.lines):
        best = [rank == 1 and len(board.lines) > 1 for rank in line.ranks]
        cells = [cell(c, bold=bold) for c, bold in zip(line.cells, best, strict=True)]
        lines.append(
            " & ".join([rank_text(board, [x.rank for x in board.lines], i), escape_latex(line.label), *cells]) + r" \\"
        )
    notes: dict[str, list[str]] = {}
    for c in board.columns:
        notes.setdefault(c.signature, []).append(c.label)
    comments = [f"% {in_code(', '.join(labels))}: {in_code(signature)}" for signature, labels in notes.items()]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", *comments]) + "\n"


def cell(found: Summary | None, *, bold: bool) -> str:
    """A value with its interval in small print."""
    if found is None or found.value is None:
        return "--"
    value = minus(show(found.value))
    text = rf"\textbf{{{value}}}" if bold else value
    if found.low is None or found.high is None:
        return text
    return rf"{text} {{\scriptsize [{minus(show(found.low))}, {minus(show(found.high))}]}}"


def minus(number: str) -> str:
    """A number with a real minus sign."""
    return number.replace("-", "$-$")


def escape_latex(text: str) -> str:
    """A name that is only text to LaTeX."""
    return "".join(SPECIAL.get(ch, ch) for ch in printable(text)).replace("--", "-{}-")
