"""CoCa, the models of open_clip_torch that write (Yu et al. 2022, "CoCa: Contrastive captioners").

open_clip's own ``generate`` does not work beside transformers 5, which lacks what its beam search is made of. So the
model's forward pass is open_clip's, and the next token is chosen by ``generate`` of transformers; a test compares it
with open_clip's loop. Diverse beam search, open_clip's default (6 beams in 3 groups), is not among its ways.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from capbench.captioners.pictures import Ahead, Pictures, ahead
from capbench.captioners.sampling import draws
from capbench.errors import CapbenchError, UsageError
from capbench.libraries import libraries_problem
from capbench.openclip_models import CONFIG, INSTALL, Source, made, shown_by, source_of
from capbench.protocols import Problem
from capbench.signature import set_besides
from capbench.torch_places import PRECISIONS, full_precision, precision_problem, usable
from capbench.types import Failure, Generation, Request
from capbench.weights import files_digest

BATCH = 16
WORDS = 28  # open_clip's own seq_len, 30, without the first and the last token
LEAST = 5  # and its min_seq_len, with the first token


@dataclass(frozen=True, slots=True)
class OpenClipCaptioner:
    """A CoCa of open_clip.

    model, weights: as for the encoder ``open_clip``: a name of open_clip's with a pretrained tag or a checkpoint, a
    folder with ``open_clip_config.json``, or a model config. dtype: fp32, bf16 or fp16. batch: pictures a forward pass.
    crop: show only the region that an item is about.
    top_p, top_k: what is left to draw from when ``--temperature`` is above 0 (1 and 0: everything).

    Raises:
        UsageError: values that mean nothing.
    """

    name: ClassVar[str] = "open_clip"

    model: str = "coca_ViT-L-14"
    weights: str = "mscoco_finetuned_laion2b_s13b_b90k"
    dtype: str = "fp32"
    batch: int = field(default=BATCH, metadata={"signed": False})
    crop: bool = False
    top_p: float = 1.0
    top_k: int = 0

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        if self.batch < 1 or not 0 < self.top_p <= 1 or self.top_k < 0:
            raise UsageError(
                f"open_clip: batch={self.batch}, top_p={self.top_p}, top_k={self.top_k}",
                "batch is 1 or more, top_p above 0 and at most 1, top_k 0 or more",
            )

    @property
    def uses(self) -> frozenset[str]:
        """It takes no words: what is asked beside the picture is of no use to it."""
        return frozenset({"max_tokens", "temperature", "beams", "seed", *(("regions",) if self.crop else ())})

    def fingerprint(self) -> str:
        """open_clip/MODEL/WEIGHTS@DIGEST/DTYPE, and what else was set."""
        source = source_of(self.model, self.weights)
        plain = type(self)(self.model, self.weights, self.dtype)
        digest = files_digest(source.digested)
        return f"open_clip/{source.name}/{source.title}@{digest}/{self.dtype}{set_besides(self, plain)}"

    def check(self) -> Problem | None:
        """The first thing that is missing, if any."""
        if problem := libraries_problem(("open_clip", "transformers"), INSTALL.replace("[clip]", "[clip,hf]")):
            return problem
        try:
            source = source_of(self.model, self.weights)
        except CapbenchError as error:
            return Problem(error.message, error.cure)
        if not writes(source):
            return Problem(f"{source.name} encodes and does not write", "take a CoCa, as coca_ViT-L-14")
        return precision_problem(self.dtype)

    @contextmanager
    def open(self, device: str) -> Iterator[Session]:
        """Load the model.

        Raises:
            CapbenchError: open_clip cannot build it, or the weights are not its own. MissingPart: no such device.
        """
        import torch

        place, dtype = usable(device), getattr(torch, PRECISIONS[self.dtype])
        model, words = made(source_of(self.model, self.weights))
        if not hasattr(words, "sot_token_id"):
            raise CapbenchError(f"the tokenizer of {self.model} has no token to begin with", "take another CoCa")
        model = model.eval().to(device=place, dtype=dtype)
        shown = shown_by(model)

        def prepare(_requests: Sequence[Request], pictures: Pictures) -> tuple[Pictures, Any]:
            tensors = [shown(picture[0]) for picture in pictures if not isinstance(picture, Failure)]
            return pictures, torch.stack(tensors) if tensors else None

        with ahead(prepare, crop=self.crop) as batches:
            yield Session(self, model, writer(model, words), words, batches, place, dtype)


def writes(source: Source) -> bool:
    """Whether a model's config has the part that writes."""
    if source.config is None:
        import open_clip

        stated: Any = open_clip.get_model_config(source.model)
    else:
        file = source.config / CONFIG if source.config.is_dir() else source.config
        try:
            stated = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            return True  # loading says what is wrong with it
    inner = stated.get("model_cfg", stated) if isinstance(stated, dict) else {}
    return "multimodal_cfg" in inner


def writer(model: Any, words: Any) -> Any:
    """A CoCa as ``generate`` of transformers wants a model: tokens and an encoded picture -> the next one's scores."""
    from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
    from transformers.modeling_outputs import CausalLMOutput

    class Writer(PreTrainedModel, GenerationMixin):  # type: ignore[misc] # transformers is not there when types are checked
        config_class = PretrainedConfig

        def __init__(self) -> None:
            ends = {
                "bos_token_id": words.sot_token_id,
                "eos_token_id": words.eot_token_id,
                "pad_token_id": model.pad_id,
            }
            config = PretrainedConfig(**ends)
            config.vocab_size = words.vocab_size
            super().__init__(config)
            self.inner = model

        def forward(self, input_ids: Any, latent: Any = None, tokens: Any = None, **_: Any) -> Any:
            told = self.inner(None, input_ids, image_latent=latent, image_embs=tokens, output_labels=False)
            return CausalLMOutput(logits=told["logits"])

        def prepare_inputs_for_generation(self, input_ids: Any, latent: Any, tokens: Any, **_: Any) -> dict[str, Any]:
            return {"input_ids": input_ids, "latent": latent, "tokens": tokens}

    return Writer()


@dataclass(frozen=True, slots=True)
class Session:
    """A CaptionSession over a CoCa."""

    captioner: OpenClipCaptioner
    model: Any
    writer: Any
    words: Any
    batches: Ahead[tuple[Pictures, Any]]
    place: Any
    dtype: Any

    def ahead(self, requests: Sequence[Request]) -> None:
        """The batch that comes next: its pictures are opened and prepared meanwhile."""
        self.batches.announce(requests)

    def caption(self, requests: Sequence[Request], params: Generation) -> list[str | Failure]:
        """One text a request, or a Failure for a picture that cannot be shown.

        Raises:
            UsageError: a temperature together with beams.
        """
        pictures, tensors = self.batches.get(requests)
        good = [request for request, shown in zip(requests, pictures, strict=True) if not isinstance(shown, Failure)]
        texts = iter(self.generated(tensors, good, params) if good else [])
        return [shown if isinstance(shown, Failure) else next(texts) for shown in pictures]

    def generated(self, tensors: Any, requests: Sequence[Request], params: Generation) -> list[str]:
        """The texts of a batch. Drawing depends on the seed, the id and the device, not on the batch."""
        import torch

        noise = draws(requests, params, self.place, self.captioner.top_p, self.captioner.top_k)
        most = min(params.max_tokens or WORDS, self.words.context_length - 2)
        first = torch.full((len(requests), 1), self.words.sot_token_id, device=self.place)
        with torch.inference_mode(), full_precision(self.place, self.dtype):
            seen = self.model(tensors.to(device=self.place, dtype=self.dtype))
            answer = self.writer.generate(
                inputs=first,
                latent=seen["image_features"],
                tokens=seen["image_embs"],
                do_sample=False,
                use_cache=False,
                num_beams=params.beams,
                min_length=min(LEAST, most + 1),
                max_new_tokens=most,
                **({"logits_processor": noise} if noise else {}),
            )
        return [self.text(row) for row in answer.tolist()]

    def text(self, row: Sequence[int]) -> str:
        """The words of a row, between its first token and the end."""
        tokens = list(row[1:])
        end = tokens.index(self.words.eot_token_id) if self.words.eot_token_id in tokens else len(tokens)
        return str(self.words.decode([token for token in tokens[:end] if token != self.model.pad_id])).strip()


__all__ = ["OpenClipCaptioner"]
