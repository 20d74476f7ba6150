"""SPICE's command line, alignment and errors, with a program in the place of Java that answers as the jar does."""

import json
import math

import numpy as np
import pytest

from capbench.errors import CapbenchError, MissingPart
from capbench.metrics import spice
from capbench.metrics.spice import WANTED, Spice
from capbench.ragged import Ragged, Words


def texts(*rows):
    return Words.of([tuple(row.split()) for row in rows])


CANDIDATES = texts("a dog runs", "two cats", "red car", "x")
REFERENCES = Ragged(texts("a dog", "brown dog runs", "cats", "blue car", "green car"), np.array([0, 2, 3, 5, 5]))


def test_scores_come_back_by_id_and_an_item_without_references_has_none(spice_program):
    metric, _ = spice_program()
    rows = metric.rows(CANDIDATES, REFERENCES)
    np.testing.assert_array_equal(rows["spice"], [0.3, 0.1, 0.1, math.nan])
    assert np.isnan(rows["color"]).all()


def test_the_command_has_what_java_17_and_the_program_need(spice_program):
    metric, log = spice_program()
    metric.rows(CANDIDATES, REFERENCES)
    words = json.loads(log.read_text())
    assert words[0] == "-Xmx3G"
    assert "--add-opens=java.base/java.lang=ALL-UNNAMED" in words
    places = words[words.index("-cp") + 1].split(":")
    assert places[0].endswith("spice-1.0.jar")
    assert [place.rpartition("/")[2] for place in places[1:]] == [*WANTED, "*"]
    assert "-subset" in words
    assert words[words.index("-cache") + 1].endswith("/spice")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("answers = answers[1:]", "no score for 1 of 3 items: 2"),
        ("answers += answers[:1]", "twice"),
        ("answers = {'x': 1}", "something else than scores"),
        ("sys.exit('MDB_MAP_FULL')", "MDB_MAP_FULL"),
        ("sys.exit(0)", "it wrote nothing"),
    ],
)
def test_whatever_goes_wrong_is_an_error_and_never_a_zero(spice_program, change, says):
    metric, _ = spice_program(change)
    with pytest.raises(CapbenchError, match=says):
        metric.rows(CANDIDATES, REFERENCES)


def test_it_does_not_wait_for_ever(spice_program, tmp_path):
    spice_program("import time; time.sleep(30)")
    with pytest.raises(CapbenchError, match=r"did not finish within 0\.5 s"):
        Spice(jars=str(tmp_path), seconds=0.5).rows(CANDIDATES, REFERENCES)


def test_without_the_jars_the_plan_says_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.delenv("CAPBENCH_SPICE_JARS", raising=False)
    problem = Spice().check()
    assert all(name in problem.what for name in WANTED)
    assert "CAPBENCH_SPICE_JARS" in problem.cure
    with pytest.raises(MissingPart):
        Spice().rows(CANDIDATES, REFERENCES)
    monkeypatch.setenv("CAPBENCH_SPICE_JARS", str(tmp_path))
    (tmp_path / WANTED[0]).touch()
    assert WANTED[0] not in Spice().check().what


@pytest.mark.java
def test_the_real_program_without_corenlp_says_what_it_lacks(tmp_path):
    for name in WANTED:
        (tmp_path / name).touch()
    with pytest.raises(CapbenchError, match="edu/stanford/nlp"):
        Spice(jars=str(tmp_path), memory="1G").rows(CANDIDATES, REFERENCES)


def test_where_the_jars_are_is_no_part_of_the_signature():
    from capbench.signature import of_metric

    assert of_metric(Spice(), "", {}, []) == of_metric(Spice(jars="elsewhere", memory="2G"), "", {}, [])
    assert of_metric(Spice(), "", {}, []) != of_metric(Spice(tokenizer="whitespace"), "", {}, [])
    assert spice.number({"f": "NaN"}) != spice.number({"f": 0.5})
