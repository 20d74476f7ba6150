"""capbench leaderboard: tables from run folders."""

from __future__ import annotations

import shlex

import click

from capbench.cli.shared import echo


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
@click.option("--write", "target", default="", metavar="DIR", help="Write README.md, table.csv and entries there.")
@click.option("--note", default="", metavar="TEXT", help="With --write: the commands that made the runs.")
@click.option("--rewrite", "again", default="", metavar="DIR", help="Write a table again from its own entries.")
@click.option("--check", "checked", default="", metavar="DIR", help="Fail when a written table is stale.")
def command(
    benchmark: str, roots: tuple[str, ...], sort: str, form: str, target: str, note: str, again: str, checked: str
) -> None:
    """Make tables from the runs below --runs: one for each benchmark and set of comparable signatures."""
    from pathlib import Path

    from capbench import leaderboard

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
