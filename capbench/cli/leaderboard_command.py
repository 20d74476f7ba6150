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
    from capbench.leaderboard import Board, Entry

FORMS = ("md", "csv", "json", "latex", "model-index")


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
@click.option("--format", "form", type=click.Choice(FORMS), default="md", show_default=True)
@by_option
@click.option("--reported", default="", metavar="FILE", help="Numbers from papers, shown apart (reported.toml).")
@click.option("--html", default="", metavar="FILE", help="Write the tables as one self-contained page.")
@click.option("--export", "exported", default="", metavar="DIR", help="Write one JSON record a run (Every Eval Ever).")
@click.option("--write", "target", default="", metavar="DIR", help="Write README.md, table.csv and entries there.")
@click.option("--note", default="", metavar="TEXT", help="With --write: the commands that made the runs.")
@click.option("--rewrite", "again", default="", metavar="DIR", help="Write a table again from its own entries.")
@click.option("--check", "checked", default="", metavar="DIR", help="Fail when a written table is stale.")
def command(  # noqa: PLR0913 -- one parameter for each option
    benchmark: str, roots: tuple[str, ...], sort: str, form: str, by: str, reported: str, html: str, exported: str,
    target: str, note: str, again: str, checked: str,
) -> None:  # fmt: skip
    """Make tables from the runs below --runs: one for each benchmark and set of comparable signatures."""
    from capbench import leaderboard

    if by and (checked or again or target or html or exported):
        cure = "capbench leaderboard --runs DIR/entries --by TAG prints the split of a written table"
        raise UsageError("a table that is split is printed, not written", cure)
    if reported and target:
        raise UsageError("--write reads reported.toml in its own folder", f"put the file there: {target}/reported.toml")
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
    if reported:
        boards = leaderboard.with_reported(boards, Path(reported), must=True)
    if target or exported or html:
        write(boards, leaderboard.chosen_entries(places, benchmark), benchmark, html, exported, target, note)
        return
    forms = {
        "md": leaderboard.markdown, "csv": leaderboard.csv_text, "json": leaderboard.json_text,
        "latex": leaderboard.latex, "model-index": leaderboard.model_index,
    }  # fmt: skip
    echo(split_text(boards, places, by, form) if by else forms[form](boards).rstrip("\n"))


def write(
    boards: list[Board], entries: list[Entry], benchmark: str, html: str, exported: str, target: str, note: str
) -> None:
    """Write what is asked for, and say where."""
    from capbench import leaderboard, pages

    if target:
        shown = "/".join(Path(target).parts[-2:])  # no more of the path than says which table it is
        words = shlex.join(["capbench", "leaderboard", *([benchmark] if benchmark else []), "--write", shown])
        made_by = "\n".join(filter(None, [note, words]))
        leaderboard.write_board(boards, [e.folder for e in entries], Path(target), made_by)
        click.echo(f"wrote {target}", err=True)
    if exported:
        written = leaderboard.export(boards, entries, Path(exported))
        click.echo(f"wrote {len(written)} records below {exported}", err=True)
    if html:
        pages.write_boards(boards, Path(html))
        click.echo(f"wrote {html}", err=True)


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
