"""``openai_images``: a painter behind an OpenAI-compatible images endpoint (``/images/generations``).

The form of requests and answers is that of OpenAI's reference, "Create image"; local servers such as LocalAI and
vLLM's speak it too.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from capbench.errors import Midway, UsageError
from capbench.images import ImageFault, decoded
from capbench.languages import readable
from capbench.protocols import Problem
from capbench.remote import KEY_ENV, Client, Limits, Reply, Trouble
from capbench.servers import Server, fields_in
from capbench.signature import fingerprint
from capbench.types import Failure

if TYPE_CHECKING:
    from PIL.Image import Image

PATH = "images/generations"
OWN_FIELDS = ("model", "prompt", "n", "seed")
ALWAYS_BYTES = "gpt-image"  # models that send the picture itself and refuse to be asked for it
PATIENCE = 10.0  # seconds in which the server names its models
LARGEST = 64 * 2**20  # bytes of a picture that an answer points to
unsigned = {"signed": False}


@dataclass(frozen=True, slots=True)
class OpenaiImages:
    """A text-to-image model that is asked over HTTP, one picture a request.

    model: its name at the server. url: where the interface begins. size: as the server writes it, such as 1024x1024.
    quality: such as hd ("": the server's own). extra: more fields of the request as a JSON object. seeded: send the
    seed, for servers that know it; without it the pictures of one caption differ by chance alone, and a run that paints
    anew gets others.

    key_env: the variable that holds the key. concurrency, rpm (requests a minute), attempts, timeout (seconds an
    attempt), deadline (seconds a picture): how it is asked. price: of one picture, to count the cost. None of these
    changes a picture.
    """

    name: ClassVar[str] = "openai_images"
    kind: ClassVar[str] = "generator"

    model: str
    url: str = field(default="https://api.openai.com/v1", metadata=unsigned)
    size: str = ""
    quality: str = ""
    extra: str = ""
    seeded: bool = False
    key_env: str = field(default=KEY_ENV, metadata=unsigned)
    concurrency: int = field(default=4, metadata=unsigned)
    rpm: float = field(default=0.0, metadata=unsigned)
    attempts: int = field(default=6, metadata=unsigned)
    timeout: float = field(default=180.0, metadata=unsigned)
    deadline: float = field(default=900.0, metadata=unsigned)
    price: float = field(default=0.0, metadata=unsigned)

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        _ = self.server, self.fields
        if not self.model or not self.price >= 0:
            raise UsageError("openai_images: a model is named, and price is 0 or more", "openai_images(model='NAME')")

    @property
    def server(self) -> Server:
        """Where the model is, and how it is asked."""
        limits = Limits(self.concurrency, self.rpm, self.attempts, self.timeout, self.deadline)
        return Server(self.model, self.url, self.key_env, limits, PATIENCE)

    @property
    def chunk(self) -> int:
        """Pictures that are made before they are kept: as many as are under way at one time."""
        return self.concurrency

    @property
    def fields(self) -> dict[str, Any]:
        """What is asked of every picture.

        Raises:
            UsageError: ``extra`` is no JSON object, or has a field of its own.
        """
        extra = fields_in(self.extra, self.name, OWN_FIELDS, """extra='{"style": "natural"}'""")
        form = {} if self.model.startswith(ALWAYS_BYTES) else {"response_format": "b64_json"}
        named = {name: value for name, value in (("size", self.size), ("quality", self.quality)) if value}
        return {**form, **named, **extra}

    def fingerprint(self) -> str:
        """The model and every parameter that can change a picture; no address, whose model can be any version."""
        return fingerprint(self)

    def check(self) -> Problem | None:
        """Whether httpx is there and the server answers; a key that it refuses is refused here."""
        return self.server.check()

    @contextmanager
    def open(self, device: str) -> Iterator[RemotePainter]:  # noqa: ARG002 -- the server's affair
        """Connect."""
        with self.server.client() as client:
            yield RemotePainter(client, self)


class Answer(NamedTuple):
    """What a server says of a picture: its bytes in base64 or its address, and the prompt that it made of ours."""

    data: str
    address: str
    revised: str


class RemotePainter:
    """Asks for pictures, several at a time."""

    def __init__(self, client: Client, asked: OpenaiImages) -> None:
        self._client, self._asked = client, asked

    def paint(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image | Failure]:
        """One RGB picture a prompt; a Failure in the server's words where it refuses one.

        A picture's ``info["about"]`` holds the prompt that the server made of ours, the seconds, and the price.

        Raises:
            Midway: no request can succeed; it holds the pictures until then.
        """
        common = {"model": self._asked.model, "n": 1, **self._asked.fields}
        bodies = [
            {**common, "prompt": readable(prompt), **({"seed": seed} if self._asked.seeded else {})}
            for prompt, seed in zip(prompts, seeds, strict=True)
        ]
        try:
            replies = self._client.post_all(PATH, bodies, read_answer)
        except Midway as stop:
            raise Midway(stop.error, {i: self._picture(reply) for i, reply in stop.done.items()}) from None
        return [self._picture(reply) for reply in replies]

    def _picture(self, reply: Reply[Answer] | Failure) -> Image | Failure:
        """The picture of a reply."""
        if isinstance(reply, Failure):
            return reply
        answer = reply.value
        try:
            data = base64.b64decode(answer.data, validate=True) if answer.data else self._fetched(answer.address)
            picture = decoded(data)
        except (ImageFault, binascii.Error) as error:
            return Failure(f"the server's picture cannot be read: {getattr(error, 'message', None) or error}")
        about: dict[str, Any] = {"seconds": round(reply.seconds, 3)}
        about |= {"revised prompt": answer.revised} if answer.revised else {}
        about |= {"price": self._asked.price} if self._asked.price else {}
        picture.info = {"about": about}
        return picture

    def _fetched(self, address: str) -> bytes:
        """The bytes behind an address, asked for without the key.

        Raises:
            ImageFault: it is no http(s) address, or gives nothing.
        """
        import httpx

        if not address.startswith(("http://", "https://")):
            raise ImageFault("its address is not of http")
        content = bytearray()
        try:
            with httpx.stream("GET", address, timeout=self._asked.timeout) as response:
                response.raise_for_status()
                for part in response.iter_bytes():
                    content += part
                    if len(content) > LARGEST:
                        raise ImageFault(f"it is longer than {LARGEST} bytes")
        except httpx.HTTPStatusError as error:
            raise ImageFault(f"HTTP {error.response.status_code} at its address") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ImageFault(f"{type(error).__name__} at its address") from None
        return bytes(content)


def read_answer(value: Any) -> Answer:
    """The first picture of an answer.

    Raises:
        Trouble: there is none; asked again, the server may send one.
    """
    data = value.get("data") if isinstance(value, Mapping) else None
    first = data[0] if isinstance(data, list) and data and isinstance(data[0], Mapping) else {}
    answer = Answer(*(str(first.get(name) or "") for name in ("b64_json", "url", "revised_prompt")))
    if not answer.data and not answer.address:
        raise Trouble("no picture", f"the answer holds no picture: {json.dumps(value)[:200]}")
    return answer
