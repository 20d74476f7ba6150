"""What one or several texts say together: each element once, with every form in which it is said.

The graph of several references is the union of theirs, as SPICE merges them: what any of them says is there. Forms that
say the same are one element. Which ones are together depends on how many texts use a form and on the alphabet, and
not on the order of the texts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from capbench.elements.words import EXACT, Vocabulary, tidy
from capbench.protocols import Elements

KINDS = ("objects", "attributes", "relations")

Form = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Element:
    """One thing that is said. forms: (object), (object, attribute) or (subject, relation, object), the usual one first.

    texts: how many texts say it.
    """

    forms: tuple[Form, ...]
    texts: int

    @property
    def phrases(self) -> tuple[str, ...]:
        """Each form as it is encoded: "dog", "brown dog", "dog on grass"."""
        return tuple(map(phrase, self.forms))


Graph = Mapping[str, tuple[Element, ...]]


def phrase(form: Form) -> str:
    """A form as a few words in their natural order."""
    return f"{form[1]} {form[0]}" if len(form) == 2 else " ".join(form)


def graph(texts: Sequence[Elements], words: Vocabulary) -> Graph:
    """The elements of these texts together, of each kind."""
    plain = [normal(text, words) for text in texts]
    return {kind: merged([text[kind] for text in plain], words) for kind in KINDS}


def normal(text: Elements, words: Vocabulary) -> dict[str, set[Form]]:
    """A text's elements of each kind in comparable words, each once; what has an empty word is none."""
    noun = words.noun
    found: dict[str, set[Form]] = {
        "objects": {(noun(name),) for name in text.objects},
        "attributes": {(noun(name), tidy(value)) for name, value in text.attributes},
        "relations": {(noun(first), tidy(how), noun(second)) for first, how, second in text.relations},
    }
    return {kind: {form for form in forms if all(form)} for kind, forms in found.items()}


def merged(texts: Sequence[Iterable[Form]], words: Vocabulary) -> tuple[Element, ...]:
    """Forms that say the same as one element, in alphabetical order of the usual forms.

    A form joins the first element whose usual form says the same; forms come in order of how many texts have them.
    """
    counts = Counter(form for text in texts for form in set(text))
    groups: list[list[Form]] = []
    usual = Lookup(words)
    for form in sorted(counts, key=lambda form: (-counts[form], form)):
        same = next((place for place in usual.candidates(form) if level(groups[place][0], form, words)), None)
        if same is None:
            usual.add(form, len(groups))
            groups.append([form])
        else:
            groups[same].append(form)
    sets = [set(text) for text in texts]
    made = [Element(tuple(group), sum(not own.isdisjoint(group) for own in sets)) for group in groups]
    return tuple(sorted(made, key=lambda element: element.forms))


class Lookup:
    """Finds the forms that may say the same as another, without comparing it with all: long texts have thousands."""

    def __init__(self, words: Vocabulary) -> None:
        self._words = words
        self._places: dict[tuple[int, str], list[int]] = {}

    def add(self, form: Form, place: int) -> None:
        """Remember a form under a number; numbers come in ascending order."""
        for position, word in enumerate(form):
            self._words.like(word)  # from now on it is found by words like it
            self._places.setdefault((position, word), []).append(place)

    def candidates(self, form: Form) -> list[int]:
        """The places of those that agree with a form in one position, that with the fewest; in ascending order."""
        places = self._places
        found = [
            [own for one in (word, *self._words.like(word)) if (own := places.get((position, one)))]
            for position, word in enumerate(form)
        ]
        fewest = min(found, key=lambda lists: sum(map(len, lists)))
        return sorted({place for own in fewest for place in own})


def level(a: Form, b: Form, words: Vocabulary) -> int:
    """EXACT or SYNONYM if two forms say the same in every position, else 0."""
    if a == b:
        return EXACT
    found = EXACT
    for one, other in zip(a, b, strict=True):
        here = words.level(one, other)
        if not here:
            return 0
        found = min(found, here)
    return found
