"""Reading English about scenes: every word is either understood or named as one that could not be read.

The rules, where English leaves a choice:

- "a red circle" is a new group, unless an earlier sentence has named one in the same words.
- "the circle" is the only group that it can be; where it can be none, it is a new one.
- "it" and "them" are the subject of the sentence, or of the last one, if the number agrees; else the
  only group that it can be.
- A place after a group ("a ring above a square left of a cross") belongs to the nearest group; after
  "and" it belongs to the one before ("a ring above a square and left of a cross").
- What "not", "or" and the like stand in is not read, nor are the relations of a sentence with a word
  that is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from capbench.scenes.meaning import Group, Meaning
from capbench.scenes.memory import Bare, Memory
from capbench.scenes.words import LONGEST, Symbol, symbols

STARTS = ("number", "the", "some", "size", "colour", "noun", "pronoun")
INSIDE = ("number", "the", "some", "size", "colour")
VERBS = ("be", "verb")
PLACES = ("side", "near", "bare")
ADJECTIVES = {"size", "colour"}
DEEPEST = 20  # groups within groups: a ring above a ring above a ring ...
END = Symbol("end", None, "the end")


def read(text: str) -> Meaning:
    """The meaning of a text; never raises. Words that it cannot read stand in ``unread``.

    A text of more than LONGEST characters is not read at all.
    """
    if len(text) > LONGEST:
        return Meaning(unread=(f"more than {LONGEST} characters",))
    memory = Memory()
    reader = Reader(memory)
    sentence: list[Symbol] = []
    for symbol in [*symbols(text), Symbol("stop", None, ".")]:
        if symbol.kind == "stop":
            reader.sentence(sentence)
            sentence = []
        else:
            sentence.append(symbol)
    return Meaning(tuple(memory.groups), tuple(dict.fromkeys(memory.relations)), tuple(memory.unread))


class Reader:
    """The sentence that is being read, into a memory."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._row: Sequence[Symbol] = ()
        self._at = 0
        self._depth = 0

    def sentence(self, row: Sequence[Symbol]) -> None:
        """Read one sentence into groups, relations and unread words."""
        never = [symbol.text for symbol in row if symbol.kind == "never"]
        if never:
            self._memory.unread += never
            return
        self._row, self._at = row, 0
        self._memory.bare, self._memory.old = [], len(self._memory.groups)
        known, faults = len(self._memory.relations), len(self._memory.unread)
        while self._at < len(row):
            self._clause()
        self._memory.place_bare()
        if len(self._memory.unread) > faults:
            del self._memory.relations[known:]

    def _peek(self, ahead: int = 0) -> Symbol:
        place = self._at + ahead
        return self._row[place] if place < len(self._row) else END

    def _next(self) -> Symbol:
        symbol = self._peek()
        self._at += 1
        return symbol

    def _accept(self, *kinds: str) -> bool:
        """Step over a symbol of these kinds, if there is one."""
        found = self._peek().kind in kinds
        self._at += found
        return found

    def _clause(self) -> None:
        """Read a part of a sentence; always steps on."""
        kind = self._peek().kind
        if kind in ("open", "comma", "and"):
            self._next()
        elif kind in PLACES:
            self._fronted()
        elif kind == "row":
            self._sequence()
        elif kind in STARTS:
            self._statement(opened=self._at > 0 and self._row[self._at - 1].kind == "open")
        else:
            self._memory.unread.append(self._next().text)

    def _fronted(self) -> None:
        """Left of a square is a circle; on its left there are two circles."""
        place = self._next()
        target: int | None = None
        if place.kind == "side":
            target = self._group() if self._peek().kind in STARTS else None
        elif place.kind == "near":
            target = self._memory.pronoun(place.value[1], place.text, ())
        if target is None and place.kind != "bare":
            self._memory.unread.append(place.text)
            return
        if target is not None:
            self._memory.topic = target
        while self._accept("comma", "open", *VERBS):
            pass
        if self._peek().kind not in STARTS:
            self._memory.unread.append(place.text)
            return
        side = place.value[0] if place.kind == "near" else place.value
        for group in self._groups():
            if place.kind == "bare":
                self._memory.bare.append(
                    Bare(group, side, place.text, self._memory.topic if self._memory.topic != group else None)
                )
            else:
                self._memory.relate(group, side, target, place.text)

    def _sequence(self) -> None:
        """From left to right: a circle, a square and a ring."""
        row = self._next()
        while self._accept("comma", "open"):
            pass
        line = self._groups("comma", "and", "then")
        if len(line) < 2:
            self._memory.unread.append(row.text)
        for first, second in pairwise(line):
            self._memory.relate(first, row.value, second, row.text)

    def _statement(self, *, opened: bool) -> None:
        """Groups, and perhaps what is said of them: a circle and a ring are left of a square."""
        before = len(self._memory.relations)
        first = self._group()
        if first is None:
            return
        subjects = [first]
        self._memory.topic = first
        free = 0  # subjects from here on have no place of their own
        while True:
            free = len(subjects) if len(self._memory.relations) > before else free
            before = len(self._memory.relations)
            step = self._list_step("comma", "and")
            if not step:
                break
            self._at += step
            group = self._group()
            if group is None:
                return
            subjects.append(group)
        verb = self._peek()
        if verb.kind in VERBS:
            only_last = opened or verb.value is True
            predicate = subjects[-1:] if only_last else subjects[free:] or subjects[-1:]
            self._predicate(predicate)
        elif verb.kind == "have":
            self._with(subjects[-1])
        if self._peek().kind == "comma" and self._peek(1).kind == "with":
            self._next()
            self._with(self._memory.topic)

    def _list_step(self, *separators: str) -> int:
        """How many separators stand before the next group of a list; 0 if the list has ended."""
        step = 0
        while self._peek(step).kind in separators and step < 3:
            step += 1
        return step if self._peek(step).kind in STARTS else 0

    def _groups(self, *separators: str) -> list[int]:
        """A list of groups; it ends before a group that is the subject of another verb."""
        found: list[int] = []
        while True:
            group = self._group()
            if group is None:
                return found
            found.append(group)
            step = self._list_step(*(separators or ("comma", "and")))
            if not step or self._begins_clause(step):
                return found
            self._at += step

    def _begins_clause(self, ahead: int) -> bool:
        """Whether the group that starts there has a verb after it."""
        ahead = self._noun_from(ahead)
        if self._peek(ahead + 1).kind == "in" and self._peek(ahead + 2).kind == "colour":
            ahead += 2
        if self._peek(ahead + 1).kind == "that" and self._peek(ahead + 3).kind in ("size", "colour"):
            ahead += 3
        return self._peek(ahead + 1).kind in (*VERBS, "have")

    def _noun_from(self, ahead: int) -> int:
        """Where the words before a noun end."""
        while True:
            kind, then = self._peek(ahead).kind, self._peek(ahead + 1).kind
            if kind not in (*INSIDE, "coloured") and not (kind in ("comma", "and") and then in ("size", "colour")):
                return ahead
            ahead += 1

    def _predicate(self, subjects: Sequence[int]) -> None:
        """Is red; are large and left of a square; sits above it."""
        verb = self._next()
        read_any = False
        while True:
            if not self._said_of(subjects):
                if not read_any:
                    self._memory.unread.append(verb.text)
                return
            read_any = True
            step = 1 if self._peek().kind in ("comma", "and") else 0
            step += step == 1 and self._peek(1).kind == "and"
            if not step or not self._continues(step):
                return
            self._at += step

    def _said_of(self, subjects: Sequence[int]) -> bool:
        """One thing that is said of the subjects; False if nothing of the sort comes next."""
        symbol = self._peek()
        if symbol.kind in ("size", "colour"):
            self._next()
            self._accept("tail")
            for subject in subjects:
                self._memory.describe(subject, symbol)
        elif symbol.kind == "in" and self._peek(1).kind == "colour":
            self._next()
            colour = self._next()
            for subject in subjects:
                self._memory.describe(subject, colour)
        elif symbol.kind in PLACES:
            return self._placed(subjects)
        else:
            return False
        return True

    def _continues(self, ahead: int) -> bool:
        """Whether something more is said of the same subject, rather than a new clause begun."""
        kind = self._peek(ahead).kind
        if kind in ("size", "colour"):
            return self._peek(self._noun_from(ahead)).kind != "noun"
        return kind in PLACES and not self._begins_fronted(ahead)

    def _begins_fronted(self, ahead: int) -> bool:
        """Whether a verb follows the place and its group: and left of the square is a circle."""
        if self._peek(ahead).kind == "side":
            ahead = self._noun_from(ahead + 1)
        return self._peek(ahead + 1).kind in (*VERBS, "open", "comma") and self._peek(ahead + 2).kind in (
            *STARTS,
            "open",
            *VERBS,
        )

    def _placed(self, subjects: Sequence[int]) -> bool:
        """The subjects beside another group; False, and nothing read, if no group follows."""
        place = self._peek()
        if place.kind == "side" and self._peek(1).kind not in STARTS:
            if place.text not in ("above", "below", "underneath", "beneath"):
                return False
            place = Symbol("bare", place.value, place.text)
        self._next()
        if place.kind == "bare":
            for subject in subjects:
                anchor = self._memory.topic if self._memory.topic != subject else None
                self._memory.bare.append(Bare(subject, place.value, place.text, anchor))
            return True
        if place.kind == "near":
            side, owner = place.value
            target = self._memory.pronoun(owner, place.text, subjects)
        else:
            side, target = place.value, self._group(subjects)
        for subject in subjects:
            self._memory.relate(subject, side, target, place.text)
        return True

    def _with(self, owner: int | None) -> None:
        """With two rings above it and a cross on the left: groups that are placed by their owner."""
        word = self._next()
        topic, self._memory.topic = self._memory.topic, owner
        known, bare = len(self._memory.relations), len(self._memory.bare)
        found = self._groups()
        self._memory.topic = topic
        placed = {g for first, _, second in self._memory.relations[known:] for g in (first, second)}
        placed |= {b.group for b in self._memory.bare[bare:]}
        if not found or any(group not in placed for group in found):
            self._memory.unread.append(word.text)

    def _group(self, others: Sequence[int] = ()) -> int | None:
        """A group with everything that is said right after it; None, and a word unread, if it is none.

        others: the groups that a pronoun here cannot be.
        """
        if self._peek().kind == "pronoun":
            word = self._next()
            return self._memory.pronoun(word.value, word.text, others)
        described = self._noun_phrase()
        if described is None:
            return None
        group, definite, text = described
        index = self._memory.resolve(group, text, definite=definite)
        if index is not None and self._depth < DEEPEST:
            self._depth += 1
            self._after(index)
            self._depth -= 1
        return index

    def _noun_phrase(self) -> tuple[Group, bool, str] | None:
        """Two large red circles: the group, whether it is definite, and its words."""
        start, said = self._at, dict[str, Any]()
        while self._peek().kind != "noun":
            symbol = self._peek()
            then = self._peek(1).kind
            joins = then in ADJECTIVES and symbol.kind in ("comma", "and") and then not in said
            joins = joins or (then == "noun" and symbol.kind == "comma")
            if (joins and ADJECTIVES & said.keys()) or (
                symbol.kind == "coloured" and self._row[self._at - 1].kind == "colour"
            ):
                self._next()
            elif symbol.kind in INSIDE and symbol.kind not in said:
                said[symbol.kind] = self._next().value
            else:
                if symbol.kind in ("end", "comma", "and") and self._at > start:
                    self._memory.unread.append(" ".join(s.text for s in self._row[start : self._at]))
                elif symbol.kind != "end":
                    self._memory.unread.append(self._next().text)
                return None
        noun = self._next()
        shape, several = noun.value
        count = said.get("number", None if several else 1)
        text = " ".join(s.text for s in self._row[start : self._at])
        return Group(shape, said.get("colour"), said.get("size"), count), "the" in said, text

    def _after(self, group: int) -> None:
        """Everything that follows a noun and belongs to it."""
        while self._follows(group):
            pass

    def _follows(self, group: int) -> bool:
        """One thing that follows a noun; False if it does not belong to it."""
        kind, then = self._peek().kind, self._peek(1).kind
        if kind == "that" or (kind == "comma" and then == "that"):
            self._relative(group)
        elif kind == "with":
            self._with(group)
        elif kind in ("in", "coloured") and then == "colour":
            self._next()
            self._memory.describe(group, self._next())
        elif kind in PLACES:
            return self._places(group)
        else:
            return False
        return True

    def _places(self, group: int) -> bool:
        """A place after a noun, and those joined to it by "and"; False if there is none."""
        if not self._placed([group]):
            return False
        while self._peek().kind == "and" and self._peek(1).kind == "side" and not self._begins_fronted(1):
            self._next()
            if not self._placed([group]):
                return False
        return True

    def _relative(self, group: int) -> None:
        """That is red; which has a ring above it; between commas, perhaps."""
        set_off = self._accept("comma")
        word = self._next()
        if self._peek().kind in VERBS:
            self._predicate([group])
        elif self._peek().kind == "have":
            self._with(group)
        else:
            self._memory.unread.append(word.text)
        if set_off and self._peek().kind == "comma" and self._peek(1).kind in (*VERBS, "have"):
            self._next()
