"""Metrics as these tests try them: with the program, model or file that some have to be brought."""

import json
from dataclasses import replace

import numpy as np
import pytest

from capbench import plugins
from capbench.metrics.eccv import ANSWERS, IMAGE_OF, TEXT_IDS
from capbench.metrics.novelty import Novelty
from capbench.trial import small_world

SPECS = {
    "composed_retrieval": "composed_retrieval(bags='draws(size=4)')",  # with its data set: tests/unit/test_composed.py
    "chair": "chair(labels='references')",
    "elements": "elements(parser='scenes_parser')",
    "spice_like": "spice_like(parser='scenes_parser')",
    "judge": "judge(model='scripted_judge')",
}  # with instance files: tests/unit/test_chair.py


@pytest.fixture
def prepared(request):
    """prepared(name) -> the metric, given the small program, model or file that stands in for the one it needs."""

    def prepare(name):
        part = plugins.load("metrics", SPECS.get(name, name)).value if name != "novelty" else None
        if name in ("spice", "spider"):
            return replace(part, jars=request.getfixturevalue("spice_program")()[0].jars)
        if name == "bertscore":
            return replace(part, model=str(request.getfixturevalue("tiny_bert")), layer=2)
        if name == "novelty":
            train = request.getfixturevalue("tmp_path") / "train.json"
            train.write_text('{"1": ["a dog", "a cat"]}')
            return Novelty(str(train))
        if name == "eccv_caption":
            return replace(part, data=str(lists_of_matches(request.getfixturevalue("tmp_path"))))
        return part

    return prepare


def lists_of_matches(folder):
    """The files of the package eccv-caption for the small world: each text also fits the next picture."""
    samples = small_world()
    texts = {str(5 * i + k): samples[i].id for i in range(len(samples)) for k in range(5)}
    np.save(folder / TEXT_IDS, np.arange(len(texts)))
    (folder / IMAGE_OF).write_text(json.dumps({text: [image] for text, image in texts.items()}))
    after = dict(zip([s.id for s in samples], [s.id for s in samples[1:] + samples[:1]], strict=True))
    fits = {text: [image, after[image]] for text, image in texts.items()}
    (folder / ANSWERS["t2i"]).write_text(json.dumps(fits))
    back = {s.id: [int(text) for text, images in fits.items() if s.id in images] for s in samples}
    (folder / ANSWERS["i2t"]).write_text(json.dumps(back))
    return folder
