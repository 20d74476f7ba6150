"""Ranks in every column, where columns disagree, and the tables in other people's forms."""

import json
import re

import numpy as np
import pytest
import yaml
from huggingface_hub.repocard_data import model_index_to_eval_results

from capbench import leaderboard, plugins, stats, store
from capbench.errors import BadData, CheckFailed, MissingPart
from capbench.leaderboard import board, disagreements, export, gather, latex, markdown, model_index, read_entries
from capbench.leaderboard.latex import escape_latex
from capbench.leaderboard.ranking import Ordered, all_differences
from capbench.leaderboard.reported import read_reported
from capbench.signature import short_hash
from capbench.store import Identity, Record, Stated
from capbench.tables import Scored
from capbench.types import Rows, Summary

NAN = float("nan")
BASE = np.random.default_rng(0).normal(5, 1, 200)
OTHER = np.random.default_rng(2).normal(0, 1, 200)
HOSTILE = [
    "a|b",
    "\\end{tabular}",
    "x_y & 50% #1 {~^}$",
    "<b>",
    "two\nlines",
    "lone \udc80",
    "--- :",
    "a: b",
    "日本",
    "=1+1",
]


def run(root, label, circumstance=None, **columns):
    """A run folder with one metric a column: name -> (values, better)."""
    summaries, scored, stated, n = [], [], [], 0
    for name, (values, better) in columns.items():
        signature = f"{name}|v:1"
        rows = Rows({name: np.asarray(values, float)})
        n = max(n, len(rows.columns[name]))
        found = stats.intervals(rows)[name]
        value, low, high = (None if np.isnan(x) else float(x) for x in found)
        holes = int(np.isnan(rows.columns[name]).sum())
        short = short_hash(signature)
        about = (0, 0, 3 if name == "cut" else 0)
        summaries.append(
            Summary(
                "clipscore",
                name,
                name.upper(),
                better,
                value,
                low,
                high,
                len(values) - holes,
                holes,
                *about,
                signature,
                short,
            )
        )
        scored.append(Scored(f"clipscore#{short}", rows, {}, np.zeros(len(values), np.int64)))
        stated.append(Stated("clipscore()", "", signature, short, headline=not stated))
    identity = Identity("bench", 1, "d1", f"cap/{label}", n)
    folder = root / f"run-{identity.short}"
    folder.mkdir(parents=True)
    store.write_scores(folder, scored, [f"i{k:03d}" for k in range(n)])
    store.write_summary(folder, summaries)
    store.write_record(folder, Record("finished", label, identity, circumstance or {}, {}, stated))
    return folder


def high(values):
    return values, "high"


@pytest.fixture
def disagreeing(tmp_path):
    """a and b are level by A; B puts b first. c is worst by A, beyond chance, and best by B."""
    run(tmp_path, "a", a=high(BASE), b=high(OTHER))
    run(tmp_path, "b", a=high(BASE - 1e-6 + 0.3 * (OTHER - OTHER.mean())), b=high(OTHER + 0.5))
    run(tmp_path, "c", a=high(BASE - 1), b=high(OTHER + 1))
    (made,) = gather([tmp_path])
    return made


def test_every_column_has_its_own_ranks(disagreeing):
    assert [line.label for line in disagreeing.lines] == ["a", "b", "c"]
    assert [line.ranks for line in disagreeing.lines] == [(1, 3), (1, 2), (3, 1)]
    assert [set(c.better_pairs) for c in disagreeing.columns] == [{(0, 2), (1, 2)}, {(1, 0), (2, 0), (2, 1)}]


def test_contradictions_are_told_apart_from_ties(disagreeing):
    found = [(d.above, d.below, d.columns, d.certain) for d in disagreements(disagreeing)]
    assert found == [(0, 1, (1,), False), (0, 2, (1,), True), (1, 2, (1,), True)]
    text = markdown([disagreeing])
    assert re.search(r"- b is better than a by B \(.*\); A \(.*\) cannot tell them apart\.", text)
    assert re.search(r"- c is better than a by B \(.*\); A \(.*\) says the opposite\.", text)
    assert "| a | 1= | 3 |" in text
    assert "| A | 2 of 3 | a ~ b |" in text
    assert "| B | 3 of 3 | none |" in text


def test_shared_draws_give_what_each_pair_alone_gives():
    holes = np.where(np.arange(200) % 9 == 0, NAN, BASE + 0.1 * OTHER)
    columns = [BASE, BASE + 0.01 * OTHER, holes, holes + 0.02]
    names = tuple(f"i{k}" for k in range(200))
    runs = [Ordered(names, Rows({"x": values}), None) for values in columns]
    found = all_differences([*runs, None, Ordered(names[:5], Rows({"x": BASE[:5]}), None)])
    assert set(found) == {(i, j) for j in range(4) for i in range(j)}
    for (i, j), intervals in found.items():
        alone = stats.paired_differences(runs[i].rows, runs[j].rows)["x"]
        assert intervals["x"] == pytest.approx(alone, abs=1e-12)


def test_unscored_runs_have_no_rank_in_their_column(tmp_path):
    run(tmp_path, "a", a=high(BASE), b=high(OTHER))
    run(tmp_path, "b", a=high(BASE - 1), b=high(np.full(200, NAN)))
    (made,) = gather([tmp_path])
    assert [line.ranks for line in made.lines] == [(1, 1), (2, None)]
    assert made.compared(1) == []


def test_a_column_without_a_better_side_sorts_and_does_not_rank(tmp_path):
    run(tmp_path, "a", a=high(BASE), tied=(OTHER, "none"))
    run(tmp_path, "b", a=high(BASE - 1), tied=(OTHER + 1, "none"))
    (made,) = gather([tmp_path], sort="tied")
    assert [(line.label, line.rank, line.ranks) for line in made.lines] == [
        ("b", 1, (None, 1 + 1)),
        ("a", 1, (None, 1)),
    ]
    assert disagreements(made) == []
    assert "| a | " in markdown([made])


def test_a_metric_that_is_not_installed_costs_its_ranks_only(tmp_path, monkeypatch):
    run(tmp_path, "a", a=high(BASE), b=high(OTHER))
    run(tmp_path, "b", a=high(BASE - 1), b=high(OTHER - 1))
    entries, _ = read_entries([tmp_path])
    gone = [m for e in entries for m in e.record.metrics if m.signature.startswith("b")]
    for stated in gone:
        object.__setattr__(stated, "spec", "somebody/gone()")
    load = plugins.load
    monkeypatch.setattr(plugins, "load", lambda group, spec: refuse() if "gone" in spec else load(group, spec))

    def refuse():
        raise MissingPart("gone")

    made = board(entries)
    assert [line.ranks for line in made.lines] == [(1, None), (2, None)]
    assert made.columns[1].better_pairs is None
    with pytest.raises(MissingPart):
        board(entries, sort="b")


def test_speed_date_and_truncated_captions_have_columns_where_there_are_any(tmp_path):
    done = {"finished": "2026-01-02T03:04:05+00:00", "seconds_a_caption": 0.01234}
    run(tmp_path, "a", done, cut=high(BASE))
    run(tmp_path, "b", cut=high(BASE[:200] - 1))
    text = markdown(gather([tmp_path]))
    assert re.search(r"\| rank \| captioner \| CUT ↑ \[1\] \| truncated \| s/caption \| run on \|", text)
    assert re.search(r"\| 1 \| a \| .* \| 3 \| 0.012 \| 2026-01-02 \|", text)
    assert re.search(r"\| 2 \| b \| .* \| 3 \| - \| - \|", text)


def test_cells_made_of_fewer_rows_say_so(tmp_path):
    run(tmp_path, "a", a=high(BASE), b=high(BASE), c=high(BASE[:150]))
    text = markdown(gather([tmp_path]))
    assert text.count("(n 150)") == 1
    assert "n is 200 unless a cell says otherwise" in text


def test_model_index_is_what_hugging_face_reads(disagreeing):
    read = yaml.safe_load(model_index([disagreeing]))["model-index"]
    assert [model["name"] for model in read] == ["a", "b", "c"]
    for model, line in zip(read, disagreeing.lines, strict=True):
        name, results = model_index_to_eval_results([model])
        assert name == line.label
        assert [(r.task_type, r.dataset_type, r.dataset_revision) for r in results] == [
            ("image-to-text", "bench", "d1")
        ] * 2
        assert [(r.metric_type, r.metric_value) for r in results] == [(c.column, c.value) for c in line.cells]
        assert [r.metric_args["signature"] for r in results] == ["a|v:1", "b|v:1"]


def test_hostile_names_come_back_from_yaml(tmp_path):
    for name in HOSTILE:
        run(tmp_path, name, a=high(BASE))
    read = yaml.safe_load(model_index(gather([tmp_path])))["model-index"]
    assert {model["name"] for model in read} == {*HOSTILE, "lone \\udc80"} - {"lone \udc80"}


# Every Eval Ever's eval.schema.json 0.2.1: what it requires, and its closed lists.
REQUIRED = {
    "": {
        "schema_version",
        "evaluation_id",
        "retrieved_timestamp",
        "source_metadata",
        "model_info",
        "eval_library",
        "evaluation_results",
    },
    "source_metadata": {"source_type", "source_organization_name", "evaluator_relationship"},
    "eval_library": {"name", "version"},
    "model_info": {"name", "id"},
}


def test_one_record_a_run_in_every_eval_evers_form(tmp_path):
    done = {
        "finished": "2026-01-02T03:04:05+00:00",
        "device": "cpu",
        "versions": {"capbench": "0.0.9"},
        "seconds_a_caption": 0.5,
    }
    for name in ("a", "lone \udc80/../x"):
        run(tmp_path / "runs", name, done, a=high(BASE), low=(OTHER, "low"), nothing=high(np.full(200, NAN)))
    entries, _ = read_entries([tmp_path / "runs"])
    written = export(gather([tmp_path / "runs"]), entries, tmp_path / "out")
    assert len(written) == 2
    assert {path.parent for path in written} == {tmp_path / "out" / "bench"}
    for path in written:
        record = json.loads(path.read_text())
        assert set(record) == REQUIRED[""] | {"evaluation_timestamp"}
        for part in ("source_metadata", "eval_library", "model_info"):
            assert REQUIRED[part] <= set(record[part])
        assert record["schema_version"] == "0.2.1"
        assert record["retrieved_timestamp"] == "1767323045"  # date -d 2026-01-02T03:04:05Z +%s
        assert record["source_metadata"]["source_type"] in ("documentation", "evaluation_run")
        assert record["source_metadata"]["evaluator_relationship"] in (
            "first_party",
            "third_party",
            "collaborative",
            "other",
        )
        assert record["eval_library"] == {"name": "capbench", "version": "0.0.9"}
        assert all(isinstance(v, str) for v in record["model_info"]["additional_details"].values())
        results = record["evaluation_results"]
        assert [(r["evaluation_name"], r["metric_config"]["lower_is_better"]) for r in results] == [
            ("A", False),
            ("LOW", True),
        ]
        bounds = results[0]["score_details"]["uncertainty"]["confidence_interval"]
        assert bounds["lower"] < results[0]["score_details"]["score"] < bounds["upper"]
        assert all(r["source_data"]["source_type"] == "other" for r in results)


def test_latex_is_a_whole_table(disagreeing):
    text = latex([disagreeing])
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 4
    assert {row.count("&") for row in rows} == {3}
    assert r"\begin{tabular}{rlrr}" in text
    assert rows[1].startswith("1= & a & \\textbf{5.")
    assert "\\textbf" not in rows[3].split("&")[2]  # c: beaten by A
    assert "\\textbf" in rows[3].split("&")[3]
    assert [text.index(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == sorted(
        text.index(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_only_text_to_latex(tmp_path, name):
    run(tmp_path, name, a=high(BASE))
    run(tmp_path, "b", a=high(BASE - 1))
    text = latex(gather([tmp_path]))
    assert text.count(r"\end{tabular}") == 1
    (row,) = [line for line in text.splitlines() if line.startswith("1 & ")]
    assert len(re.findall(r"(?<!\\)&", row)) == 2
    assert not re.search(r"(?<!\\)[%#]", row)
    bare = re.sub(r"\\[{}]", "", row)
    assert bare.count("{") == bare.count("}")


def test_escape_latex_by_hand():
    assert escape_latex(r"a_b\c {50%}") == r"a\_b\textbackslash{}c \{50\%\}"
    assert escape_latex("x--y [1]") == "x-{}-y {[}1{]}"


REPORTED = """
[[rows]]
captioner = "Paper <b>"
source = "Somebody et al. 2018, Table 2"
url = "https://example.org/paper"
note = "other tokenizer"
values = { CIDEr = 120.1, "BLEU|4" = 36.3 }
"""


def test_reported_numbers_stand_apart(tmp_path, disagreeing):
    (tmp_path / "reported.toml").write_text(REPORTED)
    (made,) = leaderboard.with_reported([disagreeing], tmp_path / "reported.toml")
    text = markdown([made])
    head, _, rest = text.partition("Reported, not run")
    assert "Paper" not in head
    assert (
        "| Paper &lt;b&gt; | 120.1 | 36.3 | Somebody et al. 2018, Table 2 <https://example.org/paper> (other tokenizer) |"
        in rest
    )
    assert "BLEU\\|4" in rest
    assert json.loads(leaderboard.json_text([made]))[0]["reported"][0]["values"] == {"CIDEr": 120.1, "BLEU|4": 36.3}
    assert leaderboard.csv_text([made]) == leaderboard.csv_text([disagreeing])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("https://example.org/paper", "javascript:alert(1)"), "url is no web address"),
        (("Somebody et al. 2018, Table 2", " "), "needs a captioner, a source and values"),
        (('values = { CIDEr = 120.1, "BLEU|4" = 36.3 }', "values = {}"), "needs a captioner, a source and values"),
        (("120.1", "'120.1'"), "expected float"),
        (("note", "remark"), "remark"),
    ],
)
def test_reported_rows_need_a_source(tmp_path, change, says):
    path = tmp_path / "reported.toml"
    path.write_text(REPORTED.replace(*change))
    with pytest.raises(BadData, match=says):
        read_reported(path)


def test_a_kept_table_holds_its_reported_rows(tmp_path):
    folder = run(tmp_path / "runs", "a", a=high(BASE))
    target = tmp_path / "board"
    target.mkdir()
    (target / "reported.toml").write_text(REPORTED)
    leaderboard.write_board(gather([tmp_path / "runs"]), [folder], target, "make it")
    assert "Reported, not run" in (target / "README.md").read_text()
    leaderboard.check_board(target)
    (target / "reported.toml").write_text(REPORTED.replace("120.1", "120.2"))
    with pytest.raises(CheckFailed):
        leaderboard.check_board(target)
