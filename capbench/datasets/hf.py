"""Data sets in Hugging Face's forms: Parquet and Arrow folders, ``save_to_disk``, and by name from the hub."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from capbench.datasets.rows import Columns, columns_of, files, read_tables, samples
from capbench.errors import BadData, MissingPart, UsageError
from capbench.types import Sample

SHARD = re.compile(r"(?P<split>.+?)-\d{5}-of-\d{5}")
WORD = re.compile(r"(?:.*[^a-zA-Z])?(?P<split>train|training|validation|valid|val|dev|test|testing)(?:[^a-zA-Z].*)?")
ONE_SPLIT = "say which: split={!r}"


@dataclass(frozen=True, slots=True)
class Hf:
    """Rows with a picture and captions, in the forms of Hugging Face's ``datasets``.

    source: a folder written by ``save_to_disk``, a folder of Parquet or Arrow files (as repositories of the hub
    have them), one such file, or else a name on the hub such as ``'nlphuji/flickr30k'``, which wants the package
    ``datasets`` and the network, and is downloaded into its cache.
    split: where there are several. config, revision: of a name on the hub; config also of a folder with one
    sub-folder for each.
    image, field, id_field: the columns of pictures, captions and ids ("": the usual names: ``image``; ``captions``,
    ``caption``, ``text``, ``caption_0`` and on; ``id``, ``image_id``, ``filename``); several of captions with
    commas; dotted for nested ones. Where no column is an id, the row's number from 0 is. tags: columns by which
    tables can be split.
    ids: a file that names the items to take, in its order.

    No picture is held or copied: each is fetched from its file when it is looked at. A row without a picture is an
    item whose picture cannot be read.

    Sources of the forms: huggingface/datasets, ``arrow_dataset.py`` (``save_to_disk``: ``state.json`` lists
    ``_data_files``), ``features/image.py`` (a picture is ``{bytes, path}``).
    """

    name: ClassVar[str] = "hf"

    source: str
    split: str = ""
    config: str = ""
    revision: str = ""
    image: str = ""
    field: str = ""
    id_field: str = ""
    tags: str = ""
    ids: str = ""

    def load(self) -> Sequence[Sample]:
        """All samples, in the files' order or that of ``ids``.

        Raises:
            MissingPart: no such file; ``datasets`` is not installed.
            UsageError: there are several splits and none is chosen; a column that was named is not there.
            BadData: every fault of the files; the hub does not give it.
        """
        root = Path(self.source)
        paths = self.local(root) if root.exists() else self.downloaded()
        found, columns = read_tables(paths, root if root.is_dir() else root.parent, self.columns)
        return samples(found, self.source, columns, self.ids)

    def columns(self, schema: Any) -> Columns:
        """The columns to read of the first file."""
        wanted = {"image": self.image, "field": self.field, "id_field": self.id_field, "tags": self.tags}
        return columns_of(schema, self.source, wanted)

    def local(self, root: Path) -> list[Path]:
        """The Parquet or Arrow files of a path, in order.

        Raises:
            UsageError: several splits, or not the one that was named.
            BadData: no such files, or a saved data set that is not whole.
        """
        if root.is_file():
            if root.suffix not in (".parquet", ".arrow"):
                raise BadData(f"{root} is no .parquet or .arrow file", cure="for other files use folder(captions=...)")
            if self.split:
                self.chosen([split_of(root, root.parent)])
            return [root]
        root = root / self.config
        if (root / "dataset_dict.json").is_file():
            splits = saved_json(root / "dataset_dict.json", "splits")
            root = root / self.chosen(splits)
        if (root / "state.json").is_file():
            return saved(root)
        suffix = ".parquet" if any(root.rglob("*.parquet")) else ".arrow"
        paths = files(str(root), suffix)
        by_split: dict[str, list[Path]] = {}
        for path in paths:
            by_split.setdefault(split_of(path, root), []).append(path)
        return by_split[self.chosen(list(by_split))]

    def chosen(self, splits: Sequence[str]) -> str:
        """The split to take.

        Raises:
            UsageError: several and none is named, or not the one that is.
        """
        if self.split and self.split not in splits:
            there = ", ".join(filter(None, splits)) or "no splits: leave split out"
            raise UsageError(f"{self.source} has no split {self.split!r}", f"it has: {there}")
        if not self.split and len(splits) > 1:
            raise UsageError(f"{self.source} has the splits {', '.join(splits)}", ONE_SPLIT.format(splits[0]))
        return self.split or splits[0]

    def downloaded(self) -> list[Path]:
        """The Arrow files of a data set of the hub in the cache of ``datasets``.

        Raises:
            MissingPart: ``datasets`` is not installed, or there is no such folder.
            BadData: it cannot be had.
        """
        is_path = self.source.startswith(".") or self.source.endswith((".parquet", ".arrow"))
        if is_path or Path(self.source).is_absolute() or self.source.count("/") > 1:
            raise MissingPart(f"there is no file or folder {self.source}", "give the folder of the data set")
        try:
            import datasets
        except ImportError as error:
            what = f"there is no folder {self.source}, and a name on the hub needs the package datasets"
            raise MissingPart(what, "pip install 'capbench[data]'") from error
        try:
            made: Any = datasets.load_dataset(self.source, self.config or None, revision=self.revision or None)
        except Exception as error:  # whatever the hub, the network or the set's own files raise
            what = f"the data set {self.source} cannot be loaded from the hub: {type(error).__name__}: {error}"
            raise BadData(what, cure="check its name, or download its Parquet files and give their folder") from error
        return [Path(file["filename"]) for file in made[self.chosen(list(made))].cache_files]


def saved(folder: Path) -> list[Path]:
    """The Arrow files of a folder written by ``save_to_disk``.

    Raises:
        BadData: one is missing, or rows are chosen by an index beside them.
    """
    if saved_json(folder / "state.json", "_indices_data_files", []):
        raise BadData(
            f"{folder} holds an index of chosen rows", cure="write it again: flatten_indices().save_to_disk()"
        )
    paths = [folder / file["filename"] for file in saved_json(folder / "state.json", "_data_files")]
    lost = [path.name for path in paths if not path.is_file()]
    if lost:
        raise BadData(f"{folder} is not whole: it lacks {', '.join(lost)}", cure="copy or write it again")
    return paths


def saved_json(path: Path, key: str, default: Any = None) -> Any:
    """What a file of ``save_to_disk`` says under a key.

    Raises:
        BadData: it is damaged.
    """
    try:
        value = json.loads(path.read_bytes()).get(key, default)
    except (OSError, ValueError, AttributeError) as error:
        raise BadData(f"{path} is damaged: {error}", cure="copy or write the data set again") from error
    if value is None:
        raise BadData(f"{path} is damaged: it has no {key}", cure="copy or write the data set again")
    return value


def split_of(path: Path, root: Path) -> str:
    """The split that a file's name states, as in ``train-00000-of-00002.parquet``, or its folder; "": none."""
    if match := SHARD.fullmatch(path.stem) or WORD.fullmatch(path.stem):
        return match["split"]
    inner = path.relative_to(root).parts[:-1]
    return inner[-1] if inner and inner[-1] != "data" else ""
