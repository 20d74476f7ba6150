"""The trained parts as the graphs that ship: weights stored in few bits, sums in single precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from mini_training.features import SIDE, Tower, to_onnx
from mini_training.towers import Head, TextTower, unit
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

LARGE = 1024  # numbers; smaller weights stay in single precision
CLOSE = 1e-4
TINY = 1e-12  # a vector of zeros has steps of none


class PictureGraph(nn.Module):
    """Pixels to a vector of length 1: the tower, and the mean of the heads' places in one layer."""

    def __init__(self, tower: Tower, heads: list[Head]) -> None:
        super().__init__()
        self.tower = tower
        weights = [head.linear.weight / head.spread for head in heads]
        biases = [head.linear.bias - weight @ head.middle for head, weight in zip(heads, weights, strict=True)]
        self.weights, self.biases = nn.ParameterList(weights), nn.ParameterList(biases)

    def forward(self, pixels: Tensor) -> Tensor:
        """N x (heads x width)."""
        features = self.tower(pixels)
        parts = [unit(features @ w.T + b) for w, b in zip(self.weights, self.biases, strict=True)]
        return torch.cat(parts, 1) / len(parts) ** 0.5


class TextGraph(nn.Module):
    """Numbers of words to a vector of length 1."""

    def __init__(self, towers: list[TextTower]) -> None:
        super().__init__()
        self.towers = nn.ModuleList(towers)

    def forward(self, words: Tensor) -> Tensor:
        """N x (towers x width)."""
        return torch.cat([unit(tower(words)) for tower in self.towers], 1) / len(self.towers) ** 0.5


def shrink(path: Path) -> None:
    """Store large weights in 16 bits and vectors of words in 8; the runtime makes them float32 when it loads."""
    model = onnx.load(path)
    made, kept = [], []
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if weight.data_type != TensorProto.FLOAT or values.size < LARGE:
            kept.append(weight)
        elif weight.name.endswith(".vectors"):
            steps = np.abs(values).max(1, keepdims=True) / 127
            whole = np.rint(values / np.maximum(steps, TINY)).astype(np.int8)
            names = [weight.name + end for end in ("_whole", "_steps", "_float")]
            kept += [numpy_helper.from_array(whole, names[0]), numpy_helper.from_array(steps, names[1])]
            made.append(helper.make_node("Cast", [names[0]], [names[2]], to=TensorProto.FLOAT))
            made.append(helper.make_node("Mul", [names[2], names[1]], [weight.name]))
        else:
            if np.abs(values).max() > np.finfo(np.float16).max:
                raise SystemExit(f"{weight.name}: too large for half precision")
            kept.append(numpy_helper.from_array(values.astype(np.float16), weight.name + "_half"))
            made.append(helper.make_node("Cast", [weight.name + "_half"], [weight.name], to=TensorProto.FLOAT))
    nodes = [*made, *model.graph.node]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)
    for node in model.graph.node:
        node.ClearField("doc_string")
    onnx.checker.check_model(model)
    onnx.save(model, path)


def largest_difference(module: nn.Module, path: Path, examples: list[Tensor]) -> float:
    """Between torch and ONNX Runtime, over all numbers of all examples."""
    session = onnxruntime.InferenceSession(path)
    name = session.get_inputs()[0].name
    worst = 0.0
    for example in examples:
        with torch.no_grad():
            wanted = module(example).numpy()
        worst = max(worst, float(np.abs(session.run(None, {name: example.numpy()})[0] - wanted).max()))
    return worst


def write(module: nn.Module, path: Path, examples: list[Tensor], names: tuple[str, str], free: dict[int, str]) -> str:
    """Write and check one graph; says how far both forms are from torch."""
    module.eval()
    to_onnx(module, path, examples[0], names, free)
    exact = largest_difference(module, path, examples)
    if exact > CLOSE:
        raise SystemExit(f"{path}: {exact:g} from torch")
    shrink(path)
    stored = largest_difference(module, path, examples)
    return f"{path.name}: {path.stat().st_size:,} bytes, {exact:.1e} from torch, {stored:.1e} as stored"


def write_all(tower: Tower, heads: list[Head], towers: list[TextTower], folder: Path) -> list[str]:
    """Both graphs."""
    chance = torch.Generator().manual_seed(0)
    known = len(towers[0].vectors)
    photos = [torch.randint(256, (1, SIDE, SIDE, 3), generator=chance, dtype=torch.uint8) for _ in range(4)]
    texts = [torch.randint(1, known, (1, length), generator=chance) for length in (12, 1, 64)]
    return [
        write(PictureGraph(tower, heads), folder / "pictures.onnx", photos, ("pixels", "vectors"), {0: "n"}),
        write(TextGraph(towers), folder / "texts.onnx", texts, ("words", "vectors"), {0: "n", 1: "places"}),
    ]
