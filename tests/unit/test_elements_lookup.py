"""Forms that say the same are found without comparing all, whichever word was heard of first."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from capbench.elements.graph import Lookup, level
from capbench.elements.words import of_meteor

WORDS = (
    "sofa", "couch", "lounge", "waiting room", "bike", "bicycle", "cycle", "wheel", "big", "large", "tv", "television",
    "dog", "hound", "cat", "zzyzx",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_a_lookup_finds_all_that_say_the_same(seed):
    random, words = np.random.default_rng(seed), of_meteor()
    known, forms, pairs = Lookup(words), [], 0
    for place in range(150):
        form = tuple(random.choice(WORDS, 3).tolist())
        found = known.candidates(form)
        same = [other for other, earlier in enumerate(forms) if level(earlier, form, words)]
        assert set(same) <= set(found)
        assert found == sorted(found)
        assert len(found) < max(len(forms), 5), "all were compared"
        known.add(form, place)
        forms.append(form)
        pairs += len(same)
    assert pairs > 20


@pytest.mark.parametrize("order", [1, -1])
def test_words_are_like_those_that_share_a_synonym_set_with_them(order):
    words = of_meteor()
    for word in WORDS[::order]:
        words.like(word)
    for a, b in itertools.permutations(WORDS, 2):
        assert (b in words.like(a)) == (words.level(a, b) > 0)
    assert "couch" in words.like("sofa")
    assert words.like("truck") == set(), "nobody has asked for motortruck yet"
    assert words.like("motortruck") == {"truck"}
    assert words.like("truck") == {"motortruck"}
