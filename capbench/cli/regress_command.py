"""capbench regress: is a run worse than its baseline?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from capbench.cli.shared import column_option, echo, json_option, resamples_options, runs_option
from capbench.errors import BadData, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from capbench.regress import Report


@click.command("regress")
@click.argument("baseline")
@click.argument("run")
@click.option(
    "--allow", "allowances", multiple=True, metavar="COLUMN=X",
    help="How much worse a column may be, on its own scale, as in cider=0.01; may be given several times.",
)  # fmt: skip
@column_option
@click.option(
    "--alpha", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.05, show_default=True,
    help="How often an unchanged captioner may be called better or worse in some column.",
)  # fmt: skip
@click.option(
    "--max-missing", type=click.FloatRange(0, 1), default=0.01, show_default=True,
    help="The share of the baseline's scores that the run may lack before a column is not comparable.",
)  # fmt: skip
@click.option(
    "--github/--no-github", default=None,
    help="Print annotations, and append to the file $GITHUB_STEP_SUMMARY (default: where GITHUB_ACTIONS is true).",
)  # fmt: skip
@click.option("--junit", default="", metavar="FILE", help="Write JUnit XML.")
@click.option("--update-baseline", "update", is_flag=True, help="Accept the run: write it to BASELINE. Exit code 0.")
@resamples_options
@runs_option
@json_option
def command(  # noqa: PLR0913 -- one parameter for each option
    baseline: str, run: str, allowances: tuple[str, ...], columns: tuple[str, ...], alpha: float, max_missing: float,
    github: bool | None, junit: str, update: bool, resamples: int, seed: int, root: str, as_json: bool,
) -> None:  # fmt: skip
    """Judge RUN against BASELINE: better, same, worse or not comparable in every column of the baseline.

    BASELINE is a run or an entry of a leaderboard, or a folder of entries with one of RUN's benchmark and
    name. Worse is: significant, in the wrong direction, and by more than --allow. Exit codes: 0 no column is
    worse, 1 one is, 4 none is and one cannot be compared.
    """
    from pathlib import Path

    from capbench import regress, regress_text, store
    from capbench.run_folders import pick_run

    folder, place = pick_run(run, Path(root)), Path(baseline)
    if junit:
        store.place_for(Path(junit))
    options: dict[str, Any] = {
        "allow": allowed(allowances), "columns": columns, "alpha": alpha, "max_missing": max_missing,
        "resamples": resamples, "seed": seed,
    }  # fmt: skip
    report = None
    try:
        if not update or regress.has_baseline(place, folder):
            known = regress.find_baseline(place, folder) if place.exists() else run_of(baseline, Path(root))
            report = regress.regress(known, folder, **options)
    except BadData as error:  # a baseline that cannot be read, or not any more, may be replaced
        if not update:
            raise
        click.echo(f"the old baseline is of no use: {error.message}", err=True)
    if report is not None:
        echo(regress_text.json_text(report) if as_json else regress_text.markdown(report))
        if junit:
            store.write_file(Path(junit), regress_text.junit(report).encode())
        if github or (github is None and os.environ.get("GITHUB_ACTIONS") == "true"):
            tell_github(report, to_stderr=as_json)
    if update:
        click.echo(f"wrote {regress.update_baseline(place, folder)}", err=True)
    elif report is not None:
        report.refuse()


def run_of(baseline: str, root: Path) -> Path:
    """The run that stands for a baseline which is no folder.

    Raises:
        UsageError: there is none; the cure says how the first baseline is written.
    """
    from capbench.run_folders import pick_run

    try:
        return pick_run(baseline, root)
    except UsageError as error:
        raise UsageError(error.message, f"{error.cure}; or write the first baseline: --update-baseline") from error


def allowed(words: tuple[str, ...]) -> dict[str, float]:
    """COLUMN=X words as a mapping.

    Raises:
        UsageError: a word of another form.
    """
    made = {}
    for word in words:
        name, mark, value = word.rpartition("=")
        try:
            made[name.strip()] = float(value)
        except ValueError:
            mark = ""
        if not mark or not name.strip():
            raise UsageError(f"cannot read --allow {word}", "write COLUMN=X, as in --allow cider=0.01")
    return made


def tell_github(report: Report, *, to_stderr: bool) -> None:
    """Annotations, and the table in the step's summary; the runner reads commands on both streams."""
    from pathlib import Path

    from capbench import regress_text

    lines = regress_text.workflow_commands(report)
    if lines:
        click.echo(lines.encode("utf-8", "backslashreplace").decode(), err=to_stderr)
    target = os.environ.get("GITHUB_STEP_SUMMARY")
    if target:
        with Path(target).open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(regress_text.markdown(report) + "\n\n")
