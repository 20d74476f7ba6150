"""capbench doctor: what is there, what is missing, and what to type."""

from __future__ import annotations

import json

import click

from capbench.cli.shared import echo, json_option


@click.command("doctor")
@click.argument("spec", default="")
@json_option
def command(spec: str, as_json: bool) -> None:
    """Look at the installation; with SPEC, put a plugin through capbench's checks.

    SPEC is as everywhere: a name, ./file.py:Attr or pkg.module:Attr, with parameters if it takes any.
    """
    from capbench import doctor

    if spec:
        passed = doctor.check_spec(spec)
        echo(json.dumps(passed, indent=1) if as_json else "\n".join(f"ok  {line}" for line in passed))
        return
    lines = doctor.look()
    if as_json:
        echo(json.dumps(lines, indent=1))
        return
    for line in lines:
        click.secho(
            f"{line['state'].ljust(8)}{line['what']}",
            fg={"missing": "yellow", "broken": "red"}.get(line["state"]),
        )
        if line["cure"]:
            click.echo(f"        -> {line['cure']}")
