"""Parts that ask a server: all of them refuse, miss and are refused in the same words."""

import pytest

from capbench.backends.openai_images import OpenaiImages
from capbench.captioners.chat import Chat
from capbench.errors import UsageError
from capbench.judges.chat import JudgeChat
from capbench.protocols import Problem

PARTS = pytest.mark.parametrize("part", [Chat, JudgeChat, OpenaiImages])


@PARTS
@pytest.mark.parametrize(("wrong", "message"), [
    ({"url": "localhost"}, "'localhost' is no address of a server"),
    ({"url": "http://me:secret@host/v1"}, "the address of http://host/v1 holds a user name, password or query"),
    ({"concurrency": 0}, "concurrency=0, rpm=0.0"),
    ({"timeout": 0.0}, "timeout=0.0"),
    ({"extra": "{"}, ": extra is no JSON: "),
    ({"extra": '{"model": "other"}'}, """: extra={"model": "other"}"""),
])  # fmt: skip
def test_what_cannot_be_asked_is_refused(part, wrong, message):
    with pytest.raises(UsageError) as caught:
        part("m", **wrong)
    assert message in caught.value.message
    assert "secret" not in caught.value.message


@PARTS
def test_what_is_missing_is_said_before_work_starts(part, loopback, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with loopback.Server() as server:
        asked = part("m", url=server.url)
        assert asked.check() is None
        server.list_status = 401
        assert asked.check().cure == "set the key: export OPENAI_API_KEY=..."
    gone = asked.check()
    assert gone.what.startswith(f"{server.url}: ConnectError")
    assert gone.cure == "is it started, and is this its address?"
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert asked.check() == Problem("httpx is not installed", "pip install 'capbench[chat]'")
