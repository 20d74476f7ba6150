"""Exporting an encoder to ONNX Runtime, and the proof that the export is the encoder."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from capbench import plugins
from capbench.errors import CheckFailed, MissingPart, UsageError
from capbench.images import reference
from capbench.libraries import libraries_problem
from capbench.needs import Images, Vector, Vectors
from capbench.trial import small_world
from capbench.types import ImageRef

LIBRARIES = ("torch", "onnx", "onnxscript")
ALLOWED = 1e-4  # the largest difference of a cosine that an export may have
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
# what tokenizers do differently when they are not the same: case, digits, entities, broken encodings, long texts
AWKWARD = (
    "", " ", "A PHOTO of 3 DOGS & 12 cats!!", "it's the dog's; they're we'll", "&amp;lt;b&amp;gt; &quot;quoted&quot;",
    "caf\u00e9 \u65e5\u672c\u8a9e \U0001f600 na\u00efve", "sch\u00c3\u00b6n \u00e2\u20ac\u201c mojibake",
    "tab\tnew\nline\u00a0blank\u200bjoin", "word " * 400, "<end_of_text> in a caption",
    "a_b__c #tag @name 50% $5", "\u0130stanbul \u01c5 \ufb01sh \u00df", "\x00\x01 control",
)  # fmt: skip


class Compared(NamedTuple):
    """What was compared, and the largest differences: of a cosine of picture and text, and 1 - cosine of one item."""

    pictures: int
    texts: int
    cosine: float
    vector: float


def export(spec: str, out: str = "", images: str = "", *, fresh: bool = False) -> tuple[Path, Compared]:
    """Write the encoder that a spec names as an export, and compare the two.

    out: the folder ("": the cache, where ``open_clip`` and ``hf`` find it on the CPU). images: a folder of pictures
    to compare on, besides drawn ones. fresh: write over what is there.

    Raises:
        UsageError: not an encoder of torch, or the folder is taken.
        MissingPart: libraries or weights are missing.
        CheckFailed: the export differs by more than ``ALLOWED``; it is not kept.
    """
    from capbench.backends.export import save_card, write
    from capbench.backends.onnx import Agreement, Onnx
    from capbench.backends.routes import cached_folder

    encoder = original(spec)
    fingerprint = encoder.fingerprint()
    folder = Path(out) if out else cached_folder(fingerprint)
    if folder.exists() and any(folder.iterdir()) and not fresh:
        raise UsageError(f"{folder} is not empty", "give another folder, or --fresh to write over it")
    draft = folder.with_name(folder.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.parent.mkdir(parents=True, exist_ok=True)
    try:
        card = write(encoder.load(), draft, fingerprint)
        pictures, texts = material(images)
        found = compare(encoder, Onnx(str(draft)), pictures, texts)
        if max(found.cosine, found.vector) > ALLOWED:
            raise CheckFailed(f"the export is not {spec}: {in_words(found)}", "report it with the model's name")
        save_card(draft, replace(card, agreement=Agreement(importlib.metadata.version("onnxruntime"), *found)))
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder, found


def original(spec: str) -> Any:
    """The encoder that a spec names, made to compute by torch.

    Raises:
        UsageError: it cannot be exported. MissingPart: something is missing.
    """
    encoder = plugins.load("backends", spec).value
    if not hasattr(encoder, "load") or getattr(encoder, "precision", "") != "fp32":
        raise UsageError(f"{spec} cannot be exported", "encoders of open_clip and hf in fp32 can be")
    encoder = replace(encoder, runtime="torch")
    problem = encoder.check() or libraries_problem(LIBRARIES, "pip install 'capbench[export]'")
    if problem is not None:
        raise MissingPart(problem.what, problem.cure)
    return encoder


def material(images: str) -> tuple[list[ImageRef], list[str]]:
    """Pictures and texts to compare on: the drawn world, awkward texts, and a folder of the user's.

    Raises:
        UsageError: no picture in the folder.
    """
    world = small_world()
    pictures = [sample.image for sample in world if sample.image is not None]
    texts = [text for sample in world for text in sample.references] + list(AWKWARD)
    if images:
        own = sorted(path for path in Path(images).rglob("*") if path.suffix.lower() in SUFFIXES)
        if not own:
            raise UsageError(f"no picture in {images}", f"it looks for {', '.join(SUFFIXES)}")
        pictures += map(reference, own)
    return pictures, texts


def compare(first: Any, second: Any, pictures: Sequence[ImageRef], texts: Sequence[str]) -> Compared:
    """Two encoders on the same pictures and texts. What neither can encode is left out.

    Raises:
        CheckFailed: they do not refuse the same items, or do not cut the same texts.
    """
    (seen, read), (also_seen, also_read) = (vectors(part, pictures, texts) for part in (first, second))
    differ = [i for i, (a, b) in enumerate(zip(read, also_read, strict=True)) if cut(a) != cut(b)]
    if differ or [type(v) for v in seen] != [type(v) for v in also_seen]:
        raise CheckFailed(f"the two refuse different pictures, or cut different texts: {[texts[i] for i in differ]}")
    a, b, c, d = (stack(part) for part in (seen, read, also_seen, also_read))
    cosine = float(np.abs(a @ b.T - c @ d.T).max())
    vector = max(float((1 - (x * y).sum(axis=1)).max()) for x, y in ((a, c), (b, d)))
    return Compared(len(a), len(b), cosine, max(0.0, vector))


def vectors(encoder: Any, pictures: Sequence[ImageRef], texts: Sequence[str]) -> tuple[list[Any], list[Any]]:
    """Unit vectors, as the metrics get them."""
    need = Vectors(Images())
    with encoder.open("cpu") as session:
        return list(need.compute(session, pictures)), list(need.compute(session, texts))


def cut(value: Any) -> bool | None:
    """Whether a text was truncated; None where it could not be encoded."""
    return value.cut if isinstance(value, Vector) else None


def stack(values: Sequence[Any]) -> Any:
    """The vectors that there are, in float64."""
    return np.stack([value.values for value in values if isinstance(value, Vector)]).astype(np.float64)


def in_words(found: Compared) -> str:
    """What was compared and what came out."""
    return (
        f"{found.pictures} pictures and {found.texts} texts: cosines of a picture and a text differ by at most "
        f"{found.cosine:.1e}, the two vectors of one item by a cosine of {found.vector:.1e}"
    )
