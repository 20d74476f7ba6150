"""capbench export-replies: what judges answered in runs, as one file from which others compute the same numbers."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("export-replies")
@click.argument("runs", nargs=-1, required=True)
@click.argument("out")
def command(runs: tuple[str, ...], out: str) -> None:
    """Write every reply that the judges of the folders RUNS gave to the file OUT (JSON lines, gzip'ed).

    The same command with --replay OUT then asks nothing and gives the same numbers. The file holds no prompts, no
    captions and no key; a judge's own words may quote captions.
    """
    from capbench import recording

    replies, judges = recording.export([Path(run) for run in runs], Path(out))
    click.echo(f"{out}: {replies} replies of {judges} judge{'s' * (judges != 1)}", err=True)
