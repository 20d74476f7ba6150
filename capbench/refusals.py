"""What an answer that is none means: it passes, it costs one item, or it is the end of all requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from capbench.errors import CapbenchError

QUOTED = 300  # characters of a server's words in a message
UNAUTHORIZED, FORBIDDEN = HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN
HOPELESS: Mapping[int, str] = {
    UNAUTHORIZED: "{key}",
    HTTPStatus.PAYMENT_REQUIRED: "the account has to be paid for; the same command then goes on from here",
    FORBIDDEN: "{key}",
    HTTPStatus.NOT_FOUND: "look at the url (most end in /v1) and at the name of the model",
    HTTPStatus.METHOD_NOT_ALLOWED: "look at the url: most end in /v1",
    HTTPStatus.NOT_IMPLEMENTED: "look at the url: most end in /v1",
}
BUSY = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
FILTERED = {"content_filter", "content_policy_violation", "moderation_blocked"}


class Trouble(Exception):
    """An attempt that failed and may succeed when it is made again.

    kind: a few words to count it under. reason: what happened. after: seconds that the server wants to be left alone.
    status: of HTTP (0: the answer's form is at fault, or there was none).
    """

    def __init__(self, kind: str, reason: str, after: float | None = None, status: int = 0) -> None:
        super().__init__(reason)
        self.kind, self.reason, self.after, self.status = kind, reason, after, status


class Rejected(Exception):
    """The server will not have this one request; the same again would be rejected again."""

    def __init__(self, reason: str, status: int, *, filtered: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.status, self.filtered = reason, status, filtered


class Hopeless(Exception):
    """No request can succeed."""

    def __init__(self, error: CapbenchError, status: int) -> None:
        super().__init__(str(error))
        self.error, self.status = error, status


def error_words(content: bytes) -> tuple[str, str]:
    """What a server says of an error, and its code; the forms of OpenAI, vLLM, Ollama and FastAPI, else the text."""
    text = content.decode("utf-8", "replace")
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return text[:QUOTED], ""
    error = value.get("error", value) if isinstance(value, dict) else value
    if not isinstance(error, dict):
        return str(error), ""
    words = error.get("message") or error.get("detail") or (json.dumps(error) if error else "")
    return str(words), str(error.get("code") or error.get("type") or "")
