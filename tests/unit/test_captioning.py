"""Batches of a session: what raises, what is too large, what ends midway, and Ctrl-C."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from contextlib import contextmanager

import pytest

from capbench import captioning, patience, store
from capbench.captioning import from_session, notes_on
from capbench.errors import CannotWrite, CapbenchError, Midway, MissingPart
from capbench.types import Answer, Caption, Generation, ImageRef, Request


class OutOfMemoryError(RuntimeError):
    """As torch calls its own."""


class Captioner:
    """Says ``answer(request)`` for each; ``calls`` are the batches' ids."""

    name = "fake"

    def __init__(self, answer=None, before=None, batch=8):
        self.answer = answer or (lambda request: f"seen {request.id}/{request.sample}")
        self.before, self.batch, self.calls = before or (lambda part: None), batch, []

    @contextmanager
    def open(self, device):
        yield self

    def caption(self, requests, params):
        self.calls.append([request.id for request in requests])
        self.before(requests)
        return [self.answer(request) for request in requests]


def requests(count, samples=1):
    return [Request(f"i{n}", ImageRef(f"{n}.png", "d"), (), k) for k in range(samples) for n in range(count)]


def run(captioner, asked, **options):
    kept = []
    made = from_session(captioner, asked, Generation(), "cpu", kept.extend, **options)
    assert kept == made
    return made


def too_large(size, error):
    def before(part):
        if len(part) > size:
            raise error("no memory left")

    return before


@pytest.mark.parametrize("error", [MemoryError, OutOfMemoryError])
def test_too_large_batches_are_halved_and_stay_small(error):
    captioner = Captioner(before=too_large(3, error), batch=8)
    made = run(captioner, requests(20, samples=2))
    assert [(c.id, c.sample, c.text) for c in made] == [
        (f"i{n}", k, f"seen i{n}/{k}") for k in range(2) for n in range(20)
    ]
    sizes = [len(call) for call in captioner.calls]
    assert sizes == [8, 4] + [2] * 20


def test_a_picture_too_large_alone_fails_alone():
    def before(part):
        if any(request.id == "i5" for request in part):
            raise MemoryError("a huge picture")

    captioner = Captioner(before=before, batch=4)
    made = run(captioner, requests(12))
    assert [c.id for c in made if c.status == "failed"] == ["i5"]
    assert made[5].reason == "MemoryError: a huge picture"
    assert [len(call) for call in captioner.calls] == [4, 4, 2, 1, 1, 2, 4]  # it makes no other batch smaller


def test_a_picture_that_raises_is_found_by_halving():
    def before(part):
        if any(request.id == "i6" for request in part):
            raise ValueError("poison")

    captioner = Captioner(before=before, batch=8)
    made = run(captioner, requests(8))
    assert [c.text for c in made] == [None if n == 6 else f"seen i{n}/0" for n in range(8)]
    assert made[6].reason == "ValueError: poison"
    assert captioner.calls == [
        [f"i{n}" for n in part] for part in (range(8), range(4), range(4, 8), (4, 5), (6, 7), (6,), (7,))
    ]


def test_one_that_never_works_is_an_error_unless_it_worked_before():
    captioner = Captioner(before=too_large(0, ValueError))
    with pytest.raises(CapbenchError, match="failed on every item: ValueError"):
        run(captioner, requests(2))
    assert [c.status for c in run(captioner, requests(2), proven=True)] == ["failed", "failed"]


def test_what_is_made_before_the_end_is_kept_where_it_belongs():
    def before(part):
        if part[0].id == "i4":
            raise Midway(MissingPart("the key was withdrawn", "set it"), {3: "seen i7/0", 1: Answer("seen i5/0")})

    kept = []
    with pytest.raises(MissingPart, match="the key was withdrawn"):
        from_session(Captioner(before=before, batch=4), requests(12), Generation(), "cpu", kept.extend)
    assert [(c.id, c.text) for c in kept] == [(f"i{n}", f"seen i{n}/0") for n in (0, 1, 2, 3, 5, 7)]


def test_pictures_that_cannot_be_read_are_not_sent():
    asked = [Request("a", ImageRef("a.png", "")), Request("b", ImageRef("b.png", "d")), Request("c", None)]
    captioner = Captioner()
    made = run(captioner, asked)
    assert captioner.calls == [["b", "c"]]
    assert [c.reason for c in made] == ["cannot read the picture a.png", "", ""]


def test_answers_bring_what_they_took():
    answers = {"i0": Answer("a cat", noted={"tokens_in": 5}, seconds=2.5), "i1": Answer(None, "refused"), "i2": 7}
    made = run(Captioner(lambda request: answers[request.id]), requests(3))
    assert made[0] == Caption("i0", "a cat", seconds=2.5, noted={"tokens_in": 5})
    assert (made[1].text, made[1].reason) == (None, "refused")
    assert made[2].reason == "the answer is not text: '7'"


@pytest.fixture
def own_interrupt():
    """Python's own handler, whatever the tests were started with."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_interrupt_keeps_the_batch_under_way(own_interrupt, capsys):
    def before(part):
        if part[0].id == "i4":
            signal.raise_signal(signal.SIGINT)

    kept = []
    captioner = Captioner(before=before, batch=4)
    with pytest.raises(KeyboardInterrupt):
        from_session(captioner, requests(20), Generation(), "cpu", kept.extend)
    assert [c.id for c in kept] == [f"i{n}" for n in range(8)]
    assert "stopping when the 4 captions under way are made" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_second_interrupt_does_not_wait(own_interrupt):
    def before(part):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    kept = []
    with pytest.raises(KeyboardInterrupt):
        from_session(Captioner(before=before), requests(20), Generation(), "cpu", kept.extend)
    assert kept == []


def test_a_batch_that_does_not_end_is_left_after_a_while(own_interrupt, monkeypatch):
    monkeypatch.setattr(patience, "GRACE", 0.2)

    def before(part):
        if part[0].id == "i4":
            signal.raise_signal(signal.SIGINT)
            threading.Event().wait(30)  # in another's hands: nothing but a signal ends it

    kept = []
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        from_session(Captioner(before=before, batch=4), requests(20), Generation(), "cpu", kept.extend)
    assert time.monotonic() - begun < 10
    assert [c.id for c in kept] == [f"i{n}" for n in range(4)]


def test_another_thread_leaves_interrupts_alone():
    made = []
    thread = threading.Thread(target=lambda: made.extend(run(Captioner(), requests(3))))
    thread.start()
    thread.join()
    assert len(made) == 3


def test_silence_is_said(monkeypatch, capsys):
    monkeypatch.setattr(patience, "SILENCE", 0.1)
    run(Captioner(before=lambda part: time.sleep(0.5)), requests(3))
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert [line.split(" for ")[0] for line in lines] == ["fake has been at 3 captions"] * len(lines)
    assert 2 <= len(lines) <= 3  # after 0.1, 0.2 and 0.4 seconds


def test_a_batch_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    log = store.CaptionLog(tmp_path)
    log.append([Caption("a", "x")])
    whole = (tmp_path / store.CAPTIONS).read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(store.os, "fsync", full)
        with pytest.raises(CannotWrite, match="No space left") as caught:
            log.append([Caption("b", "y"), Caption("c", "z")])
    assert "make room" in caught.value.cure
    assert (tmp_path / store.CAPTIONS).read_bytes() == whole
    log.append([Caption("b", "y")])
    log.close()
    assert [c.id for c in store.recover_captions(tmp_path)] == ["a", "b"]


def test_what_is_noted_is_read_back_and_old_lines_still_are(tmp_path):
    noted = {"tokens_in": 5, "cost": 0.25, "finish": "length"}
    log = store.CaptionLog(tmp_path)
    log.append([Caption("a", "x", noted=noted), Caption("b", "y")])
    log.close()
    lines = (tmp_path / store.CAPTIONS).read_text().splitlines()
    assert "noted" not in lines[1]
    assert [c.noted for c in store.recover_captions(tmp_path)] == [noted, {}]


def test_notes_count_what_the_captions_took():
    captions = [
        Caption("a", "x", noted={"tokens_in": 10, "tokens_out": 2, "cost": 0.5, "finish": "length"}),
        Caption("b", None, "failed", "r", noted={"tokens_in": 10, "tokens_out": 1, "cost": 0.25, "finish": "length"}),
        Caption("c", "z", noted={"tokens_in": 10, "tokens_out": 3, "attempts": 4}),
        Caption("d", "z"),
    ]
    assert notes_on(captions) == [
        "1 of 4 captions are cut off at the longest length",
        "the captions took 30 tokens in, 6 out, cost 0.75, 1 needed more than one attempt",
    ]
    assert notes_on(captions[3:]) == []
    assert captioning.total(captions, "tokens_out") == 6


class Streaming(Captioner):
    """Answers so many at a time, the last one taken first."""

    room = 3

    def stream(self, asked, *, retried):
        self.retried, under_way = retried, []
        while True:
            under_way += itertools.islice(asked, self.room - len(under_way))
            if not under_way:
                return
            request, params = under_way.pop()
            self.calls.append((request.id, params.seed))
            self.before([request])
            yield [(request, self.answer(request))]


def test_a_stream_is_kept_as_it_comes_and_the_seed_goes_with_the_sample():
    captioner = Streaming()
    asked = [*requests(4, samples=2), Request("blind", ImageRef("b.png", ""))]
    made = run(captioner, asked, retried=True)
    assert captioner.retried
    assert captioner.calls[:3] == [("i2", 0), ("i3", 0), ("i0", 1)]  # samples are not waited for
    assert {(c.id, c.sample, c.text) for c in made if c.text} == {
        (f"i{n}", k, f"seen i{n}/{k}") for n in range(4) for k in (0, 1)
    }
    assert {seed for _, seed in captioner.calls} == {0, 1}
    assert [c.reason for c in made if c.status == "failed"] == ["cannot read the picture b.png"]


def test_what_a_stream_raises_ends_the_run_and_what_it_gave_is_kept():
    def before(part):
        if part[0].id == "i4":
            raise MissingPart("the key was withdrawn", "set it")

    kept = []
    with pytest.raises(MissingPart):
        from_session(Streaming(before=before), requests(12), Generation(), "cpu", kept.extend)
    assert [c.id for c in kept] == ["i2", "i3"]


def test_the_first_interrupt_lets_a_stream_end_what_is_under_way(own_interrupt, capsys):
    def before(part):
        if part[0].id == "i4":
            signal.raise_signal(signal.SIGINT)

    kept = []
    captioner = Streaming(before=before)
    with pytest.raises(KeyboardInterrupt):
        from_session(captioner, requests(20), Generation(), "cpu", kept.extend)
    assert [c.id for c in kept] == ["i2", "i3", "i4", "i1", "i0"]
    assert "stopping when the 3 captions under way are made" in capsys.readouterr().err
