"""METEOR: segments worked by hand, stems, ties, hostile text, and the metric itself."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from capbench.errors import BadData, CapbenchError, UsageError
from capbench.meteor import jar, resources, score
from capbench.meteor.align import align
from capbench.meteor.match import CHUNK, EXACT, GAIN, PARAPHRASE, STEM, match
from capbench.meteor.stem import stem
from capbench.meteor.text import java_hash, normalize
from capbench.metrics.meteor import Meteor
from capbench.ragged import Ragged, Words

PREFIXES = {"mr": 1, "no": 2}
installed = pytest.mark.skipif(resources.find_files() is None, reason="needs pip install 'capbench[coco]'")


def columns(row):
    return dict(zip(score.STATISTICS, np.array(row, np.float64), strict=True))


def row(**known):
    return tuple(known.get(name, 0) for name in score.STATISTICS)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("running", "run"), ("dogs", "dog"), ("flies", "fli"), ("ties", "tie"), ("skies", "sky"), ("dying", "die"),
        ("hopping", "hop"), ("hoping", "hope"), ("generously", "generous"), ("proceed", "proceed"), ("dog's", "dog"),
        ("nationality", "nation"), ("playful", "play"), ("by", "by"), ("yes", "yes"), ("", ""), ("gas", "gas"),
        ("geology", "geolog"), ("über", "über"),
    ],
)  # fmt: skip
def test_stems(word, expected):
    assert stem(word) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("A dog", "a dog"),
        ("the dog's ball isn't here", "the dog 's ball isn 't here"),
        ("black-and-white", "black and white"),
        ("it costs 1,000 , or a,b", "it costs 1,000 , or a , b"),
        ("mr. smith sat.", "mr. smith sat ."),
        ("no. 5 no. five", "no. 5 no. five"),
        ("the u.s. flag ...", "the us flag ..."),
        ("``quoted'' text", '" quoted " text'),
        ("a\u00a0b\u3000c", "a b c"),
        ("caf\u00e9 \U0001f600!", "caf\u00e9 \U0001f600 !"),
        ("", ""),
    ],
)
def test_normalized_lines(line, expected):
    assert " ".join(normalize(line, PREFIXES)) == expected


def test_words_are_compared_by_java_hash():
    assert java_hash("dog") == 99644
    assert java_hash("Aa") == java_hash("BB")
    assert java_hash("\U0001f600") == (31 * 0xD83D + 0xDE00) & 0xFFFFFFFF


def test_score_of_all_words_in_two_chunks():
    # P = R = F = 1; frag = 2 chunks / 4 words; 1 - .6 * .5 ** .2
    found = row(length_candidate=4, length_reference=4, exact_content_candidate=4, exact_content_reference=4,
                chunks=2, matched_candidate=4, matched_reference=4)  # fmt: skip
    assert score.segment_score(found) == pytest.approx(1 - 0.6 * 0.5**0.2, abs=1e-15)
    assert score.summed_score(columns(found)) == pytest.approx(score.segment_score(found), abs=1e-15)


def test_score_weighs_modules_and_function_words():
    # P = (.75 * .6 + .25 * 1) / (.75 * 1 + .25 * 1), R = .7 / (.75 * 3 + .25); one chunk of 2 words
    found = row(length_candidate=2, length_reference=4, functions_candidate=1, functions_reference=1,
                stem_content_candidate=1, stem_content_reference=1, exact_function_candidate=1,
                exact_function_reference=1, chunks=1, matched_candidate=2, matched_reference=2)  # fmt: skip
    p, r = 0.7, 0.7 / 2.5
    expected = 1 / (0.15 / p + 0.85 / r) * (1 - 0.6 * 0.5**0.2)
    assert score.segment_score(found) == pytest.approx(expected, abs=1e-15)
    assert score.summed_score(columns(found)) == pytest.approx(expected, abs=1e-15)


def test_no_match_scores_nothing():
    assert score.segment_score(row(length_reference=3)) == 0
    assert score.summed_score(columns(row(length_reference=3))) == 0
    assert score.segment_score(row(length_candidate=2, length_reference=3)) == 0


def test_matches_that_are_certain_are_taken_before_the_search():
    chosen, chunks = align([[match(STEM, 0, 1, 2, 1)], [], [match(EXACT, 2, 1, 0, 1)]])
    assert [found[:4] for found in chosen] == [(EXACT, 2, 1, 0), (STEM, 0, 1, 2)]
    assert chunks == 2


def test_a_tie_goes_to_fewer_chunks_then_to_what_came_first():
    # "a b" against "a x a b": the second "a" makes one chunk with "b"
    options = [[match(EXACT, 0, 1, 0, 1), match(EXACT, 0, 1, 2, 1)], [match(EXACT, 1, 1, 3, 1)]]
    chosen, chunks = align(options)
    assert [found[3] for found in chosen] == [3, 2]
    assert chunks == 1
    # both "a" stand alone: distance 1 and 1; the match's own distance counts for later paths only
    chosen, _ = align([[], [match(EXACT, 1, 1, 0, 1), match(EXACT, 1, 1, 2, 1)]])
    assert chosen[0][3] == 0


def test_a_single_synonym_or_stem_weighs_nothing_in_the_search():
    assert match(STEM, 0, 1, 0, 1)[7] == 0
    assert match(EXACT, 0, 1, 0, 1)[7] == -2 * GAIN
    assert match(PARAPHRASE, 0, 2, 0, 3)[7] == -2 * GAIN
    assert match(PARAPHRASE, 0, 5, 0, 7)[7] == -6 * GAIN
    assert GAIN > CHUNK > 1


def test_nothing_to_align():
    assert align([]) == ([], 0)
    assert align([[], []]) == ([], 0)


@pytest.mark.parametrize("bad", ["a\nb", "a\rb"])
def test_the_protocol_refuses_line_breaks(bad):
    with pytest.raises(BadData, match="line break"):
        jar.request("a", [bad])


def test_the_protocol_keeps_bars_out():
    assert jar.request("a ||| b", ["c ||| d"]) == "SCORE ||| c d ||| a b"
    with pytest.raises(BadData, match="no reference"):
        jar.request("a", [])


def program(tmp_path, text, seconds=20.0):
    with (tmp_path / "stderr").open("w+b") as errors:
        return jar.ask([sys.executable, "-c", text], tmp_path, ["SCORE ||| a ||| a"], errors, seconds)


def test_a_program_that_dies_is_quoted(tmp_path):
    with pytest.raises(CapbenchError, match="out of memory"):
        program(tmp_path, "import sys; sys.exit('out of memory')")


def test_a_program_that_hangs_is_stopped(tmp_path):
    with pytest.raises(CapbenchError, match=r"within 0\.5 s"):
        program(tmp_path, "import time; time.sleep(60)", 0.5)


def test_an_unknown_engine():
    with pytest.raises(UsageError, match="engine"):
        _ = Meteor(engine="nltk").needs


def test_missing_files_are_named_with_their_cure(monkeypatch):
    monkeypatch.setattr(resources, "find_files", lambda: None)
    problem = Meteor().check()
    assert problem is not None
    assert problem.cure == "pip install 'capbench[coco]'"


@pytest.mark.slow
@installed
@pytest.mark.parametrize(
    ("candidate", "references", "expected"),
    [
        ("a dog is running on the grass", ["a dog runs on the grass"], 0.46076005595009917),
        ("the cat sat on the mat", ["on the mat sat the cat"], 0.4776696620223255),
        ("a big automobile", ["a large car"], 0.8285714285714286),
        ("dog", ["dog"], 1.0),
        ("two dogs play", ["two dogs are playing in the park", "dogs play"], 0.4660191824608054),
        ("", ["a dog"], 0.0),
    ],
)
def test_segments_that_the_reference_program_gave(candidate, references, expected):
    found = score.best_rows(resources.load(), [(candidate, references)])
    assert score.segment_score(found[0]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.slow
@installed
def test_rows_and_corpus():
    candidates = Words.of([("a", "big", "automobile"), ("dog",), ("x",), ()])
    references = Ragged(Words.of([("a", "large", "car"), ("cat",), ("dog",), ("a", "dog")]), np.array([0, 1, 3, 3, 4]))
    columns = Meteor().rows(candidates, references)
    assert columns["meteor"] == pytest.approx([0.8285714285714286, 1, np.nan, 0], nan_ok=True)
    sums = {name: np.nansum(columns[name], keepdims=True) for name in score.STATISTICS}
    assert Meteor().reduce(sums)["meteor"].shape == (1,)
    assert 0 < Meteor().reduce(sums)["meteor"][0] < 1
    again = Meteor().reduce({name: columns[name] for name in score.STATISTICS})["meteor"]
    assert again == pytest.approx(columns["meteor"], nan_ok=True)


@pytest.mark.slow
@installed
def test_the_corpus_score_that_the_reference_program_gave():
    # two of the six are one chunk of everything, which adds no chunk to the sum
    items = [
        ("a dog is running on the grass", ["a dog runs on the grass"]),
        ("the cat sat on the mat", ["on the mat sat the cat"]),
        ("a big automobile", ["a large car"]),
        ("dog", ["dog"]),
        ("two dogs play", ["two dogs are playing in the park", "dogs play"]),
        ("a dog", ["a dog", "the cat"]),
    ]
    texts = Words.of([tuple(text.split()) for text, _ in items])
    offsets = np.cumsum([0, *(len(references) for _, references in items)])
    references = Words.of([tuple(text.split()) for _, own in items for text in own])
    columns = Meteor().rows(texts, Ragged(references, offsets))
    found = Meteor().reduce({name: columns[name].sum(keepdims=True) for name in score.STATISTICS})
    assert found["meteor"][0] == pytest.approx(0.4961932953387877, abs=1e-12)


def test_entries_are_cut_behind_a_whole_one():
    text = "1\na\nb\n2\nc d\ne\n3\nf"
    assert resources.whole_entries(text) == ("1\na\nb\n2\nc d\ne\n", "3\nf")
    assert resources.whole_entries("1\na\nb\n") == ("1\na\nb\n", "")
    assert resources.whole_entries("1\na\n") == ("", "1\na\n")


def test_hashes_of_phrases():
    known = resources.WordHashes({resources.MARK: 0})
    sources, targets = resources.entry_hashes("0.5\nc d\ne\n0.1\ne\nc d\n", known)
    assert sources.tolist() == targets.tolist()[::-1]
    assert sources[1] == resources.word_hash("e")
    one, two = (np.uint64(resources.word_hash(word)) for word in "cd")
    with np.errstate(over="ignore"):
        assert sources[0] == one * resources.FACTOR + two
    for bad in ("0.5\nc d\n", "0.5\n\ne\n", "0.5\n1 2 3 4 5 6 7 8\ne\n"):
        with pytest.raises(ValueError, match=r"entry|phrases"):
            resources.entry_hashes(bad, known)
