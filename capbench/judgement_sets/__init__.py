"""Published human judgements turned into rows for ``capbench metaeval``, from the files as their authors give them.

None of these data are part of capbench; each module names the source that the form of its files was taken from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capbench.errors import BadData, UsageError
from capbench.judgement_sets import coco_ratings, composite, flickr8k, foils, pascal50s
from capbench.judgement_sets.captions import NO_CAPTIONS, read_captions
from capbench.judgement_sets.entries import Rows, Work
from capbench.judgement_sets.files import File, load

Reader = Callable[[Sequence[File], Work], Rows]
Fits = Callable[[File], bool]


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a set: whether a file has it, what reads it, and whether it needs captions beside it."""

    fits: Fits
    read: Reader
    captions: bool = False


@dataclass(frozen=True, slots=True)
class JudgementSet:
    """A published set. files, captions: what to give as INPUT and as ``--captions``."""

    what: str
    files: str
    captions: str
    forms: tuple[Form, ...]
    found: bool = True  # by content; else only by its name


@dataclass(frozen=True, slots=True)
class Converted:
    """Rows for ``capbench metaeval``. left_out: reason -> how many entries gave no row."""

    name: str
    rows: tuple[Mapping[str, Any], ...]
    left_out: Mapping[str, int]


COCO_2014 = "captions_val2014.json"
SETS: Mapping[str, JudgementSet] = {
    "flickr8k-expert": JudgementSet(
        "captions of other photos, three ratings each",
        "ExpertAnnotations.txt", "Flickr8k.token.txt",
        (Form(flickr8k.is_expert, flickr8k.expert, captions=True),),
    ),
    "flickr8k-cf": JudgementSet(
        "captions with the share of people who said yes",
        "CrowdFlowerAnnotations.txt", "Flickr8k.token.txt",
        (Form(flickr8k.is_crowd, flickr8k.crowd, captions=True),),
    ),
    "clipscore": JudgementSet(
        "either of the two, as clipscore's download.py writes them",
        "flickr8k.json or crowdflower_flickr8k.json", "",
        (Form(flickr8k.is_clipscore, flickr8k.clipscore),),
    ),
    "composite": JudgementSet(
        "three captions a photo, rated 1 to 5",
        "8k_correctness.csv 30k_correctness.csv coco_correctness.csv",
        f"Flickr8k.token.txt, results_20130124.token, {COCO_2014}",
        (Form(composite.is_composite, composite.composite, captions=True),),
    ),
    "pascal50s": JudgementSet(
        "pairs in four categories",
        "pair_pascal.mat consensus_pascal.mat, or FLEUR's pascal_50s.json", "",
        (
            Form(pascal50s.is_matlab, pascal50s.matlab), Form(pascal50s.is_fleur, pascal50s.fleur),
            Form(pascal50s.is_joined, pascal50s.joined("preferred")),
        ),
    ),
    "pascal50s-fleur-run": JudgementSet(
        "the same with the ties as FLEUR's run drew them",
        "joined lines with preferred_fleur_run", "",
        (Form(pascal50s.is_joined, pascal50s.joined("preferred_fleur_run")),), found=False,
    ),
    "thumb": JudgementSet(
        "four systems and people, total of THumB 1.0",
        "mscoco_THumB-1.0.jsonl", "mscoco_references.json",
        (
            Form(coco_ratings.is_thumb, coco_ratings.thumb, captions=True),
            Form(coco_ratings.is_joined_thumb, coco_ratings.joined_thumb),
        ),
    ),
    "cxc-sits": JudgementSet(
        "captions of other photos, rated 0 to 5",
        "sits_val.csv or sits_test.csv", f"dataset_coco.json or {COCO_2014}",
        (
            Form(coco_ratings.is_cxc, coco_ratings.cxc, captions=True),
            Form(coco_ratings.is_joined_cxc, coco_ratings.joined_cxc, captions=True),
        ),
    ),
    "foil": JudgementSet(
        "captions beside foils with one noun changed",
        "foilv1.0_test_2017.json", COCO_2014,
        (Form(foils.is_foil, foils.foil, captions=True),),
    ),
    "sugarcrepe": JudgementSet(
        "captions beside foils of seven kinds",
        "add_att.json add_obj.json replace_att.json ...", "captions_val2017.json",
        (
            Form(foils.is_sugarcrepe, foils.sugarcrepe, captions=True),
            Form(foils.is_joined_sugarcrepe, foils.joined_sugarcrepe, captions=True),
        ),
    ),
    "valse": JudgementSet(
        "captions beside foils that annotators found valid",
        "foil-it.json", COCO_2014,
        (Form(foils.is_valse, foils.valse, captions=True), Form(foils.is_joined_valse, foils.joined_valse)),
    ),
}  # fmt: skip


def convert(
    inputs: Sequence[str | Path],
    *,
    name: str = "",
    captions: Sequence[str | Path] = (),
    references: int | None = None,
    seed: int = 0,
) -> Converted:
    """The rows of a published set.

    inputs: its files. name: one of ``SETS`` (default: by the files' content). captions: files with the photos'
    captions, for sets that come without references. references: how many to keep of each photo (0: all;
    default: all, and 5 of Pascal-50S's 48). seed: of what the set's recipe leaves to chance.

    Raises:
        UsageError: no such set, or files that belong to different ones, or captions are needed.
        MissingPart: no such file, or a package to read it with is missing.
        BadData: every fault of the files with its place; or nothing is left.
    """
    files = [load(Path(path)) for path in inputs]
    name, form = form_of(files, name)
    if form.captions and not captions:
        raise UsageError(
            f"{name} needs the captions of the photos: --captions", f"give {SETS[name].captions}, as their authors do"
        )
    work = Work(read_captions(captions) if captions else NO_CAPTIONS, references, seed)
    rows = form.read(files, work)
    told = ", ".join(file.name for file in files)
    if work.faults:
        raise BadData(f"{told} cannot be used, {len(work.faults)} fault(s):", work.faults)
    if not rows:
        reasons = "; ".join(f"{count}: {why}" for why, count in work.left_out.most_common()) or "no entries"
        raise BadData(f"nothing of {told} is left ({reasons})", cure="are these the right files and captions?")
    return Converted(name, tuple(rows), dict(work.left_out.most_common()))


def form_of(files: Sequence[File], name: str) -> tuple[str, Form]:
    """The set and the form that all files have.

    Raises:
        UsageError: no such set.
        BadData: a file is of no known form, or of another than the first.
    """
    if name and name not in SETS:
        raise UsageError(f"there is no set of judgements {name!r}", f"one of {', '.join(SETS)}")
    known = {name: SETS[name]} if name else {key: one for key, one in SETS.items() if one.found}
    found: list[tuple[str, Form]] = []
    for file in files:
        fitting = [(key, form) for key, one in known.items() for form in one.forms if form.fits(file)]
        if not fitting:
            has = f"; it begins with {', '.join(file.first)}" if file.first else ""
            wanted = f"it is not {SETS[name].files}" if name else f"it is none of {', '.join(known)}"
            raise BadData(f"{file.name} cannot be used: {wanted}{has}", cure="capbench judgements --help lists them")
        found.append(fitting[0])
        if fitting[0] != found[0]:
            raise BadData(
                f"{files[0].name} is of {found[0][0]} and {file.name} of {fitting[0][0]}, or of another form of it",
                cure="convert them apart",
            )
    return found[0]


__all__ = ["SETS", "Converted", "JudgementSet", "convert"]
