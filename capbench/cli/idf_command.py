"""capbench idf: document frequencies of any references, for cider(idf='file:PATH')."""

from __future__ import annotations

import json

import click

from capbench.cli.shared import backend_option, bindings, echo, json_option, lang_option


@click.command("idf")
@click.argument("references")
@click.argument("out")
@click.option("--tokenizer", default="", metavar="SPEC", help="What cuts the texts into words; the metric's own.")
@backend_option
@lang_option
@click.option("--data", default="", metavar="DIR", help="Where a benchmark's data are.")
@json_option
def command(
    references: str, out: str, tokenizer: str, backends: tuple[str, ...], lang: str, data: str, as_json: bool
) -> None:
    """Count in how many images each n-gram occurs, and write that to OUT.

    REFERENCES is a file as for score, or a benchmark as for run. With cider(idf='file:OUT') the score of a
    caption does not depend on which images are scored beside it.
    """
    from capbench import api
    from capbench.metrics.cider import FEW

    table = api.write_idf(references, out, tokenizer=tokenizer, lang=lang, backends=bindings(backends), data=data)
    if as_json:
        told = {"file": out, "n_documents": table.n_documents, "ngrams": table.size, "tokenizer": table.tokenizer}
        echo(json.dumps(told | {"idf": table.fingerprint}, indent=1))
    else:
        echo(f"{out}: {table.size} n-grams of {table.n_documents} images, words of {table.tokenizer}")
        echo(f"idf:{table.fingerprint}")
    if table.n_documents < FEW:
        click.echo(f"note: {table.n_documents} images hardly tell words apart: numbers will be marked", err=True)
