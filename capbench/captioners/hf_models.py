"""Captioners of transformers in memory: how each family is asked, and what of its answer is the caption."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from capbench.captioners.pictures import Pictures
from capbench.errors import CapbenchError, UsageError
from capbench.hub_models import loading
from capbench.types import Box, Failure, Request

if TYPE_CHECKING:
    from PIL.Image import Image

CHAT_PROMPT = "Provide a one-sentence caption for this image."
SHORT, LONG = 64, 256  # tokens where nobody says how many: of a captioner, and of a model that chats or follows tasks
USUAL = {"florence2": "<CAPTION>", "paligemma": "caption en", "instructblip": "A short image description:"}
TASKS = ("<CAPTION>", "<DETAILED_CAPTION>", "<MORE_DETAILED_CAPTION>", "<OCR>")
REGION_TASKS = ("<REGION_TO_DESCRIPTION>", "<REGION_TO_CATEGORY>", "<REGION_TO_OCR>")
BINS = 1000  # Florence-2 writes places as thousandths of the picture's sides
OWN_IMAGE_TOKENS = ("blip-2", "instructblip", "florence2", "kosmos-2", "kosmos-2.5")  # their processors add them
PADDED = ("chat", "prefixed", "paligemma")
NO_PROMPT = ("vision-encoder-decoder",)
CLASSES = ("AutoModelForImageTextToText", "AutoModelForVision2Seq", "AutoModelForCausalLM", "AutoModel")


class Asked(NamedTuple):
    """A part of a batch that goes through the model together: which of its requests, the tensors, the prompts.

    fed: the tokens that an answer may begin with again, one row a request; None where it never does.
    """

    places: tuple[int, ...]
    inputs: Any
    prompts: tuple[str, ...]
    fed: Any


@dataclass(frozen=True, slots=True)
class Family:
    """A loaded model with its processor.

    kind: how it is asked: chat, by a template; prefixed, by a text that must hold a token for the picture; florence2,
    paligemma, plain: by a prompt of any words, or none.

    writer: a tokenizer of its own for decoding, since the other one may be at work in another thread.
    """

    model: Any
    processor: Any
    writer: Any
    kind: str
    model_type: str

    @property
    def usual_prompt(self) -> str:
        """What it is asked where nobody says how."""
        return CHAT_PROMPT if self.kind == "chat" else USUAL.get(self.model_type, "")

    @property
    def usual_tokens(self) -> int:
        """The longest answer where nobody says how long."""
        return SHORT if self.kind in ("plain", "paligemma") else LONG

    @property
    def padded(self) -> bool:
        """Whether rows of several lengths go through the model together, filled up on the left."""
        return self.kind in PADDED

    def asked(self, requests: Sequence[Request], pictures: Pictures, prompts: Sequence[str]) -> list[Asked]:
        """A batch as tensors on the CPU: all of it, or what has the same prompt where rows are not padded.

        Raises:
            UsageError: a prompt that this family does not take.
        """
        good = [i for i, shown in enumerate(pictures) if not isinstance(shown, Failure)]
        if self.padded:
            parts = [good] if good else []
        else:
            parts = [[i for i in good if prompts[i] == prompt] for prompt in dict.fromkeys(prompts[i] for i in good)]
        found = []
        for part in parts:
            images: list[list[Image]] = [pictures[i] for i in part]  # type: ignore[misc] # failures are not in a part
            words = [self.wording(prompts[i], requests[i], images[n][0].size) for n, i in enumerate(part)]
            inputs = self.tensors(images, words)
            found.append(Asked(tuple(part), inputs, tuple(prompts[i] for i in part), self.fed(inputs)))
        return found

    def wording(self, prompt: str, request: Request, size: tuple[int, int]) -> str:
        """A prompt as the family wants it.

        Raises:
            UsageError: Florence-2 has no such task, or one whose answer is no text.
        """
        if self.kind == "florence2":
            return florence_task(prompt, request.regions, size)
        if self.model_type in NO_PROMPT:
            return ""
        if self.kind == "prefixed" and self.processor.image_token not in prompt:
            return f"{self.processor.image_token}\n{prompt}"
        return prompt

    def tensors(self, images: Sequence[list[Image]], words: Sequence[str]) -> Any:
        """What ``generate`` takes."""
        firsts = [shown[0] for shown in images]
        if self.kind == "chat":
            talks = [[{"role": "user", "content": content(*pair)}] for pair in zip(images, words, strict=True)]
            return self.processor.apply_chat_template(
                talks, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt",
                processor_kwargs={"padding": True},
            )  # fmt: skip
        if self.kind == "paligemma":
            texts = ["<image>" + word for word in words]
            inputs = self.processor(images=firsts, text=texts, padding=True, return_tensors="pt")
            inputs.pop("labels", None)
            return inputs
        if self.kind == "prefixed":
            return self.processor(images=firsts, text=list(words), padding=True, return_tensors="pt")
        if not any(words):
            return self.processor(images=firsts, return_tensors="pt")
        if self.model_type == "git":  # its prompts begin with the first special token and do not end with the second
            tokens = self.processor.tokenizer
            inputs = self.processor(images=firsts, return_tensors="pt")
            ids = [[tokens.cls_token_id, *tokens(word, add_special_tokens=False)["input_ids"]] for word in words]
            inputs["input_ids"] = self.torch.tensor(ids)
            return inputs
        return self.processor(images=firsts, text=list(words), return_tensors="pt")

    def fed(self, inputs: Any) -> Any:
        """The tokens that an answer begins with again, where it does."""
        ids = inputs.get("input_ids")
        if ids is None or self.model_type != "blip":
            return ids
        fed = ids[:, :-1].clone()  # BLIP takes the last token away and writes its own first one
        fed[:, 0] = self.model.config.text_config.bos_token_id
        return fed

    def texts(self, asked: Asked, answer: Any) -> list[str]:
        """The captions in an answer of ``generate``, without what was asked."""
        fed = asked.fed
        if fed is not None and answer.shape[1] >= fed.shape[1] and bool((answer[:, : fed.shape[1]] == fed).all()):
            answer = answer[:, fed.shape[1] :]
        if self.kind != "florence2":
            return [text.strip() for text in self.writer.batch_decode(answer, skip_special_tokens=True)]
        whole = self.writer.batch_decode(answer, skip_special_tokens=False)
        return [self.florence_answer(text, prompt) for text, prompt in zip(whole, asked.prompts, strict=True)]

    def florence_answer(self, text: str, prompt: str) -> str:
        """Florence-2's own reading of its answer; places that it writes into it go."""
        task = prompt.partition(">")[0] + ">"
        clean = text.replace(self.writer.pad_token or "", "") if self.writer.pad_token else text
        found = self.processor.post_process_generation(text=clean, task=task, image_size=(BINS, BINS))
        return str(found[task]).partition("<loc_")[0].strip()

    @property
    def torch(self) -> Any:
        """The library, which is imported by now."""
        import torch

        return torch


def content(images: Sequence[Image], words: str) -> list[dict[str, Any]]:
    """The pictures and the words as one turn of a chat."""
    return [*({"type": "image", "image": image} for image in images), {"type": "text", "text": words}]


def florence_task(prompt: str, regions: Sequence[Box], size: tuple[int, int]) -> str:
    """A task token of Florence-2, with the region behind it where the task is about one.

    Raises:
        UsageError: another prompt, a task whose answer is no caption, or one that lacks its region.
    """
    task, _, rest = prompt.partition(">")
    task += ">"
    if task in TASKS and not rest:
        return task
    if task not in REGION_TASKS:
        known = ", ".join((*TASKS, *REGION_TASKS))
        raise UsageError(f"Florence-2 gives no caption for the prompt {prompt!r}", f"its tasks are {known}")
    if rest:
        return prompt
    if not regions:
        raise UsageError(f"{task} is about a region, and the items have none", "take <CAPTION>, or items with a box")
    left, top, width, height = regions[0]
    places = (left / size[0], top / size[1], (left + width) / size[0], (top + height) / size[1])
    return task + "".join(f"<loc_{min(max(int(place * BINS), 0), BINS - 1)}>" for place in places)


def loaded(folder: Path, dtype: str, device_map: str, *, trust: bool) -> Family:
    """A model in memory, with its own preparation of pictures and texts.

    Raises:
        CapbenchError: in the words of transformers.
    """
    import torch
    import transformers

    cure = "the folder needs the model, its tokenizer and its image processor, as save_pretrained writes them"
    with loading(f"transformers cannot load {folder} as a captioner", cure, trust=trust) as local:
        config = transformers.AutoConfig.from_pretrained(folder, **local)
        maker = getattr(transformers, class_name(config))
        placed = {"device_map": device_map} if device_map else {}
        model = maker.from_pretrained(folder, dtype=getattr(torch, dtype), **placed, **local)
        processor = processor_of(folder, local)
    if not hasattr(model, "generate"):
        raise CapbenchError(f"{type(model).__name__} in {folder} writes no text", "take a model that generates")
    kind = kind_of(config.model_type, processor)
    if kind in PADDED:
        processor.tokenizer.padding_side = "left"
    if processor.tokenizer.pad_token_id is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    return Family(model.eval(), processor, copy.deepcopy(processor.tokenizer), kind, config.model_type)


def class_name(config: Any) -> str:
    """The automatic class that makes a model: that for pictures and texts, or the one its own code names."""
    known = getattr(config, "auto_map", None) or {}
    return next((name for name in CLASSES if name in known), CLASSES[0]) if known else CLASSES[0]


def kind_of(model_type: str, processor: Any) -> str:
    """How a family is asked."""
    if model_type in ("florence2", "paligemma"):
        return model_type
    if getattr(processor, "chat_template", None):
        return "chat"
    prefixed = isinstance(getattr(processor, "image_token", None), str) and model_type not in OWN_IMAGE_TOKENS
    return "prefixed" if prefixed else "plain"


def processor_of(folder: Path, local: dict[str, Any]) -> Any:
    """The processor; for models that have only the two halves of one, both together.

    Pictures are prepared by Pillow, whatever else is installed: another way would change captions.
    """
    import transformers

    pictures = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil", **local)
    try:
        found = transformers.AutoProcessor.from_pretrained(folder, **local)
    except (OSError, ValueError):
        found = None
    if not hasattr(found, "tokenizer") or not hasattr(found, "image_processor"):
        return Halves(pictures, transformers.AutoTokenizer.from_pretrained(folder, **local))
    found.image_processor = pictures
    return found


class Halves:
    """An image processor and a tokenizer of a model that has no processor of its own."""

    def __init__(self, image_processor: Any, tokenizer: Any) -> None:
        self.image_processor, self.tokenizer = image_processor, tokenizer

    def __call__(self, images: Any, **settings: Any) -> Any:
        """The pictures as tensors."""
        return self.image_processor(images=images, **settings)


__all__ = ["NO_PROMPT", "REGION_TASKS", "Asked", "Family", "Halves", "florence_task", "loaded"]
