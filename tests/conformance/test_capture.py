"""compat=True against the authors' program: ``capture_metric`` 0.1.13, run with its lists in alphabetical order.

capture_cases.jsonl: what its ``compute_f_score`` gave for twelve pairs of graphs, with the vectors, synonyms and lemmas
of this file in place of its models: total, then precision, recall and F1 of objects, attributes and relations.
"""

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from capbench.elements import capture
from capbench.elements.capture import Language
from capbench.errors import BadData, MissingPart, UsageError
from capbench.metrics.elements import Elements
from capbench.protocols import Elements as Parse
from capbench.ragged import Ragged

CASES = [json.loads(line) for line in (Path(__file__).parent / "capture_cases.jsonl").read_text().splitlines()]
ORDER = [
    "capture",
    *(f"{kind}{side}" for kind in ("objects", "attributes", "relations") for side in ("_precision", "_recall", "")),
]
SETS = [{"sofa", "couch"}, {"bike", "bicycle"}, {"big", "large"}, {"traffic_light", "stoplight"}, {"on", "upon"}]
SMALL = {"a", "the", "on", "upon", "is", "red", "big", "large", "runs", "under", "and"}
LEMMAS = {"cars": "car"}
WEIGHTS = (5, 5, 2)


def nouns(text):
    return {LEMMAS.get(word, word) for word in text.split() if word.lower().strip(".") not in SMALL}


def names(word):
    return frozenset(name for one in SETS if word in one for name in one)


LANGUAGE = Language(lambda word, _pos: LEMMAS.get(word, word), nouns, names, frozenset({"background", "location"}))


class Vectors(dict):
    """Phrase -> a unit vector that the phrase itself seeds."""

    def __missing__(self, phrase):
        rng = random.Random(phrase)
        vector = np.array([rng.gauss(0, 1) for _ in range(4)])
        return vector / np.linalg.norm(vector)


def parse(objects, attributes, relations):
    return Parse(tuple(objects), tuple(map(tuple, attributes)), tuple(map(tuple, relations)))


def everything(graph):
    """A text whose nouns are all names of the graph, so that nothing is filtered but by the stop words."""
    return " ".join(word for name in graph[0] for word in name.split())


@pytest.mark.parametrize("case", CASES)
def test_every_number_is_the_authors(case):
    # the authors' list has both words that ours leaves out here
    said, there = (capture.read(parse(*g), everything(g), LANGUAGE) for g in (case["caption"], case["reference"]))
    found = capture.against(said, [there], LANGUAGE, Vectors(), WEIGHTS)
    assert [found[name] for name in ORDER] == pytest.approx(case["scores"], rel=1e-12, abs=1e-12)


def test_what_counts_of_a_text_is_what_the_authors_keep():
    # sample_to_parse_results of these graphs and texts
    graph = parse(
        ["cars", "background", "clock tower", "ghost"],
        [("cars", "red"), ("cars", "made of steel"), ("background", "blue"), ("ghost", "white")],
        [("cars", "in", "background"), ("ghost", "near", "cars"), ("clock tower", "behind", "cars")],
    )
    assert capture.read(graph, "red cars and a blue background clock tower", LANGUAGE) == (
        ("car", "clock tower"), ("blue", "red"), (("car", "in", "background"), ("clock tower", "behind", "car")),
    )  # fmt: skip
    # "Cars" with a capital is another word to them, so "cars" is none of the text's nouns
    assert capture.read(graph, "Cars on the background", LANGUAGE) == ((), ("blue",), ())


def test_the_traps_that_compat_keeps_and_the_default_does_not():
    def total(said, there):
        return capture.against(said, [there], LANGUAGE, Vectors(), WEIGHTS)["capture"]

    alone = capture.Read(("dog",), (), ())
    # an identical caption without attributes and relations: 5/12 of an F1 a little below 1
    f1 = 2 * (1 / 1.000001) ** 2 / (2 / 1.000001 + 1e-6)
    assert total(alone, alone) == pytest.approx(5 / 12 * f1, rel=1e-15)
    full = capture.Read(("dog",), ("red",), ())
    assert total(full, full) == pytest.approx(10 / 12, abs=1e-5)
    assert capture.alike("cat", "location", names)
    assert capture.alike("man", "woman", names)
    same = Elements().rows([""], [Parse(("dog",))], Ragged([Parse(("dog",))], np.array([0, 1])))
    assert same["elements"][0] == 1
    cat = Elements().rows([""], [Parse(("cat",))], Ragged([Parse(("location",))], np.array([0, 1])))
    assert cat["elements"][0] == 0


def test_several_references_give_the_mean(monkeypatch):
    monkeypatch.setattr(capture, "language", lambda: LANGUAGE)
    dog, cat = Parse(("dog",)), Parse(("bus",))
    metric = Elements(compat=True, soft="x")
    vectors = Vectors({"dog": np.array([1.0, 0, 0, 0]), "bus": np.array([0, 1.0, 0, 0])})
    rows = metric.rows(
        ["dog", "dog"], [dog, dog], Ragged([dog, cat, cat], np.array([0, 2, 3])),
        references=Ragged(["dog", "bus", "bus"], np.array([0, 2, 3])), said_vectors=vectors, there_vectors={},
    )  # fmt: skip
    assert rows["objects"] == pytest.approx([0.5, 0], abs=1e-5)
    assert rows["elements"] == pytest.approx([5 / 24, 0], abs=1e-5)
    assert "capture" not in rows
    folded = metric.reduce({name: np.array([column.sum()]) for name, column in rows.items()})
    assert folded["elements"][0] == pytest.approx(5 / 48, abs=1e-5)
    assert metric.details([""], [dog], Ragged([dog], np.array([0, 1])), references=Ragged([""], np.array([0, 1]))) == [
        None
    ]


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"parser": "factual"}, True),
        ({"parser": "factual(model='lizhuang144/flan-t5-base-VG-factual-sg')"}, True),
        ({"parser": "factual(beams=5, batch=8)"}, True),
        ({"parser": "factual(beams=1)"}, False),
        ({"parser": "factual(precision='bf16')"}, False),
        ({"parser": "factual", "soft": "sentences(model='all-mpnet-base-v2')"}, True),
        ({"parser": "factual", "soft": "sentences"}, False),
        ({"parser": "factual(model='lizhuang144/flan-t5-small-VG-factual-sg')"}, False),
        ({"parser": "spacy"}, False),
        ({"parser": "factual", "weights": (1, 1, 1)}, False),
    ],
)
def test_only_the_papers_parser_and_encoder_carry_the_name(parameters, named):
    assert Elements(compat=True, **parameters).is_capture == named
    assert not Elements(**parameters).is_capture


def test_what_compat_lacks_is_said_before_anything_starts(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert Elements(compat=True).check().cure == "pip install 'capbench[capture]'"
    assert "nltk and capture_metric" in Elements(compat=True).check().what
    with pytest.raises(MissingPart):
        capture.stop_words()
    with pytest.raises(UsageError, match="labels"):
        Elements(compat=True, labels="x")
    path = tmp_path / "stop_words.py"
    path.write_text("# comment\nstop_words_list = ['scene', \"it's\"]\n")
    assert capture.listed(path) == {"scene", "it's"}
    for text in ("other = []", "stop_words_list = [", "stop_words_list = open('x')", "stop_words_list = 3"):
        path.write_text(text)
        with pytest.raises(BadData, match="no list of stop words"):
            capture.listed(path)


def test_phrases_to_encode_are_all_that_may_be_left_over():
    for case in CASES:
        graph = parse(*case["caption"])
        kept = capture.read(graph, everything(case["caption"]), LANGUAGE)
        wanted = {*kept.objects, *kept.attributes, *map(" ".join, kept.relations)}
        assert wanted <= set(capture.phrases(graph, LANGUAGE))
    assert replace(LANGUAGE, stop_words=frozenset()).stop_words == frozenset()
