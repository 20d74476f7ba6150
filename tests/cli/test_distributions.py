"""The wheel and the sdist, installed where nothing else of the checkout is, run the main job."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def built(root, tmp_path_factory):
    """Wheel and sdist, built from the sdist as an index would get them."""
    out = tmp_path_factory.mktemp("dist")
    words = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(root)]
    subprocess.run(words, check=True, capture_output=True)
    return out


@pytest.mark.slow
@pytest.mark.parametrize("form", ["*.whl", "*.tar.gz"])
def test_it_installs_into_an_empty_environment_and_makes_a_table(built, form, tmp_path):
    place = tmp_path / "env"
    venv.create(place, with_pip=True)
    python = place / "bin" / "python"
    site = next((place / "lib").glob("python*/site-packages"))
    # the dependencies of this environment, without its capbench: no index is asked
    dependencies = tmp_path / "dependencies"
    dependencies.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "capbench" not in entry.name.lower() and entry.suffix != ".pth":
            (dependencies / entry.name).symlink_to(entry)
    (site / "dependencies.pth").write_text(f"{dependencies}\n")
    (package,) = built.glob(form)
    words = [python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-build-isolation", str(package)]
    subprocess.run(words, check=True, capture_output=True, cwd=tmp_path)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    for captioner in ("speaker", "constant"):
        words = [place / "bin" / "capbench", "run", captioner, "-b", "scenes", "-n", "50", "-m", "cider"]
        subprocess.run(words, check=True, capture_output=True, cwd=tmp_path, env=environment)
    board = subprocess.run(
        [place / "bin" / "capbench", "leaderboard"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "| 1 | speaker" in board.stdout
    where = subprocess.run(
        [python, "-c", "import capbench; print(capbench.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(place) in where.stdout


def test_distributions_hold_what_they_should_and_no_more(built):
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "capbench/_benchmarks/scenes.toml" in names
    model = "capbench/backends/mini/model"
    assert {f"{model}/pictures.onnx", f"{model}/texts.onnx", f"{model}/words.txt"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert any(name.endswith("licenses/THIRD_PARTY.md") for name in names)
    (sdist,) = built.glob("*.tar.gz")
    members = [name.partition("/")[2] for name in tarfile.open(sdist).getnames()]
    assert {"benchmarks/scenes.toml", "tests/conftest.py", "Makefile", "constraints.txt"} <= set(members)
    photographs = (".jpg", ".jpeg", ".png", ".gz", ".zip", ".parquet")
    assert not [name for name in [*names, *members] if name.endswith(photographs)]
