"""Models of transformers as judges: loaded with what prepares for them, and asked by their own template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capbench.captioners.hf_models import loaded
from capbench.errors import CapbenchError
from capbench.hub_models import loading

SEEING = ("preprocessor_config.json", "processor_config.json")


@dataclass(frozen=True, slots=True)
class Talker:
    """A loaded model. processor: what prepares pictures and words (a tokenizer where it sees none). sees: pictures.

    mark: what stands for a picture in the words of a model without a chat template.
    """

    model: Any
    processor: Any
    tokenizer: Any
    sees: bool
    mark: str = ""

    def tensors(self, asked: Sequence[tuple[str, str]], pictures: Sequence[list[Any]]) -> Any:
        """What ``generate`` takes, for prompts (system, words) that all have pictures or all have none."""
        if getattr(self.processor, "chat_template", None):
            talks = [self.talk(*words, shown) for words, shown in zip(asked, pictures, strict=True)]
            more: dict[str, Any] = {"processor_kwargs": {"padding": True}} if self.sees else {"padding": True}
            return self.processor.apply_chat_template(
                talks, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt", **more
            )
        texts = ["\n\n".join(filter(None, words)) for words in asked]
        if any(pictures):
            marked = [self.mark * len(shown) + "\n" + text for text, shown in zip(texts, pictures, strict=True)]
            return self.processor(images=list(pictures), text=marked, padding=True, return_tensors="pt")
        return self.tokenizer(texts, padding=True, return_tensors="pt")

    def talk(self, system: str, words: str, pictures: Sequence[Any]) -> list[dict[str, Any]]:
        """What the system and the user say."""

        def content(text: str, shown: Sequence[Any] = ()) -> Any:
            if not self.sees:
                return text
            return [*({"type": "image", "image": one} for one in shown), {"type": "text", "text": text}]

        said = [{"role": "user", "content": content(words, pictures)}]
        return [{"role": "system", "content": content(system)}, *said] if system else said

    def until_end(self, tokens: list[int]) -> tuple[list[int], bool]:
        """An answer's tokens before the one that ends it, and whether there is such a one."""
        stated = self.model.generation_config.eos_token_id
        ends = set(stated if isinstance(stated, list) else [stated]) | {self.tokenizer.eos_token_id}
        for place, token in enumerate(tokens):
            if token in ends:
                return tokens[:place], True
        return tokens, False


def talker(folder: Path, dtype: str, device_map: str, *, trust: bool) -> Talker:
    """A model in memory.

    Raises:
        CapbenchError: it cannot be loaded, or cannot be asked in words.
    """
    if any((folder / name).is_file() for name in SEEING):
        family = loaded(folder, dtype, device_map, trust=trust)
        if family.kind not in ("chat", "prefixed"):
            raise CapbenchError(
                f"the model in {folder} is of the kind {family.model_type}, which cannot be asked in words",
                "take one that chats about pictures, or a model of text",
            )
        mark = "" if family.kind == "chat" else family.processor.image_token
        return Talker(family.model, family.processor, family.processor.tokenizer, sees=True, mark=mark)
    return of_text(folder, dtype, device_map, trust=trust)


def of_text(folder: Path, dtype: str, device_map: str, *, trust: bool) -> Talker:
    """A model of text alone.

    Raises:
        CapbenchError: in the words of transformers.
    """
    import torch
    import transformers

    placed = {"device_map": device_map} if device_map else {}
    cure = "the folder needs a model that writes text and its tokenizer, as save_pretrained writes them"
    with loading(f"transformers cannot load {folder} as a judge", cure, trust=trust) as local:
        words = transformers.AutoTokenizer.from_pretrained(folder, padding_side="left", **local)
        kind = transformers.AutoModelForCausalLM
        model = kind.from_pretrained(folder, dtype=getattr(torch, dtype), **placed, **local)
    if words.pad_token_id is None:
        words.pad_token = words.eos_token
    return Talker(model.eval(), words, words, sees=False)
