"""The examples that CLIPScore and PAC-S come with, scored here and compared with what their READMEs print.

The examples are two photographs each with good and bad captions; they are not part of capbench. Get the folder
``example`` of jmhessel/clipscore or of aimagelab/pacscore.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from capbench import api, plugins
from capbench.doctor import Line, line
from capbench.errors import CapbenchError, MissingPart, UsageError

FILES = ("good_captions.json", "bad_captions.json")
ROUNDED = 6e-5  # published with four digits
HALF = 5e-4  # published from half precision, which moves the fourth digit
CLIP = ("open_clip(model='ViT-B-32-quickgelu', weights='openai')", "hf(model='openai/clip-vit-base-patch32')")
PAC = "--backend \"pac=open_clip(model='ViT-B-32-quickgelu', weights='clip_ViT-B-32.pth')\", the file from its authors"


@dataclass(frozen=True, slots=True)
class Example:
    """A published example. sha256: of images/image1.jpg. published: metric -> column -> (good, bad)."""

    name: str
    sha256: str
    encoder: str
    published: Mapping[str, Mapping[str, tuple[float, float]]]


EXAMPLES = (
    Example(  # README at 1036465
        "clipscore", "3b20dd57547439af74585994acc04904dc341aa7c5257dd743c74cb495bf6e64", "clip",
        {
            "bleu": {
                "bleu1": (0.6667, 0.4815), "bleu2": (0.4899, 0.2404), "bleu3": (0.3469, 0.1359), "bleu4": (0, 0),
            },
            "meteor": {"meteor": (0.3444, 0.1861)},
            "rouge_l": {"rouge_l": (0.4280, 0.3121)},
            "cider": {"cider": (0.5637, 0.2790)},
            "spice": {"spice": (0.4, 0.15)},
            "clipscore": {"clipscore": (0.8584, 0.7153)},
            "refclipscore": {"refclipscore": (0.8450, 0.7253)},
        },
    ),
    Example(  # README at bfbc488
        "pacscore", "3e4bf16825c99bb495b3590531c2a0fe0de1bc01aa6e02cc72427e61c82845aa", "pac",
        {
            "bleu": {"bleu1": (0.64, 0.45), "bleu4": (0.3503, 0)},
            "meteor": {"meteor": (0.3057, 0.0995)},
            "rouge_l": {"rouge_l": (0.5012, 0.3268)},
            "cider": {"cider": (1.4918, 0.4259)},
            "pacscore": {"pacscore": (0.8264, 0.5772)},
            "refpacscore": {"refpacscore": (0.8393, 0.6357)},
        },
    ),
)  # fmt: skip


def look(folder: str, backends: Mapping[str, str] | None = None) -> list[Line]:
    """One line a number: "ok", "broken" where it is not the published one, "missing" where it cannot be computed.

    folder: an example, or a folder that holds some. backends: what ``clip`` and ``pac`` stand for (default: CLIP
    ViT-B/32 with OpenAI's weights if it is on this machine; there is no default for PAC-S).

    Raises:
        UsageError: no known example in the folder.
    """
    found = list(examples(Path(folder)))
    if not found:
        raise UsageError(
            f"no example of CLIPScore or PAC-S in {folder}", "get the folder example of jmhessel/clipscore"
        )
    return [each for place, example in found for each in lines(place, example, backends or {})]


def examples(folder: Path) -> Iterator[tuple[Path, Example]]:
    """The examples in a folder, up to two folders deep, known by their first picture."""
    for picture in sorted({*folder.glob("images/image1.jpg"), *folder.glob("*/images/image1.jpg"),
                           *folder.glob("*/*/images/image1.jpg")}):  # fmt: skip
        digest = hashlib.sha256(picture.read_bytes()).hexdigest()
        yield from ((picture.parents[1], example) for example in EXAMPLES if example.sha256 == digest)


def lines(place: Path, example: Example, backends: Mapping[str, str]) -> Iterator[Line]:
    """The numbers of one example."""
    for metric, columns in example.published.items():
        needs_encoder = metric.endswith(("clipscore", "pacscore"))
        try:
            bound = (
                {example.encoder: backends.get(example.encoder) or default(example.encoder)} if needs_encoder else {}
            )
            for which, file in enumerate(FILES):
                run = api.score(
                    place / file, place / "refs.json", [metric], images=str(place / "images"), backends=bound
                )
                for column, published in columns.items():
                    made = next(s.value for s in run.summaries if s.column == column)
                    yield compared(f"{example.name}/{file}: {column}", made, published[which], needs_encoder)
        except MissingPart as error:
            what, _, cure = " ".join(error.message.split()).partition(" -> ")  # a plan has the cure in its words
            yield line(
                "missing", f"{example.name}: {metric}: {what.removeprefix('cannot start: ')}", error.cure or cure
            )
        except CapbenchError as error:
            yield line("broken", f"{example.name}: {metric}: {error.message}", error.cure)


def compared(what: str, made: float | None, published: float, encoded: bool) -> Line:
    """One number beside the published one."""
    close = made is not None and abs(made - published) <= (HALF if encoded else ROUNDED)
    shown = "no score" if made is None else f"{made:.4f}"
    return line("ok" if close else "broken", f"{what} {shown}, published {published:.4f}")


def default(encoder: str) -> str:
    """The spec of the encoder that the numbers were published with.

    Raises:
        MissingPart: its weights are not on this machine.
    """
    if encoder == "pac":
        raise MissingPart("its authors' checkpoint is not given", PAC)
    problems = []
    for spec in CLIP:
        problem = plugins.load("backends", spec).value.check()
        if problem is None:
            return spec
        problems.append(problem)
    raise MissingPart(f"no CLIP ViT-B/32 here: {problems[0].what}; {problems[1].what}", problems[0].cure)
