"""The captioner ``open_clip``: a small seeded CoCa, its words compared with those of open_clip's own loop."""

import numpy as np
import pytest
from PIL import Image

from capbench.captioners.openclip import OpenClipCaptioner
from capbench.errors import UsageError
from capbench.images import load, reference
from capbench.types import Failure, Generation, Request

SHORT = Generation(max_tokens=6)


@pytest.fixture(scope="module")
def requests(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    noise = np.random.default_rng(0)
    for i, (width, height) in enumerate([(40, 60), (64, 64), (32, 32), (90, 41)]):
        pixels = noise.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3)).astype(np.uint8)
        Image.fromarray(pixels).resize((width, height)).save(folder / f"{i}.png")
    return [Request(path.stem, reference(path)) for path in sorted(folder.iterdir())]


def asked(captioner, requests, params=SHORT, batch=0):
    size = batch or len(requests)
    with captioner.open("cpu") as session:
        return [a for i in range(0, len(requests), size) for a in session.caption(requests[i : i + size], params)]


@pytest.mark.torch
@pytest.mark.parametrize(
    "params", [SHORT, Generation(max_tokens=6, beams=3), Generation(max_tokens=6, temperature=1.0, seed=3)]
)
def test_one_by_one_and_in_a_batch_it_says_the_same(tiny_captioner, requests, params):
    captioner = OpenClipCaptioner(str(tiny_captioner("coca")))
    assert captioner.check() is None
    together = asked(captioner, requests, params)
    assert together == asked(captioner, requests, params, batch=1)
    assert len(set(together)) > 1, "an answer depends on the picture"
    assert not any("<" in text for text in together)


@pytest.mark.torch
@pytest.mark.timeout(300)
def test_the_words_are_those_of_open_clips_own_loop(tiny_captioner, requests, monkeypatch):
    """open_clip refuses to write without BeamSearchScorer, which its greedy way does not use: it is let through."""
    import open_clip
    import torch
    import transformers
    from open_clip import coca_model

    monkeypatch.setattr(coca_model, "_has_transformers", True)
    monkeypatch.setitem(coca_model.GENERATION_TYPES, "top_k", transformers.TopKLogitsWarper)
    model, _, shown = open_clip.create_model_and_transforms(f"local-dir:{tiny_captioner('coca')}")
    pictures = torch.stack([shown(load(request.image)) for request in requests])
    rows = model.eval().generate(pictures, seq_len=10, generation_type="top_k", top_k=1, fixed_output_length=True)
    theirs = [open_clip.decode(row).split("<end_of_text>")[0].replace("<start_of_text>", "").strip() for row in rows]
    assert asked(OpenClipCaptioner(str(tiny_captioner("coca"))), requests, Generation(max_tokens=8)) == theirs


@pytest.mark.torch
def test_fewer_words_than_it_would_write_at_least_are_no_trouble(tiny_captioner, requests, recwarn):
    captioner = OpenClipCaptioner(str(tiny_captioner("coca")))
    long, short = (asked(captioner, requests[:2], Generation(max_tokens=n)) for n in (12, 2))
    assert [text.split()[:2] for text in long] == [text.split() for text in short]
    assert not [w for w in recwarn if "min_length" in str(w.message)]


@pytest.mark.torch
def test_what_it_is_and_what_it_cannot_do(tiny, tiny_captioner, requests, tmp_path):
    captioner = OpenClipCaptioner(str(tiny_captioner("coca")))
    assert captioner.fingerprint().startswith("open_clip/coca/open_clip_model.safetensors@")
    assert OpenClipCaptioner(str(tiny_captioner("coca")), batch=2).fingerprint() == captioner.fingerprint()
    assert (
        OpenClipCaptioner(str(tiny_captioner("coca")), top_k=2).fingerprint() == captioner.fingerprint() + "(top_k=2)"
    )
    assert captioner.uses == {"max_tokens", "temperature", "beams", "seed"}
    assert "regions" in OpenClipCaptioner(crop=True).uses
    assert "does not write" in OpenClipCaptioner(str(tiny("open_clip_folder"))).check().what
    assert (
        "does not write"
        in OpenClipCaptioner("ViT-B-32", str(tiny("open_clip_folder") / "open_clip_model.safetensors")).check().what
    )
    assert "are not on this machine" in OpenClipCaptioner().check().what
    assert "precision" in OpenClipCaptioner(str(tiny_captioner("coca")), dtype="int8").check().what
    (tmp_path / "bad.png").write_bytes(b"")
    told = asked(captioner, [Request("x", reference(tmp_path / "bad.png")), requests[0]])
    assert isinstance(told[0], Failure)
    assert told[1] == asked(captioner, requests[:1])[0]
    with pytest.raises(UsageError, match="beams"):
        asked(captioner, requests, Generation(temperature=1.0, beams=2))


def test_parameters_and_libraries(monkeypatch):
    for values in ({"batch": 0}, {"top_p": 0.0}, {"top_k": -1}):
        with pytest.raises(UsageError):
            OpenClipCaptioner(**values)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert OpenClipCaptioner().check().cure == "pip install 'capbench[clip,hf]'"
