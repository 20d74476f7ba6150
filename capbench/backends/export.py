"""Writing an encoder of torch as two ONNX files and a tokenizer. Needs torch, onnx and onnxscript."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from capbench import codec
from capbench.backends.encoding import Arrays
from capbench.backends.onnx import CARD, IMAGE, TEXT, TOKENIZER, Card
from capbench.backends.torch_towers import Loaded
from capbench.errors import BadData, CapbenchError

LARGE = 1_500_000_000  # bytes of weights; from 2 GB on they must lie in a file beside the graph
# English contractions, runs of letters, single digits, runs of the rest: CLIP's own words
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"


def write(loaded: Loaded, folder: Path, source: str) -> Card:
    """Write an encoder into a folder, and give its card, which says nothing of an agreement yet.

    Raises:
        BadData: its preparation of pictures or texts cannot be done without it.
        CapbenchError: torch cannot write it.
    """
    pixels = loaded.pixels()
    cut_up, clean = loaded.tokenizer()
    folder.mkdir(parents=True, exist_ok=True)
    cut_up.save(str(folder / TOKENIZER))
    texts = loaded.tokenize(["a dog", "two cats on a mat"]).arrays
    blank = np.zeros((2, 3, pixels.height, pixels.width), np.float32)
    graph(loaded.image, {"pixel_values": blank}, folder / IMAGE)
    graph(loaded.text, texts, folder / TEXT)
    return save_card(folder, Card(source, clean, pixels))


def save_card(folder: Path, card: Card) -> Card:
    """Write an export's card."""
    (folder / CARD).write_text(codec.to_json(card) + "\n", encoding="utf-8")
    return card


def graph(module: Any, inputs: Arrays, path: Path) -> None:
    """Trace a tower on these inputs, for any number of rows.

    Raises:
        CapbenchError: torch cannot write it.
    """
    import torch

    size = sum(p.numel() * p.element_size() for p in module.parameters())
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    rows = {name: {0: torch.export.Dim.DYNAMIC} for name in inputs}
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # torch speaks of its own insides
        try:
            torch.onnx.export(
                module.eval(), (), str(path), kwargs=tensors, input_names=list(tensors), output_names=["features"],
                dynamic_shapes=rows, dynamo=True, external_data=size > LARGE, verbose=False,
            )  # fmt: skip
        except Exception as error:  # whatever the exporter and the model can do to each other
            raise CapbenchError(f"torch cannot export this encoder: {type(error).__name__}: {error}") from error


def of_merges(
    vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]], special: Sequence[int], context: int
) -> Any:
    """CLIP's byte pairs as a ``tokenizers.Tokenizer`` that truncates and fills up with 0, as open_clip does."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers, processors

    words = {number: word for word, number in vocabulary.items()}
    start, end = (words[number] for number in special[:2])
    made = Tokenizer(models.BPE(dict(vocabulary), list(merges), end_of_word_suffix="</w>"))
    made.add_special_tokens([AddedToken(words[number], normalized=False) for number in special])
    made.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(WORDS), "removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    made.post_processor = processors.TemplateProcessing(f"{start} $A {end}", special_tokens=[
        (start, special[0]), (end, special[1]),
    ])  # fmt: skip
    made.enable_truncation(context)
    made.enable_padding(pad_id=0, length=context)
    return made


def of_fast(tokenizer: Any, context: int) -> Any:
    """A transformers tokenizer's own, set to truncate and fill up.

    Raises:
        BadData: it is not one of the fast ones.
    """
    from tokenizers import Tokenizer

    inside = getattr(tokenizer, "backend_tokenizer", None)
    if inside is None:
        raise BadData(f"the tokenizer {type(tokenizer).__name__} is written in Python and cannot be exported")
    made = Tokenizer.from_str(inside.to_str())
    made.enable_truncation(context)
    made.enable_padding(
        direction=tokenizer.padding_side, pad_id=tokenizer.pad_token_id, pad_token=tokenizer.pad_token, length=context
    )
    return made
