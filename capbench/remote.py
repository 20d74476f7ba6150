"""A client of OpenAI-compatible servers: many requests at once, at a stated rate, tried again where that can help.

Three things can become of a request. It is *answered*. It is *rejected* or its attempts are used up: that costs this
one item, and the others go on. Or the answer says that no request can succeed (a wrong key, an unknown model, a
server that is gone): then what was answered until then is given, and nothing is asked any more.

The key is read from the environment when the client opens. It stands in one header and nowhere else: redirects are
not followed, and it is cut out of whatever a server writes back.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar
from urllib.parse import urlsplit

from capbench.errors import CapbenchError, Midway, MissingPart, UsageError
from capbench.pacing import Bucket, pause, retry_after
from capbench.refusals import (
    BUSY,
    FILTERED,
    FORBIDDEN,
    HOPELESS,
    PASSING,
    QUOTED,
    UNAUTHORIZED,
    Hopeless,
    Rejected,
    Trouble,
    error_words,
)
from capbench.types import Failure

if TYPE_CHECKING:
    import ssl

    import httpx
    from anyio.from_thread import BlockingPortal

K = TypeVar("K")
T = TypeVar("T")

LEAST_SECRET = 12  # characters of a key that is one; shorter ones stand for none, and may be words of a caption

KEY_ENV = "OPENAI_API_KEY"
LARGEST = 64 * 2**20  # bytes of an answer that are read
CONNECTING = 10.0  # seconds
LAST = 5.0  # seconds that requests under way have when one shows that there is no hope
FRUITLESS = 3  # times in a row that as many requests as are under way got no answer, after which no more is asked
FEW = 3  # items that may all be at fault themselves: the last of a run that is continued


@dataclass(frozen=True, slots=True)
class Limits:
    """How a server is asked.

    concurrency: requests under way at one time. rpm: requests a minute that are begun, evenly (0: no limit).
    attempts: how often one request is tried. timeout: seconds for one attempt, to the last byte of the answer.
    deadline: seconds for one request with all its attempts and pauses.
    """

    concurrency: int = 8
    rpm: float = 0.0
    attempts: int = 6
    timeout: float = 120.0
    deadline: float = 900.0

    def __post_init__(self) -> None:
        """Refuse limits that mean nothing."""
        if self.concurrency < 1 or self.attempts < 1 or not (self.timeout > 0 and self.deadline > 0 and self.rpm >= 0):
            raise UsageError(
                f"concurrency={self.concurrency}, rpm={self.rpm}, attempts={self.attempts}, timeout={self.timeout}, "
                f"deadline={self.deadline}",
                "concurrency and attempts are 1 or more, timeout and deadline above 0 seconds, rpm 0 or more",
            )


@dataclass(slots=True)
class Counts:
    """What a client has done: requests answered, attempts, seconds spent in them, and why attempts failed."""

    answered: int = 0
    attempts: int = 0
    seconds: float = 0.0
    troubles: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    """What was read of an answer. seconds: the attempt that succeeded. attempts: how many it took."""

    value: T
    seconds: float
    attempts: int


@cache
def certificates() -> ssl.SSLContext:
    """Whom to trust, read once a process: that takes as long as some requests, and a run opens several clients."""
    import httpx

    return httpx.create_ssl_context()


class Client:
    """Requests to one server; used in a ``with``, from one thread.

    url: where the interface begins, as in ``http://localhost:8000/v1``. key_env: the variable that holds the key; a
    server that needs none is asked without.

    Raises:
        UsageError: no http(s) address, or one that holds a password or a query.
        MissingPart: httpx is not installed.
    """

    def __init__(self, url: str, key_env: str = KEY_ENV, limits: Limits | None = None) -> None:
        self.url, self.key_env, self.limits = checked_url(url), key_env, limits or Limits()
        self.counts = Counts()
        self._key = os.environ.get(key_env, "").strip()
        if not self._key.isascii() or not self._key.isprintable():
            raise UsageError(f"the key in {key_env} has characters that no key has", "set it anew")
        self._bucket = Bucket(self.limits.rpm / 60)
        self._hold = 0.0
        self._fruitless = 0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start the thread that the requests run in."""
        try:
            import httpx
            from anyio.from_thread import start_blocking_portal
        except ImportError as error:
            raise MissingPart("httpx is not installed", "pip install 'capbench[chat]'") from error
        self._portal: BlockingPortal = self._stack.enter_context(start_blocking_portal("asyncio"))
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        timeout = httpx.Timeout(self.limits.timeout, connect=min(CONNECTING, self.limits.timeout))
        pool = httpx.Limits(max_connections=self.limits.concurrency + 1)
        self._http = httpx.AsyncClient(headers=headers, timeout=timeout, limits=pool, verify=certificates())
        self._stack.callback(self._portal.call, self._http.aclose)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give up what is still under way, and close all connections."""
        self._stack.__exit__(kind, error, trace)

    def get(self, path: str, missing: Any = None) -> Any:
        """What the server says at a path, asked once; ``missing`` where it answers that it has nothing there.

        Raises:
            CapbenchError: it says nothing, refuses, or does not speak JSON.
        """
        try:
            return self._portal.call(self._attempt, path, None)
        except (Trouble, Rejected, Hopeless) as error:
            if missing is not None and error.status and error.status not in (UNAUTHORIZED, FORBIDDEN):
                return missing
            if isinstance(error, Hopeless):
                raise error.error from None
            raise CapbenchError(f"{self.url}: {error.reason}", "is it started, and is this its address?") from None

    def stream(
        self,
        path: str,
        bodies: Iterable[tuple[K, Mapping[str, Any]]],
        read: Callable[[Any], T],
        *,
        retried: bool = False,
    ) -> Iterator[list[tuple[K, Reply[T] | Failure]]]:
        """A reply or Failure for each body under its key, as they come: a slow one holds nobody up.

        A body is taken when there is room for its request. A Failure is given with the next reply, or when it is
        sure that the server is not at fault. read: as for ``post_all``. retried: whether all of these failed before;
        then that they are all rejected is no reason to end.

        Raises:
            CapbenchError: no request can succeed; every reply until then was given.
        """
        left, under_way = iter(bodies), dict[Future[Any], K]()
        failed: list[tuple[K, Trouble | Rejected]] = []  # since the last reply
        most = max(self.limits.concurrency, FEW + 1)
        try:
            while True:
                room = min(self.limits.concurrency, most - len(failed)) - len(under_way)
                for key, body in itertools.islice(left, max(room, 0)):
                    under_way[self._portal.start_task_soon(self._one, path, body, read)] = key
                if not under_way and not failed:
                    return
                if not under_way:
                    if (why := self._given_up([outcome for _, outcome in failed], retried=retried)) is not None:
                        raise why
                    yield [(key, Failure(outcome.reason)) for key, outcome in failed]
                    failed = []
                    continue
                replies, failures, hopeless = ended(under_way)
                failed += failures
                if replies:
                    self._fruitless = 0
                    known = [] if hopeless else failed
                    yield [*replies, *((key, Failure(outcome.reason)) for key, outcome in known)]
                    failed = []
                if hopeless is not None:
                    raise hopeless
        finally:
            for future in under_way:
                future.cancel()

    def post_all(
        self, path: str, bodies: Sequence[Mapping[str, Any]], read: Callable[[Any], T]
    ) -> list[Reply[T] | Failure]:
        """One reply or Failure for each body, in order.

        read: makes a value of an answer's JSON; it raises ``Trouble`` where the answer is none, and is asked again.

        Raises:
            Midway: no request can succeed; it holds the replies until then by their index in ``bodies``.
        """
        found: dict[int, Reply[T] | Failure] = {}
        try:
            for part in self.stream(path, enumerate(bodies), read):
                found.update(part)
        except CapbenchError as error:
            raise Midway(error, {i: x for i, x in found.items() if isinstance(x, Reply)}) from None
        return [found[i] for i in range(len(bodies))]

    def _given_up(self, outcomes: Sequence[Any], *, retried: bool) -> CapbenchError | None:
        """Why so many requests without any reply are the server's fault and not their own; None where they are."""
        first = outcomes[0].reason
        few = len(outcomes) <= FEW and self._alive()
        if all(isinstance(x, Rejected) for x in outcomes):
            if retried or self.counts.answered or few or any(x.filtered for x in outcomes):
                return None
            return CapbenchError(f"{self.url} rejects every request: {first}", "change what it complains of")
        self._fruitless += 1
        busy = all(x.status in BUSY for x in outcomes)
        worked = retried or self.counts.answered
        if not busy and (few or (worked and self._fruitless < FRUITLESS and self._alive())):
            return None
        cure = "start it, or wait, and run the same command again: it goes on from here"
        return CapbenchError(f"{self.url} answers none of {len(outcomes)} requests: {first}", cure)

    def _alive(self) -> bool:
        """Whether the server answers anything at all."""
        try:
            self._portal.call(self._attempt, "models", None)
        except (Rejected, Hopeless):
            return True
        except Trouble:
            return False
        return True

    async def _one(self, path: str, body: Mapping[str, Any], read: Callable[[Any], T]) -> Reply[T] | Trouble | Rejected:
        """One request with all its attempts."""
        end = time.monotonic() + self.limits.deadline
        for attempt in range(1, self.limits.attempts + 1):
            await self._turn()
            begun = time.monotonic()
            self.counts.attempts += 1
            try:
                value = read(await self._attempt(path, body))
            except Rejected as rejected:
                return rejected
            except Trouble as trouble:
                failed = trouble
            else:
                self.counts.answered += 1
                return Reply(value, time.monotonic() - begun, attempt)
            finally:
                self.counts.seconds += time.monotonic() - begun
            self.counts.troubles[failed.kind] += 1
            wait = pause(attempt, failed.after)
            if attempt == self.limits.attempts or time.monotonic() + wait >= end:
                break
            if failed.after is not None:
                self._hold = max(self._hold, time.monotonic() + failed.after)
            await asyncio.sleep(wait)
        tries = "1 attempt" if attempt == 1 else f"{attempt} attempts"
        return Trouble(failed.kind, f"{failed.reason} ({tries})", status=failed.status)

    async def _turn(self) -> None:
        """Wait until the next request may begin: for the rate, and while the server wants to be left alone."""
        while (left := self._hold - time.monotonic()) > 0:  # noqa: ASYNC110 -- the moment moves while it is waited for
            await asyncio.sleep(left)
        await asyncio.sleep(self._bucket.wait(time.monotonic()))

    async def _attempt(self, path: str, body: Mapping[str, Any] | None) -> Any:
        """Ask once; the JSON of the answer."""
        import httpx

        try:
            async with asyncio.timeout(self.limits.timeout):
                response, content = await self._send(path, body)
        except (TimeoutError, httpx.TimeoutException):
            raise Trouble("timeout", f"no whole answer in {self.limits.timeout:g} s") from None
        except (httpx.RequestError, OSError) as error:
            words = self._clean(str(error)) or "the connection broke"
            raise Trouble("connection", f"{type(error).__name__}: {words}") from None
        if response.status_code >= HTTPStatus.MULTIPLE_CHOICES:
            raise self._refusal(response, content)
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            begins = self._clean(content[:QUOTED].decode("utf-8", "replace"))
            raise Trouble("no JSON", f"the answer is no whole JSON, it begins {begins[:80]!r}") from None

    async def _send(self, path: str, body: Mapping[str, Any] | None) -> tuple[httpx.Response, bytes]:
        """The answer and its bytes, of which no more are read than any answer can have."""
        url = f"{self.url}/{path}"
        sent = None if body is None else json.dumps(body).encode("ascii")  # httpx itself fails on a lone surrogate
        headers = {"Content-Type": "application/json"} if sent else {}
        async with self._http.stream("POST" if sent else "GET", url, content=sent, headers=headers) as response:
            content = bytearray()
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > LARGEST:
                    raise Trouble("too long", f"the answer is longer than {LARGEST} bytes")
            return response, self._keyless(bytes(content))

    def _keyless(self, content: bytes) -> bytes:
        """An answer without the key, wherever the server wrote it back; a few letters, as EMPTY, are no secret."""
        return content.replace(self._key.encode("ascii"), b"[key]") if len(self._key) >= LEAST_SECRET else content

    def _refusal(self, response: httpx.Response, content: bytes) -> Trouble | Rejected | Hopeless:
        """What a status above 299 means for the request and for all others."""
        status = response.status_code
        words, code = error_words(content)
        said = f"HTTP {status}" + (f": {self._clean(words)}" if words else "")
        if status < HTTPStatus.BAD_REQUEST:
            place = self._clean(response.headers.get("location", "another place"))
            return Hopeless(
                CapbenchError(f"{self.url} sends elsewhere ({said})", f"give the url it names: {place}"), status
            )
        if status in HOPELESS or code == "insufficient_quota":
            cure = HOPELESS.get(status, HOPELESS[HTTPStatus.PAYMENT_REQUIRED])
            key = (
                f"the key in {self.key_env} is not accepted" if self._key else f"set the key: export {self.key_env}=..."
            )
            return Hopeless(MissingPart(f"{self.url} refuses: {said}", cure.format(key=key)), status)
        if status in PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            after = retry_after(response.headers.get("retry-after", ""))
            return Trouble(f"HTTP {status}", said, after, status)
        return Rejected(said, status, filtered=code in FILTERED)

    def _clean(self, words: str) -> str:
        """A server's words on one line, without the key."""
        plain = words.replace(self._key, "[key]") if self._key else words
        return " ".join("".join(c if c.isprintable() else " " for c in plain).split())[:QUOTED]


def ended(under_way: dict[Future[Any], K]) -> tuple[list[Any], list[Any], CapbenchError | None]:
    """Wait until some request has ended; the replies and failures by key, and why there is no hope for any other.

    Those that have ended are taken out. Where there is no hope, the others have ``LAST`` seconds to be answered.
    """
    replies: list[Any] = []
    failures: list[Any] = []
    hopeless = None
    done = [*wait(under_way, return_when=FIRST_COMPLETED).done]
    if any(isinstance(future.exception(), Hopeless) for future in done):
        done += wait(under_way.keys() - set(done), LAST).done
    for future in done:
        key = under_way.pop(future)
        try:
            outcome = future.result()
        except Hopeless as error:
            hopeless = error.error
        except Exception as error:  # noqa: BLE001 -- an answer that the reader stumbles over costs one item
            failures.append((key, Rejected(f"{type(error).__name__}: {error}", 0)))
        else:
            (replies if isinstance(outcome, Reply) else failures).append((key, outcome))
    return replies, failures, hopeless


def checked_url(url: str) -> str:
    """An address without its last slash.

    Raises:
        UsageError: no http(s) address, or one that holds a password or a query.
    """
    try:
        parts = urlsplit(url)
        named = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        named = False
    if not named:
        raise UsageError(f"{url!r} is no address of a server", "write one as in http://localhost:8000/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        place = f"{parts.scheme}://{parts.hostname}{parts.path}"
        raise UsageError(f"the address of {place} holds a user name, password or query", "put the key in a variable")
    return url.rstrip("/")


__all__ = ["Client", "Counts", "Limits", "Rejected", "Reply", "Trouble"]
