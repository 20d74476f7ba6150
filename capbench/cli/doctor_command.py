"""capbench doctor: what is there, what is missing, and what to type."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from capbench.cli.shared import backend_option, bindings, echo, json_option
from capbench.errors import CheckFailed

if TYPE_CHECKING:
    from capbench.doctor import Line


@click.command("doctor")
@click.argument("spec", default="")
@click.option(
    "--conformance",
    default="",
    metavar="DIR",
    help="Score the published examples of CLIPScore and PAC-S that DIR holds; exit code 1 when a number differs.",
)
@backend_option
@json_option
def command(spec: str, conformance: str, backends: tuple[str, ...], as_json: bool) -> None:
    """Look at the installation; with SPEC, put a plugin through capbench's checks.

    SPEC is as everywhere: a name, ./file.py:Attr or pkg.module:Attr, with parameters if it takes any.
    """
    from capbench import doctor

    if spec:
        passed = doctor.check_spec(spec)
        echo(json.dumps(passed, indent=1) if as_json else "\n".join(f"ok  {line}" for line in passed))
        return
    if not conformance:
        show(doctor.look(), as_json=as_json)
        return
    from capbench import conformance as published

    lines = published.look(conformance, bindings(backends))
    show(lines, as_json=as_json)
    differ = sum(line["state"] == "broken" for line in lines)
    if differ:
        raise CheckFailed(f"{differ} of {len(lines)} numbers are not as published")


def show(lines: Sequence[Line], *, as_json: bool) -> None:
    """Findings, each with its cure."""
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
