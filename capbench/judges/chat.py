"""``judge_chat``: a language model behind an OpenAI-compatible server, which sees text and pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from capbench import signature
from capbench.captioners.chat import Chat, noted, without_thoughts
from capbench.completions import PATH, Completion, data_url, messages, read_completion
from capbench.errors import CapbenchError, UsageError
from capbench.images import ImageFault
from capbench.languages import readable
from capbench.protocols import JudgePrompt, JudgeReply, Likely, Problem
from capbench.remote import KEY_ENV, Client, Reply
from capbench.types import Failure

unsigned = {"signed": False}
LIKELIEST = 20  # that OpenAI's servers give at most


@dataclass(frozen=True, slots=True)
class JudgeChat:
    """A model that is asked over HTTP, with the pictures in the request.

    model: its name at the server. url: where the interface begins. detail: low, high or auto where the server knows
    it. max_image_side: pixels (0: as they are). image_format: "jpeg" or "png" for all pictures. extra: more fields of
    the request as a JSON object. omit: fields not to send, such as "temperature,seed". thoughts: what becomes of
    <think> passages: "drop" or "keep". likely: the most likeliest tokens that the server gives at a place.

    key_env: the variable that holds the key. concurrency, rpm (requests a minute), attempts, timeout (seconds an
    attempt), deadline (seconds a question): how it is asked. price_in, price_out: of a million tokens, to count the
    cost. None of these changes an answer.
    """

    name: ClassVar[str] = "judge_chat"
    kind: ClassVar[str] = "judge"

    model: str
    url: str = field(default="http://localhost:8000/v1", metadata=unsigned)
    detail: str = ""
    max_image_side: int = 0
    image_format: str = ""
    extra: str = ""
    omit: str = ""
    thoughts: str = "drop"
    likely: int = LIKELIEST
    key_env: str = field(default=KEY_ENV, metadata=unsigned)
    concurrency: int = field(default=8, metadata=unsigned)
    rpm: float = field(default=0.0, metadata=unsigned)
    attempts: int = field(default=6, metadata=unsigned)
    timeout: float = field(default=120.0, metadata=unsigned)
    deadline: float = field(default=900.0, metadata=unsigned)
    price_in: float = field(default=0.0, metadata=unsigned)
    price_out: float = field(default=0.0, metadata=unsigned)

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        _ = self.chat
        if self.likely < 1:
            raise UsageError(f"judge_chat: likely={self.likely}", "1 or more; OpenAI's servers give 20")

    @property
    def chat(self) -> Chat:
        """The same model as it is asked for captions.

        Raises:
            UsageError: parameters that mean nothing.
        """
        known = {f.name for f in dataclasses.fields(Chat)}
        given = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return Chat(**{name: value for name, value in given.items() if name in known})

    def fingerprint(self) -> str:
        """The model, who serves it as /models says, and every parameter that can change an answer; no address."""
        return signature.fingerprint(self) + self.chat.server.mark()

    def check(self) -> Problem | None:
        """Whether httpx is there and the server answers; a key that it refuses is refused here."""
        return self.chat.check()

    @contextmanager
    def open(self, device: str) -> Iterator[Session]:
        """Connect; ``device`` is the server's affair.

        Raises:
            MissingPart: httpx is not installed.
        """
        del device
        with self.chat.server.client() as client:
            yield Session(self, client)


@dataclass(frozen=True, slots=True)
class Session:
    """Replies from a server, many under way at one time."""

    judge: JudgeChat
    client: Client

    def ask(self, prompts: Sequence[JudgePrompt]) -> Iterator[tuple[int, JudgeReply | Failure]]:
        """Each reply with the number of its prompt, as it comes; a Failure in the server's words where it has none.

        Pictures are opened as there is room for their requests.

        Raises:
            CapbenchError: the server will answer none; every reply until then was given.
        """
        chat = self.judge.chat
        blind: list[tuple[int, JudgeReply | Failure]] = []

        def bodies() -> Iterator[tuple[int, dict[str, Any]]]:
            for i, prompt in enumerate(prompts):
                try:
                    body = body_of(self.judge, chat, prompt)
                except ImageFault as fault:
                    blind.append((i, Failure(fault.message)))
                else:
                    yield i, body

        try:
            for replies in self.client.stream(PATH, bodies(), read_judged):
                yield from ((i, reply_of(reply, chat)) for i, reply in replies)
        except CapbenchError as error:
            raise chat.server.with_models(error) from None
        yield from blind


def body_of(judge: JudgeChat, chat: Chat, prompt: JudgePrompt) -> dict[str, Any]:
    """The request of one prompt.

    Raises:
        ImageFault: the picture cannot be shown to a model.
    """
    pictures = [data_url(image, judge.max_image_side, judge.image_format) for image in prompt.images]
    sent: dict[str, Any] = {"temperature": prompt.temperature, "seed": prompt.seed, "max_tokens": prompt.tokens}
    if prompt.likely:
        sent |= {"logprobs": True, "top_logprobs": min(prompt.likely, judge.likely)}
    return {
        "model": judge.model,
        "messages": messages(readable(prompt.text), pictures, judge.detail, readable(prompt.system)),
        **{name: value for name, value in sent.items() if name not in chat.omitted},
        **chat.fields,
    }


def read_judged(value: Any) -> tuple[Completion, tuple[Likely, ...]]:
    """The first choice of an answer, and its likeliest tokens where the server gives them.

    Raises:
        Trouble: it is no chat completion.
    """
    return read_completion(value), likely_in(value["choices"][0].get("logprobs"))


def likely_in(given: Any) -> tuple[Likely, ...]:
    """The tokens of ``logprobs``, with the likeliest at their places; none where the form is another."""
    places = given.get("content") if isinstance(given, Mapping) else None
    found = []
    for place in places if isinstance(places, list) else []:
        among = place.get("top_logprobs") if isinstance(place, Mapping) else None
        if not isinstance(among, list):
            return ()
        pairs = [(one.get("token"), one.get("logprob")) for one in among if isinstance(one, Mapping)]
        good = tuple((t, float(x)) for t, x in pairs if isinstance(t, str) and isinstance(x, int | float) and x <= 0)
        found.append(Likely(str(place.get("token", "")), good))
    return tuple(found)


def reply_of(reply: Reply[tuple[Completion, tuple[Likely, ...]]] | Failure, chat: Chat) -> JudgeReply | Failure:
    """A server's reply as a judge's."""
    if isinstance(reply, Failure):
        return reply
    said, likely = reply.value
    took = noted(Reply(said, reply.seconds, reply.attempts), chat)
    text = without_thoughts(said.text) if chat.thoughts == "drop" else said.text
    cost = float(took.get("cost", 0.0))
    return JudgeReply(
        text.strip(), said.finish or "stop", said.refusal, said.model, said.tokens_in, said.tokens_out,
        reply.seconds, cost, reply.attempts, likely,
    )  # fmt: skip


__all__ = ["JudgeChat"]
