"""On scenes the truth is exact: every flaw's precision, recall and F1 follow from the scene and the flaw alone."""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest

from capbench.backends.scenes import ScenesParser
from capbench.captioners.scenes import FLAWS, Speaker
from capbench.datasets.scenes import Scenes
from capbench.metrics.elements import Elements
from capbench.metrics.spice_like import SpiceLike
from capbench.ragged import Ragged, ragged
from capbench.scenes.world import BOARD, scene
from capbench.types import Generation, Request

pytestmark = pytest.mark.slow
N = 140
KINDS = ("objects", "attributes", "relations")
NUMBERS = ["", "one", "two", "three", "four", "five", "six"]
# what each flaw touches, from what docs/scenes.md says of it
TOUCHED = {
    "none": set(), "repeat": set(),
    "no_colour": {"attributes"}, "wrong_colour": {"attributes"}, "miscount": {"attributes"},
    "swap_relation": {"relations"}, "no_relation": {"relations"},
    "invent": {"objects", "attributes"}, "short": {"objects", "attributes", "relations"},
}  # fmt: skip


class Count(NamedTuple):
    said: int
    there: int
    both: int

    @property
    def precision(self):
        return self.both / self.said if self.said else float(not self.there)

    @property
    def recall(self):
        return self.both / self.there if self.there else float(not self.said)

    @property
    def f1(self):
        return 2 * self.both / (self.said + self.there) if self.said + self.there else 1.0


def truth(number):
    """What there is in a scene, from its groups and zones."""
    things = scene(0, number).things
    attributes = {(t.shape, v) for t in things for v in (NUMBERS[len(t.cells)], t.size, t.colour)}
    relations = set()
    for a in things:
        for b in things:
            if a.zone < b.zone and a.zone // BOARD == b.zone // BOARD:
                relations.add((a.shape, "left of", b.shape))
            if a.zone < b.zone and a.zone % BOARD == b.zone % BOARD:
                relations.add((a.shape, "above", b.shape))
    return things, {"objects": {(t.shape,) for t in things}, "attributes": attributes, "relations": relations}


def expected(number, flaw):
    """Elements said, there, and both, of each kind: a group has one object and three attributes."""
    things, there = truth(number)
    g, r = len(things), len(there["relations"])
    counts = {"objects": Count(g, g, g), "attributes": Count(3 * g, 3 * g, 3 * g), "relations": Count(r, r, r)}
    changes = {
        "no_colour": {"attributes": Count(2 * g, 3 * g, 2 * g)},
        "wrong_colour": {"attributes": Count(3 * g, 3 * g, 2 * g)},
        "miscount": {"attributes": Count(3 * g, 3 * g, 2 * g)},
        "swap_relation": {"relations": Count(r, r, 0)},
        "no_relation": {"relations": Count(0, r, 0)},
        "invent": {"objects": Count(g + 1, g, g), "attributes": Count(3 * g + 3, 3 * g, 3 * g)},
        "short": {"objects": Count(1, g, 1), "attributes": Count(3, 3 * g, 3), "relations": Count(0, r, 0)},
    }
    return counts | changes.get(flaw, {})


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAPBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        samples = Scenes(n=N).load()
        yield samples, parsed_references([s.references for s in samples])


def parsed_references(texts):
    rows = ragged(texts)
    return Ragged(parse(rows.values), rows.offsets)


def parse(texts):
    with ScenesParser().open("cpu") as session:
        return session.parse(texts)


def captions(samples, flaw):
    with Speaker(flaw).open("cpu") as session:
        return session.caption([Request(s.id, s.image) for s in samples], Generation())


@pytest.mark.parametrize("synonyms", ["meteor", "none"])
@pytest.mark.parametrize("flaw", FLAWS)
def test_every_number_is_the_one_that_follows_from_the_scene_and_the_flaw(world, flaw, synonyms):
    samples, there = world
    texts = captions(samples, flaw)
    metric = Elements(parser="scenes_parser", synonyms=synonyms)
    rows = metric.rows(texts, parse(texts), there)
    wanted = [expected(i, flaw) for i in range(N)]
    for kind in KINDS:
        counts = [one[kind] for one in wanted]
        for column, side in ((kind, "f1"), (f"{kind}_precision", "precision"), (f"{kind}_recall", "recall")):
            np.testing.assert_allclose(rows[column], [getattr(c, side) for c in counts], rtol=0, atol=1e-15)
        lowered = bool((rows[kind] < 1).any())
        assert lowered == (kind in TOUCHED[flaw])
        if lowered:
            assert (rows[kind] < 1).all()
    # every scene has objects, attributes and a relation, so no kind is left out of the total
    totals = [(5 * c["objects"].f1 + 5 * c["attributes"].f1 + 2 * c["relations"].f1) / 12 for c in wanted]
    np.testing.assert_allclose(rows["elements"], totals, rtol=0, atol=1e-15)
    recalls = [(5 * c["objects"].recall + 5 * c["attributes"].recall + 2 * c["relations"].recall) / 12 for c in wanted]
    np.testing.assert_allclose(rows["recall"], recalls, rtol=0, atol=1e-15)
    made_up = [sum(c.said - c.both for c in one.values()) for one in wanted]
    missed = [sum(c.there - c.both for c in one.values()) for one in wanted]
    assert rows["hallucinated"].tolist() == made_up
    assert rows["missed"].tolist() == missed
    folded = metric.reduce({name: np.array([column.sum()]) for name, column in rows.items()})
    said = [sum(c.said for c in one.values()) for one in wanted]
    assert folded["hallucinated_share"] == pytest.approx(sum(made_up) / sum(said))
    with_relations = [c["relations"].precision for c in wanted if c["relations"].said]
    if with_relations:
        assert folded["relations_precision"] == pytest.approx(sum(with_relations) / len(with_relations))
    else:
        assert math.isnan(folded["relations_precision"][0])


@pytest.mark.parametrize("flaw", FLAWS)
def test_the_details_name_the_very_elements(world, flaw):
    samples, there = world
    texts = captions(samples, flaw)
    said = parse(texts)
    for i, own in enumerate(Elements(parser="scenes_parser").details(texts, said, there)):
        _, facts = truth(i)
        for kind in KINDS:
            stated = getattr(said[i], kind)
            mine = {(one,) if kind == "objects" else tuple(one) for one in stated}
            assert {tuple(x) for x in own[kind]["unsupported"]} == mine - facts[kind]
            assert {tuple(x) for x, texts_ in own[kind]["missing"]} == facts[kind] - mine
            assert {tuple(x) for x, _, stage, credit in own[kind]["supported"]} == mine & facts[kind]
            assert {(stage, credit) for _, _, stage, credit in own[kind]["supported"]} <= {("exact", 1.0)}
            assert all(n == 5 for _, n in own[kind]["missing"])
        told = Counter((texts[i][start:end].lower(), mark) for start, end, mark in own["marks"])
        for colour in {t.colour for t in truth(i)[0]} if flaw == "invent" else ():
            true = sum(t.colour == colour for t in truth(i)[0])
            assert told[colour, "supported"] == true  # though the group that is made up may have the colour of one


@pytest.mark.parametrize("flaw", FLAWS)
def test_spice_like_is_the_f_of_all_tuples_together(world, flaw):
    samples, there = world
    rows = SpiceLike(parser="scenes_parser").rows(parse(captions(samples, flaw)), there)
    for i in range(N):
        said, known, both = (sum(column) for column in zip(*expected(i, flaw).values(), strict=True))
        assert rows["spice_like"][i] == pytest.approx(2 * both / (said + known), abs=1e-15)
        assert rows["spice_like_precision"][i] == both / said
        assert rows["spice_like_recall"][i] == both / known


def test_the_order_of_references_items_and_elements_changes_nothing(world):
    samples, there = world
    texts = captions(samples, "invent")
    said = parse(texts)
    metric = Elements(parser="scenes_parser")
    before = metric.rows(texts, said, there)
    rng = random.Random(5)
    order = rng.sample(range(N), N)

    def mixed(own):
        return type(own)(*(tuple(rng.sample(part, len(part))) for part in (own.objects, own.attributes, own.relations)))

    lists = [[mixed(own) for own in there.values[5 * i : 5 * i + 5]] for i in order]
    for own in lists:
        rng.shuffle(own)
    moved = Ragged([one for own in lists for one in own], there.offsets)
    after = metric.rows([texts[i] for i in order], [mixed(said[i]) for i in order], moved)
    for name, column in before.items():
        np.testing.assert_array_equal(column[order], after[name])
