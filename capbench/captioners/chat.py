"""Any vision-language model behind an OpenAI-compatible server: vLLM, SGLang, Ollama, llama.cpp, hosted services."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from capbench import prompts, signature
from capbench.completions import FORMATS, PATH, Completion, data_url, messages, read_completion
from capbench.errors import CapbenchError, Midway, UsageError
from capbench.images import ImageFault
from capbench.protocols import Problem
from capbench.remote import KEY_ENV, Client, Limits, Reply
from capbench.servers import Server, fields_in
from capbench.types import Answer, Failure, Generation, Request

PROMPT = "Describe the picture in one sentence."
OWN_FIELDS = ("model", "messages", "stream", "n")
SENT = ("max_tokens", "temperature", "seed")
THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)
LATE_THOUGHT = re.compile(r"\A.*?</think(?:ing)?>", re.DOTALL)  # templates that open the thought in the prompt
MILLION = 1_000_000
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
    attempt), deadline (seconds a picture): how it is asked. batch: captions that Ray gives an actor at a time (0: as
    many as are under way). price_in, price_out: of a million tokens, to count the cost. None of these changes a
    caption.
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
        prompts.context_in(self.prompt)
        _ = self.server, self.fields
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
    def server(self) -> Server:
        """Where the model is, and how it is asked."""
        limits = Limits(self.concurrency, self.rpm, self.attempts, self.timeout, self.deadline)
        return Server(self.model, self.url, self.key_env, limits)

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of ``extra``.

        Raises:
            UsageError: no JSON object, or one with a field that is the adapter's own.
        """
        return fields_in(self.extra, self.name, OWN_FIELDS, """write extra='{"top_p": 0.9}'""")

    @property
    def omitted(self) -> set[str]:
        """The fields that are not sent."""
        return {word.strip() for word in self.omit.split(",") if word.strip()}

    def fingerprint(self) -> str:
        """The model, who serves it as /models says, and every parameter that can change a caption; no address."""
        return signature.fingerprint(self) + self.server.mark()

    def check(self) -> Problem | None:
        """Whether httpx is there and the server answers; a key that it refuses is refused here."""
        return self.server.check()

    @contextmanager
    def open(self, device: str) -> Iterator[Session]:
        """Connect; ``device`` is the server's affair.

        Raises:
            MissingPart: httpx is not installed.
        """
        del device
        with self.server.client() as client:
            yield Session(self, client)


class Session:
    """Captions from a server, so many at a time."""

    def __init__(self, captioner: Chat, client: Client) -> None:
        self.captioner, self.client = captioner, client

    def stream(
        self, asked: Iterable[tuple[Request, Generation]], *, retried: bool
    ) -> Iterator[list[tuple[Request, Answer | Failure]]]:
        """Answers as they come, with their requests, of which so many are taken as may be under way.

        Raises:
            CapbenchError: the server will answer none; all that it had answered was given.
        """
        blind: list[tuple[Request, Answer | Failure]] = []

        def bodies() -> Iterator[tuple[Request, dict[str, Any]]]:
            for request, params in asked:
                try:
                    body = body_of(self.captioner, request, params)
                except ImageFault as fault:
                    blind.append((request, Failure(fault.message)))
                except Exception as error:  # noqa: BLE001 -- whatever a picture makes its reader raise costs itself
                    blind.append((request, Failure(f"{type(error).__name__}: {error}")))
                else:
                    yield request, body

        try:
            for replies in self.client.stream(PATH, bodies(), read_completion, retried=retried):
                yield [*blind, *((request, self.answer(reply)) for request, reply in replies)]
                blind.clear()
        except CapbenchError as error:
            raise self.captioner.server.with_models(error) from None
        if blind:
            yield blind

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
            raise Midway(self.captioner.server.with_models(midway.error), answers | done) from None
        answers |= {i: self.answer(reply) for i, reply in zip(asked, replies, strict=True)}
        return [answers[i] for i in range(len(requests))]

    def answer(self, reply: Reply[Completion] | Failure) -> Answer | Failure:
        """A reply as an answer, with what it took."""
        if isinstance(reply, Failure):
            return reply
        text, reason = caption_in(reply.value, self.captioner.thoughts)
        return Answer(text, reason, noted(reply, self.captioner), reply.seconds)


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
