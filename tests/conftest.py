"""What every test stands on: own cache, no plugins of others, and the shared data if it is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def own_world(tmp_path_factory):
    """A cache that only this test run uses; set for child processes too."""
    before = dict(os.environ)
    os.environ["CAPBENCH_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["CAPBENCH_PLUGINS"] = "off"
    os.environ.pop("CAPBENCH_DATA", None)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no shared/data beside the checkout: this test reads real captions from there")
    return folder


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT
