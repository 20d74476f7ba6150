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
    replay_option,
    replies_option,
    tell,
)  # fmt: skip


@click.command("metaeval")
@click.argument("judgements")
@metric_option
@backend_option
@click.option("--images", default="", metavar="DIR", help="The pictures, for metrics that look at them.")
@click.option("--calibration", is_flag=True, help="Also what people said where a score is this high.")
@click.option(
    "--people", default="", metavar="PATTERN", help="Of verdicts: the judges who are people, as in 'expert_*'  [human]."
)
@replay_option
@replies_option
@missing_option
@json_option
def command(  # noqa: PLR0913 -- one parameter for each option
    judgements: str, metrics: tuple[str, ...], backends: tuple[str, ...], images: str, calibration: bool, people: str,
    replay: str, replies: str, max_missing: float, as_json: bool,
) -> None:  # fmt: skip
    """Measure metrics against human JUDGEMENTS: a leaderboard of metrics. Or judges by their verdicts.

    JUDGEMENTS are JSON lines of captions with ratings, or of pairs with a preference. Without -m:
    BLEU-1..4, ROUGE-L and CIDEr. Of a file of verdicts on pairs, as capbench arena takes it: how far each judge
    agrees with people and with itself, and whether the order of the captions sways it.
    """
    from capbench import engine, metaeval
    from capbench.errors import UsageError

    if metaeval.is_verdicts(judgements):
        if metrics or backends or images or calibration or replay or replies:
            what = "-m, --backend, --images, --calibration, --replay and --export-replies"
            raise UsageError("verdicts are not scored by metrics", f"leave out {what}")
        judged = metaeval.evaluate_judges(judgements, people or metaeval.PEOPLE)
        echo(json.dumps(metaeval.judges_object(judged), indent=1) if as_json else metaeval.judges_markdown(judged))
        return
    if people:
        raise UsageError("--people is for files of verdicts", "ratings and preferences are people's by themselves")
    found = metaeval.evaluate(
        judgements, metrics, images=images, backends=bindings(backends), replay=replay, replies=replies
    )
    if as_json:
        echo(json.dumps(metaeval.as_object(found), indent=1, allow_nan=False))
    else:
        echo("\n\n".join(filter(None, [metaeval.markdown(found), metaeval.calibration_text(found) * calibration])))
    tell(found.run.record.notes)
    engine.refuse_unscored(found.run, found.asked, max_missing)
