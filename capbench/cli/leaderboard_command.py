"""capbench leaderboard: tables from run folders."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from capbench.cli.shared import by_option, echo
from capbench.errors import UsageError

if TYPE_CHECKING:
    from capbench.leaderboard import Board


@click.command("leaderboard")
@click.argument("benchmark", default="")
@click.option(
    "--runs",
    "roots",
    multiple=True,
    default=("runs",),
    metavar="DIR",
    show_default=True,
    help="Where run folders are; may be given several times.",
)
@click.option("--sort", default="", metavar="COLUMN", help="The column to sort by (default: the benchmark's headline).")
@click.option("--format", "form", type=click.Choice(["md", "csv", "json"]), default="md", show_default=True)
@by_option
@click.option("--write", "target", default="", metavar="DIR", help="Write README.md, table.csv and entries there.")
@click.option("--note", default="", metavar="TEXT", help="With --write: the commands that made the runs.")
@click.option("--rewrite", "again", default="", metavar="DIR", help="Write a table again from its own entries.")
@click.option("--check", "checked", default="", metavar="DIR", help="Fail when a written table is stale.")
def command(  # noqa: PLR0913 -- one parameter for each option
    benchmark: str, roots: tuple[str, ...], sort: str, form: str, by: str, target: str, note: str, again: str,
    checked: str,
) -> None:  # fmt: skip
    """Make tables from the runs below --runs: one for each benchmark and set of comparable signatures."""
    from capbench import leaderboard

    if by and (checked or again or target):
        cure = "capbench leaderboard --runs DIR/entries --by TAG prints the split of a written table"
        raise UsageError("a table that is split is printed, not written", cure)
    if checked:
        leaderboard.check_board(Path(checked))
        click.echo(f"{checked} is current", err=True)
        return
    if again:
        leaderboard.rewrite_board(Path(again))
        click.echo(f"wrote {again}", err=True)
        return
    places = [Path(root) for root in roots]
    boards = leaderboard.gather(places, benchmark, sort)
    if by:
        echo(split_text(boards, places, by, form))
        return
    if target:
        entries, _ = leaderboard.read_entries(places)
        kept = [e.folder for e in entries if benchmark in ("", e.record.identity.benchmark)]
        shown = "/".join(Path(target).parts[-2:])  # no more of the path than says which table it is
        words = shlex.join(["capbench", "leaderboard", *([benchmark] if benchmark else []), "--write", shown])
        leaderboard.write_board(boards, kept, Path(target), "\n".join(filter(None, [note, words])))
        click.echo(f"wrote {target}", err=True)
        return
    forms = {"md": leaderboard.markdown, "csv": leaderboard.csv_text, "json": leaderboard.json_text}
    echo(forms[form](boards).rstrip("\n"))


def split_text(boards: Sequence[Board], places: Sequence[Path], by: str, form: str) -> str:
    """The tables split by a tag; benchmarks without the tag are named on stderr.

    Raises:
        UsageError: a form in which split tables are not written.
    """
    from capbench import group_tables

    if form not in group_tables.FORMS:
        raise UsageError(f"--by has no form {form}", f"there are: {', '.join(group_tables.FORMS)}")
    found, without = group_tables.split_boards(boards, places, by)
    for name in without:
        click.echo(f"{name} has no tag {by!r} and is left out", err=True)
    return group_tables.FORMS[form](found).rstrip("\n")
