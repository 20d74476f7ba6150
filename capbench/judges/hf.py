"""``judge_hf``: a transformers model on this machine, of text or of text and pictures."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

from capbench.captioners.hf import HfCaptioner
from capbench.captioners.sampling import draws
from capbench.errors import UsageError
from capbench.hub_models import model_name
from capbench.images import ImageFault, load
from capbench.judges.hf_models import Talker, talker
from capbench.languages import readable
from capbench.protocols import JudgePrompt, JudgeReply, Likely, Problem
from capbench.torch_places import PRECISIONS, full_precision, usable
from capbench.types import Failure, Generation, Request

DIGITS = "0123456789"


@dataclass(frozen=True, slots=True)
class JudgeHf:
    """A model that writes text, asked by its chat template where it has one.

    model: a hub id that is in the hub's cache, or a folder that ``save_pretrained`` wrote, with its tokenizer (and, for
    pictures, its processor). revision: of a hub id. dtype: fp32, bf16 or fp16. device_map: "" puts the model on
    ``--device``; "auto" lets accelerate spread it. batch: questions a forward pass. top_p, top_k: what is left to draw
    from at a temperature above 0. trust_remote_code: run the code that comes with the model.

    Raises:
        UsageError: values that mean nothing.
    """

    name: ClassVar[str] = "judge_hf"
    kind: ClassVar[str] = "judge"

    model: str
    revision: str = ""
    dtype: str = "fp32"
    device_map: str = field(default="", metadata={"signed": False})
    batch: int = field(default=8, metadata={"signed": False})
    top_p: float = 1.0
    top_k: int = 0
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        _ = self.captioner

    @property
    def captioner(self) -> HfCaptioner:
        """The same model as it is asked for captions: it knows where the model is and what it lacks."""
        return HfCaptioner(
            self.model, revision=self.revision, dtype=self.dtype, device_map=self.device_map, batch=self.batch,
            top_p=self.top_p, top_k=self.top_k, trust_remote_code=self.trust_remote_code,
        )  # fmt: skip

    def fingerprint(self) -> str:
        """judge_hf/MODEL@DIGEST/DTYPE and what was set. The digest: the hub's commit, or that of a folder's files."""
        return f"judge_{self.captioner.fingerprint()}"

    def check(self) -> Problem | None:
        """The first thing that is missing, if any."""
        return self.captioner.check()

    @contextmanager
    def open(self, device: str) -> Iterator[Session]:
        """Load the model.

        Raises:
            CapbenchError: in the words of transformers. MissingPart: there is no such device.
        """
        place = usable(device)
        folder: Path = self.captioner.folder()
        made = talker(folder, PRECISIONS[self.dtype], self.device_map, trust=self.trust_remote_code)
        if not self.device_map:
            made.model.to(place)
        yield Session(self, made)


@dataclass(frozen=True, slots=True)
class Session:
    """Replies of a loaded model."""

    judge: JudgeHf
    talker: Talker

    def ask(self, prompts: Sequence[JudgePrompt]) -> Iterator[tuple[int, JudgeReply | Failure]]:
        """Each reply with the number of its prompt, batch by batch; a Failure for a picture that cannot be shown.

        Raises:
            UsageError: the model sees no pictures, and the rubric shows some.
        """
        order = sorted(range(len(prompts)), key=lambda i: alike(prompts[i]))
        for _, group in groupby(order, key=lambda i: alike(prompts[i])):
            same = list(group)
            for start in range(0, len(same), self.judge.batch):
                shown: dict[int, list[Any]] = {}
                for i in same[start : start + self.judge.batch]:
                    try:
                        shown[i] = [load(image) for image in prompts[i].images]
                    except ImageFault as fault:
                        yield i, Failure(fault.message)
                if shown:
                    replies = self.replies([prompts[i] for i in shown], list(shown.values()))
                    yield from zip(shown, replies, strict=True)

    def replies(self, prompts: Sequence[JudgePrompt], pictures: Sequence[list[Any]]) -> list[JudgeReply]:
        """The answers of one forward pass, to prompts that are alike."""
        import torch

        begun = time.monotonic()
        model, first = self.talker.model, prompts[0]
        if any(pictures) and not self.talker.sees:
            raise UsageError(
                f"{self.judge.model} is a model of text, and the rubric shows it pictures", "take one of both"
            )
        inputs = self.talker.tensors([(readable(p.system), readable(p.text)) for p in prompts], pictures)
        dtype = getattr(torch, PRECISIONS[self.judge.dtype])
        requests = [Request(prompt.key, None) for prompt in prompts]
        params = Generation(temperature=first.temperature, seed=first.seed)
        noise = draws(requests, params, model.device, self.judge.top_p, self.judge.top_k)
        with torch.inference_mode(), full_precision(model.device, dtype):
            made = model.generate(
                **placed(inputs, model.device, dtype), do_sample=False, num_beams=1, max_new_tokens=first.tokens,
                return_dict_in_generate=True, output_logits=bool(first.likely),
                **({"logits_processor": noise} if noise else {}),
            )  # fmt: skip
        asked = inputs["attention_mask"].sum(1).tolist()
        answers = made.sequences[:, inputs["input_ids"].shape[1] :].cpu()
        seconds = (time.monotonic() - begun) / len(prompts)
        found = []
        for row, prompt in enumerate(prompts):
            tokens, ended = self.talker.until_end(answers[row].tolist())
            likely = self.likely(made.logits, row, tokens, prompt.likely) if prompt.likely else ()
            text = self.talker.tokenizer.decode(tokens, skip_special_tokens=True)
            finish = "stop" if ended else "length"
            found.append(
                JudgeReply(
                    text.strip(), finish, "", model_name(self.judge.model), asked[row], len(tokens), seconds,
                    likely=likely,
                )
            )  # fmt: skip
        return found

    def likely(self, logits: Any, row: int, tokens: Sequence[int], k: int) -> tuple[Likely, ...]:
        """The likeliest tokens at each place of an answer, and all digits, from the model's own logits."""
        import torch

        words = self.talker.tokenizer
        digits = [words.encode(digit, add_special_tokens=False)[-1] for digit in DIGITS]
        places = []
        for step, token in enumerate(tokens):
            own = torch.log_softmax(logits[step][row].float(), dim=-1)
            best = torch.topk(own, min(k, len(own))).indices.tolist()
            among = [(words.decode([one]), float(own[one])) for one in dict.fromkeys([*best, *digits])]
            places.append(Likely(words.decode([token]), tuple((t, x) for t, x in among if x > -float("inf"))))
        return tuple(places)


def placed(inputs: Any, place: Any, dtype: Any) -> dict[str, Any]:
    """Tensors where the model is; those of pictures in its precision."""
    return {
        name: value.to(place, dtype) if value.is_floating_point() else value.to(place) for name, value in inputs.items()
    }


def alike(prompt: JudgePrompt) -> tuple[Any, ...]:
    """What prompts of one forward pass have in common."""
    return bool(prompt.images), prompt.tokens, prompt.temperature, prompt.seed, prompt.likely


__all__ = ["JudgeHf"]
