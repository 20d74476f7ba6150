"""Base forms of single words from the tables of spaCy's rule lemmatizer, with no look at their neighbours.

The tagger takes "planes" for a name in some captions and for a noun in others. What a word is called must not depend
on that, so the tables are read for nouns and verbs here, whatever the tag.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from capbench.errors import CapbenchError

TABLES = ("lemma_index", "lemma_exc", "lemma_rules")
ENDINGS = (("ies", "y"), ("ss", "ss"), ("us", "us"), ("is", "is"), ("s", ""))  # of nouns that the tables lack


class Lemmas:
    """Base forms by part of speech; each word is looked up once."""

    def __init__(self, tables: Mapping[str, Mapping[str, Any]], keep: Collection[str] = ()) -> None:
        """tables: those of TABLES, as spaCy's lookups have them. keep: nouns that stay as they are."""
        self._index = {part: frozenset(tables["lemma_index"][part]) for part in ("noun", "verb", "adj")}
        self._irregular = {part: tables["lemma_exc"][part] for part in ("noun", "verb")}
        self._rules = {part: tables["lemma_rules"][part] for part in ("noun", "verb")}
        self._keep = keep
        self._known: dict[tuple[str, str], str] = {}

    def noun(self, word: str) -> str:
        """The singular, in lower case; a word that is kept stays."""
        return self._base(word.lower(), "noun")

    def verb(self, word: str) -> str:
        """The infinitive, in lower case."""
        return self._base(word.lower(), "verb")

    def is_noun(self, word: str) -> bool:
        """Whether the tables know a word, in some form, as a noun."""
        return self.noun(word) in self._index["noun"]

    def is_verb(self, word: str) -> bool:
        """The same of a verb."""
        return self.verb(word) in self._index["verb"]

    def is_only_adjective(self, word: str) -> bool:
        """Whether they know it as an adjective and as nothing else."""
        return word in self._index["adj"] and not self.is_noun(word)

    def _base(self, word: str, part: str) -> str:
        """From the exceptions, the first rule that gives a word of the index, or the index."""
        key = part, word
        if key not in self._known:
            self._known[key] = self._look_up(word, part)
        return self._known[key]

    def _look_up(self, word: str, part: str) -> str:
        """The same, not yet known."""
        index, irregular = self._index[part], self._irregular[part]
        if part == "noun" and word in self._keep:
            return word
        if word in irregular:
            return str(irregular[word][0])
        rules = [(old, new) for old, new in self._rules[part] if old and word.endswith(old) and len(word) > len(old)]
        found = [form for form in (word.removesuffix(old) + new for old, new in rules) if form in index]
        if found:  # "swinging" is of swing, not of swinge
            stems = [form for form in found if not (form.endswith("nge") and form[:-1] in found)]
            return str(stems[0])
        if part == "noun" and word not in index and len(word) > 3:
            old, new = next(((old, new) for old, new in ENDINGS if word.endswith(old)), ("", ""))
            return word.removesuffix(old) + new
        return word


def lemmas_of(nlp: Any, keep: Collection[str] = ()) -> Lemmas:
    """The base forms of a pipeline.

    Raises:
        CapbenchError: it has no rule lemmatizer with tables for English nouns and verbs.
    """
    try:
        lookups = nlp.get_pipe("lemmatizer").lookups
        return Lemmas({name: lookups.get_table(name) for name in TABLES}, keep)
    except (KeyError, AttributeError) as error:
        raise CapbenchError(
            f"the pipeline {nlp.meta.get('name', '?')} has no rule lemmatizer with nouns and verbs",
            "use an English pipeline of spaCy, such as en_core_web_sm",
        ) from error
