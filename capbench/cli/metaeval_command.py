"""capbench metaeval: how well metrics agree with people."""

from __future__ import annotations

import json

import click

from capbench.cli.shared import (
    backend_option,
    bindings,
    echo,
    json_option,
    metric_option,
    missing_option,
    tell,
)  # fmt: skip


@click.command("metaeval")
@click.argument("judgements")
@metric_option
@backend_option
@click.option("--images", default="", metavar="DIR", help="The pictures, for metrics that look at them.")
@missing_option
@json_option
def command(
    judgements: str, metrics: tuple[str, ...], backends: tuple[str, ...], images: str, max_missing: float,
    as_json: bool,
) -> None:  # fmt: skip
    """Measure metrics against human JUDGEMENTS: a leaderboard of metrics.

    JUDGEMENTS are JSON lines of captions with ratings, or of pairs with a preference. Without -m:
    BLEU-1..4, ROUGE-L and CIDEr.
    """
    from capbench import engine, metaeval

    found = metaeval.evaluate(judgements, metrics, images=images, backends=bindings(backends))
    if as_json:
        echo(json.dumps(metaeval.as_object(found), indent=1, allow_nan=False))
    else:
        echo(metaeval.markdown(found))
    tell(found.run.record.notes)
    engine.refuse_unscored(found.run, found.asked, max_missing)
