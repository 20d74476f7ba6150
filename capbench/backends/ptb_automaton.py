"""Patterns of ``ptb_rules`` as one automaton that finds the longest match; see ``ptb``."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Sequence

from capbench.backends import ptb_rules as rules
from capbench.backends.ptb_rules import CharSet, Nfa

LONG = 256


class Kinds:
    """Which of some sets hold a character, as the bits of one number; equal numbers behave alike."""

    def __init__(self, sets: Sequence[CharSet]) -> None:
        self.singles: dict[str, int] = {}
        self.classes = dict.fromkeys("ldm", 0)
        self.negated = 0
        ends: set[str] = set()
        for number, chars in enumerate(sets):
            bit = 1 << number
            self.negated |= bit if chars.negated else 0
            for char in chars.chars:
                self.singles[char] = self.singles.get(char, 0) | bit
            for name in chars.classes:
                self.classes[name] |= bit
            ends.update(end for low, high in chars.ranges for end in (low, chr(ord(high) + 1)))
        self.bounds = sorted(ends)
        self.between = [0] * (len(self.bounds) + 1)
        place = {end: i for i, end in enumerate(self.bounds, 1)}
        for number, chars in enumerate(sets):
            for low, high in chars.ranges:
                for i in range(place[low], place[chr(ord(high) + 1)]):
                    self.between[i] |= 1 << number

    def of(self, char: str) -> int:
        """The kind of a UTF-16 unit."""
        found = self.singles.get(char, 0) | self.between[bisect_right(self.bounds, char)]
        if rules.is_letter(char):
            found |= self.classes["l"]
        if char in rules.digits():
            found |= self.classes["d"]
        if char in rules.word_marks():
            found |= self.classes["m"]
        return found ^ self.negated


class Parser:
    """Reads one pattern of ``ptb_rules`` into an automaton; malformed patterns raise."""

    def __init__(self, nfa: Nfa, pattern: str) -> None:
        self.nfa = nfa
        self.text = pattern
        self.at = 0

    def peek(self) -> str:
        """The next character, "" at the end."""
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        """The next character, which is consumed."""
        self.at += 1
        return self.text[self.at - 1]

    def alternatives(self, start: int) -> int:
        """``a|b|c``."""
        end = self.nfa.state()
        while True:
            self.nfa.silent[self.sequence(start)].append(end)
            if self.peek() != "|":
                return end
            self.take()

    def sequence(self, start: int) -> int:
        """Parts one behind the other, each with its count."""
        while self.peek() not in ("", "|", ")"):
            begin = self.at
            here = self.nfa.state()  # of its own, so that repeating does not lead into what stands beside
            self.nfa.silent[start].append(here)
            end = self.atom(here)
            low, high, after = rules.repeats(self.text, self.at)
            if high is None:
                end = self.loop(here, end, low)
            elif (low, high) != (1, 1):
                end = self.copies(here, end, begin, low, high)
            self.at = after
            start = end
        return start

    def loop(self, start: int, end: int, low: int) -> int:
        """``a*`` and ``a+`` around what stands between start and end."""
        middle, out = self.nfa.state(), self.nfa.state()
        self.nfa.silent[end].append(middle)
        self.nfa.silent[middle] += [start, out]
        if not low:
            self.nfa.silent[start].append(out)
        return out

    def copies(self, start: int, end: int, begin: int, low: int, high: int) -> int:
        """``a{low,high}``: one copy stands already, the others are read again."""
        exits = [start] if low == 0 else []
        for done in range(1, high + 1):
            if done > 1:
                self.at = begin
                end = self.atom(end)
            if done >= low:
                exits.append(end)
        out = self.nfa.state()
        for state in exits:
            self.nfa.silent[state].append(out)
        return out

    def atom(self, start: int) -> int:
        """One character, class, macro or group."""
        char = self.take()
        if char == "(":
            end = self.alternatives(start)
            if self.take() != ")":
                raise ValueError(self.text)
            return end
        if char == "<":
            close = self.text.index(">", self.at)
            name = self.text[self.at : close]
            self.at = close + 1
            if name != "mark":
                return Parser(self.nfa, rules.MACROS[name]).alternatives(start)
            return self.step(start, CharSet(classes="m"))
        if char == "[":
            return self.step(start, self.brackets())
        if char == "\\":
            return self.step(start, self.escape())
        return self.step(start, CharSet(frozenset([char.lower(), char.upper()])))

    def step(self, start: int, chars: CharSet) -> int:
        """A step on one character."""
        self.nfa.steps[start] = (chars, end := self.nfa.state())
        return end

    def escape(self) -> CharSet:
        """What stands behind a backslash."""
        char = self.take()
        if char == "A":
            return rules.ANY
        if char in "ld":
            return CharSet(classes=char)
        if char == "u":
            self.at += 4
            return CharSet(frozenset([chr(int(self.text[self.at - 4 : self.at], 16))]))
        return CharSet(frozenset([rules.ESCAPES.get(char, char)]))

    def member(self) -> CharSet:
        """One character, or an escape, inside of brackets."""
        char = self.take()
        return self.escape() if char == "\\" else CharSet(frozenset([char]))

    def brackets(self) -> CharSet:
        """The rest of ``[...]``."""
        negated = self.peek() == "^"
        self.at += negated
        chars: set[str] = set()
        ranges: list[tuple[str, str]] = []
        classes = ""
        while self.peek() != "]":
            one = self.member()
            classes += one.classes
            if self.peek() == "-" and self.text[self.at + 1] != "]":
                self.take()
                ranges.append((min(one.chars), min(self.member().chars)))
            else:
                chars |= one.chars
        self.take()
        return CharSet(frozenset(chars), tuple(ranges), classes, negated)


class Automaton:
    """The deterministic form of some patterns; states are made when text first reaches them."""

    DEAD = -1

    def __init__(self, patterns: Sequence[str]) -> None:
        nfa = self.nfa = Nfa()
        start = nfa.state()
        for index, pattern in enumerate(patterns):
            nfa.final[Parser(nfa, pattern).alternatives(start)] = index
        sets = list(dict.fromkeys(step[0] for step in nfa.steps if step))
        number = {chars: index for index, chars in enumerate(sets)}
        self.steps = [(number[step[0]], step[1]) if step else None for step in nfa.steps]
        self.kind = Kinds(sets)
        self.kinds: dict[str, int] = {}
        self.lock = threading.Lock()
        self.closed: dict[int, frozenset[int]] = {}
        self.ids: dict[frozenset[int], int] = {}
        self.moves: list[dict[str, int]] = []
        self.accepts: list[int] = []
        self.leaf: list[bool] = []
        self.edges: list[list[tuple[int, int]]] = []
        self.by_kind: list[dict[int, int]] = []
        self.intern([start])

    def closure(self, state: int) -> frozenset[int]:
        """The states that silent steps lead to and that read a character or end a match."""
        if state not in self.closed:
            seen = {state}
            stack = [state]
            while stack:
                for after in self.nfa.silent[stack.pop()]:
                    if after not in seen:
                        seen.add(after)
                        stack.append(after)
            self.closed[state] = frozenset(s for s in seen if self.steps[s] or s in self.nfa.final)
        return self.closed[state]

    def intern(self, states: Sequence[int]) -> int:
        """The number of a set of states, closed over silent steps."""
        key = frozenset[int]().union(*map(self.closure, states))
        if not key:
            return self.DEAD
        if key not in self.ids:
            self.moves.append({})
            self.by_kind.append({})
            self.accepts.append(min((self.nfa.final[s] for s in key if s in self.nfa.final), default=-1))
            self.edges.append(list({step for s in key if (step := self.steps[s])}))
            self.leaf.append(not self.edges[-1])
            self.ids[key] = len(self.moves) - 1
        return self.ids[key]

    def learn(self, state: int, char: str) -> int:
        """The state after a character that this state has not met."""
        with self.lock:
            kind = self.kinds.get(char)
            if kind is None:
                kind = self.kinds[char] = self.kind.of(char)
            after = self.by_kind[state].get(kind)
            if after is None:
                after = self.intern([target for number, target in self.edges[state] if kind >> number & 1])
                self.by_kind[state][kind] = after
            self.moves[state][char] = after
            return after

    def match(self, text: str, at: int, dead: dict[int, bytearray]) -> tuple[int, int, bool]:
        """The longest match at a position: (pattern or -1, its end, whether more text could matter).

        dead: states and positions known to lead nowhere in this text; long vain searches are added.
        """
        moves, accepts = self.moves, self.accepts
        state, best, end, kept = 0, -1, at, 0
        stop = len(text)
        i = at
        while i < stop:
            if dead and state in dead and dead[state][i]:
                break
            char = text[i]
            after = moves[state].get(char)
            if after is None:
                after = self.learn(state, char)
            if after < 0:
                break
            state = after
            i += 1
            if accepts[state] >= 0:
                best, end, kept = accepts[state], i, state
        if i - end > LONG:
            self.bury(text, end, i, kept, dead)
        return best, end, i == stop and not self.leaf[state]

    def bury(self, text: str, at: int, end: int, state: int, dead: dict[int, bytearray]) -> None:
        """Remember that reading on from here in this state finds no match."""
        for i in range(at, end):
            if state not in dead:
                dead[state] = bytearray(len(text))
            dead[state][i] = 1
            state = self.moves[state][text[i]]

    def ends(self, text: str, at: int, stop: int) -> list[int]:
        """Every end of a match that begins at ``at``, up to ``stop``, in order."""
        found = []
        state = 0
        for i in range(at, stop):
            after = self.moves[state].get(text[i])
            state = self.learn(state, text[i]) if after is None else after
            if state < 0:
                break
            if self.accepts[state] >= 0:
                found.append(i + 1)
        return found
