"""A regression report for people, for GitHub, for JUnit readers and as JSON."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

from capbench import codec
from capbench.comparison_text import difference, known, line_object, number, p_value, pipes, printable
from capbench.leaderboard import escape, show
from capbench.regress import Check, Report, reasons

LEGEND = (
    "Worse or better: significant at {alpha:.0%} (Holm over {tests} columns), and a larger difference than is allowed. "
    "Detectable: the difference that is significant in 80 of 100 cases, one column alone."
)
LEVELS = {"worse": "error", "not comparable": "error", "better": "notice"}


def markdown(report: Report) -> str:
    """The console's text, which is Markdown too."""
    heads = ["measure", "verdict", "baseline", "run", "run - baseline [95%]", "adjusted p", "allowed", "detectable"]
    rows = []
    for check in report.checks:
        cells = [escape(check.summary.label), check.verdict]
        if check.line is None:
            value = check.summary.value
            cells += ["-" if value is None else show(value), "-", "-", "-", f"{check.allowed:g}", "-"]
        else:
            d = check.line.difference
            cells += [show(d.second), show(d.first), difference(d), p_value(check.line.adjusted)]
            cells += [f"{check.allowed:g}", number(d.detectable())]
        rows.append(cells)
    title = f"**{escape(report.run)}** against the baseline **{escape(report.baseline)}** on {escape(report.benchmark)}"
    parts = [title, pipes(heads, rows), LEGEND.format(alpha=report.alpha, tests=report.comparison.family)]
    unknown = reasons(report.of("not comparable"))
    lines = [f"- {escape(', '.join(labels))}: not comparable: {escape(why)}" for why, labels in unknown.items()]
    parts += ["\n".join(lines)] if lines else []
    if report.new:
        parts.append(f"Not in the baseline: {', '.join(map(escape, report.new))}.")
    return "\n\n".join(parts)


def sentence(check: Check) -> str:
    """One column in one line, as in "CIDEr is worse by 0.05 (p 0.0003)"."""
    joint = ": " if check.verdict == "not comparable" else " "
    return printable(f"{check.summary.label} is {check.verdict}{joint}{check.why}")


def workflow_commands(report: Report) -> str:
    """GitHub workflow commands: an error for each column that is worse or not comparable, a notice for better."""
    return "\n".join(
        f"::{LEVELS[check.verdict]} title={in_property(f'capbench {check.summary.label}')}::{in_data(sentence(check))}"
        for check in report.checks
        if check.verdict in LEVELS
    )


def in_data(text: str) -> str:
    """A text as a workflow command's message."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def in_property(text: str) -> str:
    """A text as a workflow command's property."""
    return in_data(printable(text)).replace(":", "%3A").replace(",", "%2C")


def junit(report: Report) -> str:
    """JUnit XML: one test case a column; worse is a failure, not comparable an error."""
    failures, errors = len(report.of("worse")), len(report.of("not comparable"))
    counts = {"tests": str(len(report.checks)), "failures": str(failures), "errors": str(errors), "skipped": "0"}
    root = ET.Element("testsuites", counts)
    suite = ET.SubElement(root, "testsuite", {"name": "capbench regress", **counts})
    names: dict[str, int] = {}
    for check in report.checks:
        name = printable(check.summary.label)
        names[name] = names.get(name, 0) + 1
        if names[name] > 1:  # GitLab takes cases of one name for one
            name = f"{name} ({check.summary.short})"
        case = ET.SubElement(suite, "testcase", {"classname": f"capbench.{printable(report.run)}", "name": name})
        kind = {"worse": "failure", "not comparable": "error"}.get(check.verdict)
        if kind:
            problem = ET.SubElement(case, kind, {"message": sentence(check), "type": check.verdict})
            problem.text = sentence(check)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def json_text(report: Report) -> str:
    """The report as one JSON object."""
    return codec.to_json(
        {
            "baseline": report.baseline, "run": report.run, "benchmark": report.benchmark, "alpha": report.alpha,
            "resamples": report.comparison.resamples, "seed": report.comparison.seed,
            "worse": len(report.of("worse")), "not_comparable": len(report.of("not comparable")),
            "checks": [check_object(report, check) for check in report.checks], "not_in_baseline": list(report.new),
        }
    )  # fmt: skip


def check_object(report: Report, check: Check) -> dict[str, Any]:
    """One column as plain data; ``comparison`` is run (first) against baseline (second)."""
    return {
        "metric": check.summary.metric, "column": check.summary.column, "label": check.summary.label,
        "verdict": check.verdict, "why": check.why, "allowed": known(check.allowed),
        "signature": check.summary.signature,
        "comparison": None if check.line is None else line_object(report.comparison, check.line),
    }  # fmt: skip
