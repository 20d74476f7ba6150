"""SPIDEr is the mean of the two metrics, and SPICE's program runs once for both."""

import json
from dataclasses import replace

import numpy as np
import pytest

import capbench
from capbench.errors import BadData
from capbench.metrics.cider import Cider
from capbench.metrics.frequencies import from_counts
from capbench.metrics.spider import Spider
from capbench.needs import Frequencies
from capbench.ragged import Ragged, Words
from capbench.signature import of_metric


def texts(*rows):
    return Words.of([tuple(row.split()) for row in rows])


CANDIDATES = texts("a dog runs", "two cats", "red car", "x")
REFERENCES = Ragged(texts("a dog", "brown dog runs", "cats", "blue car", "green car"), np.array([0, 2, 3, 5, 5]))
COUNTED = "import os; n = pathlib.Path(sys.argv[0]).with_name('count'); n.write_text(n.read_text() + 'x' if n.exists() else 'x')"


def spider(spice):
    return Spider(jars=spice.jars, memory=spice.memory, seconds=spice.seconds)


def test_it_is_the_mean_of_cider_and_spice(spice_program):
    spice, _ = spice_program()
    found = spider(spice).rows(CANDIDATES, REFERENCES)["spider"]
    # the stand-in says words shared / 10: 3, 1, 1; the last item has no reference
    expected = (Cider().rows(CANDIDATES, REFERENCES)["cider"] + [0.3, 0.1, 0.1, np.nan]) / 2
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert found[0] > found[2] > 0


def test_its_cider_takes_frequencies_from_elsewhere_and_is_as_cautious(spice_program):
    spice, _ = spice_program()
    table = from_counts({("dog",): 9, ("red",): 2, ("cats",): 1}, 80, "t/1")
    frozen = replace(spider(spice), idf="file:x")
    found = frozen.rows(CANDIDATES, REFERENCES, table)["spider"]
    expected = (Cider(idf="file:x").rows(CANDIDATES, REFERENCES, table)["cider"] + [0.3, 0.1, 0.1, np.nan]) / 2
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert frozen.needs["frequencies"] == Frequencies("file:x")
    assert (frozen.corpus, spider(spice).corpus) == (False, True)
    assert frozen.caution(CANDIDATES, REFERENCES, table) is None
    assert spider(spice).caution(CANDIDATES, REFERENCES).mark == "idf of 3 images"


def test_the_program_is_started_once_for_spice_and_spider(spice_program, tmp_path):
    spice, _ = spice_program(COUNTED)
    (tmp_path / "p.json").write_text(json.dumps({"1": "a dog runs", "2": "two cats"}))
    (tmp_path / "r.json").write_text(json.dumps({"1": ["a dog"], "2": ["cats sleep"]}))
    given = f"jars={spice.jars!r}, memory='3G', seconds=20"
    run = capbench.score(tmp_path / "p.json", tmp_path / "r.json", ["cider", f"spice({given})", f"spider({given})"])
    assert (tmp_path / "bin" / "count").read_text() == "x"
    assert run.value("spider") == pytest.approx((run.value("cider") + run.value("spice")) / 2)


def test_an_error_of_the_program_is_not_kept(spice_program):
    spice, _ = spice_program("sys.exit('no memory')")
    for _ in range(2):
        with pytest.raises(capbench.errors.CapbenchError, match="no memory"):
            spider(spice).rows(CANDIDATES, REFERENCES)
    assert spider(spice_program()[0]).rows(CANDIDATES, REFERENCES)["spider"][0] > 0


def test_one_image_has_no_cider_and_so_no_spider(spice_program):
    with pytest.raises(BadData, match="one image"):
        spider(spice_program()[0]).rows(texts("a"), Ragged(texts("a"), np.array([0, 1])))


def test_what_spice_lacks_spider_lacks(monkeypatch):
    monkeypatch.delenv("CAPBENCH_SPICE_JARS", raising=False)
    assert "CAPBENCH_SPICE_JARS" in Spider().check().cure
    assert of_metric(Spider(), "", {}, []) == of_metric(Spider(jars="elsewhere"), "", {}, [])
