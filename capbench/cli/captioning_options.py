"""How captioners are run, for commands that run them on the way to something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from capbench.errors import UsageError

if TYPE_CHECKING:
    from capbench.api import Options

F = TypeVar("F", bound=Any)
OPTIONS = (
    click.option("-n", "limit", type=click.IntRange(min=0), default=0, help="Captioners: the first N items (0: all)."),
    click.option("--data", default="", metavar="DIR", help="Where the benchmark's data are."),
    click.option("--dataset", default="", metavar="SPEC", help="Another dataset spec for the same data."),
    click.option("--pictures", "images", default="", metavar="DIR", help="Where the benchmark's pictures are."),
    click.option("--samples", type=click.IntRange(min=1), default=None, help="Captioners: captions an image."),
    click.option("--prompt", default="", help="The prompt for captioners that take one."),
    click.option("--max-tokens", type=click.IntRange(min=0), default=0, help="The longest caption (0: as it likes)."),
    click.option("--temperature", type=click.FloatRange(min=0), default=0.0, show_default=True),
    click.option("--beams", type=click.IntRange(min=1), default=1, show_default=True),
    click.option("--caption-seed", "caption_seed", type=int, default=0, show_default=True, help="Of the captioners."),
    click.option("--device", default="cpu", show_default=True),
)  # fmt: skip


def captioning_options(command: F) -> F:
    """All of them; the command gets them by name and hands them to ``options_of``."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def options_of(given: dict[str, Any]) -> Options:
    """The options as ``api.run`` takes them."""
    from capbench.types import Generation

    generation = Generation(
        given["prompt"], given["max_tokens"], given["temperature"], given["beams"], given["caption_seed"]
    )
    return {
        "samples": given["samples"] or 0, "limit": given["limit"], "generation": generation, "device": given["device"],
        "dataset": given["dataset"], "data": given["data"], "images": given["images"],
    }  # fmt: skip


def refuse_without_benchmark(given: dict[str, Any]) -> None:
    """Options that say how captioners are run mean nothing where none can be.

    Raises:
        UsageError: one of them is given.
    """
    usual: dict[str, Any] = dict.fromkeys(given) | {"temperature": 0.0, "beams": 1, "device": "cpu"}
    asked = [name for name, value in given.items() if value and value != usual[name]]
    if asked:
        names = {"limit": "-n", "images": "--pictures", "metrics": "-m", "backends": "--backend"}
        words = ", ".join(names.get(name, f"--{name.replace('_', '-')}") for name in asked)
        raise UsageError(f"{words}: for captioners that are run on a benchmark", "name it: -b BENCHMARK")
