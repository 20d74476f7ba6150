"""Any vision-language model behind an OpenAI-compatible server: vLLM, SGLang, Ollama, llama.cpp, hosted services."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, ClassVar

from capbench import prompts, signature
from capbench.completions import FORMATS, PATH, Completion, data_url, messages, read_completion
from capbench.errors import CapbenchError, Midway, UsageError
from capbench.images import ImageFault
from capbench.protocols import Problem
from capbench.remote import KEY_ENV, Client, Limits, Reply, checked_url
from capbench.types import Answer, Failure, Generation, Request

PROMPT = "Describe the picture in one sentence."
PLANNING = Limits(concurrency=1, attempts=1, timeout=5.0)
OWN_FIELDS = ("model", "messages", "stream", "n")
SENT = ("max_tokens", "temperature", "seed")
THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)
LATE_THOUGHT = re.compile(r"\A.*?</think(?:ing)?>", re.DOTALL)  # templates that open the thought in the prompt
MILLION = 1_000_000
SHOWN_MODELS = 10
unsigned = {"signed": False}


@dataclass(frozen=True, slots=True)
class Chat:
    """A model that is asked over HTTP with the picture in the request.

    model: its name at the server. url: where the interface begins. prompt: what is asked, in place of the command's or
    the benchmark's. system: what is said before. others: whether the other pictures of a benchmark's bag are sent too,
    after the one to describe. detail: low, high or auto where the server knows it. max_image_side: pixels (0: as they
    are). image_format: "jpeg" or "png" for all pictures ("": their own bytes where any reader shows them alike).
    extra: more fields of the request as a JSON object. omit: fields not to send, such as "temperature,seed" for models
    that refuse them. thoughts: what becomes of <think> passages: "drop" or "keep".

    key_env: the variable that holds the key. concurrency, rpm (requests a minute), attempts, timeout (seconds an
    attempt), deadline (seconds a picture): how it is asked. batch: captions between two writes (0: as many as are
    under way at a time). price_in, price_out: of a million tokens, to count the cost. None of these changes a caption.
    """

    name: ClassVar[str] = "chat"

    model: str
    url: str = field(default="http://localhost:8000/v1", metadata=unsigned)
    prompt: str = ""
    system: str = ""
    others: bool = False
    detail: str = ""
    max_image_side: int = 0
    image_format: str = ""
    extra: str = ""
    omit: str = ""
    thoughts: str = "drop"
    key_env: str = field(default=KEY_ENV, metadata=unsigned)
    concurrency: int = field(default=8, metadata=unsigned)
    rpm: float = field(default=0.0, metadata=unsigned)
    attempts: int = field(default=6, metadata=unsigned)
    timeout: float = field(default=120.0, metadata=unsigned)
    deadline: float = field(default=900.0, metadata=unsigned)
    batch: int = field(default=0, metadata=unsigned)
    price_in: float = field(default=0.0, metadata=unsigned)
    price_out: float = field(default=0.0, metadata=unsigned)

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        if not self.model:
            raise UsageError("chat: no model is named", "write chat(model='NAME', url='http://localhost:8000/v1')")
        checked_url(self.url)
        prompts.context_in(self.prompt)
        _ = self.limits, self.fields
        if self.image_format not in FORMATS or self.thoughts not in ("drop", "keep") or self.max_image_side < 0:
            raise UsageError(
                f"chat: image_format={self.image_format!r}, thoughts={self.thoughts!r}, "
                f"max_image_side={self.max_image_side}",
                "image_format is jpeg or png, thoughts drop or keep, max_image_side 0 or more",
            )
        if unknown := self.omitted - set(SENT):
            raise UsageError(f"chat: omit={self.omit!r}: no field {min(unknown)!r}", f"of {', '.join(SENT)}")
        if not (self.price_in >= 0 and self.price_out >= 0 and self.batch >= 0):
            raise UsageError("chat: prices and batch are 0 or more", "leave them out")
        if self.batch == 0:
            object.__setattr__(self, "batch", self.concurrency)

    @property
    def uses(self) -> frozenset[str]:
        """What of a request can change an answer."""
        asked = prompts.context_in(self.prompt) if self.prompt else {"prompt"}
        return frozenset({*SENT, *(["context"] if self.others else [])} - self.omitted | asked)

    @property
    def label(self) -> str:
        """Its name in tables: the model's last word, and what else was given that can change a caption."""
        given = [(f, getattr(self, f.name)) for f in dataclasses.fields(self) if f.name != "model"]
        told = [str(value) for f, value in given if signature.is_signed(f, value) and value != f.default]
        return "-".join(["chat", self.model.rstrip("/").rpartition("/")[2], *told])

    @property
    def limits(self) -> Limits:
        """How the server is asked."""
        return Limits(self.concurrency, self.rpm, self.attempts, self.timeout, self.deadline)

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of ``extra``.

        Raises:
            UsageError: no JSON object, or one with a field that is the adapter's own.
        """
        try:
            fields = json.loads(self.extra) if self.extra else {}
        except ValueError as error:
            raise UsageError(f"chat: extra is no JSON: {error}", """write extra='{"top_p": 0.9}'""") from error
        if not isinstance(fields, dict) or any(name in fields for name in OWN_FIELDS):
            raise UsageError(f"chat: extra={self.extra}", f"a JSON object without {', '.join(OWN_FIELDS)}")
        return fields

    @property
    def omitted(self) -> set[str]:
        """The fields that are not sent."""
        return {word.strip() for word in self.omit.split(",") if word.strip()}

    def fingerprint(self) -> str:
        """The model, who serves it as /models says, and every parameter that can change a caption; no address."""
        served = served_by(self)
        return signature.fingerprint(self) + (f"+by:{served}" if served else "")

    def check(self) -> Problem | None:
        """Whether httpx is there and the server answers; a key that it refuses is refused here."""
        if find_spec("httpx") is None:
            return Problem("httpx is not installed", "pip install 'capbench[chat]'")
        try:
            offered(self)
        except CapbenchError as error:
            return Problem(error.message, error.cure)
        return None

    @contextmanager
    def open(self, device: str) -> Iterator[Session]:
        """Connect; ``device`` is the server's affair.

        Raises:
            MissingPart: httpx is not installed.
        """
        del device
        with Client(self.url, self.key_env, self.limits) as client:
            yield Session(self, client)


class Session:
    """Captions from a server, so many at a time."""

    def __init__(self, captioner: Chat, client: Client) -> None:
        self.captioner, self.client = captioner, client

    def caption(self, requests: Sequence[Request], params: Generation) -> list[Answer | Failure]:
        """One answer a request, in order.

        Raises:
            Midway: the server will answer none; it holds the answers until then.
        """
        answers: dict[int, Answer | Failure] = {}
        bodies: dict[int, dict[str, Any]] = {}
        for i, request in enumerate(requests):
            try:
                bodies[i] = body_of(self.captioner, request, params)
            except ImageFault as fault:
                answers[i] = Failure(fault.message)
        asked = list(bodies)
        try:
            replies = self.client.post_all(PATH, list(bodies.values()), read_completion)
        except Midway as midway:
            done = {asked[i]: self.answer(reply) for i, reply in midway.done.items()}
            raise Midway(self.with_models(midway.error), answers | done) from None
        answers |= {i: self.answer(reply) for i, reply in zip(asked, replies, strict=True)}
        return [answers[i] for i in range(len(requests))]

    def answer(self, reply: Reply[Completion] | Failure) -> Answer | Failure:
        """A reply as an answer, with what it took."""
        if isinstance(reply, Failure):
            return reply
        text, reason = caption_in(reply.value, self.captioner.thoughts)
        return Answer(text, reason, noted(reply, self.captioner), reply.seconds)

    def with_models(self, error: CapbenchError) -> CapbenchError:
        """An error about an unknown model names those that the server has."""
        model = self.captioner.model
        if "HTTP 404" not in error.message:
            return error
        try:
            names = [str(entry["id"]) for entry in offered(self.captioner)]
        except CapbenchError:
            return error
        if not names or model in names:
            return error
        error.cure = f"the server has no {model!r}; it has {', '.join(names[:SHOWN_MODELS])}"
        return error


def body_of(captioner: Chat, request: Request, params: Generation) -> dict[str, Any]:
    """The request about one picture.

    Raises:
        ImageFault: the picture cannot be shown to a model.
    """
    shown = [request.image, *(request.context if captioner.others else ())]
    side, form = captioner.max_image_side, captioner.image_format
    pictures = [data_url(image, side, form) for image in shown if image is not None]
    prompt = prompts.rendered(captioner.prompt, request) if captioner.prompt else request.prompt or params.prompt
    sent = {"temperature": params.temperature, "seed": params.seed}
    if params.max_tokens:
        sent["max_tokens"] = params.max_tokens
    return {
        "model": captioner.model,
        "messages": messages(prompt or PROMPT, pictures, captioner.detail, captioner.system),
        **{name: value for name, value in sent.items() if name not in captioner.omitted},
        **captioner.fields,
    }


def caption_in(completion: Completion, thoughts: str) -> tuple[str | None, str]:
    """The caption of an answer, or None and why there is none."""
    if completion.refusal:
        return None, f"the model refuses: {completion.refusal}"
    if completion.finish == "content_filter":
        said = f": {completion.text}" if completion.text else ""
        return None, f"the server's filter took the answer away{said}"
    text = completion.text
    if thoughts == "drop":
        text = without_thoughts(text)
    if text.strip():
        return text.strip(), ""
    cut = ", cut off at max_tokens" if completion.finish == "length" else ""
    thought = completion.text.strip() or completion.reasoning
    return None, f"the answer holds thoughts and no caption{cut}" if thought else f"the answer is empty{cut}"


def without_thoughts(text: str) -> str:
    """An answer without its <think> passages."""
    return LATE_THOUGHT.sub("", THOUGHT.sub("", text))


def noted(reply: Reply[Completion], captioner: Chat) -> dict[str, int | float | str]:
    """What an answer took: tokens, cost, attempts, and why it ended where that is not as usual."""
    said = reply.value
    known: dict[str, int | float | str] = {}
    if said.tokens_in >= 0:
        known["tokens_in"] = said.tokens_in
    if said.tokens_out >= 0:
        known["tokens_out"] = said.tokens_out
    if known and (captioner.price_in or captioner.price_out):
        cost = max(said.tokens_in, 0) * captioner.price_in + max(said.tokens_out, 0) * captioner.price_out
        known["cost"] = round(cost / MILLION, 9)
    if reply.attempts > 1:
        known["attempts"] = reply.attempts
    if said.finish not in ("", "stop"):
        known["finish"] = said.finish
    if said.refusal:
        known["finish"] = "refusal"
    return known


def offered(captioner: Chat) -> list[Mapping[str, Any]]:
    """The models that the server names; none where it keeps no list.

    Raises:
        CapbenchError: it does not answer, or refuses the key.
    """
    with Client(captioner.url, captioner.key_env, PLANNING) as client:
        listed = client.get("models", missing={})
    entries = listed.get("data") if isinstance(listed, dict) else None
    return [x for x in entries if isinstance(x, dict) and "id" in x] if isinstance(entries, list) else []


def served_by(captioner: Chat) -> str:
    """Who serves the model and from what, as vLLM, SGLang, Ollama and llama.cpp say it: "vllm/llava-1.5-7b-hf"."""
    try:
        entries = offered(captioner)
    except CapbenchError:
        return ""
    entry = next((entry for entry in entries if entry["id"] == captioner.model), {})
    words = [str(entry.get(name) or "") for name in ("owned_by", "root")]
    words[1] = "" if words[1] == captioner.model else words[1].rstrip("/").rpartition("/")[2]
    return "/".join(filter(None, words))
