"""capbench judgements: published human judgements as rows for metaeval."""

from __future__ import annotations

import click

from capbench.errors import UsageError


class Listed(click.Command):
    """A command whose help ends with the sets that it knows."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list."""
        del ctx
        from capbench.judgement_sets import SETS

        with formatter.section("Sets (INPUT; --captions)"):
            formatter.write_dl(
                [
                    (name, f"{one.what}: {one.files}" + (f"; {one.captions}" if one.captions else ""))
                    for name, one in SETS.items()
                ]
            )


@click.command("judgements", cls=Listed)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("-o", "--output", required=True, metavar="FILE", help="JSON lines; gzip'ed if it ends in .gz.")
@click.option("--as", "name", default="", metavar="SET", help="The set, if the content should not decide.")
@click.option(
    "--captions", multiple=True, metavar="FILE",
    help="The photos' captions, for sets that come without references; may be given several times.",
)  # fmt: skip
@click.option(
    "--references", type=click.IntRange(min=0), default=None,
    help="References to keep (0: all).  [default: all; 5 of Pascal-50S's 48]",
)  # fmt: skip
@click.option("--seed", default=0, show_default=True, help="Of Pascal-50S's ties and references.")
def command(
    inputs: tuple[str, ...], output: str, name: str, captions: tuple[str, ...], references: int | None, seed: int
) -> None:
    """Turn published human judgements into rows for capbench metaeval.

    INPUT are the files as the authors of a set publish them, each perhaps gzip'ed; the set is recognised by
    their content. What is left out is counted.
    """
    import gzip
    import json
    from pathlib import Path

    from capbench.cli.shared import echo
    from capbench.judgement_sets import convert
    from capbench.store import write_file

    target = Path(output)
    if any(target.resolve() == Path(path).resolve() for path in (*inputs, *captions)):
        raise UsageError(f"{output} is one of the files to be read", "write to another file: -o FILE")
    if not target.parent.is_dir():
        raise UsageError(f"there is no folder {target.parent}", "make it first, or write elsewhere: -o FILE")
    found = convert(inputs, name=name, captions=captions, references=references, seed=seed)
    data = "".join(json.dumps(row) + "\n" for row in found.rows).encode()
    write_file(target, gzip.compress(data, mtime=0) if target.suffix == ".gz" else data)
    echo(f"{output}: {len(found.rows):,} rows of {found.name}")
    for why, count in found.left_out.items():
        echo(f"left out: {count:,}: {why}")
