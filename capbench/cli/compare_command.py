"""capbench compare: runs against each other, item by item."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from capbench.cli.shared import column_option, echo, resamples_options, runs_option

if TYPE_CHECKING:
    from capbench.paired import Test


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...")
@column_option
@click.option(
    "--format", "form", type=click.Choice(["md", "json", "latex", "html"]), default="md", show_default=True,
    help="md is the console's text.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--moved", type=click.IntRange(min=0), default=None, metavar="N",
    help="How many of the items that moved most are shown for each line (default: 5 for two runs, 0 for more).",
)  # fmt: skip
@click.option(
    "--images", "units", type=click.IntRange(min=0), default=0, metavar="N",
    help="Plan: the difference that so many images (or galleries) would show (default: as many as there are).",
)  # fmt: skip
@click.option(
    "--test", type=click.Choice(["both", "permutation", "bootstrap"]), default="both", show_default=True,
    help="Where p comes from (both: the larger one); 0/1 columns have McNemar's exact test.",
)  # fmt: skip
@resamples_options
@runs_option
def command(  # noqa: PLR0913 -- one parameter for each option
    runs: tuple[str, ...], columns: tuple[str, ...], form: str, as_json: bool, moved: int | None, units: int,
    test: Test, resamples: int, seed: int, root: str,
) -> None:  # fmt: skip
    """Compare two or more runs on the same images, in every column that they share.

    RUN is a folder (an entry of a leaderboard is one), the start of a run's name or id, or `latest`. Numbers
    whose signatures differ are not compared; the message says in what they differ.
    """
    from pathlib import Path

    from capbench import compare, comparison_text, store

    folders = [store.pick_run(word, Path(root)) for word in runs]
    shown = moved if moved is not None else compare.MOVED if len(folders) == 2 else 0
    made = compare.compare(folders, columns, resamples=resamples, seed=seed, test=test, moved=shown)
    echo(comparison_text.FORMS["json" if as_json else form](made, units))
