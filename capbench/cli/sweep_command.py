"""capbench sweep: a captioner over a grid of parameters, and what is given up for what."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from capbench.cli import run_command
from capbench.cli.shared import about_captions, bindings, echo, executor_of, json_option, tell

NOT_TAKEN = ("captioner", "dry_run", "by", "as_json")


def as_run_takes(command: click.Command) -> click.Command:
    """The command with the options of ``capbench run`` that mean the same for every point."""
    own = {param.name for param in command.params}
    command.params += [p for p in run_command.command.params if p.name not in (*NOT_TAKEN, *own)]
    return command


@as_run_takes
@click.command("sweep")
@click.argument("captioner")
@click.option(
    "--vary", multiple=True, required=True, metavar="NAME=V1,V2",
    help="A parameter and its values; several times for a grid, the first varies slowest.",
)  # fmt: skip
@click.option("--x", default="", metavar="COLUMN", help="The column across (default: the headline).")
@click.option("--y", default="", metavar="COLUMN", help="The column up (default: of another metric).")
@click.option("--html", default="", metavar="FILE", help="Write the table and the plot as one self-contained page.")
@click.option("--csv", "csv_file", default="", metavar="FILE", help="Write one line a point.")
@click.option("--dry-run", is_flag=True, help="Print the points and where their runs are, and stop.")
@json_option
def command(
    captioner: str, vary: tuple[str, ...], x: str, y: str, html: str, csv_file: str, dry_run: bool, as_json: bool,
    **words: Any,
) -> None:  # fmt: skip
    """Run a captioner with every combination of some parameters, and show what is traded for what.

    NAME is a parameter of decoding (prompt, max_tokens, temperature, beams, seed) or one of CAPTIONER's own, as
    flaw of speaker. A value with commas stands in quotes: --vary "prompt='In short, what is it?',Describe it".
    Every point is a run as capbench run makes it: the same sweep again computes nothing. A point that fails does
    not stop the others; the exit code is then its own.
    """
    from capbench import api, pages, store, sweep_text, sweeps
    from capbench.types import Generation

    generation = Generation(**{f.name: words[f.name] for f in fields(Generation) if f.name in words})
    given = {name: value for name, value in words.items() if name in api.Options.__annotations__}
    chosen: dict[str, Any] = {
        "backends": bindings(words["backends"]),
        "samples": words["samples"] or 0,
        "generation": generation,
    }
    chosen["executor"] = executor_of(words["executor"], words["address"], words["workers"])
    for target in filter(None, (html, csv_file)):
        store.place_for(Path(target))
    options: Any = {**given, **chosen}
    planned = sweeps.plan(captioner, words["benchmark"], vary, words["metrics"], x=x, y=y, **options)
    if dry_run:
        echo("\n".join(f"{p.label}: {q.folder}" for p, q in zip(planned.points, planned.plans, strict=True)))
        return
    made = sweeps.run(planned, words["max_missing"], tell_line)
    echo(sweep_text.json_text(made) if as_json else sweep_text.markdown(made))
    if csv_file:
        store.write_file(Path(csv_file), sweep_text.csv_text(made).encode())
        tell_line(f"wrote {csv_file}")
    if html:
        pages.write_sweep(made, Path(html))
        tell_line(f"wrote {html}")
    tell(made.notes)
    captions = [caption for done in made.points if done.run is not None for caption in done.run.captions]
    dropped = [spec for done in made.points for spec in done.dropped]
    tell(about_captions(planned.plans[0].job.captioner, captions, dropped))
    if made.failure is not None:
        raise made.failure


def tell_line(line: str) -> None:
    """Print one line on stderr, whatever characters it has."""
    click.echo(line.encode("utf-8", "backslashreplace").decode(), err=True)
