"""capbench cache: what is kept, and how to let go of it."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from capbench.cli.shared import echo


@click.group("cache")
def command() -> None:
    """Look at the cache of vectors and other derived values, prune it, verify it."""


@command.command("path")
def path() -> None:
    """Print where the cache is ($CAPBENCH_CACHE, else $XDG_CACHE_HOME/capbench)."""
    from capbench.cache import cache_file

    click.echo(cache_file())


@command.command("stats")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def stats(as_json: bool) -> None:
    """Print how much is kept, by kind and backend."""
    from capbench.cache import open_cache

    with open_cache() as cache:
        lines = cache.stats()
    if as_json:
        echo(json.dumps([asdict(line) for line in lines], indent=1))
        return
    echo("| kind | backend | values | MB |\n| --- | --- | ---: | ---: |")
    for line in lines:
        echo(f"| {line.kind} | {line.backend} | {line.entries} | {line.bytes / 1e6:.1f} |")


@command.command("prune")
@click.option("--days", type=click.FloatRange(min=0), required=True, help="Drop values made longer ago than this.")
def prune(days: float) -> None:
    """Drop old values; they are computed again when they are needed."""
    from capbench.cache import open_cache

    with open_cache() as cache:
        click.echo(f"dropped {cache.prune(days)} values")


@command.command("verify")
@click.option("--drop", is_flag=True, help="Forget the damaged values.")
def verify(drop: bool) -> None:
    """Check every value against its checksum; exit code 1 when one is damaged."""
    from capbench.cache import open_cache
    from capbench.errors import CheckFailed

    with open_cache() as cache:
        damaged = list(cache.damaged())
        if drop:
            cache.drop(damaged)
    if damaged and not drop:
        raise CheckFailed(f"{len(damaged)} values are damaged", "capbench cache verify --drop")
    click.echo(f"{len(damaged)} damaged values dropped" if damaged else "every value is whole")
