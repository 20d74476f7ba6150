"""Metrics as these tests try them: with the program, model or file that some have to be brought."""

from dataclasses import replace

import pytest

from capbench import plugins
from capbench.metrics.novelty import Novelty

SPECS = {"chair": "chair(labels='references')"}  # with instance files: tests/unit/test_chair.py


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
        return part

    return prepare
