"""The client of servers, against a real one on loopback that misbehaves."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from capbench import pacing
from capbench.errors import CapbenchError, Midway, MissingPart, UsageError
from capbench.pacing import Bucket, pause, retry_after
from capbench.remote import Client, Limits, Reply, Trouble, checked_url
from capbench.types import Failure

KEY = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Pauses of milliseconds; no key but the test's own."""
    monkeypatch.setattr(pacing, "FIRST_PAUSE", 0.01)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def text_of(value):
    text = value["choices"][0]["message"]["content"]
    if not isinstance(text, str):
        raise Trouble("wrong form", "the answer has no text")
    return text


def ask(server, texts, **limits):
    bodies = [{"messages": [{"role": "user", "content": text}]} for text in texts]
    with Client(server.url, limits=Limits(**{"timeout": 0.5, **limits})) as client:
        return client.post_all("chat/completions", bodies, text_of), client.counts


def values(replies):
    return [reply.value if isinstance(reply, Reply) else reply for reply in replies]


TROUBLES = {
    "busy": "HTTP 429", "broken": "HTTP 500", "hang": "timeout", "reset": "connection", "half": "no JSON",
    "cut": "connection", "garbage": "no JSON", "wrong": "wrong form", "drip": "timeout",
}  # fmt: skip


@pytest.mark.parametrize(("act", "kind"), TROUBLES.items())
def test_what_passes_is_asked_again(loopback, act, kind):
    with loopback.Server(lambda key, attempt, body: act if attempt < 3 and key == "b" else "ok") as server:
        replies, counts = ask(server, ["a", "b", "c"])
    assert values(replies) == ["a", "b", "c"]
    assert [reply.attempts for reply in replies] == [1, 3, 1]
    assert dict(server.seen) == {"a": 1, "b": 3, "c": 1}
    assert dict(counts.troubles) == {kind: 2}
    assert (counts.answered, counts.attempts) == (3, 5)


@pytest.mark.parametrize("act", sorted(TROUBLES.keys() - {"busy"}))
def test_what_does_not_pass_costs_one_item(loopback, act):
    with loopback.Server(lambda key, attempt, body: act if key == "b" else "ok") as server:
        replies, _ = ask(server, ["a", "b", "c"], attempts=2)
    assert [values(replies)[i] for i in (0, 2)] == ["a", "c"]
    assert isinstance(replies[1], Failure)
    assert replies[1].reason.endswith("(2 attempts)")
    assert server.seen["b"] == 2


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405, 501, 301, 307])
def test_what_is_hopeless_ends_at_once_with_the_servers_words_and_no_key(loopback, monkeypatch, status):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    refusal = (status, {"error": {"message": f"no: {KEY} is wrong"}}, {"Location": f"http://elsewhere/{KEY}"})
    script = lambda key, attempt, body: refusal if key == "t5" else "ok"  # noqa: E731 -- one line reads best
    with loopback.Server(script) as server, pytest.raises(Midway) as caught:
        ask(server, [f"t{i}" for i in range(50)], concurrency=1)
    assert f"HTTP {status}: no: [key] is wrong" in caught.value.message
    assert KEY not in str(caught.value) + repr(caught.value.__cause__) + caught.value.cure
    assert {i: reply.value for i, reply in caught.value.done.items()} == {i: f"t{i}" for i in range(5)}
    assert sum(server.seen.values()) == 6
    assert {h["Authorization"] for h in server.headers} == {f"Bearer {KEY}"}


def test_a_spent_quota_is_hopeless_though_it_is_a_429(loopback):
    spent = (429, {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}})
    with loopback.Server(lambda key, attempt, body: spent) as server, pytest.raises(Midway, match="current quota"):
        ask(server, ["a"])
    assert server.seen["a"] == 1


def test_a_rejected_item_is_its_own_fault_once_others_were_answered(loopback):
    bad = (400, {"error": {"message": "image too\nsmall"}})
    with loopback.Server(lambda key, attempt, body: bad if key == "b" else "ok") as server:
        replies, _ = ask(server, ["a", "b", "c"])
    assert values(replies) == ["a", Failure("HTTP 400: image too small"), "c"]
    assert server.seen["b"] == 1


def test_a_server_that_rejects_all_ends_the_run(loopback):
    bad = (422, {"detail": [{"msg": "unknown field top_k"}]})
    texts = [f"t{i}" for i in range(8)]
    with loopback.Server(lambda key, attempt, body: bad) as server, pytest.raises(Midway, match="unknown field top_k"):
        ask(server, texts)


def test_a_server_that_goes_away_ends_the_run_and_keeps_nothing_false(loopback):
    with loopback.Server() as server, Client(server.url, limits=Limits(attempts=2, timeout=0.5)) as client:
        body = {"messages": [{"role": "user", "content": "a"}]}
        assert values(client.post_all("chat/completions", [body], text_of)) == ["a"]
        server.__exit__()
        with pytest.raises(Midway, match=r"answers none of 4 requests.*(Connect|Read)Error") as caught:
            client.post_all("chat/completions", [body] * 4, text_of)
    assert caught.value.done == {}
    assert "goes on from here" in caught.value.cure


def test_the_last_items_of_a_run_may_all_be_bad_themselves(loopback):
    with loopback.Server(lambda key, attempt, body: "broken") as server:
        replies, _ = ask(server, ["a", "b"], attempts=2)
    assert all("HTTP 500" in reply.reason for reply in replies)


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_server_that_wants_to_be_left_alone_is_left_alone(loopback, form):
    def script(key, attempt, body):
        if server.seen.total() > 1:
            return "ok"
        until = datetime.now(UTC) + timedelta(seconds=2)
        return 429, {}, {"Retry-After": "1" if form == "seconds" else format_datetime(until, usegmt=True)}

    with loopback.Server(script) as server:
        replies, _ = ask(server, ["a", "b", "c"], concurrency=1)
    assert values(replies) == ["a", "b", "c"]
    waits = [b - a for a, b in zip(server.at, server.at[1:], strict=False)]
    assert waits[0] >= 0.9  # a date has whole seconds: of two seconds one or more are left
    assert max(waits[1:]) < 0.5


def test_the_deadline_ends_the_attempts(loopback):
    far = (503, {}, {"Retry-After": "3600"})
    begun = time.monotonic()
    with loopback.Server(lambda key, attempt, body: far if key == "b" else "ok") as server:
        replies, _ = ask(server, ["a", "b", "c"], concurrency=1, deadline=5)
    assert values(replies) == ["a", Failure("HTTP 503 (1 attempt)"), "c"]
    assert time.monotonic() - begun < 4


def test_so_many_at_a_time_and_a_minute(loopback):
    with loopback.Server(lambda key, attempt, body: "slow") as server:
        ask(server, [str(i) for i in range(24)], concurrency=4)
        assert 2 <= server.most <= 4
        server.at.clear()
        ask(server, [str(i) for i in range(6)], rpm=600)
    waits = [b - a for a, b in zip(server.at, server.at[1:], strict=False)]
    assert sum(waits) >= 0.45  # 5 times a tenth of a second, less what the threads' wake-ups take


def test_any_text_can_be_sent_and_comes_back(loopback):
    texts = ["\ud800 alone", "\x00\u2028é\U0001f408"]
    with loopback.Server() as server:
        replies, _ = ask(server, texts)
    assert values(replies) == texts


def test_an_address_is_checked():
    assert checked_url("http://localhost:8000/v1/") == "http://localhost:8000/v1"
    for wrong in ("", "localhost:8000", "ftp://a/", "http://", "http://[", "http://a:99999/v1"):
        with pytest.raises(UsageError, match="no address"):
            checked_url(wrong)
    for told in ("http://me:secret@a/v1", "http://a/v1?api_key=secret"):
        with pytest.raises(UsageError) as caught:
            checked_url(told)
        assert "secret" not in str(caught.value)


def test_limits_are_checked():
    for wrong in ({"concurrency": 0}, {"attempts": 0}, {"timeout": 0}, {"rpm": -1}, {"deadline": float("nan")}):
        with pytest.raises(UsageError):
            Limits(**wrong)


def test_nobody_there(loopback):
    with loopback.Server() as server:
        pass
    with Client(server.url) as client, pytest.raises(CapbenchError, match="ConnectError"):
        client.get("models")


def test_no_key_no_header_and_a_cure(loopback):
    with loopback.Server(lambda *_: (401, {"error": "who are you?"})) as server, pytest.raises(Midway) as caught:
        ask(server, ["a"])
    assert "Authorization" not in server.headers[0]
    assert isinstance(caught.value.error, MissingPart)
    assert caught.value.cure == "set the key: export OPENAI_API_KEY=..."


def test_retry_after_is_read_in_both_forms_and_garbage_is_none():
    assert retry_after("7") == 7
    assert retry_after("0.5") == 0.5
    assert retry_after("-3") == 0
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 28 < retry_after(soon) <= 30
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert [retry_after(text) for text in ("", "soon", "inf", "nan")] == [None] * 4


def test_pauses_grow_and_are_drawn(monkeypatch):
    monkeypatch.setattr(pacing, "FIRST_PAUSE", 1.0)
    for attempt, bound in ((1, 1), (2, 2), (4, 8), (10, 60)):
        drawn = [pause(attempt, None) for _ in range(200)]
        assert 0 <= min(drawn) < bound / 5
        assert bound * 4 / 5 < max(drawn) <= bound
    assert all(5 <= pause(9, 5.0) <= 6 for _ in range(50))


def test_a_bucket_gives_one_token_after_another():
    bucket = Bucket(2.0)
    assert [bucket.wait(now) for now in (10.0, 10.0, 10.0, 20.0, 20.1)] == [0, 0.5, 1.0, 0, pytest.approx(0.4)]
    assert Bucket(0.0).wait(1.0) == 0


def stream(client, texts, **options):
    """The parts of a stream as they come."""
    bodies = ((text, {"messages": [{"role": "user", "content": text}]}) for text in texts)
    return client.stream("chat/completions", bodies, text_of, **options)


def test_a_slow_answer_holds_nobody_up_and_no_more_is_taken_than_there_is_room_for(loopback):
    taken, come = [], []

    def texts():
        for i in range(20):
            taken.append(i)
            yield f"t{i}"

    with (
        loopback.Server(lambda key, *_: "hang" if key == "t0" and "t19" not in server.seen else "ok") as server,
        Client(server.url, limits=Limits(concurrency=4, timeout=3)) as client,
    ):
        for part in stream(client, texts()):
            assert len(taken) - len(come) <= 4  # what is answered is kept before another is asked
            come += [key for key, _ in part]
            assert all(isinstance(reply, Reply) for _, reply in part)
    assert sorted(come) == sorted(f"t{i}" for i in range(20))
    assert come[-1] == "t0"


def test_failures_wait_for_the_next_reply_or_the_end(loopback):
    script = lambda key, *_: "broken" if key in "bch" else "ok"  # noqa: E731 -- one line reads best
    with loopback.Server(script) as server, Client(server.url, limits=Limits(concurrency=1, attempts=1)) as client:
        parts = [[(key, isinstance(reply, Reply)) for key, reply in part] for part in stream(client, "abcdefgh")]
    assert [sorted(part) for part in parts] == [
        [("a", True)], [("b", False), ("c", False), ("d", True)], *([(key, True)] for key in "efg"), [("h", False)]
    ]  # fmt: skip


def test_a_server_that_fails_all_of_few_at_a_time_is_left_too(loopback):
    """With one request at a time no round is larger than a few; the run ends all the same."""
    with loopback.Server(lambda key, *_: "ok" if key == "t0" else "broken") as server:
        with pytest.raises(Midway, match="answers none of 4 requests"):
            ask(server, [f"t{i}" for i in range(100)], concurrency=1, attempts=1)
        assert server.seen.total() <= 1 + 3 * 4


def test_what_is_under_way_at_the_end_may_still_be_answered(loopback):
    def script(key, *_):
        if key == "t3":
            return 401, {"error": {"message": "the key was withdrawn"}}
        if key in ("t1", "t2"):
            while "t3" not in server.seen:
                time.sleep(0.01)
            time.sleep(0.2)
        return "ok"

    come = []
    with (
        loopback.Server(script) as server,
        Client(server.url, limits=Limits(concurrency=4)) as client,
        pytest.raises(MissingPart, match="withdrawn"),
    ):
        come.extend(key for part in stream(client, [f"t{i}" for i in range(50)]) for key, _ in part)
    assert {"t0", "t1", "t2"} <= set(come)
    assert server.seen.total() < 50


def test_an_answer_that_its_reader_stumbles_over_costs_one_item(loopback):
    def read(value):
        if text_of(value) == "b":
            raise KeyError("surprise")
        return text_of(value)

    bodies = [{"messages": [{"role": "user", "content": text}]} for text in "abc"]
    with loopback.Server() as server, Client(server.url) as client:
        assert values(client.post_all("chat/completions", bodies, read)) == ["a", Failure("KeyError: 'surprise'"), "c"]


def test_of_what_failed_before_all_may_be_rejected(loopback):
    bad = (400, {"error": {"message": "image too small"}})
    with loopback.Server(lambda *_: bad) as server, Client(server.url, limits=Limits(concurrency=2)) as client:
        with pytest.raises(CapbenchError, match="rejects every request"):
            list(stream(client, "abcdefgh"))
        parts = list(stream(client, "abcdefgh", retried=True))
    assert [reply for part in parts for _, reply in part] == [Failure("HTTP 400: image too small")] * 8
