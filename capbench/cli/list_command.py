"""capbench list: what is installed, from metadata; one name shows what the part takes and gives."""

from __future__ import annotations

import json
import traceback

import click

from capbench.cli.shared import echo, json_option
from capbench.errors import UsageError


@click.command("list")
@click.argument("what", default="")
@click.option("--runs", default="runs", metavar="DIR", show_default=True, help="Where run folders are kept.")
@json_option
@click.pass_context
def command(context: click.Context, what: str, runs: str, as_json: bool) -> None:
    """List metrics, captioners, backends, datasets, benchmarks or runs; or show one part by its name.

    Without a word it reads package metadata only. With a group's name it also tries to import the
    parts of other packages, and shows those that are broken.
    """
    from capbench import catalogue, plugins

    del context
    if what in (*plugins.GROUPS, "benchmarks", "runs", ""):
        groups = [what] if what else [*plugins.GROUPS, "benchmarks"]
        found = {group: catalogue.names(group, runs, load=bool(what)) for group in groups}
        if as_json:
            echo(json.dumps(found, indent=1))
            return
        for group, lines in found.items():
            click.echo(group)
            width = max((len(line["name"]) for line in lines), default=0)
            for line in lines:
                broken = line.get("broken")
                text = f"  {line['name'].ljust(width)}  {broken or line['about']}"
                click.secho(text, fg="red" if broken else None)
        return
    try:
        described = catalogue.describe(what)
    except UsageError:
        raise
    except Exception:
        traceback.print_exc()
        raise
    echo(json.dumps(described, indent=1) if as_json else catalogue.text_of(described))
