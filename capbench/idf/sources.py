"""Where frozen document frequencies come from: a file of the user, or COCO's captions as pycocoevalcap brings them.

Those of COCO are counted when they are first asked for, a few seconds for each tokenizer, and then kept in the
cache as a file like any other.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from capbench.errors import BadData, MissingPart
from capbench.idf.files import CURE, read, write
from capbench.metrics.frequencies import DocumentFrequencies, count
from capbench.metrics.spice import JAR, program_folder
from capbench.needs import FILE, References, Tokens
from capbench.paths import ELSEWHERE, cache_root, no_folder
from capbench.protocols import Problem
from capbench.ragged import Ragged, ragged

ENTRY = "coco/annotations/captions_val2014.json"
IMAGES, CAPTIONS = 40_504, 202_654
INSTALL = "pip install 'capbench[coco]'"
COUNTING = 1  # raised when the same captions and words give another table


def missing(source: str) -> Problem | None:
    """What a source lacks, without reading it."""
    if source.startswith(FILE):
        path = Path(source.removeprefix(FILE))
        return None if path.is_file() else Problem(f"there is no file {path} of document frequencies", CURE)
    if find_jar() is None:
        return Problem(f"COCO's captions, in {JAR} of pycocoevalcap, are not installed", INSTALL)
    why = no_folder("idf")
    return Problem(why, ELSEWHERE) if why else None


def load(source: str, tokenizer: Any, fingerprint: str) -> DocumentFrequencies:
    """The frequencies of a source whose words this tokenizer cut. One process reads each only once.

    source: 'coco-val' or 'file:PATH'. tokenizer: the backend; it is opened if COCO's are not in the cache yet.

    Raises:
        MissingPart: it is not there.
        BadData: it is damaged, or of another tokenizer.
    """
    if source.startswith(FILE):
        return of_file(Path(source.removeprefix(FILE)), fingerprint)
    jar = find_jar()
    if jar is None:
        raise MissingPart(f"COCO's captions, in {JAR} of pycocoevalcap, are not installed", INSTALL)
    kept = cached_file(jar, fingerprint)
    try:
        return of_file(kept, fingerprint)
    except (MissingPart, BadData):  # not made yet, or damaged since
        kept.parent.mkdir(parents=True, exist_ok=True)
        write(made(ragged(coco_captions(jar)), tokenizer, fingerprint), kept)
        return of_file(kept, fingerprint)


def made(references: Ragged[list[str]], tokenizer: Any, fingerprint: str) -> DocumentFrequencies:
    """Count the n-grams of references, an item a document."""
    need = Tokens(References())
    with tokenizer.open("cpu") as session:
        words = need.gather(need.compute(session, references.values))
    return count(Ragged(words, references.offsets), fingerprint)


def of_file(path: Path, fingerprint: str) -> DocumentFrequencies:
    """The frequencies of a file; read again when it has changed."""
    try:
        about = path.stat()
    except OSError as error:
        raise MissingPart(f"there is no file {path} of document frequencies", CURE) from error
    table = remembered(path.absolute(), about.st_mtime_ns, about.st_size)
    if table.tokenizer != fingerprint:
        raise BadData(
            f"{path} holds words of the tokenizer {table.tokenizer}, and the metric's is {fingerprint}",
            cure="make one with the metric's: capbench idf REFERENCES OUT --tokenizer NAME",
        )
    return table


@lru_cache(maxsize=4)
def remembered(path: Path, changed: int, size: int) -> DocumentFrequencies:
    """Read a file once for each state that it is in."""
    del changed, size
    return read(path)


def find_jar() -> Path | None:
    """The jar with COCO's captions inside the installed pycocoevalcap."""
    folder = program_folder()
    return None if folder is None else folder / JAR


def cached_file(jar: Path, fingerprint: str) -> Path:
    """Where the frequencies of COCO's captions are kept: by the captions' checksum and the tokenizer."""
    try:
        with zipfile.ZipFile(jar) as archive:
            about = archive.getinfo(ENTRY)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise damaged(jar, error) from error
    name = json.dumps([COUNTING, about.CRC, about.file_size, fingerprint])
    return cache_root() / "idf" / f"coco-val-{hashlib.blake2b(name.encode(), digest_size=8).hexdigest()}.parquet"


def coco_captions(jar: Path) -> Iterable[list[str]]:
    """The captions of each image of val2014.

    Raises:
        BadData: they are not all there.
    """
    captions: dict[int, list[str]] = {}
    try:
        with zipfile.ZipFile(jar) as archive:
            value = json.loads(archive.read(ENTRY))
        for note in value["annotations"]:
            captions.setdefault(note["image_id"], []).append(str(note["caption"]))
        found = len(value["images"]), len(captions), len(value["annotations"])
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise damaged(jar, error) from error
    if found != (IMAGES, IMAGES, CAPTIONS):
        raise damaged(jar, f"{found[2]} captions of {found[1]} images, not {CAPTIONS} of {IMAGES}")
    return captions.values()


def damaged(jar: Path, why: object) -> BadData:
    """The jar is not what the package brings."""
    return BadData(f"COCO's captions in {jar} cannot be read: {why}", cure=f"{INSTALL} --force-reinstall")
