"""The pytest plugin, installed from the wheel and used in the test project of somebody else."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "regress.md"
BLOCK = re.compile(r"^```python file=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def environment(clean_environment):
    subprocess.run(["pip", "install", "-q", "capbench"], env=clean_environment, check=True, capture_output=True)
    return clean_environment


@pytest.fixture
def project(tmp_path):
    """The page's captioner and test."""
    for name, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        (tmp_path / name).write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\naddopts = -p no:cacheprovider -q\n")
    return tmp_path


def run_pytest(folder, environment, *words):
    command = ["python", "-m", "pytest", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_baseline_is_written_held_and_broken(project, environment):
    none = run_pytest(project, environment)
    assert none.returncode == 1
    assert "capbench_check has no baseline" in none.stdout
    assert "pytest --capbench-baseline DIR" in none.stdout
    absent = run_pytest(project, environment, "--capbench-baseline", "baselines")
    assert absent.returncode == 1
    assert "there is no baseline" in absent.stdout
    written = run_pytest(project, environment, "--capbench-baseline", "baselines", "--capbench-update-baseline")
    assert written.returncode == 0, written.stdout
    (entry,) = (project / "baselines").iterdir()
    assert sorted(p.name for p in entry.iterdir()) == ["run.json", "scores.parquet", "summary.json"]
    held = run_pytest(project, environment, "--capbench-baseline", "baselines")
    assert held.returncode == 0, held.stdout
    assert "1 passed" in held.stdout
    with (project / "pytest.ini").open("a") as file:
        file.write("capbench_baseline = baselines\n")
    model = (project / "my_model.py").read_text()
    (project / "my_model.py").write_text(model.replace('f"a {name} circle"', 'f"a {name}"'))
    broken = run_pytest(project, environment)  # the ini setting stands for the option
    assert broken.returncode == 1
    assert "worse than the baseline: " in broken.stdout
    assert re.search(r"^\| BLEU-1 +\| worse ", broken.stdout, re.MULTILINE)
    assert "or accept it: pytest --capbench-update-baseline" in broken.stdout
    assert "regress.py" not in broken.stdout  # the comparison, not a traceback of ours
    (project / "test_captions.py").write_text((project / "test_captions.py").read_text().replace(', "bleu"]', "]"))
    fewer = run_pytest(project, environment)
    assert fewer.returncode == 1
    assert "BLEU-1" in fewer.stdout
    shutil.rmtree(entry)
    assert "holds no baseline of" in run_pytest(project, environment).stdout


@pytest.mark.slow
def test_a_project_that_does_not_use_it_notices_nothing(tmp_path, environment):
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nfilterwarnings = error\naddopts = --strict-config --strict-markers\n"
    )
    (tmp_path / "test_own.py").write_text(
        "import sys\n\n\ndef test_nothing_heavy_is_loaded():\n"
        "    own = sorted(n for n in sys.modules if n.partition('.')[0] == 'capbench')\n"
        "    assert own == ['capbench', 'capbench.pytest_plugin']\n"
        "    assert not {'numpy', 'pandas', 'pyarrow', 'click', 'cattrs', 'PIL'} & set(sys.modules)\n"
    )
    done = run_pytest(tmp_path, environment)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
    fixtures = run_pytest(tmp_path, environment, "--fixtures").stdout
    assert "capbench_run -- " in fixtures
    assert "--capbench-baseline=DIR" in run_pytest(tmp_path, environment, "--help").stdout
    assert run_pytest(tmp_path, environment, "-p", "no:capbench").returncode == 1  # the module is then not there
