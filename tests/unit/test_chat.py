"""The chat captioner: what it sends, what it makes of answers, and what it must not tell."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from capbench import images, pacing
from capbench.captioners.chat import Chat
from capbench.completions import LARGEST, data_url, read_completion
from capbench.errors import Midway, UsageError
from capbench.remote import Trouble
from capbench.types import Failure, Generation, Request

KEY = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(pacing, "FIRST_PAUSE", 0.01)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def picture(tmp_path):
    """picture(name, size=..., mode=..., **options of save) -> a reference to a new file of noise."""

    def make(name="a.png", size=(40, 30), mode="RGB", **options):
        noise = np.random.default_rng(abs(hash(size)) % 7).integers(0, 256, (size[1], size[0], 4), np.uint8)
        Image.fromarray(noise, "RGBA").convert(mode).save(tmp_path / name, **options)
        return images.reference(tmp_path / name)

    return make


def sent(url):
    """Kind and bytes of a data: URL."""
    head, _, body = url.partition(";base64,")
    return head.removeprefix("data:image/"), base64.b64decode(body)


def shown(url):
    return Image.open(io.BytesIO(sent(url)[1]))


def ask(captioner, requests, params=None):
    with captioner.open("cpu") as session:
        return session.caption(requests, params or Generation())


def one(loopback, reply, **options):
    """The answer to one request that the server answers with ``reply``."""
    with loopback.Server(lambda *_: (200, reply)) as server:
        return ask(Chat("tiny-eyes", server.url, **options), [Request("a", None)])[0]


@pytest.mark.parametrize(("name", "mode"), [("a.png", "RGB"), ("a.jpg", "RGB"), ("a.png", "L"), ("a.jpg", "L")])
def test_plain_files_are_sent_byte_by_byte(picture, name, mode):
    ref = picture(name, mode=mode)
    assert sent(data_url(ref)) == ("jpeg" if name == "a.jpg" else "png", images.content(ref))


def test_what_readers_would_show_in_different_ways_is_written_anew(picture, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    cases = [
        picture("turned.jpg", exif=exif), picture("clear.png", mode="RGBA"), picture("few.png", mode="P"),
        picture("a.webp", lossless=True), picture("a.bmp"), picture("ink.jpg", mode="CMYK"),
    ]  # fmt: skip
    for ref in cases:
        kind, _ = sent(data_url(ref))
        seen = shown(data_url(ref))
        assert (kind, seen.mode, seen.size) == ("png", "RGB", (40, 30))
        assert np.array_equal(np.asarray(seen), np.asarray(images.load(ref))), ref.path


def test_large_pictures_are_made_smaller_and_small_ones_are_not(picture):
    assert shown(data_url(picture(size=(400, 100)), max_side=200)).size == (200, 50)
    assert shown(data_url(picture(size=(3, 900)), max_side=90)).size == (1, 90)
    small = picture("b.png")
    assert sent(data_url(small, max_side=40))[1] == images.content(small)
    kind, data = sent(data_url(picture("c.png", size=(400, 100)), max_side=200, form="jpeg"))
    assert (kind, Image.open(io.BytesIO(data)).format) == ("jpeg", "JPEG")


def test_a_file_of_many_bytes_is_written_anew(tmp_path):
    Image.new("RGB", (2200, 2200), "teal").save(tmp_path / "a.png", compress_level=0)
    ref = images.reference(tmp_path / "a.png")
    assert len(images.content(ref)) > LARGEST
    assert len(sent(data_url(ref))[1]) < LARGEST
    assert np.array_equal(np.asarray(shown(data_url(ref))), np.asarray(images.load(ref)))


def test_a_request_says_what_it_should(loopback, picture):
    ref = picture()
    with loopback.Server() as server:
        captioner = Chat(
            "tiny-eyes", server.url, prompt="what is it?", system="be short", detail="low", extra='{"top_p": 0.5}'
        )
        ask(captioner, [Request("a", ref)], Generation("another", 30, 0.7, 1, 11))
        (body,) = server.bodies
    url = body["messages"][1]["content"][0]["image_url"]["url"]
    assert sent(url) == ("png", images.content(ref))
    assert body == {
        "model": "tiny-eyes", "temperature": 0.7, "seed": 11, "max_tokens": 30, "top_p": 0.5,
        "messages": [
            {"role": "system", "content": "be short"},
            {"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
                {"type": "text", "text": "what is it?"},
            ]},
        ],
    }  # fmt: skip


def test_the_runs_prompt_and_fields_left_out(loopback):
    with loopback.Server() as server:
        ask(Chat("tiny-eyes", server.url, omit="temperature, seed"), [Request("a", None)], Generation("say what", 0))
        ask(Chat("tiny-eyes", server.url), [Request("a", None)])
    assert server.bodies[0].keys() == {"model", "messages"}
    texts = [body["messages"][0]["content"][0]["text"] for body in server.bodies]
    assert texts == ["say what", "Describe the picture in one sentence."]


def test_fields_of_a_prompt_and_other_pictures(loopback, picture):
    first, second = picture("1.png"), picture("2.png", size=(8, 8))
    asked = Request("a", first, (second,), prompt="the run's own", length=7)
    with loopback.Server() as server:
        ask(Chat("tiny-eyes", server.url, prompt="in {length} words", others=True), [asked])
        ask(Chat("tiny-eyes", server.url), [asked])
    told, plain = [body["messages"][0]["content"] for body in server.bodies]
    assert [sent(part["image_url"]["url"])[1] for part in told[:-1]] == [images.content(r) for r in (first, second)]
    assert told[-1]["text"] == "in 7 words"
    assert [len(plain), plain[-1]["text"]] == [2, "the run's own"]
    assert Chat("m").uses == {"prompt", "max_tokens", "temperature", "seed"}
    assert Chat("m", prompt="in {length}", others=True, omit="seed").uses == {
        "length", "context", "max_tokens", "temperature",
    }  # fmt: skip
    with pytest.raises(UsageError, match="nothing fills in"):
        Chat("m", prompt="{region_of}")


def test_what_an_answer_took_is_noted(loopback):
    answer = one(loopback, loopback.completion(" A cat. ", "length"), price_in=2.0, price_out=10.0)
    assert answer.text == "A cat."
    assert answer.noted == {"tokens_in": 100, "tokens_out": 7, "cost": 0.00027, "finish": "length"}
    assert answer.seconds > 0
    bare = loopback.completion("A cat.")
    del bare["usage"]
    assert one(loopback, bare).noted == {}


def test_refusals_and_emptiness_are_failures_in_words(loopback):
    cases = {
        "the model refuses: I cannot look at people": loopback.completion(None, refusal="I cannot look at people"),
        "the server's filter took the answer away": loopback.completion(None, "content_filter"),
        "the answer is empty": loopback.completion(""),
        "the answer is empty, cut off at max_tokens": loopback.completion(None, "length"),
        "the answer holds thoughts and no caption, cut off at max_tokens": loopback.completion("<think>hm", "length"),
        "the answer holds thoughts and no caption": loopback.completion(None, reasoning_content="a cat, I think"),
    }
    for reason, reply in cases.items():
        answer = one(loopback, reply)
        assert (answer.text, answer.reason) == (None, reason)
        assert answer.noted["tokens_out"] == 7
    refused = one(loopback, loopback.completion(None, refusal="no"))
    assert refused.noted["finish"] == "refusal"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("<think>a dog?\nno</think>\n\nA cat.", "A cat."),
        ("a dog? no</think>A cat.", "A cat."),
        ("<thinking>x</thinking>A <think>y</think>cat.", "A cat."),
        ("I think </it> is a cat", "I think </it> is a cat"),
    ],
)
def test_thoughts_are_taken_away_or_kept(loopback, said, kept):
    assert one(loopback, loopback.completion(said)).text == kept
    assert one(loopback, loopback.completion(said), thoughts="keep").text == said


def test_parts_of_text_are_one_text():
    parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "A "}, {"type": "text", "text": "cat"}]
    assert read_completion({"choices": [{"message": {"content": parts}}]}).text == "A cat"


@pytest.mark.parametrize(
    "value",
    [7, [], {}, {"choices": []}, {"choices": [7]}, {"choices": [{}]}, {"choices": [{"message": {"content": 7}}]},
     {"choices": [{"message": {"content": ["a"]}}]}, {"error": {"message": "overloaded"}}],
)  # fmt: skip
def test_what_is_no_completion_is_asked_again(value):
    with pytest.raises(Trouble, match="no chat completion"):
        read_completion(value)


def test_odd_numbers_of_tokens_are_not_known():
    value = {"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": "9", "completion_tokens": -4}}
    found = read_completion(value)
    assert (found.tokens_in, found.tokens_out) == (-1, -1)


def test_a_picture_that_cannot_be_shown_costs_no_request(loopback, picture, tmp_path):
    good = picture()
    (tmp_path / "bad.png").write_bytes(images.content(good)[:200])
    bad = images.reference(tmp_path / "bad.png")
    with loopback.Server() as server:
        found = ask(Chat("tiny-eyes", server.url), [Request("a", bad), Request("b", good)])
    assert isinstance(found[0], Failure)
    assert "truncated" in found[0].reason or "decoded" in found[0].reason
    assert found[1].text == loopback.caption_of(images.content(good))
    assert server.seen.total() == 1


def test_answers_made_before_the_end_are_in_it_by_their_place(loopback, picture, tmp_path):
    refs = [picture(f"{n}.png", size=(10 + n, 10)) for n in range(6)]
    (tmp_path / "2.png").write_bytes(b"no picture")
    last = loopback.caption_of(images.content(refs[4]))
    gone = (401, {"error": {"message": "the key was withdrawn"}})
    server = loopback.Server(lambda key, *_: gone if key == last else "ok")
    with server, pytest.raises(Midway, match="withdrawn") as caught:
        ask(Chat("tiny-eyes", server.url, concurrency=1), [Request(str(n), ref) for n, ref in enumerate(refs)])
    done = caught.value.done
    assert isinstance(done.pop(2), Failure)
    assert {n: answer.text for n, answer in done.items()} == {
        n: loopback.caption_of(images.content(refs[n])) for n in (0, 1, 3)
    }


def test_a_model_that_is_not_there(loopback):
    with loopback.Server(lambda *_: (404, {"error": {"message": "no such model"}})) as server:
        server.models = ["llava:7b", "qwen3-vl"]
        with pytest.raises(Midway) as caught:
            ask(Chat("llava", server.url), [Request("a", None)])
    assert "no such model" in caught.value.message
    assert caught.value.cure == "the server has no 'llava'; it has llava:7b, qwen3-vl"


def test_the_identity_is_the_model_its_server_and_what_changes_a_caption(loopback, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with loopback.Server() as first, loopback.Server() as second:
        plain = Chat("tiny-eyes", first.url).fingerprint()
        assert (
            plain == Chat("tiny-eyes", second.url, concurrency=2, rpm=5, timeout=3, price_in=1, batch=9).fingerprint()
        )
        for change in (
            {"prompt": "x"},
            {"detail": "low"},
            {"max_image_side": 9},
            {"extra": "{}"},
            {"thoughts": "keep"},
        ):
            assert Chat("tiny-eyes", first.url, **change).fingerprint() != plain
    assert KEY not in plain
    assert "127.0.0.1" not in plain


def test_two_servers_of_one_name_are_told_apart(loopback, monkeypatch):
    entries = [{"id": "llava", "owned_by": "vllm", "root": "/models/llava-1.5-7b-hf"}]
    monkeypatch.setattr("capbench.servers.Server.offered", lambda _: entries)
    assert Chat("llava").fingerprint().endswith("@1+by:vllm/llava-1.5-7b-hf")
    entries[0] = {"id": "llava", "owned_by": "library", "root": "llava"}
    assert Chat("llava").fingerprint().endswith("@1+by:library")
    entries.clear()
    assert Chat("llava").fingerprint().endswith("@1")


def test_what_is_missing_is_said_before_work_starts(loopback, monkeypatch):
    with loopback.Server() as server:
        assert Chat("tiny-eyes", server.url).check() is None
    assert "ConnectError" in Chat("tiny-eyes", server.url).check().what
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert "capbench[chat]" in Chat("tiny-eyes").check().cure


@pytest.mark.parametrize("status", [404, 405, 500])
def test_a_server_without_a_list_of_models_will_do(loopback, monkeypatch, status):
    with loopback.Server() as server:
        server.list_status = status
        assert Chat("tiny-eyes", server.url).check() is None
        server.list_status = 401
        assert Chat("tiny-eyes", server.url).check().cure == "set the key: export OPENAI_API_KEY=..."


@pytest.mark.parametrize(
    "wrong",
    [{"model": ""}, {"url": "localhost"}, {"extra": "{"}, {"extra": "[]"}, {"extra": '{"model": 1}'}, {"omit": "model"},
     {"thoughts": "some"}, {"image_format": "bmp"}, {"max_image_side": -1}, {"price_in": -1}, {"concurrency": 0}],
)  # fmt: skip
def test_parameters_that_mean_nothing_are_refused(wrong):
    with pytest.raises(UsageError) as caught:
        Chat(**{"model": "m", **wrong})
    assert caught.value.cure


def test_the_label_names_the_model_and_what_changes_its_captions():
    assert Chat("org/llava", "http://secret-host/v1", rpm=3).label == "chat-llava"
    assert Chat("llava", prompt="Be brief.", max_image_side=512).label == "chat-llava-Be brief.-512"


def test_it_passes_the_check_of_plugins(loopback):
    from capbench.testing import check_captioner

    with loopback.Server() as server:
        kept = check_captioner(Chat("tiny-eyes", server.url))
    assert kept[-2:] == ["every answer is text, an Answer or a Failure", "the same requests get the same answers"]
