"""capbench bags: mine look-alike bags, look at them, check them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from capbench.cli.shared import backend_option, bindings, echo, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

BENCHMARK_HELP = "A shipped name, a TOML file, or a dataset's spec."
DATA_HELP = "Where the benchmark's data are."


@click.group("bags")
def command() -> None:
    """Mine bags of look-alike pictures, look through them, check them."""


@command.command("build")
@click.argument("target", metavar="FOLDER")
@click.option("-b", "--benchmark", required=True, help=BENCHMARK_HELP)
@click.option("--by", type=click.Choice(["both", "image", "text"]), default="both", show_default=True,
              help="Similarity of pictures, of references, or the mean of both.")  # fmt: skip
@click.option("--encoder", default="clip", show_default=True, metavar="SPEC", help="The encoder of pictures and texts.")
@click.option("--text-encoder", default="", metavar="SPEC", help="Another encoder for texts.")
@backend_option
@click.option("--size", "sizes", type=click.IntRange(min=2), multiple=True, default=(3, 5, 7), show_default=True,
              help="Pictures a bag; may be given several times.")  # fmt: skip
@click.option("--least", "least", multiple=True, metavar="[SIZE=]X",
              help="The similarity that every pair of a bag must have; SIZE=X for one size.")  # fmt: skip
@click.option("--most", type=click.IntRange(min=0), default=0, help="So many bags of a size, the most alike (0: all).")
@click.option("--near", type=click.FloatRange(0, 1), default=0.98, show_default=True,
              help="From this cosine on, two pictures are near-duplicates and never in one bag.")  # fmt: skip
@click.option("--pool", type=click.IntRange(min=1), default=50, show_default=True,
              help="How many neighbours of a picture are considered.")  # fmt: skip
@click.option("--hard", type=click.IntRange(min=0), default=0, metavar="SIZE",
              help="Also a gallery of SIZE for each picture: itself and its nearest.")  # fmt: skip
@click.option("-n", "limit", type=click.IntRange(min=0), default=0, help="Only the first N items (0: all).")
@click.option("--data", default="", metavar="DIR", help=DATA_HELP)
@click.option("--device", default="cpu", show_default=True)
def build(  # noqa: PLR0913 -- one parameter for each option
    target: str, benchmark: str, by: str, encoder: str, text_encoder: str, backends: tuple[str, ...],
    sizes: tuple[int, ...], least: tuple[str, ...], most: int, near: float, pool: int, hard: int, limit: int,
    data: str, device: str,
) -> None:  # fmt: skip
    """Mine bags of look-alikes from a benchmark and write them to FOLDER.

    Writes 3.json, 5.json and 7.json in TrueMatch's form and a manifest with digests of all that went in. Use
    another encoder for mining than for scoring: else bags are hard for that one alone.
    """
    from pathlib import Path

    from capbench import benchmark as benchmarks
    from capbench import mining

    recipe = mining.Recipe(
        by=by, encoder=encoder, text_encoder=text_encoder, sizes=tuple(dict.fromkeys(sizes)),
        least=thresholds(least, sizes), limit=most, pool=pool, near=near, hard=hard,
    )  # fmt: skip
    bench = benchmarks.load(benchmark, data=data)
    made = mining.build(
        bench, recipe, Path(target), backends=bindings(backends), limit=limit, device=device,
        tell=lambda line: tell([line]),
    )  # fmt: skip
    for name, entry in made["files"].items():
        low = (
            "" if entry["least"] is None else f", least similarity {entry['least']:.4f}, mean {entry['mean_least']:.4f}"
        )
        echo(f"{Path(target) / name}: {entry['bags']} bags of {entry['size']}{low}")
    for why, count in made["left_out"].items():
        if count:
            click.echo(f"{count} pictures are in no bag: {why}", err=True)


def thresholds(words: Sequence[str], sizes: Sequence[int]) -> dict[int, float]:
    """Size -> least similarity, from X and SIZE=X words.

    Raises:
        UsageError: a word is neither.
    """
    from capbench.errors import UsageError

    made: dict[int, float] = {}
    for word in sorted(words, key=lambda word: "=" in word):  # one for all first, so that those of a size stand
        size, mark, value = word.rpartition("=")
        try:
            made |= dict.fromkeys([int(size)] if mark else sizes, float(value))
        except ValueError as error:
            raise UsageError(f"cannot read --least {word}", "write --least 0.6 or --least 5=0.6") from error
    return made


@command.command("show")
@click.argument("file", metavar="FILE")
@click.option("-b", "--benchmark", required=True, help=BENCHMARK_HELP)
@click.option("--out", "target", default="bags-page", metavar="DIR", show_default=True, help="Where the page goes.")
@click.option("--first", type=click.IntRange(min=0), default=200, show_default=True, help="So many bags (0: all).")
@click.option("--data", default="", metavar="DIR", help=DATA_HELP)
def show(file: str, benchmark: str, target: str, first: int, data: str) -> None:
    """Write a page with the pictures and references of the bags of FILE."""
    from pathlib import Path

    from capbench import benchmark as benchmarks
    from capbench.bag_files import read_bags
    from capbench.pages.bags import write_page

    bench = benchmarks.load(benchmark, data=data)
    bags = read_bags(file, [sample.id for sample in bench.samples])
    click.echo(write_page(f"Bags of {Path(file).name}", bags, bench, Path(target), first))


@command.command("check")
@click.argument("path", metavar="PATH")
@click.option("-b", "--benchmark", required=True, help=BENCHMARK_HELP)
@click.option("--data", default="", metavar="DIR", help=DATA_HELP)
def check(path: str, benchmark: str, data: str) -> None:
    """Check the bags of PATH, a folder of 'bags build' or a file; exit code 1 when they have changed.

    Members must be in the benchmark with pictures that can be read; with a manifest, files, members,
    pictures and data must be those that it names.
    """
    from pathlib import Path

    from capbench import bag_check
    from capbench import benchmark as benchmarks

    echo("\n".join(bag_check.check(Path(path), benchmarks.load(benchmark, data=data))))
