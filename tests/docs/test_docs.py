"""Every code block of the pages is run, in order, page by page, in an empty folder."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from capbench import codec, store, tables
from capbench.types import Caption, Summary

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CAPTIONS = {"1": "a dog on grass", "2": "cats sleep", "3": "the red car"}


def blocks(page):
    """(language, options, text) of each block."""
    for language, options, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        yield language, dict(word.split("=", 1) for word in options.split()), text


def set_up(name, folder):
    """The files that a page takes for granted."""
    if name == "two-files":
        (folder / "predictions.jsonl").write_text(
            "".join(json.dumps({"id": k, "caption": v}) + "\n" for k, v in CAPTIONS.items())
        )
        (folder / "references.json").write_text(json.dumps({k: [v, "something else"] for k, v in CAPTIONS.items()}))
    elif name == "folder":
        (folder / "photos").mkdir()
        names = [f"{i}.png" for i in range(4)]
        for i, file in enumerate(names):
            Image.new("RGB", (8, 8), (60 * i, 0, 0)).save(folder / "photos" / file)
        texts = [{"file_name": file, "captions": [f"picture {file}", "some colour"]} for file in names]
        lines = [{**line, "kind": "pq"[i % 2]} for i, line in enumerate(texts)]
        (folder / "captions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    else:
        raise ValueError(name)


RUNNABLE = [page for page in PAGES if any(language in ("sh", "python") for language, _, _ in blocks(page))]


@pytest.mark.slow
@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_code_of_a_page_runs(page, tmp_path):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(tmp_path)}
    done = set()
    for language, options, text in blocks(page):
        if options.get("setup") and options["setup"] not in done:
            set_up(options["setup"], tmp_path)
            done.add(options["setup"])
        if "file" in options:
            (tmp_path / options["file"]).write_text(text)
        elif language == "python":
            run([sys.executable, "-c", text], tmp_path, environment)
        elif language == "sh":
            for line in text.replace("\\\n", " ").splitlines():
                if line.startswith("capbench"):
                    accepts_unscored = {5} if "-b mine.toml" in line else set()
                    run(["bash", "-c", line], tmp_path, environment, accepts_unscored)
                else:
                    assert re.match(r"(make (demo|test)|pip install )", line), f"a command that no test runs: {line}"


def run(words, folder, environment, allowed=frozenset()):
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in {0, *allowed}, f"{words[-1]}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_run_folder_page_names_every_field():
    page = (ROOT / "docs" / "run-folder.md").read_text(encoding="utf-8")
    parts = [store.Record, store.Identity, store.Stated, Caption, Summary]
    fields = {name for part in parts for name in part.__dataclass_fields__} | {*tables.COLUMNS, *tables.TAG_COLUMNS}
    missing = {name for name in fields if f"`{name}`" not in page}
    assert not missing
    assert codec.plain(store.SCHEMA) == 1


def test_the_commands_page_is_current():
    subprocess.run([sys.executable, ROOT / "tools" / "docs.py", "--check"], check=True)


def test_every_metric_has_a_page():
    import tomllib

    entries = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["capbench.metrics"]
    assert {page.stem for page in (ROOT / "docs" / "metrics").glob("*.md")} == set(entries)
