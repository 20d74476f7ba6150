"""Penn Treebank words, as the reference implementation of the caption metrics cuts them, without Java.

The reference is pycocoevalcap 1.2: Stanford CoreNLP 3.4.1's tokenizer with ``-preserveLines -lowerCase``,
then 17 punctuation tokens removed. Escapes are lower-cased before that list is applied, so brackets stay
as ``-lrb-`` and so on; this is what published numbers hold, and it is kept.

The rules (``ptb_rules``) are compiled to one automaton over UTF-16 units that finds the longest match at
each place; its states are made when first needed. Positions from which nothing can match any more are
remembered on long tails, so that hostile text costs linear time too.

What differs from the reference:

- Line breaks of any kind are spaces. The reference writes an extra line for most of them and so gives
  every later caption the words of another one. Lone surrogates, which it cannot read, are U+FFFD.
- Words do not depend on the next caption in the file. The reference looks across the line's end in a few
  rules ("No." before a digit, "U." before "A" or "The"); here the next caption is always taken to be "A".
- No word holds blanks: the reference joins "1 1/2", telephone numbers and tags with no-break spaces,
  at which BLEU and CIDEr split again (its ROUGE-L does not).
- Lower case is Python's: it differs from Java's for a capital sigma before a hyphen or a digit, and for
  letters that got a lower case after Unicode 13.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, TypeVar

from capbench.backends import ptb_rules as rules
from capbench.backends.ptb_rules import CharSet, Nfa
from capbench.protocols import Problem

LONG = 256
MEMO_WORDS = 200_000
MEMO_LENGTH = 40
Words = TypeVar("Words")


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
        sets = self.sets = list(dict.fromkeys(step[0] for step in nfa.steps if step))
        number = {chars: index for index, chars in enumerate(sets)}
        self.steps = [(number[step[0]], step[1]) if step else None for step in nfa.steps]
        self.kinds: dict[str, tuple[bool, ...]] = {}
        self.lock = threading.Lock()
        self.closed: dict[int, frozenset[int]] = {}
        self.ids: dict[frozenset[int], int] = {}
        self.moves: list[dict[str, int]] = []
        self.accepts: list[int] = []
        self.leaf: list[bool] = []
        self.edges: list[list[tuple[int, int]]] = []
        self.by_kind: list[dict[tuple[bool, ...], int]] = []
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
                kind = self.kinds[char] = tuple(chars.holds(char) for chars in self.sets)
            after = self.by_kind[state].get(kind)
            if after is None:
                after = self.intern([target for number, target in self.edges[state] if kind[number]])
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


class Lexer:
    """The rules, ready to read."""

    def __init__(self) -> None:
        self.automaton = Automaton([f"({main}){f'({ahead})' if ahead else ''}" for main, ahead, _ in rules.RULES])
        self.parts: dict[int, tuple[Automaton, Automaton]] = {}
        self.inner: dict[str, tuple[str, ...] | None] = {}
        self.last: dict[str, tuple[str, ...]] = {}

    def read(self, text: str, stop: int) -> tuple[list[str], bool]:
        """The tokens that begin before ``stop``, and whether text behind the end could change them."""
        tokens: list[str] = []
        dead: dict[int, bytearray] = {}
        at, open_end = 0, False
        while at < stop:
            rule, end, more = self.automaton.match(text, at, dead)
            open_end |= more
            if rule < 0:  # only at an end that cuts the text short
                return tokens, True
            _, ahead, shape = rules.RULES[rule]
            if ahead:
                end = self.split(text, at, end, rule)
            if shape in rules.SHORTER and (shape != "-1" or end - at == len("a.")):
                end -= rules.SHORTER[shape]
            if shape != "skip":
                tokens += rules.finish(text[at:end], shape)
            at = end
        return tokens, open_end or at > stop

    def split(self, text: str, at: int, end: int, rule: int) -> int:
        """Where the token ends when what must follow it ends at ``end``: as late as possible."""
        if rule not in self.parts:
            self.parts[rule] = (Automaton([rules.RULES[rule][0]]), Automaton([rules.RULES[rule][1]]))
        main, ahead = self.parts[rule]
        for middle in reversed(main.ends(text, at, end)):
            if ahead.ends(text, middle, end)[-1:] == [end]:
                return middle
        raise AssertionError(text[at:end])

    def caption(self, text: str) -> tuple[str, ...]:
        """The words of a caption that is one line of UTF-16 rules.units."""
        if rules.OTHER_SPACE.search(text):  # a run of blanks is one token, so no chunk may begin inside of it
            return tuple(self.read(text + rules.END, len(text))[0])
        chunks = text.split(" ")
        last = chunks.pop()
        words: list[str] = []
        for chunk in chunks:
            if chunk:
                known = self.inner[chunk] if chunk in self.inner else self.before_space(chunk)
                if known is None:
                    return tuple(self.read(text + rules.END, len(text))[0])
                words += known
        if last:
            known = self.last.get(last)
            words += self.at_end(last) if known is None else known
        return tuple(words)

    def before_space(self, chunk: str) -> tuple[str, ...] | None:
        """The words of a chunk before a space, or None if they depend on what comes behind it."""
        if chunk.isascii() and chunk.isalpha() and chunk.lower() not in rules.SPLIT_WORDS:
            return self.keep(self.inner, chunk, (chunk.lower(),))
        tokens, more = self.read(chunk + " ", len(chunk))
        return self.keep(self.inner, chunk, None if more else tuple(tokens))

    def at_end(self, chunk: str) -> tuple[str, ...]:
        """The words of a chunk that ends a caption."""
        return self.keep(self.last, chunk, tuple(self.read(chunk + rules.END, len(chunk))[0]))

    @staticmethod
    def keep(memo: dict[str, Words], chunk: str, words: Words) -> Words:
        """Remember the words of a short chunk; a full memo starts anew."""
        if len(chunk) <= MEMO_LENGTH:
            if len(memo) >= MEMO_WORDS:
                memo.clear()
            memo[chunk] = words
        return words


@cache
def lexer() -> Lexer:
    """The one lexer; made on first use."""
    return Lexer()


def tokenize(text: str) -> tuple[str, ...]:
    """The words of one caption; never raises.

    Source: pycocoevalcap 1.2, ``PTBTokenizer().tokenize``, for a caption with a blank line behind it.
    """
    return lexer().caption(text if text.isascii() and text.isprintable() else rules.units(rules.one_line(text)))


class Tokenizer:
    """A ``TokenizerSession``."""

    def tokenize(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """The words of each text, in order."""
        return [tokenize(text) for text in texts]


@dataclass(frozen=True, slots=True)
class Ptb:
    """``ptb()``: the reference tokenizer's words without Java."""

    name: ClassVar[str] = "ptb"
    kind: ClassVar[str] = "tokenizer"

    def fingerprint(self) -> str:
        """What it is compatible with, and the version of the rules."""
        return "ptb/corenlp-3.4.1-compatible/1"

    def check(self) -> Problem | None:
        """Nothing is missing, ever."""
        return None

    @contextmanager
    def open(self, device: str) -> Iterator[Tokenizer]:  # noqa: ARG002
        """A session; the device does not matter."""
        yield Tokenizer()
