"""capbench export-encoder: an encoder of torch for ONNX Runtime."""

from __future__ import annotations

import click

from capbench.cli.shared import echo


@click.command("export-encoder")
@click.argument("spec")
@click.argument("out", default="")
@click.option("--images", default="", metavar="DIR", help="Pictures to compare on, besides drawn ones.")
@click.option("--fresh", is_flag=True, help="Write over an export that is there.")
def command(spec: str, out: str, images: str, fresh: bool) -> None:
    """Write the encoder SPEC, of open_clip or hf, into the folder OUT for ONNX Runtime, and compare the two.

    Use it as onnx(folder='OUT'), without torch. Without OUT it goes to the cache, where open_clip and hf find it
    when they compute on a CPU. A cosine that differs by more than 1e-4 is an error, and nothing is kept.
    """
    from capbench import exporting

    folder, found = exporting.export(spec, out, images, fresh=fresh)
    echo(f"{folder}\n{exporting.in_words(found)}")
