"""Regressions planted in real captions are found or passed as the power says; no difference is no verdict."""

import gzip
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as scipy_stats

import capbench
from capbench.regress import regress
from capbench.significance import power_of

SYSTEM, OTHER = "Mun-et-al-2017", "Dai-et-al-2017"
CALIBRATION = Path(__file__).resolve().parents[1] / "perf" / "calibrate_stats.py"


@pytest.fixture(scope="module")
def scored(shared, tmp_path_factory):
    """name -> the run of Mun's captions as they are, again, and with three regressions."""
    place = tmp_path_factory.mktemp("planted")
    with gzip.open(shared / "coco" / "system_outputs_karpathy_test.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    base, other = ({str(r["image_id"]): r["outputs"][name] for r in rows} for name in (SYSTEM, OTHER))
    chosen = np.random.default_rng(0).permutation(list(base))
    tenth = set(chosen[:500].tolist())
    first, second = chosen[500:502].tolist()
    variants = {
        "base": base,
        "again": dict(base),
        "shorter": {i: " ".join(text.rstrip(" .").split()[:-1]) if i in tenth else text for i, text in base.items()},
        "swapped": {**base, first: base[second], second: base[first]},
        "replaced": other,
    }
    dataset = f"coco(annotations={str(shared / 'coco' / 'karpathy_test_refs.jsonl.gz')!r})"

    def run(name):
        file = place / f"{name}.json"
        file.write_text(json.dumps(variants[name]))
        return capbench.run(str(file), "coco-karpathy-test", dataset=dataset, runs=place / "runs", name=name)

    return {name: run(name) for name in variants}


def judged(scored, name):
    report = regress(scored["base"].folder, scored[name].folder)
    assert report.of("not comparable") == []
    return {check.summary.column: check for check in report.checks}


@pytest.mark.slow
def test_a_run_of_the_same_captions_is_equal(scored):
    assert {check.why for check in judged(scored, "again").values()} == {"equal"}


@pytest.mark.slow
def test_another_system_is_worse_in_every_column(scored):
    checks = judged(scored, "replaced")
    assert {check.verdict for check in checks.values()} == {"worse"}
    for check in checks.values():
        d = check.line.difference
        assert power_of(d.value, d.error) > 0.999
        assert abs(d.value) > d.detectable()


@pytest.mark.slow
def test_two_swapped_captions_are_passed_and_named(scored):
    checks = judged(scored, "swapped")
    assert {check.verdict for check in checks.values()} == {"same"}
    cider = checks["cider"].line
    assert cider.difference.equal >= 4998
    assert 0 < abs(cider.difference.value) < 0.001
    assert len(cider.moved) == 5000 - cider.difference.equal


@pytest.mark.slow
def test_a_tenth_that_lost_a_word_is_found_where_the_power_says_so(scored):
    checks = judged(scored, "shorter")
    for column, check in checks.items():
        d = check.line.difference
        # six columns are adjusted together: what six times fewer false alarms would find almost surely is found
        if power_of(d.value, d.error, alpha=0.05 / 6) > 0.99:
            assert check.verdict == ("worse" if d.value < 0 else "better"), column
        if power_of(d.value, d.error) < 0.3:
            assert check.verdict == "same", column
    assert (checks["cider"].verdict, checks["rouge_l"].verdict) == ("worse", "worse")
    # BLEU hardly depends on a last word: whether it rises or falls depends on which images are drawn
    assert checks["bleu4"].verdict == "same"


@pytest.mark.slow
def test_exchanging_half_of_two_systems_captions_changes_no_more_verdicts_than_it_may():
    found = importlib.util.spec_from_file_location("calibrate_stats", CALIBRATION)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    rates = module.exchange(seeds=200, resamples=199)
    assert set(rates) == {"bleu4", "rouge_l", "cider"}
    most = scipy_stats.binom.ppf(0.999, 200, 0.05)
    for column, answers in rates.items():
        verdicts, ranks = answers.sum(axis=0)
        assert verdicts <= most, column
        assert ranks <= most + 4, column  # an interval of 199 resamples is a little too narrow
