"""capbench score: the shortest way for somebody with two files."""

from __future__ import annotations

import json

import click

from capbench.cli.shared import bindings, echo, executor_of, numbers_table, result_options, scoring_options, tell


@click.command("score")
@click.argument("predictions")
@click.argument("references")
@click.option("--images", default="", metavar="DIR", help="The pictures, for metrics that look at them.")
@scoring_options
@click.option("--field", default="", metavar="KEY", help="Where the captions are, as in outputs.blip2.")
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Captions an image; metrics of one caption score the first.",
)
@click.option("--split", default="", metavar="NAME", help="The split of a Karpathy file, as in test (default: all).")
@click.option("--ignore-extra", is_flag=True, help="Leave out captions whose id has no references.")
@click.option(
    "--per-item", default="", metavar="FILE", help="Write every number of every item: JSON lines, or CSV to a .csv."
)
@result_options
def command(  # noqa: PLR0913 -- one parameter for each option
    predictions: str, references: str, images: str, metrics: tuple[str, ...], backends: tuple[str, ...],
    lang: str, field: str, samples: int, split: str, ignore_extra: bool, per_item: str, replay: str, executor: str,
    address: str, workers: int, by: str, max_missing: float, as_json: bool,
) -> None:  # fmt: skip
    """Score the captions of PREDICTIONS against REFERENCES.

    The forms of both files are recognised by their content: COCO results or annotations, {id: caption},
    JSON lines, CSV, Parquet. Captions are matched by id. Without -m: BLEU-1..4, ROUGE-L and CIDEr.
    """
    from pathlib import Path

    from capbench import api, engine, group_tables
    from capbench.store import place_for, write_file

    if per_item:
        place_for(Path(per_item))
    run = api.score(
        predictions, references, metrics, images=images, backends=bindings(backends), field=field, samples=samples,
        extra="ignore" if ignore_extra else "error", split=split, lang=lang, by=by, replay=replay,
        executor=executor_of(executor, address, workers),
    )  # fmt: skip
    if per_item:
        text = api.per_item_csv(run) if per_item.lower().endswith(".csv") else api.per_item_lines(run)
        write_file(Path(per_item), text.encode())
    if as_json:
        echo(json.dumps(api.scores_object(run), indent=1, allow_nan=False))
    else:
        echo(numbers_table(run.summaries))
        if run.groups:
            echo("\n" + group_tables.one_run(run.groups))
    tell(run.record.notes)
    engine.refuse_unscored(run, run.summaries, max_missing)
