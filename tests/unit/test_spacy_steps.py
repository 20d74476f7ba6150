"""What stands between spaCy and the rules: products that know no neighbours, labels from memory, trees to mend."""

from __future__ import annotations

import numpy as np
import pytest

from capbench.backends.spacy_parser import pipeline
from capbench.backends.spacy_parser.tagging import Labels, Tagging, taken_over
from capbench.backends.spacy_parser.trees import Trees

spacy = pytest.importorskip("spacy", reason="pip install 'capbench[elements]': these tests run its pipeline")

from capbench.backends.spacy_parser import products  # noqa: E402 -- it imports spaCy's library of models

TEXTS = [
    "There is a dog on the mat .", "there are two men who do not have hats", "A man does a trick, and it is gonna rain",
    "that cat which was seen", "I saw it when you had it", "snow covered mountain", "let 's go", "dogs", "",
    "Two dogs run. A cat, which sleeps, has none! It's wet",
]  # fmt: skip


@pytest.fixture(scope="module")
def whole():
    """The pipeline as spaCy loads it, its ruler in place."""
    return spacy.load(pipeline.find(pipeline.DEFAULT).folder, exclude=["ner"], disable=["lemmatizer"])


@pytest.fixture(scope="module")
def trees():
    return Trees(pipeline.find(pipeline.DEFAULT).load())


def test_trees_say_what_spacy_says(whole, trees):
    for doc, tree in zip(whole.pipe(TEXTS), trees.read(TEXTS, 4), strict=True):
        assert [
            (w.text, w.lower, w.tag, w.pos, w.dep, w.head.i, [c.i for c in w.children], w.whitespace, w.like_num, w.sentence_start)
            for w in tree
        ] == [
            (t.text, t.lower_, t.tag_, t.pos_, t.dep_, t.head.i, [c.i for c in t.children], bool(t.whitespace_), t.like_num, t.sent.start)
            for t in doc
        ]  # fmt: skip
    assert trees.nlp.pipe_names[-1] == "parser", "the ruler still runs"


def test_a_text_that_a_pattern_of_several_words_fits_goes_through_the_ruler_whole(whole, trees):
    doc = whole("There is a dog")
    assert [(t.dep_, t.pos_) for t in doc][:2] == [("expl", "PRON"), ("ROOT", "VERB")]  # by [expl] [is]
    alone = trees.tree(trees.nlp("The dog is"))[2]
    assert (alone.tag, alone.pos) == ("VBZ", "AUX")
    (there,) = trees.read(["There is a dog"], 1)
    assert (there[1].tag, there[1].pos) == ("VBZ", "VERB")


def test_the_ruler_is_asked_once_for_each_word_with_its_labels(monkeypatch):
    asked = []
    plain = Tagging._asked
    monkeypatch.setattr(Tagging, "_asked", lambda self, *row: asked.append(row) or plain(self, *row))
    trees = Trees(pipeline.find(pipeline.DEFAULT).load())
    again = ["a zebra is near the zebu"] * 3
    (first, *others) = ([word.pos for word in tree] for tree in trees.read(again, 4))
    assert first == ["DET", "NOUN", "AUX", "ADP", "DET", "NOUN"]
    assert others == [first, first]
    assert len(asked) == len(set(asked))
    words = {trees.nlp.vocab.strings[row[0]] for row in asked}
    assert "is" in words
    assert len(asked) < 6  # two of "a", "zebra", "near", "the", "zebu" have the same labels


def test_words_that_no_pattern_names_are_asked_for_as_one():
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("attribute_ruler")
    ruler.add([[{"LOWER": {"IN": ["dog", "dogs"]}}]], {"POS": "NOUN"})
    ruler.add([[{"ORTH": "Rex"}]], {"POS": "PROPN"})
    ruler.add([[{"LOWER": {"REGEX": "^n"}}]], {"LEMMA": "n"})  # says no label
    tagging = Tagging(nlp.vocab, taken_over(nlp))
    labels = [one.pos for one in tagging.of(nlp("Dog rex Rex dogs near a cat"))]
    assert labels == ["NOUN", "", "PROPN", "NOUN", "", "", ""]
    assert len(tagging._known) == 4  # Dog, Rex, dogs and any other
    ruler.add([[{"LOWER": {"REGEX": "^n"}}]], {"POS": "ADP"})
    by_expression = Tagging(nlp.vocab, ruler)
    assert [one.pos for one in by_expression.of(nlp("Dog near a cat"))] == ["NOUN", "ADP", "", ""]
    assert len(by_expression._known) == 4


def test_a_ruler_that_others_follow_stays_where_it_is():
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("attribute_ruler")
    ruler.add([[{"LOWER": "dog"}]], {"POS": "NOUN"})
    nlp.add_pipe("sentencizer")
    assert taken_over(nlp) is None
    assert nlp.pipe_names == ["attribute_ruler", "sentencizer"]
    assert Tagging(nlp.vocab, None).of(nlp("dog")) == [Labels("", "NOUN", "")]


def test_words_are_put_under_others_as_in_spacy(whole, trees):
    text = "A small dog on a red mat sees two cats."
    doc, tree = whole(text), trees.tree(trees.nlp(text))
    for word, head in ((6, 2), (1, 6), (9, 6), (2, 9)):
        doc[word].head = doc[head]
        tree[word].head = tree[head]
        assert [[c.i for c in w.children] for w in tree] == [[c.i for c in t.children] for t in doc]


@pytest.mark.parametrize("rows", [1, 2, 63, 64, 65, 200])
@pytest.mark.parametrize(("inner", "width"), [(288, 288), (96, 50), (64, 1024), (5, 3)])
def test_a_row_has_one_product_whatever_stands_beside_it(rows, inner, width):
    rng = np.random.default_rng(0)
    x, weights = rng.standard_normal((300, inner), np.float32), rng.standard_normal((width, inner), np.float32)
    ops = products.SteadyOps()
    exact = x.astype(np.float64) @ weights.T.astype(np.float64)
    together = ops.gemm(x, weights, trans2=True)
    np.testing.assert_allclose(together, exact, atol=1e-4)
    for start in (0, 7, 100):
        part = ops.gemm(x[start : start + rows], weights, trans2=True)
        np.testing.assert_array_equal(part, together[start : start + rows])
    given = np.full((300, width), np.nan, np.float32)
    assert ops.gemm(x, np.ascontiguousarray(weights.T), out=given) is given
    np.testing.assert_allclose(given, exact, atol=1e-4)


def test_where_a_products_rows_are_not_steady_spacys_own_are_used(monkeypatch):
    monkeypatch.setattr(products, "is_steady", lambda *_: False)
    monkeypatch.setattr(products, "in_blocks", lambda *_: pytest.fail("multiplied by numpy all the same"))
    x = np.ones((3, 4), np.float32)
    np.testing.assert_array_equal(products.SteadyOps().gemm(x, x, trans2=True), np.full((3, 3), 4))


def test_where_they_are_steady_numpys_are_used_of_a_layers_form_alone(monkeypatch):
    tried, used, plain = [], [], products.in_blocks
    monkeypatch.setattr(products, "is_steady", lambda *shape: tried.append(shape) or True)
    monkeypatch.setattr(products, "in_blocks", lambda *given: used.append(len(given[0])) or plain(*given))
    x, y = np.arange(12, dtype=np.float32).reshape(3, 4), np.ones((2, 4), np.float32)
    ops = products.SteadyOps()
    for given in (x, np.asfortranarray(x)):
        np.testing.assert_array_equal(ops.gemm(given, y, trans2=True), [[6, 6], [22, 22], [38, 38]])
    assert (tried, used) == ([(4, 2)], [3, 3])
    np.testing.assert_array_equal(ops.gemm(x, np.ascontiguousarray(y.T)), [[6, 6], [22, 22], [38, 38]])
    np.testing.assert_array_equal(ops.gemm(x, x, trans1=True), x.T @ x)
    assert len(used) == 2


def test_the_models_of_the_pipeline_multiply_so(trees):
    nodes = [node for _, pipe in trees.nlp.pipeline for node in pipe.model.walk()]
    assert nodes
    assert {type(node.ops) for node in nodes} == {products.SteadyOps}
