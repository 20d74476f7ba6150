"""What the frozen ImageNet tower sees in the training photographs, computed once."""

from __future__ import annotations

import io
import random
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import timm
import torch
from PIL import Image, ImageEnhance
from torch import Tensor, nn

SIDE = 224
VIEWS = 4  # the photograph, its mirror, and two crops with other light
WIDTH = 1280


class Tower(nn.Module):
    """EfficientNet-Lite0 up to its pooled features: uint8 n x 224 x 224 x 3 in, n x 1280 out."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.net = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        given = torch.load(weights, map_location="cpu", weights_only=True)
        own = self.net.state_dict()
        if [value.shape for value in given.values()] != [value.shape for value in own.values()]:
            raise SystemExit(f"{weights}: not the tensors of tf_efficientnet_lite0 in their order")
        self.net.load_state_dict(dict(zip(own, given.values(), strict=True)))
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        """The features, averaged over the places of the picture."""
        scaled = (pixels.permute(0, 3, 1, 2).float() - 127) / 128
        return self.net.forward_features(scaled).mean((2, 3))


def to_onnx(module: nn.Module, path: Path, example: Tensor, names: tuple[str, str], free: dict[int, str]) -> None:
    """Write a module as a graph with one input and one output."""
    torch.onnx.export(
        module,
        (example,),
        str(path),
        input_names=[names[0]],
        output_names=[names[1]],
        dynamic_axes={names[0]: free, names[1]: {0: "n"}},
        opset_version=17,
        dynamo=False,
    )


def view(photo: Image.Image, number: int, chance: random.Random) -> np.ndarray:
    """One of the VIEWS of a photograph, 1 x 224 x 224 x 3."""
    if number > 1:
        width, height = photo.size
        side, shape = chance.uniform(0.55, 0.95) ** 0.5, chance.uniform(0.87, 1.15)
        across, down = min(width, int(width * side * shape)), min(height, int(height * side / shape))
        left, top = chance.randint(0, width - across), chance.randint(0, height - down)
        photo = photo.crop((left, top, left + across, top + down))
        for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            photo = enhance(photo).enhance(chance.uniform(0.75, 1.25))
    photo = photo.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    if number % 2:
        photo = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(photo)[None]


def features(graph: Path, archives: list[Path], log: Callable[[str], None]) -> tuple[list[str], np.ndarray]:
    """Names of the photographs in the archives, and float16 photographs x VIEWS x WIDTH."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options)
    opened = [zipfile.ZipFile(path) for path in archives]
    places = [(archive, name) for archive in opened for name in archive.namelist()]
    found = np.zeros((len(places), VIEWS, WIDTH), np.float16)
    reading = threading.Lock()

    def one(i: int) -> None:
        archive, name = places[i]
        with reading:
            data = archive.read(name)
        photo = Image.open(io.BytesIO(data)).convert("RGB")
        chance = random.Random(name)  # noqa: S311 -- crops that come out the same again
        for number in range(VIEWS):
            found[i, number] = session.run(None, {"pixels": view(photo, number, chance)})[0][0]
        if i % 500 == 0:
            log(f"features: {i} of {len(places)} photographs")

    with ThreadPoolExecutor(2) as workers:
        list(workers.map(one, range(len(places))))
    return [name for _, name in places], found
