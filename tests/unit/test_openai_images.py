"""A painter behind a server, on loopback: what is asked, what comes back, and what becomes of refusals."""

import base64
import io
import time

import numpy as np
import pytest
from PIL import Image

import capbench
from capbench.backends.openai_images import OpenaiImages
from capbench.errors import CapbenchError, Midway, UsageError
from capbench.types import Failure

REFUSED = {"error": {"message": "Your request was rejected by the safety system", "code": "content_policy_violation"}}


def png(shade):
    out = io.BytesIO()
    Image.new("RGB", (24, 16), (shade, 7, 200)).save(out, "PNG")
    return out.getvalue()


def answer(data, **more):
    return 200, {"created": 1, "data": [{"b64_json": base64.b64encode(data).decode(), **more}]}


def painted(server, prompts, seeds=None, **settings):
    backend = OpenaiImages("tiny-brush", url=server.url, **settings)
    with backend.open("cpu") as session:
        return session.paint(prompts, seeds or range(len(prompts)))


def test_what_is_asked_and_what_comes_back(loopback, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with loopback.Server(lambda key, attempt, body: answer(png(len(key)), revised_prompt=f"{key}, in oil")) as server:
        found = painted(server, ["one", "three"], size="256x256", extra='{"style": "vivid"}', price=0.04)
    assert sorted(body["prompt"] for body in server.bodies) == ["one", "three"]
    for body in server.bodies:
        del body["prompt"]
        assert body == {
            "model": "tiny-brush", "n": 1, "response_format": "b64_json", "size": "256x256", "style": "vivid",
        }  # fmt: skip
    assert {headers["Authorization"] for headers in server.headers} == {"Bearer sk-secret"}
    assert [(picture.size, picture.getpixel((0, 0))) for picture in found] == [
        ((24, 16), (3, 7, 200)),
        ((24, 16), (5, 7, 200)),
    ]
    about = found[1].info["about"]
    assert (about["revised prompt"], about["price"]) == ("three, in oil", 0.04)
    assert about["seconds"] > 0


def test_seeds_and_forms_are_sent_where_the_server_knows_them(loopback):
    with loopback.Server(lambda key, attempt, body: answer(png(body.get("seed", 99)))) as server:
        found = painted(server, ["a", "a"], [3, 4], seeded=True)
        assert [picture.getpixel((0, 0))[0] for picture in found] == [3, 4]
        with OpenaiImages("gpt-image-1", url=server.url).open("cpu") as session:
            session.paint(["a"], [0])
    assert "response_format" not in server.bodies[-1]
    assert "seed" not in server.bodies[-1]


def test_a_picture_behind_an_address_is_fetched_without_the_key(loopback, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with loopback.Server() as server:
        place = server.url.removesuffix("/v1")
        server.files = {"/a.png": png(1), "/b.png": b"no picture"}
        ways = {
            "a": f"{place}/a.png",
            "b": f"{place}/b.png",
            "file": "file:///etc/hostname",
            "gone": "http://127.0.0.1:1/x",
        }
        server.script = lambda key, attempt, body: (200, {"data": [{"url": ways[key]}]})
        found = painted(server, list(ways))
        fetches = [headers for headers in server.headers if "Content-Length" not in headers]
    assert found[0].getpixel((0, 0)) == (1, 7, 200)
    assert "not a picture that Pillow knows" in found[1].reason
    assert "not of http" in found[2].reason
    assert "at its address" in found[3].reason
    assert len(fetches) == 2
    assert not any("Authorization" in headers for headers in fetches)


def test_a_refusal_is_a_failure_in_its_words_and_what_is_broken_is_asked_again(loopback, monkeypatch):
    monkeypatch.setattr("capbench.remote.pause", lambda attempt, after: 0.01)

    def script(key, attempt, body):
        if key == "blood":
            return 400, REFUSED
        if key == "shy":
            return "broken" if attempt < 3 else answer(png(5))
        if key == "empty":
            return 200, {"data": []}
        return answer(b"not a png" if key == "bad" else png(9))

    with loopback.Server(script) as server:
        found = painted(server, ["blood", "shy", "empty", "bad", "fine"], attempts=3)
    assert "rejected by the safety system" in found[0].reason
    assert found[1].getpixel((0, 0)) == (5, 7, 200)
    assert "holds no picture" in found[2].reason
    assert "cannot be read" in found[3].reason
    assert found[4].getpixel((0, 0)) == (9, 7, 200)
    assert [server.seen[key] for key in ("blood", "shy", "empty", "bad", "fine")] == [1, 3, 3, 1, 1]


def test_a_rate_is_kept(loopback):
    with loopback.Server(lambda key, attempt, body: answer(png(1))) as server:
        started = time.monotonic()
        painted(server, list("abcd"), rpm=600)
        assert time.monotonic() - started > 0.25  # ten a second
    assert server.most <= 4


def test_what_is_paid_for_is_kept_when_the_server_refuses_the_rest(loopback, tmp_path, monkeypatch):
    monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "c.jsonl").write_text(
        "".join(f'{{"id": "scene-0000{i}", "caption": "caption {i}"}}\n' for i in range(5))
    )
    poor = {"left": 3}

    def script(key, attempt, body):
        if poor["left"] == 0:
            return 401, {"error": {"message": "no such key"}}
        poor["left"] -= 1
        return answer(png(int(key[-1])))

    def run(server):
        spec = f"openai_images(model='tiny-brush', url={server.url!r}, concurrency=1)"
        return capbench.run(str(tmp_path / "c.jsonl"), "scenes(n=5)", ["reconstruction(similarity='psnr')"], runs=None,
                            backends={"painter": spec})  # fmt: skip

    with loopback.Server(script) as server:
        with pytest.raises(CapbenchError, match="no such key"):
            run(server)
        poor["left"] = 10
        found = run(server)
    assert max(server.seen.values()) <= 2  # the three that were there were not asked for again
    assert sum(server.seen.values()) == 6
    assert np.isfinite(found.frame().value).all()
    assert all("seconds" in own["paintings"][0]["about"] for own in found.scored[0].details.values())


def test_a_batch_that_ends_midway_gives_what_it_has(loopback):
    def script(key, attempt, body):
        if key == "last":
            time.sleep(0.3)
            return 402, {"error": {"message": "no money"}}
        return answer(png(1))

    with loopback.Server(script) as server, pytest.raises(Midway) as caught:
        painted(server, ["a", "b", "last"], concurrency=3)
    assert sorted(caught.value.done) == [0, 1]
    assert not any(isinstance(picture, Failure) for picture in caught.value.done.values())


def test_what_makes_no_sense_is_refused(loopback):
    for words, settings in (
        ("no address", {"url": "ftp://x"}),
        ("extra is no JSON", {"extra": "{"}),
        ("a JSON object without", {"extra": '{"n": 4}'}),
        ("concurrency", {"concurrency": 0}),
        ("a model is named", {"model": ""}),
    ):
        with pytest.raises(UsageError) as caught:
            OpenaiImages(**{"model": "m", **settings})
        assert words in str(caught.value)
    assert "Connect" in OpenaiImages("m", url="http://127.0.0.1:1/v1").check().what
    with loopback.Server() as server:
        assert OpenaiImages("m", url=server.url).check() is None
        server.list_status = 401
        assert "refuses" in OpenaiImages("m", url=server.url).check().what
    plain = OpenaiImages("m")
    assert plain.fingerprint() == OpenaiImages("m", url="http://elsewhere/v1", rpm=3, price=1).fingerprint()
    assert plain.fingerprint() != OpenaiImages("m", quality="hd").fingerprint()
