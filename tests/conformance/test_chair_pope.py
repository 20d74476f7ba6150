"""CHAIR on the captions of five multimodal LLMs that POPE published: the authors' program, and the docs' table.

COUNTS come from the published procedure: the table and rules of LisaAnne/Hallucination at 6e4d33c4be, with
``singularize`` of PatternLite 3.6 and the Treebank tokenizer of NLTK 3.2.5, cut into sentences at ``.?!``. The
objects of a picture are those of its references alone, since the instance files are not at hand.
"""

import re

import pytest

import capbench
from capbench.metrics.chair_words import mentions
from capbench.records import read

# mentions, hallucinated mentions, hallucinating captions, objects found, of 652 captions and 1,337 objects
COUNTS = {
    ("short_prompt", "instructblip"): (885, 57, 52, 807),
    ("short_prompt", "llava"): (4924, 1563, 504, 1176),
    ("short_prompt", "minigpt-4"): (4745, 732, 300, 1123),
    ("short_prompt", "mmgpt"): (3023, 798, 304, 937),
    ("short_prompt", "mplug"): (5540, 2210, 556, 1037),
    ("long_prompt", "instructblip"): (926, 62, 57, 846),
    ("long_prompt", "llava"): (3279, 714, 342, 1129),
    ("long_prompt", "minigpt-4"): (1508, 194, 119, 954),
    ("long_prompt", "mmgpt"): (1019, 162, 137, 788),
    ("long_prompt", "mplug"): (1765, 394, 228, 884),
}
CAPTIONS, OBJECTS = 652, 1337


def scored(shared, prompt, model, spec):
    path = shared / "detailed" / "pope_mllm_captions.jsonl.gz"
    return capbench.score(path, path, [spec], field=f"{prompt}.{model}")


@pytest.mark.parametrize(("prompt", "model"), COUNTS)
def test_compat_is_the_authors_program(shared, prompt, model):
    named, wrong, wrong_captions, found = COUNTS[prompt, model]
    run = scored(shared, prompt, model, "chair(labels='references', compat=True)")
    rows = run.scored[0].rows.columns
    assert (rows["mentions"].sum(), rows["hallucinated"].sum(), rows["found"].sum()) == (named, wrong, found)
    assert (len(rows["mentions"]), rows["objects"].sum()) == (CAPTIONS, OBJECTS)
    assert run.value("chair_i_references") == pytest.approx(wrong / named, abs=1e-12)
    assert run.value("chair_s_references") == pytest.approx(wrong_captions / CAPTIONS, abs=1e-12)
    assert run.value("recall_references") == pytest.approx(found / OBJECTS, abs=1e-12)


def test_the_authors_program_on_all_references_of_a_split(shared):
    records = read(shared / "coco" / "karpathy_test_refs.jsonl.gz", want="references")
    texts = [text for record in records for text in record.texts]
    named = [mention.object for text in texts for mention in mentions(text, compat=True)]
    assert (len(texts), len(named), named.count("bus"), named.count("person")) == (25_010, 35_710, 73, 11_099)


def documented(root):
    page = (root / "docs" / "metrics" / "chair.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\S+) \| `(\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE)
    return {(prompt, model): tuple(map(str.strip, numbers)) for model, prompt, *numbers in rows}


@pytest.mark.parametrize(("prompt", "model"), COUNTS)
def test_the_table_of_the_docs_is_what_the_command_gives(shared, root, prompt, model):
    run = scored(shared, prompt, model, "chair(labels='references')")
    values = {s.column: s for s in run.summaries}
    cell = lambda s: f"{100 * s.value:.1f} [{100 * s.low:.1f}, {100 * s.high:.1f}]"  # noqa: E731
    expected = (
        cell(values["chair_i_references"]),
        cell(values["chair_s_references"]),
        f"{100 * values['recall_references'].value:.1f}",
        f"{values['words'].value:.1f}",
    )
    assert documented(root)[prompt, model] == expected
    assert {s.n for s in run.summaries} == {CAPTIONS}


def test_the_table_of_the_docs_has_every_system(root):
    assert set(documented(root)) == set(COUNTS)
