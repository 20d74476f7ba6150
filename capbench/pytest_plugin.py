"""pytest and capbench: run a captioner in a test, and hold it against a committed baseline.

    def test_my_captioner(capbench_run, capbench_check):
        run = capbench_run("command(program='python my_model.py')", "mine.toml")
        capbench_check(run, allow={"cider": 0.01})

    pytest --capbench-baseline baselines

Every pytest session of an environment that has capbench loads this file, so it imports nothing but pytest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from capbench.regress import Report
    from capbench.store import Run

OPTION, UPDATE = "--capbench-baseline", "--capbench-update-baseline"
CURE = f"pytest {OPTION} DIR, or capbench_baseline = DIR in pytest's configuration"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options and the ini setting."""
    group = parser.getgroup("capbench", "captions compared with a baseline")
    group.addoption(OPTION, metavar="DIR", default="", help="The baseline: an entry, or a folder of entries.")
    group.addoption(UPDATE, action="store_true", help="Accept the runs: write them to the baseline.")
    parser.addini("capbench_baseline", f"The folder that {OPTION} names, from the root folder.", default="")


def baseline_of(config: pytest.Config) -> Path | None:
    """The folder that the option names, else the one that the configuration names."""
    option, setting = str(config.getoption(OPTION)), str(config.getini("capbench_baseline"))
    if option:
        return config.invocation_params.dir / option
    return config.rootpath / setting if setting else None


@pytest.fixture
def capbench_run(tmp_path: Path) -> Callable[..., Run]:
    """Run a captioner on a benchmark.

        run = capbench_run("nearest", "mine.toml", ["cider"])

    The arguments are those of ``capbench.run``. The run is kept in the test's own folder unless ``runs`` names
    another, where it is continued and not computed again; ``capbench.load_run(folder)`` gives one that is there.
    """

    def run(captioner: str, benchmark: str, metrics: Sequence[str] = (), **options: Any) -> Run:
        from capbench import api

        return api.run(captioner, benchmark, metrics, **{"runs": tmp_path / "runs", **options})

    return run


@pytest.fixture
def capbench_check(request: pytest.FixtureRequest) -> Callable[..., Report]:
    """Fail, with the comparison, where a run is worse than its baseline.

        capbench_check(run, allow={"cider": 0.01})

    run: as ``capbench_run`` gives it, or a run's folder. baseline: in the option's place. The rest goes to
    ``capbench.regress.regress``. A column that cannot be compared fails the test too.
    """

    def check(
        run: Run | Path | str,
        allow: Mapping[str, float] | None = None,
        baseline: Path | str | None = None,
        **options: Any,
    ) -> Report:
        return checked(request.config, run, baseline, {"allow": allow, **options})

    return check


def checked(config: pytest.Config, run: Run | Path | str, baseline: Path | str | None, options: Any) -> Report:
    """Compare with the baseline; with the update option write it first, so that the test passes."""
    from capbench import regress, regress_text
    from capbench.errors import CheckFailed, NotComparable

    place = Path(baseline) if baseline is not None else baseline_of(config)
    if place is None:
        pytest.fail(f"capbench_check has no baseline\n  -> {CURE}", pytrace=False)
    known: Run | Path = Path(run) if isinstance(run, str) else run
    if config.getoption(UPDATE):
        folder = known if isinstance(known, Path) else known.folder
        if folder is None:
            pytest.fail(f"{UPDATE} needs a run that is in a folder; this one was made with runs=None", pytrace=False)
        regress.update_baseline(place, folder, nested=True)
    if not place.exists():
        pytest.fail(f"there is no baseline {place}\n  -> write it: pytest {UPDATE}", pytrace=False)
    report = regress.regress(regress.find_baseline(place, known), known, **options)
    try:
        report.refuse()
    except (CheckFailed, NotComparable) as error:
        cure = f"mend the captioner, allow it (allow=...), or accept it: pytest {UPDATE}"
        text = f"{error.message}\n\n{regress_text.markdown(report)}\n\n  -> {cure}"
        pytest.fail(text.encode("utf-8", "backslashreplace").decode(), pytrace=False)
    return report
