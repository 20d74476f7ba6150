"""Pascal-50S (Vedantam, Zitnick and Parikh 2015): pairs of captions in four categories of 1,000.

HC: both by people, both right. HI: one of another photo. HM: a person's and a machine's. MM: two machines'.
Groups are the categories.

As the authors publish it: ``pair_pascal.mat`` (``new_input``: photo and two captions of each pair;
``category``: 1 to 4) and ``consensus_pascal.mat`` (``triplets``: a reference, the two captions, and 1 or -1 for
the one that is more like the reference; 48 a pair). The preferred caption is that with more votes; where both
have 24 a coin decides, as in the published recipe, and 5 of the 48 references are drawn. Both are drawn with
``--seed``. Form of the files: the reader in jmhessel/clipscore issue 4, and others that read the same fields.

Also Yebin46/FLEUR ``annotations/pascal_50s.json``: ``{"HC": [{image, captions, label, references}]}``, and JSON
lines of ``category, image, captions, preferred, refs`` with the two scores of FLEUR under ``fleur``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from capbench.errors import BadData, Fault, UsageError
from capbench.judgement_sets.entries import Rows, Work, Wrong, choice, keyed, listed, number, part, text, texts
from capbench.judgement_sets.files import File
from capbench.records_raw import Row

CATEGORIES = {1: "HC", 2: "HI", 3: "HM", 4: "MM"}
VOTES = 48
DRAWN = 5


def is_fleur(file: File) -> bool:
    """``{"HC": [{image, captions, label, references}]}``."""
    return file.kind == "json" and isinstance(file.value, dict) and set(file.value) <= set(CATEGORIES.values())


def fleur(files: Sequence[File], work: Work) -> Rows:
    """The pairs of each category."""

    def rows_of(pair: Any) -> Iterator[dict[str, Any]]:
        category, value = pair
        yield {
            "image": PurePosixPath(text(value, "image")).name, "candidates": texts(value, "captions", 2),
            "references": work.kept(texts(value, "references")), "preferred": choice(value, "label"),
            "group": category,
        }  # fmt: skip

    entries: list[Row] = []
    for category in (entry for file in files for entry in keyed(file.value, file.name)):
        if isinstance(category.value, list):
            pairs = listed(category.value, f"{category.where} ")
            entries += [Row(entry.where, (category.key, entry.value)) for entry in pairs]
        else:
            work.faults.append(Fault(category.where, "not a list of pairs"))
    return work.each(entries, rows_of)


def is_joined(file: File) -> bool:
    """JSON lines with references and preference together."""
    return {"category", "captions", "preferred", "refs"} <= file.first.keys()


def joined(preference: str) -> Callable[[Sequence[File], Work], Rows]:
    """A reader of the joined form that takes the preference from this key."""

    def read(files: Sequence[File], work: Work) -> Rows:
        def rows_of(value: Any) -> Iterator[dict[str, Any]]:
            row = {
                "image": text(value, "image"), "candidates": texts(value, "captions", 2),
                "references": work.kept(texts(value, "refs")), "preferred": choice(value, preference),
                "group": text(value, "category"),
            }  # fmt: skip
            if "fleur" in value:
                given = part(value, "fleur")
                if not isinstance(given, list) or len(given) != 2:
                    raise Wrong("fleur is not a list of two scores")
                row["scores"] = {"FLEUR": [number(one, "a score of FLEUR") for one in given]}
            yield row

        return work.each([row for file in files for row in file.rows], rows_of)

    return read


def is_matlab(file: File) -> bool:
    """One of the two .mat files."""
    return file.kind == "mat" and not {"new_input", "triplets"}.isdisjoint(file.value)


def matlab(files: Sequence[File], work: Work) -> Rows:
    """The pairs of ``pair_pascal.mat`` with references and votes of ``consensus_pascal.mat``.

    Raises:
        UsageError: one of the two files is not given.
        BadData: their sizes do not fit each other.
    """
    pairs, consensus = (variables(files, name) for name in ("new_input", "triplets"))
    captions, categories = pairs.value["new_input"].ravel(), pairs.value.get("category")
    triplets = consensus.value["triplets"].ravel()
    sizes = len(captions), 0 if categories is None else categories.size, len(triplets) // VOTES
    if len(set(sizes)) > 1 or len(triplets) % VOTES:
        what = f"{sizes[0]} pairs, {sizes[1]} categories and {len(triplets)} triplets, which should be {VOTES} a pair"
        raise BadData(f"{pairs.name} and {consensus.name} do not fit", [Fault(consensus.name, what)])
    draw = random.Random(work.seed)  # noqa: S311 -- a draw that can be repeated

    def rows_of(i: Any) -> Iterator[dict[str, Any]]:
        image, *both = map(words, fields(captions[i], 3))
        records = [fields(triplet, 4) for triplet in triplets[i * VOTES : (i + 1) * VOTES]]
        votes = [[*map(words, record[:3]), winner(record[3])] for record in records]
        for _, first, second, _ in votes:
            if [first, second] != both:
                raise Wrong(f"the pair is {both} and a triplet of it has {[first, second]}")
        first_wins = sum(vote[-1] == 1 for vote in votes)
        tie = 2 * first_wins == VOTES
        preferred = draw.randrange(2) if tie else int(2 * first_wins < VOTES)
        wanted = DRAWN if work.references is None else work.references
        chosen = sorted(draw.sample(range(VOTES), min(wanted or VOTES, VOTES)))
        yield {
            "image": PurePosixPath(image).name, "candidates": both, "references": [votes[k][0] for k in chosen],
            "preferred": preferred, "group": category_name(categories.ravel()[i]),
        }  # fmt: skip

    return work.each([Row(f"{pairs.name} pair {i + 1}", i) for i in range(len(captions))], rows_of)


def variables(files: Sequence[File], name: str) -> File:
    """The file that has this variable."""
    found = [file for file in files if name in file.value]
    if len(found) != 1:
        given = ", ".join(file.name for file in files)
        raise UsageError(
            f"{len(found) or 'none'} of {given} has the variable {name}",
            "give both files: pair_pascal.mat and consensus_pascal.mat",
        )
    return found[0]


def category_name(code: Any) -> str:
    """HC, HI, HM or MM."""
    if code not in CATEGORIES:
        raise Wrong(f"the category is {code}, not 1 to 4")
    return CATEGORIES[code]


def words(cell: Any) -> str:
    """The text in a cell."""
    found = inside(cell)
    if not isinstance(found, str):
        raise Wrong(f"a text is wanted in the .mat file, and there is {found!r}")
    return str(found).strip()


def fields(record: Any, count: int) -> list[Any]:
    """The fields of a record, or the cells of a list."""
    found = list(record) if hasattr(record, "__len__") else []
    if len(found) != count:
        raise Wrong(f"a record of the .mat file has {len(found)} fields where {count} are wanted")
    return found


def winner(cell: Any) -> int:
    """1 if the first caption is more like the reference, -1 if the second is."""
    found = inside(cell)
    if found not in (1, -1):
        raise Wrong(f"a triplet's winner is {found}, not 1 or -1")
    return int(found)


def inside(cell: Any) -> Any:
    """The one value in a cell, however many cells and 1 x 1 arrays it is wrapped in."""
    while getattr(cell, "ndim", 0):
        if cell.size != 1:
            raise Wrong(f"one value is wanted in a cell of the .mat file, and there are {cell.size}")
        cell = cell.ravel()[0]
    return cell
