"""Hostile texts break no metric and move nobody else's number; every process and hash seed gives the same bits."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from capbench import plugins
from capbench.cache import open_cache
from capbench.trial import Trial

NAMES = [
    name
    for name, entries in plugins.installed("metrics").items()
    if any(plugins.distribution(entry) == plugins.OWN for entry in entries)
]
SPECS = {
    "chair": "chair(labels='references')",
    "composed_retrieval": "composed_retrieval(bags='draws(size=4)')",
    "spice_like": "spice_like(parser='scenes_parser')",  # elements with its own parser
}
BROUGHT = {"spice", "spider", "bertscore", "novelty", "eccv_caption"}  # what they have to be brought is in fixtures
HOSTILE = [
    "", " \t\u00a0 ", "a\r\nb\rc\x0bd\x0ce\u2028f\u2029g", "\x00\x07\x1b[31mred\x7f", "\ud800 lone \udfff", "a ||| b ||| c",
    "<script>alert(1)</script> &amp; \"'`", "SCORE ||| EVAL", "\U0001f600\u200d\U0001f469\ufe0f 😀", "日本語の字幕 中文",
    "e\u0301" + "\u0301" * 200, "\u202eright to left\u202c", "word " * 3000, "x" * 20_000, "%s {0} \\n ${HOME} ' OR 1=1 --",
]  # fmt: skip


def hostile(trial):
    """The trial's facts with every hostile text as a caption and among the references of the first items."""
    facts, each = trial.facts, trial.facts.each
    captions = list(facts.captions)
    offsets, values = facts.references.offsets, list(facts.references.values)
    for i, text in enumerate(HOSTILE):
        captions[i * each] = text
        values[offsets[i]] = HOSTILE[-1 - i]
    return replace(facts, captions=tuple(captions), references=replace(facts.references, values=values))


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.torch if n == "bertscore" else ()) for n in NAMES])
def test_hostile_texts_break_no_metric(name, prepared):
    part = prepared(name) if name != "elements" else plugins.load("metrics", name).value
    with open_cache() as cache:
        trial = Trial(part, cache)
        before, after = trial.rows(), trial.rows(hostile(trial))
    others = before.items >= len(HOSTILE)
    for column, numbers in after.columns.items():
        assert not np.isinf(numbers).any()
        declared = part.columns.get(column)
        if declared is not None:
            scored = numbers[~np.isnan(numbers)]
            assert declared.low is None or (scored >= declared.low).all()
            assert declared.high is None or (scored <= declared.high).all()
        if before.bags is None and not getattr(part, "corpus", False) and not hasattr(part, "pooled"):
            # a hostile text moves no number but that of its own item
            np.testing.assert_array_equal(numbers[others], before.columns[column][others])


BITS = """
import hashlib, sys
import numpy as np
from capbench import plugins
from capbench.cache import open_cache
from capbench.trial import Trial
for spec in sys.argv[1:]:
    with open_cache() as cache:
        rows = Trial(plugins.load("metrics", spec).value, cache).rows()
    data = b"".join(name.encode() + np.ascontiguousarray(rows.columns[name]).tobytes() for name in sorted(rows.columns))
    print(spec, hashlib.sha256(data).hexdigest())
"""


def test_the_same_bits_in_every_process_and_for_every_hash_seed():
    specs = [SPECS.get(name, name) for name in NAMES if name not in BROUGHT]
    answers = {
        subprocess.run(
            [sys.executable, "-c", BITS, *specs],
            env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True, text=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }  # fmt: skip
    assert len(answers) == 1
    assert len(answers.pop().splitlines()) == len(specs)
