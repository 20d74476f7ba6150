"""A table split by a tag says of each group what a run of that group alone would say."""

import dataclasses
import json
import random

import numpy as np
import pytest

from capbench import api, groups
from capbench.errors import UsageError
from capbench.tables import Scored
from capbench.types import Rows

WORDS = ["a", "the", "dog", "cat", "red", "two", "big", "on", "under", "grass", "street", "sits", "runs", "of"]
DOMAINS = ["near-domain", "in-domain", "out-domain"]
N = 30


def text(seed):
    rng = random.Random(seed)
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(4, 9)))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A COCO file with domains (the last two images without), and captions, the fifth of which failed."""
    folder = tmp_path_factory.mktemp("world")
    images = [{"id": i, "domain": DOMAINS[i % 3]} if i < N - 2 else {"id": i} for i in range(N)]
    notes = [{"id": 9 * i + k, "image_id": i, "caption": text(f"{i}/{k}")} for i in range(N) for k in range(3)]
    (folder / "refs.json").write_text(json.dumps({"images": images, "annotations": notes}))
    rows = [{"image_id": i, "caption": text(f"{i}/c") if i != 4 else None} for i in range(N)]
    (folder / "system.json").write_text(json.dumps(rows))
    for domain in DOMAINS:
        own = [str(image["id"]) for image in images if image.get("domain") == domain]
        (folder / f"{domain}.txt").write_text("\n".join(own))
    return folder


def run_of(world, metrics, ids="", by=""):
    dataset = f"coco(annotations={str(world / 'refs.json')!r}, tags='domain', ids={ids!r})"
    captions = f"file(path={str(world / 'system.json')!r}, extra='ignore')"
    return api.run(captions, dataset, metrics, runs=None, by=by)


def test_the_groups_in_order_with_what_is_left_over(world):
    found = run_of(world, ["bleu"], by="domain").groups
    assert [(g.name, g.value, g.items) for g in found] == [
        ("in-domain", "in-domain", 9),
        ("near-domain", "near-domain", 10),
        ("out-domain", "out-domain", 9),
        ("(none)", None, 2),
        ("all", None, 30),
    ]
    assert [(g.scores[0].n, g.scores[0].unscored) for g in found] == [(8, 1), (10, 0), (9, 0), (2, 0), (29, 1)]


@pytest.mark.parametrize("domain", DOMAINS)
def test_each_group_is_a_run_of_its_own_to_the_last_digit(world, domain):
    metrics = ["bleu", "rouge_l", "chrf"]
    (group,) = [g for g in run_of(world, metrics, by="domain").groups if g.value == domain]
    alone = run_of(world, metrics, ids=str(world / f"{domain}.txt"))
    assert len(alone.summaries) == len(group.scores) >= 6
    for summary, score in zip(alone.summaries, group.scores, strict=True):
        assert (score.column, score.label, score.better) == (summary.column, summary.label, summary.better)
        assert (score.value, score.low, score.high) == (summary.value, summary.low, summary.high)
        assert (score.n, score.unscored) == (summary.n, summary.unscored)


def test_the_whole_is_the_stored_number(world):
    run = run_of(world, ["bleu", "cider"], by="domain")
    for summary, score in zip(run.summaries, run.groups[-1].scores, strict=True):
        own = dataclasses.asdict(score)
        assert own == {key: value for key, value in dataclasses.asdict(summary).items() if key in own}


def test_cider_keeps_the_idf_of_the_whole_set(world):
    run = run_of(world, ["cider"], by="domain")
    frame = run.frame().set_index("item")["value"]
    alone = run_of(world, ["cider"], ids=str(world / "in-domain.txt"))
    ids = (world / "in-domain.txt").read_text().split()
    (score,) = run.groups[0].scores
    assert score.value == pytest.approx(frame[ids].mean(), abs=1e-15)
    assert score.value != pytest.approx(alone.value("cider"), abs=1e-3)


def test_one_item_has_a_value_and_no_interval(world, tmp_path):
    refs = tmp_path / "refs.json"
    refs.write_text(
        json.dumps([{"id": i, "refs": [text(f"{i}/0")], "kind": "rare" if i == 3 else "usual"} for i in range(9)])
    )
    captions = tmp_path / "c.json"
    captions.write_text(json.dumps([{"id": i, "caption": text(f"{i}/c")} for i in range(9)]))
    run = api.score(captions, refs, ["rouge_l"], by="kind")
    rare, usual, whole = run.groups
    assert (rare.scores[0].n, rare.scores[0].low, rare.scores[0].high) == (1, None, None)
    assert rare.scores[0].value == run.frame().set_index("item")["value"]["3"]
    assert usual.scores[0].low < usual.scores[0].value < usual.scores[0].high
    assert whole.items == 9


def test_a_group_of_failures_has_no_value_and_says_how_many(tmp_path):
    (tmp_path / "r.json").write_text(json.dumps([{"id": i, "refs": ["a dog"], "k": i // 2} for i in range(4)]))
    (tmp_path / "c.json").write_text(json.dumps([{"id": i, "caption": None if i < 2 else "a dog"} for i in range(4)]))
    run = api.score(tmp_path / "c.json", tmp_path / "r.json", ["bleu"], by="k")
    bad, good, _ = (group.scores[0] for group in run.groups)
    assert (bad.value, bad.low, bad.n, bad.unscored) == (None, None, 0, 2)
    assert (good.n, good.unscored) == (2, 0)
    assert good.value == pytest.approx(1, abs=1e-8)  # coco-caption's own 1e-9 in every ratio


def test_galleries_are_split_by_the_target_and_stay_the_resampling_unit():
    run = api.run(
        "speaker(flaw='no_colour')",
        "scenes-bags",
        ["self_retrieval(bags='scenes-7', encoder='clip')"],
        runs=None,
        by="variant",
    )
    (scored,) = run.scored
    variants = np.array([int(own["variant"]) for own in run.tags])[scored.rows.items]
    for group in run.groups[:-1]:
        for score in group.scores:
            column = "rank" if score.column == "median" else score.column
            mine = scored.rows.columns[column][variants == int(group.value)]
            if score.column == "median":  # no sum gives it: of the group's own ranks, without an interval
                assert (score.value, score.low, score.high, score.n) == (np.median(mine), None, None, len(mine))
                continue
            assert score.value == pytest.approx(np.nanmean(mine), abs=1e-12)
            assert score.n == len(mine) == 43
            assert score.low - 1e-12 <= score.value <= score.high + 1e-12
    assert [group.name for group in run.groups] == [*"0123456", "all"]


def test_few_galleries_have_no_interval_in_a_group_either():
    """Worked by hand: galleries 0 and 1, of which each judges two targets."""
    run = api.run("speaker", "scenes(n=14)", ["self_retrieval(bags='scenes-7', encoder='scenes')"], runs=None)
    (scored,) = run.scored
    rows = Rows({name: np.arange(14.0) for name in scored.rows.columns}, np.arange(14), np.repeat([0, 1], 7))
    made = dataclasses.replace(run, scored=(Scored(scored.key, rows, {}, np.zeros(14, np.int64)),))
    zero = groups.split(made, "variant")[0]
    assert {(s.value, s.low, s.high, s.n) for s in zero.scores} == {(3.5, None, None, 2)}  # rows 0 and 7


def test_of_several_captions_the_first_is_in_its_group(tmp_path):
    (tmp_path / "r.json").write_text(
        json.dumps([{"id": i, "refs": [text(f"{i}/0")], "k": "ab"[i % 2]} for i in range(8)])
    )
    (tmp_path / "c.json").write_text(
        json.dumps([{"id": i, "captions": [text(f"{i}/c"), text(f"{i}/d")]} for i in range(8)])
    )
    run = api.score(tmp_path / "c.json", tmp_path / "r.json", ["rouge_l"], samples=2, by="k")
    frame = run.frame()
    for group, rest in zip(run.groups, (0, 1), strict=False):
        mine = frame[frame["item"].astype(str).astype(int) % 2 == rest]["value"]
        assert group.scores[0].n == len(mine) == 4
        assert group.scores[0].value == pytest.approx(mine.mean(), abs=1e-15)


def test_numbers_are_ordered_by_size_and_odd_names_are_quoted():
    values = ["10", "9", "b", None, "2.5", "all", "", "-1", "1" * 400]
    assert groups.in_order(values) == ["-1", "2.5", "9", "10", "", "1" * 400, "all", "b", None]
    assert [groups.title(v) for v in ("", "all", "(none)", "x", None)] == ["''", "'all'", "'(none)'", "x", "(none)"]


def test_an_unknown_tag_is_refused_before_any_work(world, tmp_path):
    with pytest.raises(UsageError, match=r"no tag 'domian'\n  -> did you mean domain\? there are: domain"):
        run_of(world, ["cider"], by="domian")
    with pytest.raises(UsageError, match="has no tags to split by"):
        api.run("speaker", f"folder(captions={str(world / 'refs.json')!r})", ["bleu"], runs=tmp_path, by="kind")
    assert not list(tmp_path.iterdir())


def test_a_run_on_disk_is_split_without_scoring(world, tmp_path, monkeypatch):
    dataset = f"coco(annotations={str(world / 'refs.json')!r}, tags='domain')"
    made = api.run(str(world / "system.json"), dataset, ["bleu", "cider"], runs=tmp_path, by="domain")
    monkeypatch.setattr("capbench.metrics.bleu.Bleu.rows", None)
    again = api.load_run(made.folder, by="domain")
    assert again.groups == made.groups
    assert api.load_run(made.folder).groups == ()
    assert [g["name"] for g in api.scores_object(again)["groups"]] == [g.name for g in made.groups]
    assert "groups" not in api.scores_object(api.load_run(made.folder))


def test_a_run_made_without_tags_gets_them_from_the_same_command(world, tmp_path):
    refs = str(world / "refs.json")
    call = (str(world / "system.json"), f"coco(annotations={refs!r})", ["cider"])
    made = api.run(*call, runs=tmp_path)
    with pytest.raises(UsageError, match="no tags"):
        api.load_run(made.folder, by="domain")
    stamp = (made.folder / "scores.parquet").stat().st_mtime_ns
    again = api.run(call[0], f"coco(annotations={refs!r}, tags='domain')", ["cider"], runs=tmp_path, by="domain")
    assert again.folder == made.folder
    assert (made.folder / "scores.parquet").stat().st_mtime_ns == stamp
    assert api.load_run(made.folder, by="domain").groups == again.groups
