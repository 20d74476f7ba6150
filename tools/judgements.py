"""Turn published human judgements into rows for ``capbench metaeval``.

    python tools/judgements.py INPUT OUTPUT [--captions FILE] [--system NAME]

OUTPUT is JSON lines, gzip'ed if its name ends in .gz. INPUT is recognised by its content:

- Pascal-50S, one pair a line: ``category, image, captions, preferred, refs``. The category is the group.
- THumB 1.0, one caption a line: ``image_id, system, caption, total, refs``. The rating is ``total``; the
  group is ``human`` or ``machine``, the corpus the system: each is scored by itself. ``--system Up-Down``
  takes the captions of one system only.
- CxC SITS, one caption a line: ``image_id, caption, rating, own_caption, sampling``. ``--captions`` is a file
  of ``image_id, refs``. A photo's own captions are left out; the group is ``sampling``.
- clipscore's ``flickr8k.json`` or ``crowdflower_flickr8k.json``: ``{id: {image_path, ground_truth,
  human_judgement}}``. Each judgement is a row; those that are NaN are left out, as the authors do.
- ``ExpertAnnotations.txt`` of Flickr8k (image, caption id, three ratings; tabs); ``--captions`` is
  ``Flickr8k.token.txt``. Candidates that are among the photo's own captions are left out; the three ratings
  stay three ratings (jmhessel/clipscore, ``flickr8k_example/download.py``).
- ``CrowdFlowerAnnotations.txt`` of Flickr8k (image, caption id, share of yes, yes, no): each candidate is
  taken out of its photo's references, for every row of that photo, as the same program does.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Rows = Iterator[dict[str, Any]]


def text_of(path: Path) -> str:
    """A file as text, gzip undone."""
    data = path.read_bytes()
    return (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8")


def lines_of(text: str) -> list[dict[str, Any]]:
    """JSON lines."""
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def pascal(rows: list[dict[str, Any]]) -> Rows:
    """Pairs in the categories HC, HI, HM and MM."""
    for row in rows:
        yield {
            "image": row["image"], "candidates": row["captions"], "references": row["refs"],
            "preferred": row["preferred"], "group": row["category"],
        }  # fmt: skip


def thumb(rows: list[dict[str, Any]], system: str) -> Rows:
    """Captions of four machines and of people, with the total of THumB."""
    for row in rows:
        if system in ("", row["system"]):
            yield {
                "image": row["image_id"], "candidate": row["caption"], "references": row["refs"],
                "ratings": [row["total"]], "group": "human" if row["system"] == "Human" else "machine",
                "corpus": row["system"],
            }  # fmt: skip


def cxc(rows: list[dict[str, Any]], captions: str) -> Rows:
    """Captions of other photos, rated 0 to 5 against this one."""
    refs = {row["image_id"]: row["refs"] for row in lines_of(captions)}
    for row in rows:
        if not row["own_caption"] and row["caption"] not in refs[row["image_id"]]:
            yield {
                "image": row["image_id"], "candidate": row["caption"], "references": refs[row["image_id"]],
                "ratings": [row["rating"]], "group": row["sampling"],
            }  # fmt: skip


def clipscore(data: Mapping[str, Any]) -> Rows:
    """The form that clipscore, PAC-S and FLEUR read."""
    for entry in data.values():
        for judged in entry["human_judgement"]:
            if not math.isnan(judged["rating"]):
                yield {
                    "image": Path(entry["image_path"]).name, "candidate": judged["caption"],
                    "references": entry["ground_truth"], "ratings": [judged["rating"]],
                }  # fmt: skip


def flickr8k(text: str, captions: str) -> Rows:
    """Expert or crowd annotations as Hodosh, Young and Hockenmaier published them."""
    by_id = dict(line.rstrip("\r").split("\t") for line in captions.split("\n") if line.strip())
    own: dict[str, list[str]] = {}
    for id_, caption in by_id.items():
        own.setdefault(id_.partition("#")[0], []).append(caption)
    lines = [line.split() for line in text.split("\n") if line.strip()]
    crowd = len(lines[0]) == 5 and all(abs(float(c[2]) - int(c[3]) / (int(c[3]) + int(c[4]))) < 1e-5 for c in lines)
    for image, id_, *_ in lines if crowd else ():
        if by_id[id_] in own[image]:
            own[image].remove(by_id[id_])
    for image, id_, *ratings in lines:
        if crowd or by_id[id_] not in own[image]:
            given = ratings[:1] if crowd else ratings
            yield {
                "image": image, "candidate": by_id[id_], "references": own[image], "ratings": [float(r) for r in given]
            }  # fmt: skip


def convert(text: str, captions: str, system: str) -> Rows:
    """The rows of a text, by what it looks like.

    Raises:
        ValueError: none of the known files, or one that needs ``--captions``.
    """
    if not text.lstrip().startswith("{"):
        return flickr8k(text, wanted(captions, "Flickr8k.token.txt"))
    try:
        whole = json.loads(text)
    except ValueError:
        whole = {}
    if whole and all(isinstance(v, dict) and "human_judgement" in v for v in whole.values()):
        return clipscore(whole)
    rows = lines_of(text)
    if {"category", "captions", "preferred", "refs"} <= rows[0].keys():
        return pascal(rows)
    if {"system", "total", "refs"} <= rows[0].keys():
        return thumb(rows, system)
    if {"rating", "own_caption", "sampling"} <= rows[0].keys():
        return cxc(rows, wanted(captions, "a file of image_id and refs"))
    raise ValueError(f"not a known file of judgements; its first row has {', '.join(rows[0])}")


def wanted(captions: str, what: str) -> str:
    """The captions, or a complaint that they are needed."""
    if not captions:
        raise ValueError(f"this file needs --captions: {what}")
    return captions


def main(words: list[str]) -> None:
    """Read, convert, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--captions", type=Path, help="the file that has the references")
    parser.add_argument("--system", default="", help="THumB: one system only")
    given = parser.parse_args(words)
    try:
        captions = text_of(given.captions) if given.captions else ""
        rows = list(convert(text_of(given.input), captions, given.system))
    except (OSError, ValueError) as error:
        sys.exit(f"{given.input}: {error}")
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    given.output.write_bytes(gzip.compress(data, mtime=0) if given.output.suffix == ".gz" else data)
    print(f"{given.output}: {len(rows)} rows")


if __name__ == "__main__":
    main(sys.argv[1:])
