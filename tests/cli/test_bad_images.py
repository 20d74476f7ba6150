"""Pictures of every kind: what can be read is scored, what cannot is unscored with its reason."""

import io
import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

ENCODER = """
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from capbench.images import ImageFault, load
from capbench.protocols import Encoded


class Session:
    def images(self, refs):
        vectors, failures = np.full((len(refs), 4), np.nan, np.float32), {}
        for i, ref in enumerate(refs):
            try:
                picture = load(ref)
                assert picture.mode == "RGB"
                vectors[i] = [1, *(np.asarray(picture).reshape(-1, 3).mean(axis=0) / 255)]
            except ImageFault as fault:
                failures[i] = fault.message
        return Encoded(vectors, None, failures)

    def texts(self, texts):
        return Encoded(np.array([[1, len(text) % 5, 0, 0] for text in texts], np.float32))


@dataclass(frozen=True)
class MeanColour:
    name: ClassVar[str] = "mean_colour"
    kind: ClassVar[str] = "encoder"

    def fingerprint(self):
        return "mean_colour/1"

    def check(self):
        return None

    @contextmanager
    def open(self, device):
        yield Session()
"""


def saved(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def bomb():
    """A PNG that states 60,000 x 60,000 pixels in a few bytes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def pictures():
    """name -> (bytes, whether it can be read)."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8))
    deep = Image.fromarray(np.linspace(0, 65535, 40 * 50).reshape(40, 50).astype(np.uint16))
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    whole = saved(noise, "PNG")
    return {
        "plain.jpg": (saved(noise, "JPEG"), True),
        "cmyk.jpg": (saved(noise.convert("CMYK"), "JPEG"), True),
        "deep.png": (saved(deep, "PNG"), True),
        "moving.gif": (saved(frames[0], "GIF", save_all=True, append_images=frames[1:]), True),
        "dot.png": (saved(noise.resize((1, 1)), "PNG"), True),
        "palette.png": (saved(noise.convert("P"), "PNG"), True),
        "glass.png": (saved(noise.convert("RGBA"), "PNG"), True),
        "cut.png": (whole[: len(whole) // 2], False),
        "bomb.png": (bomb(), False),
        "words.jpg": (b"this is no picture", False),
        "nothing.png": (b"", False),
        "gone.png": (None, False),
    }


@pytest.fixture
def world(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name, (data, _) in pictures().items():
        if data is not None:
            (folder / name).write_bytes(data)
    (tmp_path / "encoder.py").write_text(ENCODER)
    captions = {name: f"a picture of {name}" for name in pictures()}
    (tmp_path / "p.json").write_text(json.dumps(captions))
    (tmp_path / "r.json").write_text(json.dumps({name: [text, "another text"] for name, text in captions.items()}))
    return tmp_path


def test_each_picture_gets_a_number_or_a_reason(capbench, world):
    done = capbench(
        *(
            "score",
            world / "p.json",
            world / "r.json",
            "--images",
            world / "images",
            "-m",
            "clipscore",
            "-m",
            "rouge_l",
        ),
        *("--backend", f"clip={world / 'encoder.py'}:MeanColour", "--per-item", world / "items.jsonl", "--json"),
    )
    readable = {name for name, (_, fine) in pictures().items() if fine}
    lines = [json.loads(line) for line in (world / "items.jsonl").read_text().splitlines()]
    clip = {line["id"]: line for line in lines if line["column"] == "clipscore"}
    assert {name for name, line in clip.items() if line["value"] is not None} == readable
    assert all(line["reason"] for name, line in clip.items() if name not in readable)
    assert "60000" in clip["bomb.png"]["reason"] or "bomb" in clip["bomb.png"]["reason"]
    # text metrics lose nothing to pictures
    assert {line["value"] for line in lines if line["column"] == "rouge_l"} == {1.0}
    counts = {entry["column"]: (entry["n"], entry["unscored"]) for entry in done.data["scores"]}
    bad = len(pictures()) - len(readable)
    assert counts == {"clipscore": (len(readable), bad), "rouge_l": (len(pictures()), 0)}
    assert done.code == 5
    for name in set(pictures()) - readable:
        assert name in done.err


def test_a_folder_that_is_not_there_is_said_at_once(capbench, world):
    done = capbench("score", world / "p.json", world / "r.json", "--images", world / "nowhere", "-m", "clipscore")
    assert done.code == 4
    assert "nowhere" in done.err
