"""WebDataset shards: tar files in which the files of one sample share a name and differ in the extension."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from capbench.containers import Member, members
from capbench.datasets.rows import Columns, Found, files, samples
from capbench.errors import Fault
from capbench.images import digest
from capbench.records import names_in
from capbench.records_keys import TEXT_KEYS, common_key
from capbench.types import ImageRef, Sample

PICTURES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "ppm", "jp2", "avif")
TEXTS = ("txt", "text", "caption", "captions", "cap")
META = re.compile(r"__[^/]*__($|/)")
TWICE = "shards that use the same keys take id_field='shard/key'"
AGAIN = "fetch or write the shard again"
UNPACK = "a compressed shard cannot be read at a place: unpack it, as with gunzip"


@dataclass(slots=True)
class Group:
    """The members of one sample: texts and JSON by extension, and the first picture."""

    key: str
    extensions: set[str] = field(default_factory=set)
    row: dict[str, Any] = field(default_factory=dict)
    picture: ImageRef | None = None


@dataclass(frozen=True, slots=True)
class WebDataset:
    """Samples of WebDataset shards.

    path: the folder of the ``.tar`` files, or one. names: which of them, as in ``'train-*.tar, extra-*.tar'``; all.
    image: the extension of the picture ("": the first picture of a sample).
    field: the extension of the captions, or a key inside a ``.json`` as in ``json.caption``; several with commas
    ("": ``txt``, else a usual key of the ``.json``). id_field: ``key`` (what the files of a sample have in common),
    ``shard/key`` where shards use the same keys, or a key of the ``.json`` as in ``json.uid``.
    tags: as for field. ids: a file that names the items to take, in its order.

    As WebDataset reads them: the extension begins at the first dot of the name, without regard to case; members of
    a sample stand together; names as ``__meta__`` are passed over. Shards are read once when the data set is
    loaded, and a picture later by its offset: nothing is unpacked. A sample without a picture stays an item without.

    Source of the form: webdataset/webdataset, ``tariterators.py`` (``base_plus_ext``, ``group_by_keys``).
    """

    name: ClassVar[str] = "webdataset"

    path: str
    names: str = ""
    image: str = ""
    field: str = ""
    id_field: str = "key"
    tags: str = ""
    ids: str = ""

    def load(self) -> Sequence[Sample]:
        """All samples, shard after shard by name, or in the order of ``ids``.

        Raises:
            MissingPart: no such file or folder.
            UsageError: no sample has a key that was named.
            BadData: every fault: shards that are damaged, cut short or compressed, JSON that cannot be read, a
                member or an id that stands twice, samples without captions among others with some.
        """
        found = Found()
        for shard in files(self.path, ".tar", self.names):
            read_shard(shard, found, names_in(self.image) or PICTURES)
        texts = names_in(self.field) or usual_texts(found)
        return samples(found, self.path, Columns("", texts, self.id_field, names_in(self.tags)), self.ids, TWICE)


def usual_texts(found: Found) -> tuple[str, ...]:
    """Where captions usually are: in a text of its own, else under a usual key of the JSON; () for nowhere."""
    own = common_key([row.value for row in found.rows], TEXTS)
    inner = [row.value["json"] for row in found.rows if isinstance(row.value.get("json"), dict)]
    key = common_key(inner, TEXT_KEYS["references"]) if inner else ""
    return (own,) if own else (f"json.{key}",) if key else ()


def read_shard(shard: Path, found: Found, pictures: Sequence[str]) -> None:
    """The samples of a shard into ``found``, with its faults."""
    group: Group | None = None
    try:
        for member in members(str(shard)):
            key, extension = split_name(member.name)
            if not extension:
                continue
            if group is None or key != group.key:
                close(group, shard, found)
                group = Group(key)
            if extension in group.extensions:
                found.faults.append(Fault(f"{shard} {key}", f"the member {member.name} stands twice"))
            group.extensions.add(extension)
            if extension in pictures:
                group.picture = group.picture or picture_of(member)
            else:
                group.row[extension] = content(member.data, extension, f"{shard} {key}", found)
    except OSError as error:
        found.faults.append(
            Fault(str(shard), f"it cannot be read as a tar: {error}", UNPACK if packed(shard) else AGAIN)
        )
    close(group, shard, found)


def packed(shard: Path) -> bool:
    """Whether a file is compressed with gzip."""
    try:
        with shard.open("rb") as file:
            return file.read(2) == b"\x1f\x8b"
    except OSError:
        return False


def picture_of(member: Member) -> ImageRef:
    """A member as a picture; an empty one cannot be read."""
    return ImageRef(str(member.place), digest(member.data) if member.data else "")


def split_name(name: str) -> tuple[str, str]:
    """``a/b.seg.png`` as (``a/b``, ``seg.png``); no extension for ``__meta__`` and what is below it."""
    folder, _, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    if not stem or META.match(name):
        return name, ""
    return f"{folder}/{stem}" if folder else stem, extension.lower()


def content(data: bytes, extension: str, where: str, found: Found) -> Any:
    """A member as text, or what its JSON holds; bytes of other kinds are passed over."""
    try:
        if extension.rpartition(".")[2] == "json":
            return json.loads(data)
        if extension.rpartition(".")[2] in (*TEXTS, "id", "cls"):
            return data.decode("utf-8").removeprefix("\ufeff").strip("\r\n")
    except (ValueError, RecursionError) as error:
        found.faults.append(Fault(where, f"the .{extension} cannot be read: {error}", AGAIN))
    return None


def close(group: Group | None, shard: Path, found: Found) -> None:
    """A sample that is whole."""
    if group is not None:
        row: Mapping[str, Any] = {**group.row, "key": group.key, "shard/key": f"{shard.stem}/{group.key}"}
        found.add(f"{shard} {group.key}", row, group.picture)
