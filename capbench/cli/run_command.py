"""capbench run: caption a benchmark, score the captions, write a run."""

from __future__ import annotations

import json

import click

from capbench.cli.shared import (
    about_captions,
    bindings,
    computed,
    echo,
    executor_of,
    numbers_table,
    result_options,
    scoring_options,
    tell,
)


@click.command("run")
@click.argument("captioner")
@click.option("-b", "--benchmark", required=True, help="A shipped name, a TOML file, or a dataset's spec.")
@scoring_options
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=None,
    help="Captions an image, each with its own seed; metrics of one caption score the first.",
)
@click.option("-n", "limit", type=click.IntRange(min=0), default=0, help="Only the first N items (0: all).")
@click.option("--data", default="", metavar="DIR", help="Where the benchmark's data are.")
@click.option("--dataset", default="", metavar="SPEC", help="Another dataset spec for the same data.")
@click.option("--images", default="", metavar="DIR", help="Where the benchmark's pictures are.")
@click.option("--name", default="", help="The captioner's name in tables.")
@click.option("--runs", default="runs", metavar="DIR", show_default=True, help="Where run folders are kept.")
@click.option("--prompt", default="", help="The prompt for captioners that take one.")
@click.option(
    "--max-tokens",
    type=click.IntRange(min=0),
    default=0,
    help="The longest caption (0: the captioner's own).",
)
@click.option("--temperature", type=click.FloatRange(min=0), default=0.0, show_default=True)
@click.option("--beams", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--fresh", is_flag=True, help="Start over: forget the captions and scores that are there.")
@click.option("--retry-failed", is_flag=True, help="Ask again for the captions that failed, and score anew.")
@click.option("--dry-run", is_flag=True, help="Print the plan and stop.")
@result_options
def command(  # noqa: PLR0913 -- one parameter for each option
    captioner: str, benchmark: str, metrics: tuple[str, ...], backends: tuple[str, ...], lang: str,
    samples: int | None, limit: int, data: str, dataset: str, images: str, name: str, runs: str, prompt: str,
    max_tokens: int, temperature: float, beams: int, seed: int, device: str, fresh: bool, retry_failed: bool,
    dry_run: bool, replay: str, executor: str, address: str, workers: int, by: str, max_missing: float, as_json: bool,
) -> None:  # fmt: skip
    """Caption a benchmark's images, score the captions, and write a run.

    CAPTIONER is a spec such as nearest or speaker(flaw='miscount'), or the path of a file with captions.
    The same command again computes nothing; after a kill it goes on where it stopped.
    """
    from dataclasses import replace

    from capbench import api, engine, group_tables
    from capbench.types import Generation

    generation = Generation(prompt, max_tokens, temperature, beams, seed)
    job = api.job_of(
        captioner, benchmark, metrics, backends=bindings(backends), samples=samples or 0, limit=limit, runs=runs,
        generation=generation, device=device, dataset=dataset, data=data, images=images, name=name, fresh=fresh,
        retry_failed=retry_failed, lang=lang, replay=replay, executor=executor_of(executor, address, workers),
    )  # fmt: skip
    tag = api.tag_of(job, by)
    plan = engine.plan(job)
    if dry_run:
        echo("\n".join(engine.plan_lines(plan)))
        return
    result = engine.run(plan)
    shown = api.split(replace(result.run, summaries=result.asked), tag)
    if as_json:
        echo(json.dumps(api.scores_object(shown), indent=1, allow_nan=False))
    else:
        echo(numbers_table(result.asked) if result.asked else "captions only: no references, and no metric was named")
        if shown.groups:
            echo("\n" + group_tables.one_run(shown.groups))
        click.echo(computed(result), err=True)
    tell(result.run.record.notes)
    tell(about_captions(job.captioner, result.run.captions, result.dropped))
    engine.refuse_unscored(result.run, result.asked, max_missing)
