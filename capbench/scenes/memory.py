"""What has been named in a text so far, and what a phrase can refer to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from capbench.scenes.meaning import Group, canonical, compatible, merged
from capbench.scenes.words import Symbol
from capbench.scenes.world import Relation


class Bare(NamedTuple):
    """A group "on the left": of ``anchor`` if there is one, else of whatever is on the right."""

    group: int
    side: str
    text: str
    anchor: int | None


class Memory:
    """Groups and relations as they are read, and the words that could not be."""

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self.relations: list[Relation] = []
        self.unread: list[str] = []
        self.topic: int | None = None  # what "it" is, if the number agrees
        self.old = 0  # groups that earlier sentences have named
        self.bare: list[Bare] = []
        self._first: list[Group] = []

    def resolve(self, group: Group, text: str, *, definite: bool) -> int | None:
        """The group that a phrase names: one that is known already, or a new one."""
        if definite:
            same = [i for i, known in enumerate(self.groups) if compatible(known, group)]
        else:
            same = [i for i in range(self.old) if group in (self._first[i], self.groups[i])][:1]
        if len(same) > 1:
            self.unread.append(text)
            return None
        if same:
            self.groups[same[0]] = merged(self.groups[same[0]], group)
            return same[0]
        self.groups.append(group)
        self._first.append(group)
        return len(self.groups) - 1

    def pronoun(self, word: str, text: str, others: Sequence[int]) -> int | None:
        """The group that "it" or "them" stands for."""
        several = word in ("them", "their")
        fits = [
            i for i, g in enumerate(self.groups) if i not in others and (g.count is None or (g.count > 1) == several)
        ]
        if self.topic in fits:
            return self.topic
        if len(fits) == 1:
            return fits[0]
        self.unread.append(text)
        return None

    def describe(self, group: int, adjective: Symbol) -> None:
        """Add a colour or size; one that contradicts an earlier one is not read."""
        known = self.groups[group]
        old = known.size if adjective.kind == "size" else known.colour
        if old not in (None, adjective.value):
            self.unread.append(adjective.text)
        elif adjective.kind == "size":
            self.groups[group] = replace(known, size=adjective.value)
        else:
            self.groups[group] = replace(known, colour=adjective.value)

    def relate(self, first: int, side: str, second: int | None, text: str) -> None:
        """Keep a relation between two different groups."""
        if second is None or first == second:
            self.unread.append(text)
        else:
            self.relations.append(canonical(first, side, second))

    def place_bare(self) -> None:
        """Groups "on the left": of their anchor, or of the one "on the right"."""
        for side, opposite in (("left", "right"), ("above", "below")):
            ones = [b for b in self.bare if b.side == side]
            others = [b for b in self.bare if b.side == opposite]
            if len(ones) == len(others) == 1 and None in (ones[0].anchor, others[0].anchor):
                self.relate(ones[0].group, side, others[0].group, ones[0].text)
                continue
            for bare in ones + others:
                self.relate(bare.group, bare.side, bare.anchor, bare.text)
