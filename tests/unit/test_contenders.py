"""What compare is given: which words are runs and which are captioners, and scores made from stored captions."""

import numpy as np
import pytest

import capbench
from capbench import contenders, run_folders, store
from capbench.bag_compare import compare_on_bags
from capbench.errors import BadData, MissingPart, NotComparable, UsageError

BAGS = "self_retrieval(bags='scenes-3')"


def quiet(_):
    """Say nothing of what was computed."""


def given(**options):
    return contenders.setting("scenes-bags", ["self_retrieval(bags='scenes-7')"], limit=70, **options)


@pytest.fixture
def plain_run(tmp_path):
    """A run of 70 pictures without any score on bags of 3."""
    spec, metrics = "speaker(flaw='no_colour')", ["self_retrieval(bags='scenes-7')"]
    return capbench.run(spec, "scenes-bags", metrics, limit=70, runs=tmp_path / "runs")


def on_bags(words, root, setting, bags=("scenes-3",), encoder=""):
    return contenders.on_bags([str(word) for word in words], root, setting, bags, encoder, quiet)


def test_a_stored_run_scored_from_its_captions_has_the_number_of_a_run(plain_run, tmp_path):
    before = {p.name: p.read_bytes() for p in plain_run.folder.iterdir()}
    field = on_bags([plain_run.folder, "nearest"], tmp_path / "runs", given(runs=tmp_path / "runs"))
    made = compare_on_bags(field.contenders, field.bags)
    whole = capbench.run("speaker(flaw='no_colour')", "scenes-bags", [BAGS], limit=70, runs=None)
    assert made.sets[0].lines[0].scores[0].interval.value == whole.value("r1")
    assert made.differences.lines[0].difference.units == 10
    assert {p.name: p.read_bytes() for p in plain_run.folder.iterdir()} == before  # nothing is written into it
    said = {caption.id: caption.text for caption in plain_run.captions}
    targets = [target for bag in made.sets[0].bags for target in bag.targets]
    assert [target.captions[0] for target in targets] == [said[target.id] for target in targets]
    assert field.notes == ["scenes-3: 33 of 43 bags are not whole among 70 images"]


def test_a_captioner_is_run_into_the_folder_that_run_would_use(tmp_path):
    root = tmp_path / "runs"
    on_bags(["speaker", "constant"], root, given(runs=root))
    folders = run_folders.find_runs(root)
    assert [f.name.rpartition("-")[0] for f in folders] == ["constant", "speaker"]
    again = capbench.run("speaker", "scenes-bags", [BAGS, "self_retrieval(bags='scenes-7')"], limit=70, runs=root)
    assert again.folder == folders[1]
    assert run_folders.find_runs(root) == folders


def test_everything_that_is_missing_is_said_before_anything_runs(tmp_path):
    missing = [tmp_path / "one.sh", tmp_path / "two.sh"]
    words = [f"command(program='{path}')" for path in missing]
    setting = given(runs=tmp_path / "runs")
    with pytest.raises(MissingPart) as caught:
        on_bags(["speaker", *words], tmp_path / "runs", setting, encoder="onnx(path='nowhere')")
    for name in ("one.sh", "two.sh", "nowhere"):
        assert name in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_a_word_is_a_captioner_only_where_a_benchmark_is_named(plain_run):
    root = plain_run.folder.parent.parent
    assert contenders.told(["speaker"], root, None) == [plain_run.folder]  # the beginning of its name
    (job,) = contenders.told(["speaker"], root, given())
    assert job.label == "speaker"
    assert contenders.told(["latest", str(plain_run.folder)], root, given()) == [plain_run.folder] * 2
    with pytest.raises(UsageError, match=r"no run is called 'nearest'.*a captioner needs a benchmark") as caught:
        contenders.told(["nearest"], root, None)
    assert caught.value.cure == "name the benchmark to run the captioner on: -b BENCHMARK"
    with pytest.raises(UsageError, match=r"no run is called 'nearst'.*no captioner is called 'nearst'"):
        contenders.told(["nearst"], root, given())


def test_runs_of_other_data_or_without_captions_are_refused(plain_run, tmp_path):
    other = capbench.run("speaker", "scenes(n=70)", ["cider"], runs=tmp_path / "others")
    root = tmp_path / "runs"
    with pytest.raises(NotComparable, match="was made with data"):
        on_bags([plain_run.folder, other.folder], root, given())
    short = capbench.run("speaker", "scenes-bags", [BAGS], limit=21, runs=tmp_path / "short")
    with pytest.raises(NotComparable, match=r"speaker: is of 21 images"):
        on_bags([plain_run.folder, short.folder], root, given())
    (plain_run.folder / store.CAPTIONS).unlink()
    with pytest.raises(BadData, match="keeps no captions"):
        on_bags([plain_run.folder, plain_run.folder], root, given())


def test_a_failed_caption_stays_unscored(plain_run, tmp_path):
    lines = (plain_run.folder / store.CAPTIONS).read_text().splitlines()
    lines[0] = store.caption_line(store.Caption("scene-00000", None, "failed", "the power went")).strip()
    (plain_run.folder / store.CAPTIONS).write_text("\n".join(lines) + "\n")
    field = on_bags([plain_run.folder, "speaker"], tmp_path / "runs", given(runs=tmp_path / "runs"))
    score = compare_on_bags(field.contenders, field.bags).sets[0].lines[0].scores[0]
    assert (score.n, score.unscored) == (29, 1)
    reasons = [why for s in field.contenders[0].run.scored for why in s.reasons.values()]
    assert "the power went" in reasons


def test_names_of_bags(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my,bags.json").write_text("[]")
    words = ["scenes-3,scenes-5", "blocks(size=20, order='random')", "my,bags.json", "scenes-3", ""]
    assert contenders.bag_words(words) == ["scenes-3", "scenes-5", words[1], "my,bags.json"]
    bench = given().bench
    assert contenders.recipe_of("my,bags.json", bench) == "file(path='my,bags.json')"
    assert contenders.recipe_of("rd100", bench) == "rd100"
    with pytest.raises(UsageError, match="no set of bags called 'scenes-9'") as caught:
        contenders.recipe_of("scenes-9", bench)
    assert "scenes-bags has: scenes-3, scenes-5, scenes-7" in caught.value.cure


def test_the_benchmarks_own_metric_counts_unless_an_encoder_is_named():
    bench = given().bench
    (own,) = contenders.choose(["scenes-5"], bench)
    assert (own.part.spec, own.part.label) == ("self_retrieval(bags='scenes-5', encoder='clip')", "bags of 5")
    (other,) = contenders.choose(["scenes-5"], bench, "scenes")
    assert other.part.metric.encoder == "scenes"


def test_the_same_bags_under_two_names_are_one_set(tmp_path):
    bench = given().bench
    members = [list(bag.members) for bag in bench.bag_sets["scenes-3"].bags[:10]]
    path = tmp_path / "same.json"
    path.write_text(str(members).replace("'", '"'))
    field = on_bags(["speaker", "constant"], tmp_path / "runs", given(runs=tmp_path / "runs"), ["scenes-3", str(path)])
    made = compare_on_bags(field.contenders, field.bags)
    assert [one.name for one in made.sets] == ["scenes-3"]
    assert np.isclose(made.sets[0].lines[0].scores[1].interval.value, 1 / 3)  # one caption for all: chance
