"""An OpenAI-compatible server as a part asks it: where it is, how it is asked, and what it says of its models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from capbench.errors import CapbenchError, UsageError
from capbench.libraries import missing
from capbench.protocols import Problem
from capbench.remote import Client, Limits, checked_url

PATIENCE = 5.0  # seconds in which a server says what it has, before work starts
SHOWN_MODELS = 10


@dataclass(frozen=True, slots=True)
class Server:
    """A server and the model that is asked there.

    url, key_env, limits: as for ``remote.Client``. patience: seconds in which it names its models.

    Raises:
        UsageError: no http(s) address, or one that holds a password or a query.
    """

    model: str
    url: str
    key_env: str
    limits: Limits
    patience: float = PATIENCE

    def __post_init__(self) -> None:
        """Refuse an address that is none."""
        checked_url(self.url)

    def client(self) -> Client:
        """What asks it, to be used in a ``with``."""
        return Client(self.url, self.key_env, self.limits)

    def check(self) -> Problem | None:
        """Whether httpx is there and the server answers; a key that it refuses is refused here."""
        if missing(["httpx"]):
            return Problem("httpx is not installed", "pip install 'capbench[chat]'")
        try:
            self.offered()
        except CapbenchError as error:
            return Problem(error.message, error.cure)
        return None

    def offered(self) -> list[Mapping[str, Any]]:
        """The models that it names; none where it keeps no list.

        Raises:
            CapbenchError: it does not answer, or refuses the key.
        """
        with Client(self.url, self.key_env, Limits(concurrency=1, attempts=1, timeout=self.patience)) as client:
            listed = client.get("models", missing={})
        entries = listed.get("data") if isinstance(listed, dict) else None
        return [x for x in entries if isinstance(x, dict) and "id" in x] if isinstance(entries, list) else []

    def mark(self) -> str:
        """For fingerprints: who serves the model and from what, as vLLM, SGLang, Ollama and llama.cpp say it.

        "+by:vllm/llava-1.5-7b-hf"; "" where it says nothing.
        """
        try:
            entries = self.offered()
        except CapbenchError:
            return ""
        entry = next((entry for entry in entries if entry["id"] == self.model), {})
        words = [str(entry.get(name) or "") for name in ("owned_by", "root")]
        words[1] = "" if words[1] == self.model else words[1].rstrip("/").rpartition("/")[2]
        said = "/".join(filter(None, words))
        return f"+by:{said}" if said else ""

    def with_models(self, error: CapbenchError) -> CapbenchError:
        """An error about an unknown model names those that the server has."""
        if "HTTP 404" not in error.message:
            return error
        try:
            names = [str(entry["id"]) for entry in self.offered()]
        except CapbenchError:
            return error
        if not names or self.model in names:
            return error
        error.cure = f"the server has no {self.model!r}; it has {', '.join(names[:SHOWN_MODELS])}"
        return error


def fields_in(extra: str, part: str, own: Sequence[str], cure: str) -> dict[str, Any]:
    """Further fields of a request from the JSON object that a user wrote ("": none).

    part: who asks. own: the fields that are its own. cure: how to write it.

    Raises:
        UsageError: no JSON object, or one with a field that is the part's own.
    """
    try:
        fields = json.loads(extra) if extra else {}
    except ValueError as error:
        raise UsageError(f"{part}: extra is no JSON: {error}", cure) from error
    if not isinstance(fields, dict) or any(name in fields for name in own):
        raise UsageError(f"{part}: extra={extra}", f"a JSON object without {', '.join(own)}")
    return fields
