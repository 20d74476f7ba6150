"""The spaCy parser against FACTUAL's human graphs, beside SPICE's parser on the same captions."""

from __future__ import annotations

import importlib.util

import pytest

from capbench.backends.spacy_parser import SpacyParser
from capbench.backends.spacy_parser.lemmas import Lemmas
from capbench.protocols import Elements

pytest.importorskip("spacy", reason="pip install 'capbench[elements]'")


@pytest.fixture(scope="module")
def agreement(root):
    spec = importlib.util.spec_from_file_location("graph_agreement", root / "tests" / "graph_agreement.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def odd(agreement, shared):
    return agreement.measured(shared, SpacyParser(), "odd", resamples=2000)


def test_every_caption_of_the_human_graphs_has_one_of_spices_parser(agreement, shared):
    human = {row["caption"] for row in agreement.rows_of(shared / "graphs/factual_random_test.jsonl.gz")}
    spice = {row["caption"] for row in agreement.rows_of(shared / "graphs/spice_parser_outputs.jsonl.gz")}
    assert len(human) == 1508
    assert human <= spice
    assert sum(map(agreement.is_even, human)) == 757


@pytest.mark.parametrize("kind", ["objects", "attributes", "relations", "all"])
def test_on_captions_that_no_rule_was_tuned_on_it_is_nearer_to_people_than_spices_parser(odd, kind):
    difference = odd.differences[kind]
    assert odd.n == 751
    assert difference.low > 0
    assert difference.value > 10  # points of F1


def test_f1_is_that_of_sets_with_both_sides_in_the_same_forms(agreement):
    tables = {
        "lemma_index": {"noun": ["man", "dog"], "verb": ["sit", "seat"], "adj": []},
        "lemma_exc": {"noun": {"men": ["man"]}, "verb": {}},
        "lemma_rules": {"noun": [["s", ""]], "verb": [["s", ""], ["ed", ""]]},
    }
    normal = agreement.Normal(Lemmas(tables))
    human = normal.of_triples([["Men", "is", "two"], ["men", "sit underneath", "dogs"], ["tree"]])
    ours = normal.of_elements(Elements(("man", "dog", "cat"), (("man", "2"),), (("man", "sits under", "dog"),)))
    assert human == {
        "objects": {"man", "dog", "tree"},
        "attributes": {("man", "2")},
        "relations": {("man", "sit under", "dog")},
    }
    sums = {name: sum(values) for name, values in agreement.counted([ours], [human]).items()}
    # objects 2 of 3 and 3, attributes 1 of 1 and 1, relations 1 of 1 and 1: 4 in both of 5 and 5
    found = agreement.f1(sums)
    assert found["objects"] == pytest.approx(200 * 2 / 6)
    assert found["attributes"] == 100
    assert found["relations"] == 100
    assert found["all"] == pytest.approx(200 * 4 / 10)
    assert normal.relation("seated beneath the") == "sit under"


def test_captions_and_paragraphs_are_parsed_alike_in_any_batch_and_order(agreement, shared):
    short = [row["captions"][0] for row in agreement.rows_of(shared / "flickr8k/photos.jsonl.gz")[:300]]
    long = [row["IIW"] for row in agreement.rows_of(shared / "detailed/iiw400.jsonl.gz")[:15]]
    texts = [*short, *long]
    with SpacyParser(batch=64).open("cpu") as session:
        together = session.parse(texts)
        backwards = session.parse(texts[::-1])[::-1]
        alone = [session.parse([text])[0] for text in texts]
    assert together == backwards == alone
    assert min(len(one.objects) for one in together[300:]) >= 8
