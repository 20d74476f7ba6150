"""Judgements in, agreement out: forms, faults, groups, corpora, unscored items, and what is printed."""

import gzip
import json

import pytest
from click.testing import CliRunner
from pycocoevalcap.cider.cider import Cider as TheirCider
from scipy import stats as scipy_stats

from capbench import metaeval
from capbench.backends.ptb import tokenize
from capbench.cli.metaeval_command import command
from capbench.datasets.scenes import Scenes
from capbench.errors import BadData, MissingPart, TooManyUnscored, UsageError
from capbench.images import load

REFS = ["a brown dog runs on the grass", "a dog in a field"]
TEXTS = ["a brown dog runs", "a dog", "two cats sleep", "a dog in a field of grass", "a red car", "the brown dog"]
PAIR = {"image": "1.jpg", "candidates": ["a brown dog", "a red car"], "references": REFS, "preferred": 0}
RATED = {"image": "1.jpg", "candidate": "a brown dog", "references": REFS, "ratings": [4, 3, 4]}


def rated(n=24):
    return [
        {
            "image": i % 12, "candidate": TEXTS[i % 6], "references": [*REFS, f"picture number {i % 12}"],
            "ratings": [(i * 7 + k) % 4 + 1 for k in range(3)], "group": "ab"[i % 2],
        }
        for i in range(n)
    ]  # fmt: skip


def pairs():
    return [{**PAIR, "image": f"{i}.jpg", "preferred": int(i < 3), "group": "x" if i < 8 else "y"} for i in range(12)]


@pytest.fixture
def write(tmp_path):
    def call(rows, name="judged.jsonl"):
        path = tmp_path / name
        data = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows).encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return call


def value(found, statistic, group="all", column="rouge_l"):
    return next(r for r in found.results if (r.statistic, r.group, r.column) == (statistic, group, column))


def words(path, *more):
    done = CliRunner().invoke(command, [str(path), *more])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def test_each_rating_is_a_row(write):
    rows = rated()
    found = metaeval.evaluate(write(rows), ["rouge_l"])
    scores = dict(zip(found.run.ids, found.run.scored[0].rows.columns["rouge_l"], strict=True))
    assert len(scores) == found.rows == 72
    x = list(scores.values())
    y = [r for row in rows for r in row["ratings"]]
    for variant in "bc":
        got = value(found, f"tau_{variant}")
        assert got.value == pytest.approx(scipy_stats.kendalltau(x, y, variant=variant)[0], abs=1e-12)
        assert got.low < got.value < got.high
        assert (got.n, got.unscored) == (72, 0)
    assert value(found, "pearson").value == pytest.approx(scipy_stats.pearsonr(x, y)[0], abs=1e-12)
    assert value(found, "spearman").value == pytest.approx(scipy_stats.spearmanr(x, y)[0], abs=1e-12)
    inside = [k for k in range(72) if (k // 3) % 2 == 0]
    wanted = scipy_stats.kendalltau([x[k] for k in inside], [y[k] for k in inside])[0]
    assert value(found, "tau_b", "a").value == pytest.approx(wanted, abs=1e-12)
    assert found.groups == ("all", "a", "b")
    assert found.images == 12


def test_the_idf_is_over_every_rating(write):
    rows = rated()
    found = metaeval.evaluate(write(rows), ["cider"])
    flat = [row for row in rows for _ in row["ratings"]]
    join = lambda text: " ".join(tokenize(text))  # noqa: E731
    refs = {i: [join(r) for r in row["references"]] for i, row in enumerate(flat)}
    theirs = TheirCider().compute_score(refs, {i: [join(row["candidate"])] for i, row in enumerate(flat)})[1]
    assert found.run.scored[0].rows.columns["cider"] == pytest.approx(theirs, abs=1e-9)


def test_corpora_are_scored_each_by_itself(write):
    rows = [{**row, "corpus": "xyz"[i % 3]} for i, row in enumerate(rated())]
    found = metaeval.evaluate(write(rows), ["cider", "rouge_l"])
    alone = {}
    for name in "xyz":
        one = metaeval.evaluate(write([row for row in rows if row["corpus"] == name], f"{name}.jsonl"), ["cider"])
        alone |= dict(
            zip([i.partition("@")[0] for i in one.run.ids], one.run.scored[0].rows.columns["cider"], strict=True)
        )
    cider = next(s for s in found.run.scored if s.key.startswith("cider"))
    got = dict(zip([i.partition("@")[0] for i in found.run.ids], cider.rows.columns["cider"], strict=True))
    assert got == pytest.approx(alone, abs=1e-12)
    assert all(r.signature.endswith("|corpora:3") for r in found.results)
    plain = metaeval.evaluate(write(rated(), "plain.jsonl"), ["rouge_l"])
    assert value(found, "tau_b").value == pytest.approx(value(plain, "tau_b").value, abs=1e-12)


def test_a_preference_is_right_only_if_strictly_higher(write):
    rows = [*pairs(), {**PAIR, "candidates": ["same words", "same words"], "image": "t.jpg", "group": "y"}]
    found = metaeval.evaluate(write(rows, "judged.jsonl.gz"), ["rouge_l"])
    assert value(found, "accuracy").value == pytest.approx(9 / 13)
    assert value(found, "accuracy_ties_half").value == pytest.approx(9.5 / 13)
    assert value(found, "accuracy", "x").value == pytest.approx(5 / 8)
    assert value(found, "accuracy", "x").low is None  # 8 images
    assert value(found, "accuracy", "y").value == pytest.approx(4 / 5)
    assert value(found, "accuracy").n == 13
    assert found.name == "judged"


def test_the_table_and_the_object(write):
    path = write(pairs())
    text = words(path, "-m", "rouge_l", "-m", "bleu")
    assert "| rank | metric | all | x | y | n |" in text
    assert "[1] `rouge_l|tokenizer:" in text
    data = json.loads(words(path, "-m", "rouge_l", "--json"))
    assert {"metric", "column", "statistic", "group", "value", "low", "high", "n", "unscored", "signature"} <= data[
        "results"
    ][0].keys()
    assert [(r["statistic"], r["group"]) for r in data["results"]][:2] == [
        ("accuracy", "all"),
        ("accuracy_ties_half", "all"),
    ]
    text = words(write(rated()), "-m", "rouge_l")
    assert "| rank | metric | tau-b | tau-c | Pearson | Spearman | n |" in text
    assert "Group b:" in text
    data = json.loads(words(write(rated()), "--json"))
    assert {r["metric"] for r in data["results"]} == {"bleu", "rouge_l", "cider"}
    assert all(-1 <= r["value"] <= 1 for r in data["results"] if r["value"] is not None)
    assert {r["statistic"] for r in data["results"]} == {"tau_b", "tau_c", "pearson", "spearman"}


def test_it_is_the_same_again(write):
    path = write(rated())
    assert words(path) == words(path)


def test_metrics_are_ranked(write):
    rows = [
        {"image": i, "candidate": " ".join(["dog"] * (i % 4 + 1) + ["cat"] * (3 - i % 4)), "ratings": [i % 4],
         "references": ["dog dog dog dog", f"nothing {i}"]}
        for i in range(40)
    ]  # fmt: skip
    found = metaeval.evaluate(write(rows), ["bleu", "rouge_l"])
    best = max((r for r in found.results if r.statistic == "tau_b"), key=lambda r: r.value)
    assert found.ranks[best.short, best.column] == 1
    assert min(found.ranks.values()) == 1


def test_pictures_that_cannot_be_read_are_unscored_and_counted(write, tmp_path):
    (tmp_path / "photos").mkdir()
    scenes = Scenes(n=12).load()
    for i, scene in enumerate(scenes[1:], 1):
        load(scene.image).save(tmp_path / "photos" / f"{i}.png")
    texts = [scene.references[0] for scene in scenes]
    path = write([{**row, "image": f"{row['image']}.png", "candidate": texts[i % 7]} for i, row in enumerate(rated())])
    more = ("--images", str(tmp_path / "photos"), "--backend", "clip=scenes", "-m", "clipscore", "-m", "rouge_l")
    with pytest.raises(TooManyUnscored, match=r"6 of 72 ids: .*0\.png@1\.0"):
        words(path, *more)
    data = json.loads(words(path, *more, "--max-missing", "0.5", "--json"))
    counts = {(r["metric"], r["n"], r["unscored"]) for r in data["results"] if r["group"] == "all"}
    assert counts == {("clipscore", 66, 6), ("rouge_l", 72, 0)}
    with pytest.raises(MissingPart, match="--images DIR"):
        words(path, "-m", "clipscore", "--backend", "clip=scenes")


def test_all_faults_come_together_with_their_lines(write):
    without = lambda row, key: {k: v for k, v in row.items() if k != key}  # noqa: E731
    rows = [
        RATED, without(RATED, "image"), without(RATED, "references"), without(RATED, "ratings"),
        {**RATED, "ratings": [3, "four"]}, {**RATED, "ratings": [True]}, {**RATED, "ratings": []}, {**RATED, "ratings": 3},
        {**RATED, "references": []}, {**RATED, "references": ["a", 2]}, {**RATED, "candidate": None},
        {**RATED, "preferred": 1}, PAIR, {"image": "2.jpg", "caption": "a"}, {**RATED, "group": "all"},
        {**RATED, "ratings": [float("nan")]}, "[1, 2]", {**RATED, "image": None},
    ]  # fmt: skip
    path = write([*rows, ""])
    path.write_text(path.read_text() + '{"image": "9.jpg", "candi')
    with pytest.raises(BadData) as stop:
        metaeval.read(path)
    told = {int(f.where.rpartition(" ")[2]): str(f) for f in stop.value.faults}
    wanted = {
        2: "no image", 3: "no references", 4: "no ratings", 5: "a rating is not a number: \"'four'\"", 6: "not a number",
        7: "ratings is empty", 8: "ratings is not a list", 9: "references is empty", 10: "holds what is not text",
        11: "candidate is not text", 12: "both forms in one row", 13: "a row of preferences in a file of ratings",
        14: "neither ratings nor a preference; it has 'image', 'caption'", 15: "the group is called 'all'",
        16: "leave out ratings", 17: "not a JSON object", 18: "image is null", 20: "cut short",
    }  # fmt: skip
    assert told.keys() == wanted.keys()
    for line, text in wanted.items():
        assert text in told[line], told[line]
    assert list(told) == sorted(told)
    assert stop.value.exit_code == 4


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"preferred": 2}, "preferred is '2'"), ({"preferred": True}, "preferred is 'True'"), ({"preferred": None}, "preferred is"),
        ({"candidates": ["one"]}, "1 candidates where a pair is wanted"), ({"candidates": "ab"}, "not a list"),
        ({"candidates": [1, "a"]}, "holds what is not text"),
    ],
)  # fmt: skip
def test_faults_of_pairs(write, change, text):
    with pytest.raises(BadData, match=text):
        metaeval.read(write([{**PAIR, **change}]))


def test_files_that_cannot_be_read(write, tmp_path):
    with pytest.raises(UsageError, match="there is no file"):
        metaeval.evaluate(tmp_path / "none.jsonl")
    with pytest.raises(BadData, match="holds no judgements"):
        metaeval.evaluate(write([]))
    path = write([RATED])
    path.write_bytes(path.read_bytes() + b'{"image": "\xff"}\n')
    with pytest.raises(BadData, match=r"not UTF-8.*\n.*line 2"):
        metaeval.evaluate(path)
    cut = write(rated(), "cut.jsonl.gz")
    cut.write_bytes(cut.read_bytes()[:-20])
    with pytest.raises(BadData, match="cut short"):
        metaeval.evaluate(cut)


def given_pairs():
    scores = lambda i: {"best": [2, 1] if i >= 3 else [1, 2], "half": [i % 2, 0.5], "cider": [None if i == 4 else 1, 0]}  # noqa: E731
    return [{**row, "scores": scores(i)} for i, row in enumerate(pairs())]


def test_given_scores_stand_beside_the_computed_ones(write):
    path = write(given_pairs())
    found = metaeval.evaluate(path, ["rouge_l"])
    accuracy = {
        r.column: (r.value, r.n, r.unscored) for r in found.results if (r.statistic, r.group) == ("accuracy", "all")
    }
    # preferred is the second caption of the first three pairs; half: 0, 2 and every odd one from 3 on are right
    assert accuracy["best"] == (1.0, 12, 0)
    assert accuracy["half"] == (pytest.approx(7 / 12), 12, 0)
    assert accuracy["cider"] == (pytest.approx(8 / 11), 11, 1)
    assert found.ranks[next(r.short for r in found.results if r.column == "best"), "best"] == 1
    signatures = {r.column: r.signature for r in found.results}
    assert signatures["best"].startswith("given|score:best|values:")
    text = words(path, "-m", "rouge_l", "--max-missing", "0.2")
    assert "| best (given) [1] |" in text
    with pytest.raises(TooManyUnscored, match=r"unscored in cider \(given\)"):
        words(path, "-m", "rouge_l")


def test_a_given_score_is_the_same_as_the_computed_one_and_has_another_signature(write):
    plain = metaeval.evaluate(write(rated()), ["rouge_l"])
    scores = plain.run.scored[0].rows.columns["rouge_l"][::3]
    rows = [{**row, "scores": {"rouge_l": score}} for row, score in zip(rated(), scores, strict=True)]
    found = metaeval.evaluate(write(rows), ["rouge_l"])
    by_metric = {
        m: [(r.group, r.statistic, r.value, r.low) for r in found.results if r.metric == m]
        for m in ("rouge_l", "given")
    }
    assert by_metric["rouge_l"] == by_metric["given"]
    assert {r.metric: r.signature.partition("|")[0] for r in found.results} == {"rouge_l": "rouge_l", "given": "given"}
    other = metaeval.evaluate(write([{**row, "scores": {"rouge_l": 1 - row["scores"]["rouge_l"]}} for row in rows]))
    shorts = [{r.short for r in e.results if r.metric == "given"} for e in (found, other)]
    assert shorts[0].isdisjoint(shorts[1])


def test_given_scores_and_corpora(write):
    rows = [{**row, "corpus": "xyz"[i % 3], "scores": {"s": i}} for i, row in enumerate(rated())]
    found = metaeval.evaluate(write(rows), ["rouge_l"])
    wanted = scipy_stats.kendalltau(
        [i for i in range(24) for _ in range(3)], [r for row in rows for r in row["ratings"]]
    )
    assert value(found, "tau_b", column="s").value == pytest.approx(wanted[0], abs=1e-12)
    means = {m.corpus: (m.value, m.n) for m in found.means if m.column == "s" and m.group == "all"}
    assert means == {"": (11.5, 72), "x": (10.5, 24), "y": (11.5, 24), "z": (12.5, 24)}


@pytest.mark.parametrize(
    ("row", "scores", "text"),
    [
        (PAIR, [1], "scores is not an object"), (PAIR, {"s": 1}, "the score 's' of a pair is not a list of two: '1'"),
        (PAIR, {"s": [1]}, "not a list of two"), (PAIR, {"s": [1, "2"]}, "the score 's' is not a number"),
        (RATED, {"s": True}, "not a number"), (RATED, {"s": [[1]]}, "not a number"), (RATED, {"s": float("nan")}, "null where there is none"),
        (RATED, {"": 1}, "a score without a name"),
    ],
)  # fmt: skip
def test_faults_of_given_scores(write, row, scores, text):
    with pytest.raises(BadData, match=text):
        metaeval.read(write([{**row, "scores": scores}]))


def test_a_score_that_some_rows_lack(write):
    rows = [{**RATED, "scores": {"s": 1}}, RATED, {**RATED, "scores": {"s": 2, "t": 1}}]
    with pytest.raises(BadData) as stop:
        metaeval.read(write(rows))
    told = [(f.where.rpartition(" ")[2], f.what.partition(",")[0], f.what[-6:]) for f in stop.value.faults]
    assert told == [("1", "no score 't'", "line 3"), ("2", "no score 's'", "line 1"), ("2", "no score 't'", "line 3")]
    assert "null where that metric gave none" in str(stop.value)


def test_names_of_given_scores_are_hostile_text(write):
    name = "a|b`<c>\u2028\ud800" + "x" * 10_000
    rows = [{**row, "scores": {name: i}} for i, row in enumerate(rated())]
    text = words(write(rows), "-m", "rouge_l")
    assert "<c>" not in text.partition("[1] `")[0]
    assert all(line.count("|") >= 8 for line in text.splitlines() if line.startswith("| 1"))
