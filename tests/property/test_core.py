"""What holds of specs, signatures, retrieval and intervals whatever they are given."""

import dataclasses
import itertools
import keyword
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capbench import plugins, stats
from capbench.cache import value_key
from capbench.errors import CapbenchError, UsageError
from capbench.leaderboard import escape, in_code
from capbench.metrics.retrieval import SelfRetrieval
from capbench.needs import Captions, Vector, Vectors
from capbench.signature import escape as escape_pair
from capbench.signature import of_metric
from capbench.types import Galleries, Rows

settings.register_profile("quick", deadline=None, max_examples=80)
quick = settings(settings.get_profile("quick"))

SEPARATORS = "|:%,()='\"\\ \n\x00\udc80aé7C"
hostile = st.one_of(st.text(st.sampled_from(SEPARATORS), max_size=8), st.text(st.characters(exclude_categories=())))


@dataclass(frozen=True)
class Metric:
    name: ClassVar[str] = "m"
    version: ClassVar[int] = 1

    text: str = ""
    other: str = ""
    number: float = 0.0
    encoder: str = "clip"


finite = st.floats(allow_nan=False, allow_infinity=False)
metrics = st.builds(Metric, hostile, hostile, finite, hostile)


def text_of(metric, facts=(), parts=None):
    return of_metric(metric, "", parts or {}, facts).text


@quick
@given(metrics, metrics)
def test_other_fields_have_another_signature(first, second):
    same = [repr(a) == repr(b) for a, b in zip(dataclasses.astuple(first), dataclasses.astuple(second), strict=True)]
    assert (text_of(first) == text_of(second)) == all(same)


@quick
@given(st.lists(st.tuples(hostile, hostile), max_size=3), st.lists(st.tuples(hostile, hostile), max_size=3))
def test_other_facts_have_another_signature(first, second):
    assert (text_of(Metric(), first) == text_of(Metric(), second)) == (first == second)


@quick
@given(hostile, hostile)
def test_other_fingerprints_have_another_signature(first, second):
    texts = [text_of(Metric(), parts={"clip": mark}) for mark in (first, second)]
    assert (texts[0] == texts[1]) == (first == second)


@quick
@given(hostile)
def test_escaping_can_be_undone(text):
    escaped = escape_pair(text)
    assert not set("|:") & set(escaped)
    assert escaped.replace("%3A", ":").replace("%7C", "|").replace("%25", "%") == text


@quick
@given(st.tuples(*[hostile] * 4), st.tuples(*[hostile] * 4))
def test_other_parts_have_another_cache_key(first, second):
    assert (value_key(*first) == value_key(*second)) == (first == second)


literals = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), finite, hostile.filter(lambda t: "\x00" not in t)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text("ab"), inner, max_size=2)),
    max_leaves=5,
)
names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(
    lambda n: not keyword.iskeyword(n) and n != "__debug__"
)


@quick
@given(st.from_regex(r"[a-z./:_-]{1,20}", fullmatch=True), st.dictionaries(names, literals, max_size=4))
def test_a_spec_comes_back_as_it_was_written(target, params):
    text = f"{target}({', '.join(f'{key}={value!r}' for key, value in params.items())})"
    assert plugins.parse(text) == plugins.Spec(target, params)


@quick
@given(st.one_of(st.text("bleu(a=1,'\"[]{}.:/ )\\\n\x00#*+-", max_size=40), hostile))
def test_any_text_is_a_spec_or_refused(text):
    try:
        found = plugins.parse(text)
    except UsageError:
        return
    assert all(isinstance(key, str) and key.isidentifier() for key in found.params)


@quick
@given(hostile)
def test_no_text_loads_what_is_not_there(text):
    with pytest.raises(CapbenchError):
        plugins.load("metrics", "no-such-" + text.replace(":", ""))


@quick
@given(hostile)
def test_an_escaped_name_stays_in_its_cell(name):
    shown = escape(name)
    assert shown.isprintable()
    assert not set("<>") & set(shown)
    unescaped = shown.replace("\\\\", "")
    assert all(unescaped[i - 1] == "\\" for i, ch in enumerate(unescaped) if ch in "|`*[]")
    assert "`" not in in_code(name)
    assert in_code(name).isprintable()


@st.composite
def retrievals(draw):
    """Whole-number vectors, so that scores are exact and ties are many; some rows without a vector."""
    n, width = draw(st.integers(1, 14)), draw(st.integers(1, 3))
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    image, text = random.integers(-2, 3, (2, n, width)).astype(np.float32)
    for matrix in (image, text):
        matrix[random.random(n) < draw(st.sampled_from([0, 0, 0.3]))] = np.nan
    return image, text, random.permutation(n)


def whole(members):
    n = len(members)
    return Galleries(members, np.array([0, n]), members, np.zeros(n, np.int64))


@quick
@given(retrievals())
def test_the_order_of_a_gallery_does_not_matter(drawn):
    image, text, order = drawn
    plain = SelfRetrieval().rows(image, text, whole(np.arange(len(image))))
    turned = SelfRetrieval().rows(image, text, whole(order))
    assert list(plain.columns) == list(turned.columns)
    for name, column in plain.columns.items():
        np.testing.assert_array_equal(turned.columns[name], column[order])


@quick
@given(retrievals())
def test_ranks_and_recalls_keep_their_bounds_and_the_rules_their_order(drawn):
    image, text, _ = drawn
    n = len(image)
    found = {t: SelfRetrieval(ties=t).rows(image, text, whole(np.arange(n))).columns for t in
             ("pessimistic", "expected", "optimistic")}  # fmt: skip
    scored = ~np.isnan(found["expected"]["rank"])
    usable = np.isfinite(image).all(axis=1)
    assert scored.tolist() == (usable & np.isfinite(text).all(axis=1)).tolist()
    for columns in found.values():
        assert (columns["rank"][scored] >= 1).all()
        assert (columns["rank"][scored] <= usable.sum()).all()
        recalls = [columns[name][scored] for name in ("r1", "r5", "r10") if name in columns]
        assert all(((r >= 0) & (r <= 1)).all() for r in recalls)
        assert all((a <= b).all() for a, b in itertools.pairwise(recalls))
    low, middle, high = (found[t] for t in ("pessimistic", "expected", "optimistic"))
    if "r1" in middle:
        assert (low["r1"][scored] <= middle["r1"][scored]).all()
        assert (middle["r1"][scored] <= high["r1"][scored]).all()
    np.testing.assert_array_equal(middle["rank"], (low["rank"] + high["rank"]) / 2)


@quick
@given(retrievals())
def test_all_targets_of_equal_captions_share_one_chance(drawn):
    image, text, _ = drawn
    text = np.tile(text[:1], (len(text), 1))
    columns = SelfRetrieval().rows(image, text, whole(np.arange(len(image)))).columns
    usable = int(np.isfinite(image).all(axis=1).sum())
    if np.isfinite(text).all() and usable:
        for depth in (1, 5, 10):
            if f"r{depth}" in columns:
                assert np.nansum(columns[f"r{depth}"]) == pytest.approx(min(depth, usable))


values = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40)


def mean(x, **more):
    return stats.intervals(Rows({"x": np.array(x, float)}), resamples=200, **more)["x"]


@quick
@given(values, st.floats(-1e3, 1e3), st.floats(0.01, 100))
def test_intervals_move_and_stretch_with_the_numbers(x, shift, scale):
    x = np.array(x)
    size = 1e-9 * (abs(x).max() * scale + abs(shift) + 1)
    plain, moved = mean(x), mean(x * scale + shift)
    assert np.array(moved) == pytest.approx(np.array(plain) * scale + shift, abs=size)


@quick
@given(values)
def test_an_interval_holds_its_value_between_the_extremes(x):
    found = mean(x)
    room = 1e-9 * (max(map(abs, x)) + 1)
    assert found.low <= found.high
    assert min(x) - room <= found.low
    assert found.high <= max(x) + room
    assert found.value == pytest.approx(np.mean(x), abs=room)


@quick
@given(values, values)
def test_a_difference_turned_round_changes_its_sign(x, y):
    n = min(len(x), len(y))
    first, second = (Rows({"x": np.array(z[:n])}) for z in (x, y))
    there = stats.paired_differences(first, second, resamples=100)["x"]
    back = stats.paired_differences(second, first, resamples=100)["x"]
    room = 1e-9 * (max(map(abs, [*x, *y])) + 1)
    assert (back.value, back.low, back.high) == pytest.approx((-there.value, -there.high, -there.low), abs=room)
    assert tuple(stats.paired_differences(first, first, resamples=100)["x"]) == (0, 0, 0)


@quick
@given(values, st.lists(st.integers(0, 5), min_size=40, max_size=40), st.integers(-1000, 1000))
def test_the_names_of_bags_do_not_matter(x, bags, start):
    bags = np.array(bags[: len(x)])
    rows, renamed = (Rows({"x": np.array(x)}, None, b) for b in (bags, 3 * bags + start))
    first, second = (stats.intervals(r, resamples=50)["x"] for r in (rows, renamed))
    np.testing.assert_array_equal(first, second)


@quick
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=20), st.booleans())
def test_a_vector_comes_back_from_the_cache_bit_for_bit(numbers, cut):
    need = Vectors(Captions())
    value = Vector(np.array(numbers, np.float32), cut)
    again = need.unpack(need.pack(value))
    assert (again.cut, again.values.tobytes()) == (cut, value.values.tobytes())
