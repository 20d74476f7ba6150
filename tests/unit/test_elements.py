"""Elements worked by hand: what is the same, how references are merged, who is matched with whom, and what it scores."""

import itertools
import random
import sys
import time
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from capbench.elements.graph import KINDS, Element, graph, level, merged, normal
from capbench.elements.marks import described, marked
from capbench.elements.match import Soft, levels_of, match
from capbench.elements.scores import matched
from capbench.elements.words import EXACT, SYNONYM, missing, nltk_has_it, of_nltk, vocabulary
from capbench.errors import MissingPart, UsageError
from capbench.metrics.elements import Elements
from capbench.metrics.spice_like import SpiceLike
from capbench.protocols import Elements as Said
from capbench.ragged import Ragged
from capbench.scenes.meaning import NUMBERS
from capbench.scenes.world import COLOURS, SHAPES, SIZES

WORDS = vocabulary("meteor")
NONE = vocabulary("none")


def world(*items):
    """items: (caption's elements, [elements of each reference])."""
    there = [one for _, own in items for one in own]
    offsets = np.cumsum([0, *(len(own) for _, own in items)])
    return [""] * len(items), [said for said, _ in items], Ragged(there, offsets)


def row(said, *references, **parameters):
    columns = Elements(**parameters).rows(*world((said, references)))
    return {name: float(column[0]) for name, column in columns.items()}


def single(*objects):
    return [Element(((name,),), 1) for name in objects]


@pytest.mark.parametrize(
    ("word", "lemma"),
    [
        ("dogs", "dog"), ("Men", "man"), ("women", "woman"), ("children", "child"), ("buses", "bus"), ("boxes", "box"),
        ("ladies", "lady"), ("knives", "knife"), ("glass", "glass"), ("people", "people"), ("feet", "foot"),
        ("Traffic  Lights", "traffic light"), ("zzyzx", "zzyzx"), ("wolves", "wolf"), ("s", "s"), ("", ""),
    ],
)  # fmt: skip
def test_nouns_in_the_singular(word, lemma):
    assert WORDS.noun(word) == lemma


@pytest.mark.parametrize(
    ("a", "b", "level"),
    [
        # WordNet 3.0: {sofa, couch, lounge}, {bicycle, bike, wheel, cycle}, {television, tv, ...}, {large, big}
        ("sofa", "couch", SYNONYM), ("bike", "bicycle", SYNONYM), ("tv", "television", SYNONYM),
        ("big", "large", SYNONYM), ("traffic light", "stoplight", SYNONYM), ("dog", "dog", EXACT),
        ("zzyzx", "zzyzx", EXACT),
        # never by substring, which CAPTURE takes for a synonym
        ("man", "woman", 0), ("cat", "location", 0), ("car", "cart", 0), ("dog", "cat", 0), ("", "dog", 0),
        ("zzyzx", "zzyzy", 0),
    ],
)  # fmt: skip
def test_what_says_the_same(a, b, level):
    assert WORDS.level(a, b) == WORDS.level(b, a) == level
    assert NONE.level(a, b) == (EXACT if a == b else 0)


def test_the_words_of_the_drawn_world_are_nobodys_synonyms():
    names = [*SHAPES, *COLOURS, *SIZES, *NUMBERS]
    assert not [(a, b) for a, b in itertools.combinations(names, 2) if WORDS.level(a, b)]


def test_references_are_one_graph_and_forms_that_say_the_same_one_element():
    texts = [Said(("sofa", "Dogs")), Said(("couch", "dog", "dog")), Said(("couch",)), Said(("cat", ""))]
    assert graph(texts, WORDS)["objects"] == (
        Element((("cat",),), 1),
        Element((("couch",), ("sofa",)), 3),
        Element((("dog",),), 2),
    )
    assert [e.forms for e in graph(texts, NONE)["objects"]] == [
        (("Dogs".lower(),),) if name == "dogs" else ((name,),) for name in ("cat", "couch", "dog", "dogs", "sofa")
    ]


def test_the_order_of_texts_does_not_change_a_graph():
    texts = [
        Said(("sofa", "man", "piece")),
        Said(("couch", "lounge")),
        Said(("lounge", "waiting room")),
        Said(("sofa",)),
    ]
    graphs = {repr(graph(list(order), WORDS)) for order in itertools.permutations(texts)}
    assert len(graphs) == 1


def test_an_element_with_an_empty_word_is_none():
    said = Said((" ", "dog"), (("dog", ""), ("", "red"), ("dog", "Red ")), (("dog", "", "mat"), ("dogs", "ON", "mat")))
    assert normal(said, WORDS) == {
        "objects": {("dog",)}, "attributes": {("dog", "red")}, "relations": {("dog", "on", "mat")},
    }  # fmt: skip


def test_the_assignment_is_the_largest_where_first_come_first_served_is_not():
    # "lounge" is a synonym of both, "waiting room" only of "lounge"'s other sense: taken greedily, couch-lounge blocks it
    said, there = single("couch", "waiting room"), single("lounge", "sofa")
    for a, b in (("couch", "lounge"), ("couch", "sofa"), ("waiting room", "lounge")):
        assert WORDS.level(a, b) == SYNONYM
    assert not WORDS.level("waiting room", "sofa")
    for ours, theirs in itertools.product(itertools.permutations(said), itertools.permutations(there)):
        pairs = match(ours, theirs, WORDS)
        assert {(ours[p.said].forms[0][0], theirs[p.there].forms[0][0]) for p in pairs} == {
            ("couch", "sofa"), ("waiting room", "lounge"),
        }  # fmt: skip
        assert [p.credit for p in pairs] == [1.0, 1.0]


def test_the_assignment_is_the_best_of_all():
    rng = random.Random(3)
    for _ in range(60):
        n, m = rng.randint(1, 4), rng.randint(1, 4)
        vectors = {name: np.array([rng.gauss(0, 1) for _ in range(3)]) for name in "abcdefgh"}
        vectors = {name: (v / np.linalg.norm(v)).astype(np.float32) for name, v in vectors.items()}
        said, there = single(*rng.sample("abcdefgh", n)), single(*rng.sample("abcdefgh", m))
        pairs = match(said, there, NONE, Soft(vectors, 0.3))

        def credit(i, j, said=said, there=there, vectors=vectors):
            a, b = said[i].forms[0][0], there[j].forms[0][0]
            cosine = float(vectors[a].astype(float) @ vectors[b].astype(float))
            return 1.0 if a == b else cosine if cosine >= 0.3 else 0.0

        short, long = range(min(n, m)), range(max(n, m))
        ways = itertools.permutations(long, len(short))
        best = max(
            sum(credit(i, j) if n <= m else credit(j, i) for i, j in zip(short, way, strict=True)) for way in ways
        )
        assert sum(p.credit for p in pairs) == pytest.approx(best, abs=1e-5)


def test_numbers_worked_by_hand():
    said = Said(("dog", "ball", "cat"), (("dog", "brown"), ("ball", "red")), (("dog", "with", "ball"),))
    first = Said(("dog", "ball"), (("dog", "brown"), ("dog", "small")), (("dog", "chase", "ball"),))
    second = Said(("puppy", "grass"), (("ball", "red"),))
    found = row(said, first, second)
    # objects: dog, ball of dog, ball, puppy, grass; attributes: both of brown, small, red; relations: none of one
    assert found["objects_precision"] == 2 / 3
    assert found["objects_recall"] == 2 / 4
    assert found["objects"] == pytest.approx(4 / 7)
    assert found["attributes_precision"] == 1
    assert found["attributes_recall"] == 2 / 3
    assert found["attributes"] == pytest.approx(4 / 5)
    assert found["relations"] == found["relations_precision"] == found["relations_recall"] == 0
    assert found["elements"] == pytest.approx((5 * 4 / 7 + 5 * 4 / 5 + 0) / 12)
    assert found["precision"] == pytest.approx((5 * 2 / 3 + 5 * 1 + 0) / 12)
    assert found["recall"] == pytest.approx((5 / 2 + 5 * 2 / 3 + 0) / 12)
    assert found["hallucinated"] == 2  # cat, dog with ball
    assert found["hallucinated_share"] == pytest.approx(2 / 6)
    assert found["missed"] == 4  # puppy, grass, small, chase
    only = row(said, first, second, weights=(1.0, 0.0, 0.0))
    assert only["elements"] == pytest.approx(4 / 7)


def test_an_attribute_belongs_to_its_object():
    said = Said(("car", "truck"), (("car", "white"), ("truck", "red")))
    there = Said(("car", "truck"), (("car", "red"), ("truck", "white")))
    assert row(said, there)["attributes"] == 0


def test_a_kind_that_neither_side_has_is_left_out():
    same = Said(("dog",))
    assert row(same, same)["elements"] == 1
    assert row(same, same)["relations"] == 1
    found = row(same, Said(("dog",), (("dog", "red"),)))
    assert found["attributes"] == 0
    assert found["elements"] == 1 / 2  # (5 + 0) / 10
    assert found["precision"] == 1  # nothing that was said is wrong
    assert found["recall"] == 1 / 2


def test_a_caption_that_says_nothing_and_references_that_say_nothing():
    silent = row(Said(), Said(("dog",)))
    assert silent["elements"] == silent["recall"] == silent["precision"] == silent["hallucinated"] == 0
    assert silent["missed"] == 1
    assert all(np.isnan(value) for value in row(Said(("dog",)), Said(), Said()).values())
    assert Elements().details(*world((Said(("dog",)), [Said()]))) == [None]
    assert Elements().rows([], [], Ragged([], np.array([0]))) == {}


def test_means_leave_out_items_with_nothing_to_divide_by():
    metric = Elements()
    quiet = (Said(("dog",)), [Said(("dog",))])
    loud = (Said(("dog", "cat"), (), (("dog", "on", "cat"),)), [Said(("dog", "cat"), (), (("cat", "on", "dog"),))])
    rows = metric.rows(*world(quiet, loud))
    folded = metric.reduce({name: np.array([column.sum()]) for name, column in rows.items()})
    assert rows["relations"].tolist() == [1, 0]
    assert folded["relations"][0] == 0  # of the one item that has relations
    assert folded["objects"][0] == 1
    assert np.isnan(folded["attributes"][0])
    assert folded["elements"][0] == pytest.approx((1 + 5 / 7) / 2)
    assert folded["hallucinated"][0] == 1 / 2


def test_the_soft_stage_gives_the_cosine_from_near_on_and_one_partner_each():
    vectors = {"dog": [1, 0, 0], "puppy": [0.8, 0.6, 0], "hound": [0.6, 0.8, 0], "car": [0, 0, 1]}
    unit = {name: np.array(v, np.float32) for name, v in vectors.items()}
    items = world((Said(("puppy", "hound", "car")), [Said(("dog",))]))
    columns = Elements(soft="x", near=0.7, synonyms="none").rows(*items, said_vectors=unit, there_vectors={})
    assert columns["objects_precision"][0] == pytest.approx(0.8 / 3)
    assert columns["objects_recall"][0] == pytest.approx(0.8)
    assert columns["hallucinated"][0] == 2
    columns = Elements(soft="x", near=0.81, synonyms="none").rows(*items, said_vectors=unit, there_vectors={})
    assert columns["objects"][0] == 0


def test_labels_of_the_image_excuse_an_object_and_no_score():
    texts = world((Said(("dog", "couch", "cat")), [Said(("dog",))]))
    tags = [{"objects": "Sofas; potted plant"}]
    metric = Elements(labels="objects")
    rows = metric.rows(*texts, tags=tags)
    assert rows["hallucinated"].tolist() == [1]
    assert rows["objects_precision"][0] == pytest.approx(1 / 3)
    details = metric.details(*texts, tags=tags)[0]
    assert details["objects"]["label"] == [["couch"]]
    assert details["objects"]["unsupported"] == [["cat"]]
    assert metric.rows(*texts, tags=[{"objects": ""}])["hallucinated"].tolist() == [2]
    with pytest.raises(UsageError, match="no image has the tag 'objects'"):
        metric.rows(*texts, tags=[{"other": "couch"}])


def test_marks_stand_where_the_words_stand():
    said = Said(("dog", "traffic light", "cat"), (("dog", "brown"), ("cat", "black")))
    there = Said(("dog", "stoplight"), (("dog", "brown"),))
    caption = "Two BROWN dogs, a black cat & traffic  lights."
    found = matched(graph([said], WORDS), graph([there], WORDS), WORDS)
    assert [(caption[a:b], mark) for a, b, mark in described(found, caption, WORDS)["marks"]] == [
        ("BROWN", "supported"), ("dogs", "supported"), ("black", "unsupported"), ("cat", "unsupported"),
        ("traffic  lights", "supported"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("caption", "marks"),
    [
        ("a red car and a red truck", ["supported", "supported", "unsupported", "supported"]),
        ("a truck in red, a red car", ["supported", "unsupported", "supported", "supported"]),
        ("two things, both red", ["unsupported"]),  # of neither is said which
    ],
)
def test_a_word_of_several_objects_is_marked_by_the_nearest(caption, marks):
    said = Said(("car", "truck"), (("car", "red"), ("truck", "red")))
    found = matched(graph([said], NONE), graph([Said(("car", "truck"), (("car", "red"),))], NONE), NONE)
    assert [mark for *_, mark in described(found, caption, NONE)["marks"]] == marks


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("", []),
        ("\ud800 dog \udfff", [2]),
        ("dog" * 9000, []),
        ("\x00\u202edog\u2028", [2]),
        ("👩\u200d👩 dogs 日本", [4]),
    ],
)
def test_marks_in_hostile_texts(text, places):
    assert [start for start, *_ in marked(text, {"dog": {"": "supported"}}, WORDS)] == places


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"synonyms": "wordnet"}, "synonyms is one of"), ({"weights": (1, 2)}, "weights=(1, 2)"),
        ({"weights": (0, 0, 0)}, "weights=(0, 0, 0)"), ({"weights": (-1, 1, 1)}, "weights="), ({"near": 0.0}, "near=0.0"),
        ({"lang": "de"}, "has no German"),
    ],
)  # fmt: skip
def test_parameters_that_mean_nothing_are_refused(parameters, words):
    with pytest.raises(UsageError) as caught:
        Elements(**parameters)
    assert words in str(caught.value)


def test_a_plural_that_wordnet_knows_as_a_word_is_found_in_the_caption():
    assert WORDS.noun("rings") == "rings"  # those of gymnasts
    assert WORDS.level("rings", "ring") == SYNONYM
    assert marked("Two rings", {"ring": {"": "supported"}}, WORDS) == [[4, 9, "supported"]]


def test_what_is_missing_is_said_with_the_command(monkeypatch):
    monkeypatch.setattr("capbench.elements.words.find_files", lambda: None)
    monkeypatch.setattr("capbench.elements.words.nltk_has_it", lambda: False)
    for source, cure in (("auto", "capbench[coco]"), ("meteor", "capbench[coco]"), ("nltk", "nltk.downloader wordnet")):
        assert cure in missing(source).cure
        assert cure in Elements(synonyms=source).check().cure
        assert cure in SpiceLike(synonyms=source).check().cure
    assert missing("none") is None
    vocabulary.cache_clear()
    with pytest.raises(MissingPart, match="no synonyms"):
        vocabulary("auto")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert Elements(synonyms="none").check().cure == "pip install 'capbench[elements]'"


class Synset:
    def __init__(self, pos, offset):
        self.pos, self.offset = (lambda: pos), (lambda: offset)


class FakeWordNet:
    """nltk.corpus.wordnet as far as it is asked."""

    NOUN = "n"
    words: ClassVar = {"sofa": [("n", 1)], "couch": [("n", 1), ("v", 2)], "foot": [("n", 3)], "dog": [("n", 2)]}
    forms: ClassVar = {"feet": "foot", "dogs": "dog"}

    def synsets(self, word):
        return [Synset(*one) for one in self.words.get(self.forms.get(word, word), ())]

    def morphy(self, word, pos):
        assert pos == "n"
        return self.forms.get(word, word if word in self.words else None)

    def all_lemma_names(self):
        return iter(self.words)

    def get_version(self):
        return "3.0"


def test_the_wordnet_of_nltk(monkeypatch):
    corpus = ModuleType("nltk.corpus")
    corpus.wordnet = FakeWordNet()
    monkeypatch.setitem(sys.modules, "nltk", ModuleType("nltk"))
    monkeypatch.setitem(sys.modules, "nltk.corpus", corpus)
    found = of_nltk()
    assert found.name == "wordnet-3.0/nltk"
    assert [found.noun(word) for word in ("feet", "Dogs", "sofa", "zzyzx")] == ["foot", "dog", "sofa", "zzyzx"]
    assert found.level("sofa", "couch") == SYNONYM
    assert found.level("couch", "dog") == 0  # a verb and a noun of one number are two sets


def test_whether_nltk_has_its_data(monkeypatch):
    asked = []

    def find(name):
        asked.append(name)
        if name != "corpora/wordnet.zip":
            raise LookupError(name)

    nltk = ModuleType("nltk")
    nltk.data = SimpleNamespace(find=find)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not nltk_has_it()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "nltk", nltk)
    assert nltk_has_it()
    assert asked == ["corpora/wordnet", "corpora/wordnet.zip"]
    nltk.data.find = lambda name: (_ for _ in ()).throw(LookupError)
    assert not nltk_has_it()


def test_spice_like_worked_by_hand():
    said = Said(("sofa", "couch", "cat"), (("cat", "black"),))
    there = [Said(("couch", "dog")), Said(("lounge",), (("cat", "black"),))]
    rows = SpiceLike().rows([said], Ragged(there, np.array([0, 2])))
    # said: couch = sofa, cat, black cat; there: couch = lounge, dog, black cat; in common: couch, black cat
    assert rows["spice_like_precision"][0] == pytest.approx(2 / 3)
    assert rows["spice_like_recall"][0] == pytest.approx(2 / 3)
    assert rows["spice_like"][0] == pytest.approx(2 / 3)
    nothing = SpiceLike().rows([said, Said()], Ragged([Said(), *there], np.array([0, 1, 3])))
    assert np.isnan(nothing["spice_like"][0])
    assert nothing["spice_like"][1] == 0


def test_merging_keeps_the_usual_form_first():
    forms = [[("tv",)], [("television",)], [("television",)]]
    assert merged(forms, WORDS) == (Element((("television",), ("tv",)), 3),)


def test_long_texts_are_merged_and_matched_as_if_all_were_compared_with_all():
    rng = np.random.default_rng(0)
    names = [
        "dog",
        "hound",
        "sofa",
        "couch",
        "lounge",
        "car",
        "auto",
        "automobile",
        "man",
        "woman",
        "adult",
        "person",
        "boat",
        "ship",
        "tree",
        "woods",
        "forest",
    ]

    def text():
        def pick():
            return str(rng.choice(names))

        attributes = tuple((pick(), str(rng.choice(["big", "large", "red"]))) for _ in range(20))
        relations = tuple((pick(), str(rng.choice(["on", "near", "close to"])), pick()) for _ in range(30))
        return Said(tuple(pick() for _ in range(9)), attributes, relations)

    for _ in range(20):
        texts = [text(), text()]
        ours = graph(texts, WORDS)
        for kind in KINDS:
            for one in ours[kind]:  # the first group whose usual form says the same, asked one after the other
                forms = [element.forms[0] for element in ours[kind]]
                assert all(level(one.forms[0], form, WORDS) for form in one.forms)
                assert not any(level(one.forms[0], form, WORDS) for form in forms if form != one.forms[0])
        other = graph([text()], WORDS)
        for kind in KINDS:
            wanted = [
                [max(level(a, b, WORDS) for a in one.forms for b in two.forms) for two in other[kind]]
                for one in ours[kind]
            ]
            assert levels_of(ours[kind], other[kind], WORDS).tolist() == wanted


def test_two_texts_of_ten_thousand_words_take_seconds():
    texts = [Said(tuple(f"thing{k}" for k in range(start, start + 2500))) for start in (0, 1250)]
    started = time.process_time()
    (ours, theirs) = (graph([text], WORDS)["objects"] for text in texts)
    found = levels_of(ours, theirs, WORDS)
    assert time.process_time() - started < 3  # 12 million comparisons take four times as long
    assert (found > 0).sum() == 1250
