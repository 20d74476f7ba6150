"""Decoding swept over a real model: loaded once, the grid's captions those of single runs, best of n of its draws."""

import pytest

import capbench
from capbench.captioners.hf import HfCaptioner
from capbench.types import Generation

pytestmark = pytest.mark.torch
METRICS = ["rouge_l", "clipscore"]
CLIP = {"clip": "scenes"}


def test_beams_and_temperature_of_a_small_model(tiny_captioner, tmp_path, monkeypatch):
    opened = []
    plain = HfCaptioner.open
    monkeypatch.setattr(HfCaptioner, "open", lambda self, device: opened.append(device) or plain(self, device))
    spec = f"hf(model={str(tiny_captioner('blip'))!r})"
    words = {"backends": CLIP, "limit": 4, "generation": Generation(max_tokens=6)}
    vary = {"temperature": [0.0, 2.0], "beams": [1, 2]}
    made = capbench.sweep(spec, "scenes", vary, METRICS, runs=tmp_path / "swept", **words)
    assert [done.error is None for done in made.points] == [True, True, True, False]  # it draws, or searches
    assert "a temperature and several beams" in made.failure.message
    assert opened == ["cpu"]
    texts = [[caption.text for caption in done.run.captions] for done in made.points[:3]]
    alone = capbench.run(spec, "scenes", METRICS, runs=tmp_path / "alone", backends=CLIP, limit=4,
                         generation=Generation(max_tokens=6, temperature=2.0))  # fmt: skip
    assert texts[2] == [caption.text for caption in alone.captions]
    assert texts[2] != texts[0]


def test_the_best_of_n_of_a_small_model_is_one_of_its_draws(tiny_captioner, tmp_path):
    spec = f"hf(model={str(tiny_captioner('blip'))!r})"
    words = {"backends": CLIP, "limit": 4, "generation": Generation(max_tokens=6, temperature=2.0)}
    draws = capbench.run(spec, "scenes", METRICS, runs=tmp_path, samples=3, **words)
    best = capbench.run(f"rerank(captioners=[{spec!r}], n=3)", "scenes", METRICS, runs=tmp_path, **words)
    drawn = {}
    for caption in draws.captions:
        drawn.setdefault(caption.id, set()).add(caption.text)
    assert all(caption.text in drawn[caption.id] for caption in best.captions)
    assert any(len(own) > 1 for own in drawn.values())
