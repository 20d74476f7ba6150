"""A server that is not ours: transformers' own, with a small seeded LLaVA, as docs/captioners-chat.md writes it."""

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PAGE = Path(__file__).resolve().parents[2] / "docs" / "captioners-chat.md"
PROGRAMS = {
    "transformers": [sys.executable, "-m", "transformers.cli.transformers"],
    "capbench": [sys.executable, "-m", "capbench"],
}
COUNT = 50


def written(name, port):
    """The command of a block of the page, with a free port in the place of 8000."""
    text = re.search(rf"^```text file={name}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)[1]
    words = shlex.split(text.replace("\\\n", " ").replace("8000", str(port)))
    return [*PROGRAMS[words[0]], *words[1:]]


@contextmanager
def started(words, folder, port):
    """The server, when it listens."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2", "HF_HOME": str(folder / "hub")}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(words, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        end = time.monotonic() + 120
        while not answers(port):
            assert process.poll() is None, (folder / "server.log").read_text()[-2000:]
            assert time.monotonic() < end, "the server does not start"
            time.sleep(0.5)
        yield
    finally:
        process.terminate()
        process.wait(30)


def answers(port):
    try:
        with urllib.request.urlopen(f"http://localhost:{port}/health", timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def described(model, photos):
    """What the model says of each picture when it is asked in this process."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor = AutoProcessor.from_pretrained(model)
    network = AutoModelForImageTextToText.from_pretrained(model)
    texts = {}
    for path in sorted(photos.iterdir()):
        parts = [{"type": "image", "image": Image.open(path)}, {"type": "text", "text": "a photo"}]
        inputs = processor.apply_chat_template(
            [{"role": "user", "content": parts}], add_generation_prompt=True, tokenize=True, return_dict=True,
            return_tensors="pt",
        )  # fmt: skip
        with torch.no_grad():
            output = network.generate(**inputs, max_new_tokens=12, do_sample=False)
        new = output[0, inputs["input_ids"].shape[1] :]
        texts[path.name] = processor.decode(new, skip_special_tokens=True).strip()
    return texts


@pytest.mark.torch
def test_fifty_pictures_as_the_page_writes_it(tiny, tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "my-vlm").symlink_to(tiny("llava_folder"))
    (tmp_path / "photos").mkdir()
    colours = np.random.default_rng(0).integers(0, 256, (COUNT, 2, 3, 3), np.uint8)
    for number, pixels in enumerate(colours):
        Image.fromarray(pixels).resize((60, 40)).save(tmp_path / "photos" / f"{number:02d}.png")
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]
    with started(written("serve", port), tmp_path, port):
        done = subprocess.run(written("run", port), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (file,) = (tmp_path / "runs").rglob("captions.jsonl")
    captions = [json.loads(line) for line in file.read_text().splitlines()]
    expected = described(tmp_path / "models" / "my-vlm", tmp_path / "photos")
    assert {c["id"]: c["text"] for c in captions} == expected
    assert len(captions) == COUNT
    assert len(set(expected.values())) >= 3  # the model does look at its pictures
    assert all(c["noted"]["tokens_in"] > 16 and 0 < c["noted"]["tokens_out"] <= 12 for c in captions)
