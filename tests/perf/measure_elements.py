"""How far elements, beside other metrics, agrees with people: the tables of docs/metrics/elements.md.

    python tests/perf/measure_elements.py thumb                      THumB 1.0: precision, recall and total
    python tests/perf/measure_elements.py thumb --soft sentences     the rows with three stages
    python tests/perf/measure_elements.py foils                      SugarCrepe and VALSE foil-it
    python tests/perf/measure_elements.py iiw                        verdicts on IIW-P5B's captions of IIW-400

The rows are judged as `capbench metaeval` judges them, and foils are read as `capbench judgements` reads them; every
text is parsed again, into an empty cache. Everything is read from ../shared/data.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

from measure_parser import SHARED, lines

from capbench import metaeval
from capbench.judgement_sets import convert

OTHERS = ("spice_like", "cider", "meteor")
BETTER = {  # for the model, whose caption is scored
    "IIW-Human is substantially better": -2,
    "IIW-Human is marginally better": -1,
    "Neutral": 0,
    "IIW-P5B is marginally better": 1,
    "IIW-P5B is substantially better": 2,
}
COLUMNS = {
    "thumb": (
        "elements", "precision", "recall", "hallucinated_share", "spice_like", "spice_like_precision",
        "spice_like_recall", "cider", "meteor",
    ),
    "foils": ("elements", "hallucinated", "spice_like", "cider", "meteor"),
    "iiw": ("elements", "precision", "recall", "missed", "hallucinated_share", "spice_like", "cider", "meteor"),
}  # fmt: skip


def thumb():
    """Question -> rows of metaeval: every system's captions and what people said of them."""
    rated = lines("human/thumb_mscoco.jsonl.gz")
    return {
        f"human {name}": [judged(str(row["image_id"]), row["caption"], row["refs"], row[name]) for row in rated]
        for name in ("precision", "recall", "total")
    }


def iiw():
    """Question -> rows of metaeval: the model's captions, the human ones as references, and the verdicts."""
    compared = [row for row in lines("detailed/iiw400.jsonl.gz") if row.get("IIW-P5B")]
    return {
        name.lower(): [
            judged(
                row["image/key"], row["IIW-P5B"], [row["IIW"]], BETTER[row["iiw-human-sxs-iiw-p5b"][f"metrics/{name}"]]
            )
            for row in compared
        ]
        for name in ("Comprehensiveness", "Specificity", "Hallucination")
    }


def judged(image, caption, references, rating):
    """A row with one rating."""
    return {"image": image, "candidate": caption, "references": references, "ratings": [rating]}


def foils():
    """Set -> rows of metaeval."""
    sets = {"SugarCrepe": ("foil/sugarcrepe.jsonl.gz", ["coco/val2017_refs.jsonl.gz"])}
    sets["VALSE foil-it"] = ("foil/valse_foil_it.jsonl.gz", [])
    found = {}
    for name, (file, captions) in sets.items():
        made = convert([SHARED / file], captions=[SHARED / one for one in captions])
        found[name] = made.rows
        for why, count in made.left_out.items():
            print(f"{name}: left out: {count:,}: {why}")
    return found


def evaluated(rows, metrics, folder):
    """(column, statistic, group) -> result; and the groups."""
    path = Path(folder) / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = metaeval.evaluate(path, metrics)
    return {(one.column, one.statistic, one.group): one for one in found.results}, found.groups


def of_ratings(questions, columns, metrics, folder, pearson):
    """A row a column: tau-b with its interval for each question; Pearson's r in brackets if wanted."""
    tables = [evaluated(rows, metrics, folder)[0] for rows in questions.values()]
    yield ["metric", *questions]
    for column in columns:
        cells = [
            interval(table[column, "tau_b", "all"])
            + (f" ({table[column, 'pearson', 'all'].value:.3f})" if pearson else "")
            for table in tables
        ]
        yield [tables[0][column, "tau_b", "all"].label, *cells]


def of_pairs(sets, columns, metrics, folder):
    """A row a set or kind of foil: accuracy with its interval (share of ties) for each column."""
    for i, (name, rows) in enumerate(sets.items()):
        table, groups = evaluated(rows, metrics, folder)
        if i == 0:
            yield ["foils", "n", *(table[column, "accuracy", "all"].label for column in columns)]
        for group in groups:
            strict = [table[column, "accuracy", group] for column in columns]
            halves = [table[column, "accuracy_ties_half", group] for column in columns]
            cells = [
                f"{interval(one)} ({2 * (half.value - one.value):.3f})"
                for one, half in zip(strict, halves, strict=True)
            ]
            yield [f"{name}, {group}", str(strict[0].n), *cells]


def interval(one):
    """0.138 [0.094, 0.177]."""
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"


def main():
    """Print one table."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("table", choices=COLUMNS)
    words.add_argument("--soft", default="", help="the encoder of the third stage; elements alone is measured")
    args = words.parse_args()
    columns = COLUMNS[args.table]
    metrics = ["elements", *OTHERS]
    if args.soft:
        columns, metrics = columns[: columns.index("spice_like")], [f"elements(soft={args.soft!r})"]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CAPBENCH_CACHE"] = folder
        if args.table == "foils":
            table = of_pairs(foils(), columns, metrics, folder)
        else:
            questions = {"thumb": thumb, "iiw": iiw}[args.table]()
            table = of_ratings(questions, columns, metrics, folder, pearson=args.table == "thumb")
        for row in table:
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
