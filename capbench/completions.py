"""Chat completions: how a picture and a prompt are asked about, and what an answer must look like."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from capbench.images import content, load, opened
from capbench.remote import Trouble
from capbench.types import ImageRef

if TYPE_CHECKING:
    from PIL.Image import Image

PATH = "chat/completions"
FORMATS = ("", "jpeg", "png")
QUALITY = 95  # of JPEG, with its colours at full resolution
LARGEST = 10 * 2**20  # bytes of a file that is sent as it is; servers take 20 MB a request, a third of it for base64
ORIENTATION = 0x0112  # the EXIF tag that turns a picture


@dataclass(frozen=True, slots=True)
class Completion:
    """What an answer says. finish: why it ended, as the server puts it ("stop", "length", "content_filter").

    reasoning: what the model thought, where the server keeps it apart. tokens: -1 where the server does not say.
    """

    text: str
    finish: str = ""
    refusal: str = ""
    reasoning: str = ""
    model: str = ""
    tokens_in: int = -1
    tokens_out: int = -1


def data_url(ref: ImageRef, max_side: int = 0, form: str = "") -> str:
    """A picture as a data: URL, as every other captioner sees it: first frame, unrotated, without transparency.

    The file's own bytes where they are a JPEG or PNG of that look and at most 10 MiB; else PNG, or JPEG of quality
    95 where ``form`` says so. max_side: the longest side in pixels (0: any); larger ones are made smaller (Lanczos).

    Raises:
        ImageFault: the picture cannot be shown to a model.
    """
    data = content(ref)
    picture = load(ref)
    head = opened(data)
    fits = not max_side or max(picture.size) <= max_side
    kind = (head.format or "").lower()
    if not (fits and len(data) <= LARGEST and kind in ("jpeg", "png") and form in ("", kind) and is_plain(head)):
        kind = form or "png"
        data = encoded(picture, max_side, kind)
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def is_plain(head: Image) -> bool:
    """Whether any reader shows these bytes as 8-bit RGB or grey, the same way up."""
    still = getattr(head, "n_frames", 1) == 1 and "transparency" not in head.info
    return still and head.mode in ("RGB", "L") and head.getexif().get(ORIENTATION, 1) == 1


def encoded(picture: Image, max_side: int, kind: str) -> bytes:
    """A picture as the bytes of a file, no longer than ``max_side``."""
    from PIL.Image import Resampling

    if max_side and max(picture.size) > max_side:
        share = max_side / max(picture.size)
        size = max(1, round(picture.width * share)), max(1, round(picture.height * share))
        picture = picture.resize(size, Resampling.LANCZOS)
    sink = io.BytesIO()
    options: dict[str, Any] = {"quality": QUALITY, "subsampling": 0} if kind == "jpeg" else {}
    picture.save(sink, kind.upper(), **options)
    return sink.getvalue()


def messages(prompt: str, pictures: Sequence[str], detail: str = "", system: str = "") -> list[dict[str, Any]]:
    """What the user (and the system) says: the pictures in order, then the words."""
    extra = {"detail": detail} if detail else {}
    parts: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": url, **extra}} for url in pictures]
    parts.append({"type": "text", "text": prompt})
    asked = [{"role": "user", "content": parts}]
    return [{"role": "system", "content": system}, *asked] if system else asked


def read_completion(value: Any) -> Completion:
    """The first choice of an answer.

    Raises:
        Trouble: it is no chat completion; asked again, the server may send one.
    """
    if not isinstance(value, Mapping):
        raise misshapen("it is no object", value)
    choices = value.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        raise misshapen("it has no choices", value)
    message = choices[0].get("message")
    if not isinstance(message, Mapping):
        raise misshapen("its first choice has no message", value)
    finish, refusal = choices[0].get("finish_reason"), message.get("refusal")
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    usage = value.get("usage") if isinstance(value.get("usage"), Mapping) else {}
    return Completion(
        text_of(message.get("content"), value),
        finish if isinstance(finish, str) else "",
        refusal if isinstance(refusal, str) else "",
        reasoning if isinstance(reasoning, str) else "",
        str(value.get("model") or ""),
        count(usage, "prompt_tokens"),
        count(usage, "completion_tokens"),
    )


def text_of(given: Any, value: Any) -> str:
    """The content of a message: text, a list of parts of which those of text count, or null for none."""
    if given is None:
        return ""
    if isinstance(given, str):
        return given
    if isinstance(given, list) and all(isinstance(part, Mapping) for part in given):
        return "".join(str(part.get("text", "")) for part in given if part.get("type") == "text")
    raise misshapen("the content of its message is no text", value)


def count(usage: Any, name: str) -> int:
    """A number of tokens, or -1."""
    number = usage.get(name)
    return number if type(number) is int and number >= 0 else -1


def misshapen(what: str, value: Any) -> Trouble:
    """The fault of an answer that is JSON and no chat completion."""
    return Trouble("no completion", f"the answer is no chat completion: {what}: {json.dumps(value)[:200]}")
