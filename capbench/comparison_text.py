"""A comparison as Markdown, JSON, LaTeX and a page. Labels and captions are hostile text everywhere."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from capbench import codec
from capbench.compare import Comparison, Line, faults_of
from capbench.leaderboard import escape, show
from capbench.paired import Difference
from capbench.significance import units_needed

LEGEND = (
    "Differences are {names}, in brackets their 95% interval (paired bootstrap). p is two-sided, adjusted is Holm's "
    "over the {tests} shown. Effect: the difference in standard deviations of a single unit's. Detectable: "
    "what {n} units (images; galleries of retrieval) show in 80 of 100 cases, at 5% and one test."
)
STYLE = (
    ":root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:86rem;"
    "padding:0 1rem}h1{font-size:1.5rem;overflow-wrap:anywhere}li{overflow-wrap:anywhere}.wide{overflow-x:auto}"
    "table{border-collapse:collapse;margin:1rem 0}th,td{padding:.3rem .5rem;text-align:right;vertical-align:top;"
    "border-bottom:1px solid color-mix(in srgb,currentColor 25%,transparent)}td{white-space:nowrap}"
    ".text{text-align:left}.long{text-align:left;white-space:normal;overflow-wrap:anywhere;min-width:16rem}"
    "caption{text-align:left;font-weight:600}"
)
LONG = 30  # characters from which a cell may break
BRIEF = 200  # characters of a caption in the console's tables, whose columns are as wide as their longest cell
Quote = Callable[[str], str]
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def signed(value: float) -> str:
    """A difference with four decimals and its sign."""
    return "-" if math.isnan(value) else f"{value:+.4f}" if value else "0"


def difference(found: Difference) -> str:
    """+0.0101 [-0.0012, +0.0215]."""
    bounds = "-" if math.isnan(found.low) else f"{signed(found.low)}, {signed(found.high)}"
    return f"{signed(found.value)} [{bounds}]"


def p_value(p: float) -> str:
    """Four decimals; smaller ones are said to be smaller."""
    return "-" if math.isnan(p) else "<0.0001" if p < 0.0001 else f"{p:.4f}"


def number(value: float) -> str:
    """An effect or a detectable difference."""
    return "-" if math.isnan(value) else f"{value:.4f}"


def as_is(text: str) -> str:
    """No change: the whole table is escaped later."""
    return text


def brief(text: str) -> str:
    """A caption in one cell of the console's text: escaped, and its beginning where it is long."""
    return escape(text if len(text) <= BRIEF else f"{text[:BRIEF].rstrip()}...")


def table(comparison: Comparison, units: int = 0, quote: Quote = as_is) -> tuple[list[str], list[list[str]]]:
    """Headings and cells. Two runs have their names in the headings, more have them in the lines.

    quote: what is done to names and labels, which are not ours.
    """
    two = len(comparison.names) == 2
    names = list(map(quote, comparison.names))
    heads = ["measure", *(names if two else ["first", "second", "of first", "of second"])]
    heads += ["difference [95%]", "p", "adjusted", "verdict", "better / equal / worse", "effect", "detectable"]
    omitted = any(left_out(line) for line in comparison.lines)
    heads += ["left out"] if omitted else []
    rows = []
    for line in comparison.lines:
        d = line.difference
        p = float("nan") if line.summary.better == "none" else d.p
        cells = [quote(line.summary.label), *([] if two else [names[line.first], names[line.second]])]
        cells += [show(d.first), show(d.second), difference(d), p_value(p), p_value(line.adjusted), line.verdict]
        cells += [" / ".join(map(str, line.wins)), number(d.effect), number(d.detectable(units))]
        cells += [str(left_out(line))] if omitted else []
        rows.append(cells)
    return heads, rows


def left_out(line: Line) -> int:
    """Rows that only one of the two has a score for."""
    return line.difference.only_first + line.difference.only_second


def moved_table(
    comparison: Comparison, line: Line, quote: Quote = as_is, caption: Quote = as_is
) -> tuple[list[str], list[list[str]]]:
    """The items of one line that moved most; captions only where a run keeps them, written as ``caption`` does."""
    names = quote(comparison.names[line.first]), quote(comparison.names[line.second])
    sampled = any(m.sample for m in line.moved)
    galleries = any(m.bag is not None for m in line.moved)
    texts = [k for k in (0, 1) if any(m.captions[k] is not None for m in line.moved)]
    heads = ["id", *(["sample"] if sampled else []), *(["gallery"] if galleries else []), *names, "difference"]
    heads += [f"caption of {names[k]}" for k in texts]
    rows = []
    for m in line.moved:
        cells = [quote(m.id), *([str(m.sample)] if sampled else []), *([str(m.bag)] if galleries else [])]
        cells += [show(m.first), show(m.second), signed(m.first - m.second)]
        cells += ["(none)" if (text := m.captions[k]) is None else caption(text) for k in texts]
        rows.append(cells)
    return heads, rows


def notes(comparison: Comparison, units: int = 0) -> list[str]:
    """What has to be known to read the table, one sentence an entry; not escaped."""
    of_units = {line.difference.units for line in comparison.lines}
    n = f"{units:,}" if units else " or ".join(f"{u:,}" for u in sorted(of_units))
    names = " - ".join(comparison.names) if len(comparison.names) == 2 else "first - second"
    tests_shown = f"{comparison.family} test" + ("s" if comparison.family != 1 else "")
    made = [LEGEND.format(names=names, tests=tests_shown, n=n)]
    tests = dict.fromkeys(line.difference.test for line in comparison.lines if line.difference.test)
    words = {
        "both": "approximate randomisation and paired bootstrap, the larger p", "mcnemar": "McNemar's exact test",
        "permutation": "approximate randomisation", "bootstrap": "paired bootstrap",
    }  # fmt: skip
    drawn = ", ".join(words[test] for test in tests)
    made.append(f"Tests: {drawn or 'none'}; {comparison.resamples:,} resamples, seed {comparison.seed}.")
    least = (1 if comparison.test == "permutation" else 2) * comparison.family / (comparison.resamples + 1)
    if least > 0.05 and "mcnemar" not in tests:
        made.append(
            f"{comparison.family} tests and {comparison.resamples:,} resamples: no adjusted p can be below "
            f"{least:.2f}. Ask for fewer columns or more --resamples."
        )
    return made


def markdown(comparison: Comparison, units: int = 0) -> str:
    """The console's text, which is Markdown too."""
    title = f"**{' and '.join(map(escape, comparison.names))}** on {escape(comparison.benchmark)}"
    if len(comparison.names) > 2:
        title = f"**{len(comparison.names)} runs** on {escape(comparison.benchmark)}"
    parts = [title, pipes(*table(comparison, units, escape)), "\n".join(map(escape, notes(comparison, units)))]
    parts += [f"Not compared:\n\n{chr(10).join(f'- {escape(str(fault))}' for fault in faults_of(comparison))}"] * bool(
        comparison.gaps
    )
    for line in comparison.lines:
        if line.moved:
            between = "" if len(comparison.names) == 2 else f", {between_of(comparison, line)}"
            parts.append(f"Moved most in {escape(line.summary.label + between)}:")
            parts.append(pipes(*moved_table(comparison, line, escape, brief)))
    return "\n\n".join(parts)


def between_of(comparison: Comparison, line: Line) -> str:
    """The pair of a line."""
    return f"{comparison.names[line.first]} - {comparison.names[line.second]}"


def pipes(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of escaped cells, with columns of even width; numbers to the right."""
    cells = [heads, *rows]
    left = [k == 0 or any(not is_number(row[k]) for row in rows) for k in range(len(heads))]
    widths = [max(3, *(len(row[k]) for row in cells)) for k in range(len(heads))]
    sides = list(zip(widths, left, strict=True))
    lines = [
        [cell.ljust(width) if to_left else cell.rjust(width) for cell, (width, to_left) in zip(row, sides, strict=True)]
        for row in cells
    ]
    rule = ["-" * width if to_left else "-" * (width - 1) + ":" for width, to_left in sides]
    return "\n".join("| " + " | ".join(row) + " |" for row in (lines[0], rule, *lines[1:]))


def is_number(text: str) -> bool:
    """Whether a cell is aligned to the right."""
    return text[:1] in tuple("+-<.0123456789") and not any(ch.isalpha() for ch in text)


def latex(comparison: Comparison, units: int = 0) -> str:
    """A booktabs table; the notes are a comment below it."""
    lines = ["% \\usepackage{booktabs}", booktabs(*table(comparison, units))]
    return "\n".join([*lines, *(f"% {printable(note)}" for note in notes(comparison, units))])


def booktabs(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table for LaTeX, its cells escaped."""
    left = [k == 0 or any(not is_number(row[k]) for row in rows) for k in range(len(heads))]
    lines = [
        f"\\begin{{tabular}}{{{''.join('l' if to_left else 'r' for to_left in left)}}}",
        "\\toprule",
        " & ".join(map(tex, heads)) + " \\\\",
        "\\midrule",
        *(" & ".join(map(tex, row)) + " \\\\" for row in rows),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    return "\n".join(lines)


TEX: Mapping[str, str] = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "[": "{[}", "]": "{]}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}", "'": r"\textquotesingle{}",
}  # fmt: skip


def tex(text: str) -> str:
    """A text that LaTeX prints as it stands."""
    return "".join(TEX.get(ch, ch) for ch in printable(text))


def printable(text: str) -> str:
    """A text in one line without characters that are not seen."""
    return "".join(ch if ch.isprintable() else " " for ch in text)


def page(comparison: Comparison, units: int = 0) -> str:
    """One self-contained HTML page without scripts and without requests."""
    title = f"{' and '.join(comparison.names)} on {comparison.benchmark}"
    parts = [f"<h1>{mark(title)}</h1>", html_table("Differences", *table(comparison, units))]
    parts += [f"<p>{mark(note)}</p>" for note in notes(comparison, units)]
    if comparison.gaps:
        lines = "".join(f"<li>{mark(str(fault))}</li>" for fault in faults_of(comparison))
        parts.append(f"<h2>Not compared</h2><ul>{lines}</ul>")
    for line in comparison.lines:
        if line.moved:
            heading = f"Moved most in {line.summary.label}, {between_of(comparison, line)}"
            parts.append(html_table(heading, *moved_table(comparison, line)))
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{mark(title)}</title><style>{STYLE}</style></head>\n<body><main>\n{body}\n</main></body></html>"
    )


def mark(text: str) -> str:
    """A text that is never markup."""
    return html.escape(printable(text))


def html_table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """One table; columns that are no numbers stand to the left, and long texts break."""

    def kind(k: int) -> str:
        cells = [row[k] for row in rows]
        if k and all(map(is_number, cells)):
            return ""
        return ' class="long"' if max(map(len, cells), default=0) > LONG else ' class="text"'

    kinds = [kind(k) for k in range(len(heads))]
    head = "".join(f'<th scope="col"{which}>{mark(cell)}</th>' for cell, which in zip(heads, kinds, strict=True))
    lines = ["".join(f"<td{which}>{mark(c)}</td>" for c, which in zip(row, kinds, strict=True)) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return (
        f'<div class="wide" tabindex="0"><table><caption>{mark(caption)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def known(value: float) -> float | None:
    """A number for JSON, which has no NaN."""
    return value if math.isfinite(value) else None


def line_object(comparison: Comparison, line: Line, units: int = 0) -> dict[str, Any]:
    """One line as plain data."""
    d = line.difference
    wins = dict(zip(("better", "equal", "worse"), line.wins, strict=True))
    return {
        "metric": line.summary.metric, "column": line.summary.column, "label": line.summary.label,
        "better": line.summary.better, "signature": line.summary.signature,
        "first": comparison.names[line.first], "second": comparison.names[line.second],
        "first_value": known(d.first), "second_value": known(d.second),
        "difference": known(d.value), "low": known(d.low), "high": known(d.high),
        "p": known(d.p), "adjusted_p": known(line.adjusted), "test": d.test,
        "p_permutation": known(d.p_permutation), "p_bootstrap": known(d.p_bootstrap), "verdict": line.verdict,
        "items": wins, "n": d.n, "units": d.units, "only_first": d.only_first, "only_second": d.only_second,
        "standard_error": known(d.error), "effect": known(d.effect), "detectable": known(d.detectable(units)),
        "detectable_units": units or d.units, "units_needed": known(units_needed(d.value, d.error, d.units)),
        "moved": [codec.plain(m) for m in line.moved],
    }  # fmt: skip


def plain_object(comparison: Comparison, units: int = 0) -> dict[str, Any]:
    """The comparison as plain data."""
    return {
        "benchmark": comparison.benchmark, "runs": list(comparison.names),
        "resamples": comparison.resamples, "seed": comparison.seed, "tests": comparison.family,
        "lines": [line_object(comparison, line, units) for line in comparison.lines],
        "not_compared": [
            {"label": g.label, "column": g.column, "first": comparison.names[g.first],
             "second": comparison.names[g.second], "why": g.why}
            for g in comparison.gaps
        ],
    }  # fmt: skip


def json_text(comparison: Comparison, units: int = 0) -> str:
    """The comparison as one JSON object."""
    return codec.to_json(plain_object(comparison, units))


FORMS = {"md": markdown, "json": json_text, "latex": latex, "html": page}
__all__ = ["FORMS", "json_text", "latex", "markdown", "page"]
