"""Saying a scene in English: one fixed style for the speaker, and a grammar with variety for references."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from capbench.scenes.meaning import NUMBERS, OPPOSITE, Group, told
from capbench.scenes.world import Draws, Scene

PLAIN_SIDES = {"left": "to the left of", "right": "to the right of", "above": "above", "below": "below"}
PLURALS = {"box": "boxes", "cross": "crosses", "rhombus": "rhombuses"}

NOUNS = {
    "circle": ("circle", "circle", "disc"),
    "square": ("square", "square", "box"),
    "triangle": ("triangle",),
    "diamond": ("diamond", "diamond", "rhombus"),
    "cross": ("cross", "cross", "plus sign"),
    "ring": ("ring", "ring", "hoop"),
}
COLOUR_WORDS = {"purple": ("purple", "violet")}
SIZE_WORDS = {"small": ("small", "small", "little", "tiny"), "large": ("large", "large", "big", "huge")}
# Each phrase of one side has its mirror image at the same place, so that no word is more usual on one side.
SIDE_WORDS = {
    "left": ("to the left of", "left of", "left of", "on the left of"),
    "right": ("to the right of", "right of", "right of", "on the right of"),
    "above": ("above", "above", "over", "higher than"),
    "below": ("below", "below", "under", "lower than"),
}
NEAR = {
    "left": ("to {its} left", "on {its} left", "left of {it}"),
    "right": ("to {its} right", "on {its} right", "right of {it}"),
    "above": ("above {it}", "above {it}", "over {it}"),
    "below": ("below {it}", "below {it}", "under {it}"),
}
VERBS = (
    ("is", "are"), ("is", "are"), ("is", "are"), ("is", "are"), ("sits", "sit"), ("sits", "sit"), ("lies", "lie"),
    ("can be seen", "can be seen"),
)  # fmt: skip
INTROS = (
    "there {is} ", "there {is} ", "there {is} ", "we see ", "we see ", "here {is} ", "here {is} ",
    "the picture shows ", "an image of ", "in the picture there {is} ",
)  # fmt: skip


class Said(NamedTuple):
    """A group in words: its full phrase, its noun alone, and whether there are several."""

    phrase: str
    noun: str
    several: bool

    @property
    def forms(self) -> dict[str, str]:
        """The words that agree with it."""
        return {
            "is": "are" if self.several else "is",
            "its": "their" if self.several else "its",
            "it": "them" if self.several else "it",
        }


class Template(Protocol):
    """A way to tell a relation between two groups: the first is on that side of the second."""

    __name__: str

    def __call__(self, first: Said, side: str, second: Said, draws: Draws, /) -> str:
        """The words, without the full stop."""
        ...


def plural(noun: str) -> str:
    """The plural of a noun of this world."""
    return PLURALS.get(noun, noun + "s")


def article(word: str) -> str:
    """The indefinite article before a word."""
    return "an" if word[0] in "aeiou" else "a"


def capital(text: str) -> str:
    """The text with its first letter upper case."""
    return text[:1].upper() + text[1:]


def plain(group: Group, *, definite: bool = False) -> str:
    """A group in the fixed style: "two large red circles", "an orange ring", "the circles"."""
    several = group.count is not None and group.count > 1
    noun = plural(group.shape) if several else group.shape
    words = [] if definite else [word for word in (group.size, group.colour) if word]
    phrase = " ".join([*words, noun])
    if definite:
        return "the " + phrase
    return f"{NUMBERS[group.count or 0]} {phrase}" if several else f"{article(phrase)} {phrase}"


def tell(groups: Sequence[Group], steps: Sequence[tuple[int, str, int]]) -> str:
    """The fixed style: a sentence a step, then one for all groups that no step has named.

    "Two large red circles are to the left of a small blue square. A large ring is above the square."
    """
    named: set[int] = set()

    def name(i: int) -> str:
        """The group in full the first time, with the article and the noun later."""
        known = i in named
        named.add(i)
        return plain(groups[i], definite=known)

    sentences = []
    for first, side, second in steps:
        verb = "are" if (groups[first].count or 1) > 1 else "is"
        sentences.append(f"{capital(name(first))} {verb} {PLAIN_SIDES[side]} {name(second)}.")
    rest = [i for i in range(len(groups)) if i not in named]
    if rest:
        verb = "are" if (groups[rest[0]].count or 1) > 1 else "is"
        sentences.append(f"There {verb} {listed([plain(groups[i]) for i in rest])}.")
    return " ".join(sentences)


def listed(phrases: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(phrases[:-1]), phrases[-1]] if len(phrases) > 1 else phrases)


def references(scene: Scene, label: str, n: int = 5) -> tuple[str, ...]:
    """N different texts that each say everything about a scene that ``told`` names, and nothing else.

    label: fixes every choice. The scene has a group in the centre and one or two beside it.
    """
    texts: dict[str, None] = {}
    for attempt in range(100 * n):
        texts.setdefault(reference(scene, Draws(f"{label}/{attempt}"))[0])
        if len(texts) == n:
            break
    return tuple(texts)


def reference(scene: Scene, draws: Draws) -> tuple[str, str]:
    """One text, and the template that it was made with."""
    meaning, steps = told(scene)
    said = [_phrase(group, draws) for group in meaning.groups]
    steps = draws.shuffle(steps)
    first, side, second = _turned(steps[0], draws)
    opening = draws.pick(OPENINGS)
    text = opening(said[first], side, said[second], draws)
    if len(steps) == 1:
        return capital(text) + ".", opening.__name__
    addition = draws.pick(ADDITIONS)
    new, where, hub = steps[1]
    added = addition(said[new], where, said[hub], draws)
    return capital(text) + added + ".", opening.__name__ + addition.__name__


def _turned(step: tuple[int, str, int], draws: Draws) -> tuple[int, str, int]:
    """A step, or half of the time the same from the other end."""
    first, side, second = step
    return step if draws.below(2) else (second, OPPOSITE[side], first)


def _phrase(group: Group, draws: Draws) -> Said:
    """A group in drawn words; everything about it is said."""
    count = group.count or 1
    noun = draws.pick(NOUNS[group.shape])
    noun = plural(noun) if count > 1 else noun
    colour = draws.pick(COLOUR_WORDS.get(group.colour or "", (group.colour or "",)))
    size = draws.pick(SIZE_WORDS[group.size or "small"])
    form = draws.below(20)
    if form < 14:
        body = f"{size} {colour} {noun}"
    elif form < 16:
        body = f"{size} {noun} in {colour}"
    elif form == 16:
        body = f"{colour} {noun} that {'are' if count > 1 else 'is'} {size}"
    else:
        body = f"{size}, {colour} {noun}"
    return Said(f"{_number(count, body, draws)} {body}", noun, count > 1)


def _number(count: int, body: str, draws: Draws) -> str:
    """The word before a group."""
    if count == 1:
        return draws.pick((article(body), article(body), "one", "a single"))
    if count == 2:
        return draws.pick(["two"] * 7 + ["a pair of"])
    return draws.pick([NUMBERS[count]] * 7 + [f"a group of {NUMBERS[count]}"])


def _verb(said: Said, draws: Draws) -> str:
    """A verb of place that agrees."""
    return draws.pick(VERBS)[said.several]


def _plain_statement(a: Said, side: str, b: Said, draws: Draws) -> str:
    return f"{a.phrase} {_verb(a, draws)} {draws.pick(SIDE_WORDS[side])} {b.phrase}"


def _intro(a: Said, side: str, b: Said, draws: Draws) -> str:
    return f"{draws.pick(INTROS).format(**a.forms)}{a.phrase} {draws.pick(SIDE_WORDS[side])} {b.phrase}"


def _fronted(a: Said, side: str, b: Said, draws: Draws) -> str:
    return f"{draws.pick(SIDE_WORDS[side])} {b.phrase} {_verb(a, draws)} {a.phrase}"


def _with(a: Said, side: str, b: Said, draws: Draws) -> str:
    near = draws.pick(NEAR[side]).format(**b.forms)
    return f"{draws.pick(INTROS).format(**b.forms)}{b.phrase} with {a.phrase} {near}"


def _two_clauses(a: Said, side: str, b: Said, draws: Draws) -> str:
    near = draws.pick(NEAR[side]).format(**b.forms)
    return f"there {b.forms['is']} {b.phrase}, and {near} there {a.forms['is']} {a.phrase}"


def _having(a: Said, side: str, b: Said, draws: Draws) -> str:
    near = draws.pick(NEAR[side]).format(**b.forms)
    return f"{b.phrase} {'have' if b.several else 'has'} {a.phrase} {near}"


def _listing(a: Said, side: str, b: Said, draws: Draws) -> str:
    intro = draws.pick(INTROS).format(**a.forms)
    return (
        f"{intro}{a.phrase} and {b.phrase}; the {a.noun} {_verb(a, draws)} {draws.pick(SIDE_WORDS[side])} the {b.noun}"
    )


OPENINGS: tuple[Template, ...] = (
    _plain_statement, _plain_statement, _plain_statement, _intro, _intro, _fronted, _fronted, _with, _with, _having,
    _having, _two_clauses, _listing,
)  # fmt: skip


def _sentence(c: Said, side: str, hub: Said, draws: Draws) -> str:
    return f". {capital(c.phrase)} {_verb(c, draws)} {draws.pick(SIDE_WORDS[side])} the {hub.noun}"


def _clause(c: Said, side: str, hub: Said, draws: Draws) -> str:
    return f", and {c.phrase} {_verb(c, draws)} {draws.pick(SIDE_WORDS[side])} the {hub.noun}"


def _there(c: Said, side: str, hub: Said, draws: Draws) -> str:
    return f", and there {c.forms['is']} {c.phrase} {draws.pick(SIDE_WORDS[side])} the {hub.noun}"


def _fronted_sentence(c: Said, side: str, hub: Said, draws: Draws) -> str:
    return f". {capital(draws.pick(SIDE_WORDS[side]))} the {hub.noun} {_verb(c, draws)} {c.phrase}"


def _other_end(c: Said, side: str, hub: Said, draws: Draws) -> str:
    return f". The {hub.noun} {_verb(hub, draws)} {draws.pick(SIDE_WORDS[OPPOSITE[side]])} {c.phrase}"


def _other_clause(c: Said, side: str, hub: Said, draws: Draws) -> str:
    return f", and the {hub.noun} {_verb(hub, draws)} {draws.pick(SIDE_WORDS[OPPOSITE[side]])} {c.phrase}"


def _other_fronted(c: Said, side: str, hub: Said, draws: Draws) -> str:
    return f". {capital(draws.pick(SIDE_WORDS[OPPOSITE[side]]))} {c.phrase} {_verb(hub, draws)} the {hub.noun}"


# As many from the one end as from the other, so that no side of a relation is named more often.
ADDITIONS: tuple[Template, ...] = (
    _sentence, _clause, _there, _fronted_sentence, _other_end, _other_end, _other_clause, _other_fronted,
)  # fmt: skip
