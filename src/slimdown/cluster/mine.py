"""Finds the groups among texts that were made from the same template: a prefix and suffix miner.

Texts are sorted, so that a node of their prefix tree is an interval and its common prefix that of
its first and last text. A node is a template if it holds many words that all its texts share; it
is divided further where most of its texts go on with long words in common. Then the same is done
to the texts left over, read backwards. Tokens with digits count as equal, so a date or an id
divides nothing. Knows texts and how often they occurred; nothing of calls, roles or answers.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

MIN_CALLS = 10
"""A group of fewer calls is no template of its own."""

MIN_OPENERS = 8
"""Inside a known template, a variant must have begun this many different conversations: one that
did not is a value (a customer, an assignment) and not an operation."""

_LONG_RUN, _SHORT_RUN, _UNUSUAL_RUN = 8, 3, 16
"""Words that texts must share beyond what is known of them already to be a template."""

_Rules = tuple[tuple[int, float], ...]

_PROMPTED: _Rules = ((_LONG_RUN, 0.5),)
"""A prompt's variants are operations if they add so many words and make up this share of it."""

_SPOKEN = (*_PROMPTED, (_SHORT_RUN, 0.85))
"""Users' messages may be made from a few short templates: then these make up nearly all of them.
Short additions to a system prompt are values, such as the customer's name."""

_AMONG_OTHERS = (*_SPOKEN, (_UNUSUAL_RUN, 0.0))
"""Where users say anything, a very long run in common is a template too."""

_VALUE_WORDS = 3
"""Variants that differ in so few words, and share all the rest, differ in a value."""

_MAX_LEVEL = 100
"""Branchings below which no template is looked for: a transcript resent in one message, ever
longer, branches at each turn."""

_NUMBER = "0"
_NUMBERED = re.compile(r"(?<!\S)[^\s\d]*+\d\S*+")
_END = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Seen:
    """A distinct text, in how many calls it occurred, and how many conversations they opened."""

    text: str
    n_calls: int
    n_openers: int


def mine(texts: Sequence[Seen], *, instructing: bool) -> list[list[int]]:
    """Return groups of indices into ``texts``; texts of no template make up the last, if any.

    ``instructing`` tells that these are system prompts: one that recurs is then a template
    however short it is and however few conversations it began, as what users say is not.
    """
    everything = range(len(texts))
    texts = [replace(seen, text=masked(seen.text)) for seen in texts]
    forward, rest = _pass(texts, everything, instructing=instructing, backwards=False)
    backward, rest = _pass(texts, rest, instructing=instructing, backwards=True)
    short = [i for i in rest if instructing and texts[i].n_openers >= MIN_CALLS]
    rest = [i for i in rest if i not in set(short)]
    return [*forward, *backward, *([i] for i in short), *([rest] if rest else [])]


def common_prefix(texts: Sequence[str]) -> str:
    """Return the longest prefix that all texts share, cut back to the end of a word."""
    first, last = min(texts), max(texts)
    length = _shared(first, last)
    return first if length == len(first) == len(last) else first[: _word_end(first, length)]


def common_suffix(texts: Sequence[str]) -> str:
    """Return the longest suffix that all texts share, cut back to the start of a word."""
    return common_prefix([text[::-1] for text in texts])[::-1]


def _pass(
    texts: Sequence[Seen], indices: Sequence[int], *, instructing: bool, backwards: bool
) -> tuple[list[list[int]], list[int]]:
    if not indices:
        return [], []
    tree = _Tree(texts, indices, _PROMPTED if instructing else _SPOKEN, backwards=backwards)
    groups = tree.prompts() if instructing else tree.sayings()
    taken = {index for group in groups for index in group}
    return groups, [index for index in indices if index not in taken]


class _Tree:
    """The prefix tree of texts, kept as a sorted list; a node is an interval of it."""

    def __init__(
        self, texts: Sequence[Seen], indices: Sequence[int], rules: _Rules, *, backwards: bool
    ) -> None:
        self._rules = rules
        step = -1 if backwards else 1
        pairs = sorted((texts[i].text[::step], i) for i in indices)
        self._texts = [text for text, _ in pairs]
        self._order = [i for _, i in pairs]
        self._place = {index: place for place, index in enumerate(self._order)}
        self._divisions: dict[tuple[int, int], list[list[int]]] = {}
        self._level = 0
        self._calls = [0, *accumulate(texts[i].n_calls for i in self._order)]
        self._openers = [0, *accumulate(texts[i].n_openers for i in self._order)]

    def prompts(self) -> list[list[int]]:
        """Return the templates among system prompts, as groups of the indices given at first."""
        return self._found(0, len(self._order), 0, _LONG_RUN, known=False)

    def sayings(self) -> list[list[int]]:
        """Return the templates among what users say; stricter, since people say like things."""
        size = len(self._order)
        depth = self._depth(0, size)
        if len(self._texts[0][:depth].split()) >= _LONG_RUN:
            return self._divided(0, size, depth)
        return self._variants(0, size, depth, _AMONG_OTHERS)

    def _found(self, low: int, high: int, anchor: int, run: int, *, known: bool) -> list[list[int]]:
        """Return templates below a node whose texts share at least ``anchor`` characters."""
        if self._level > _MAX_LEVEL or not self._supported(low, high, known=known):
            return []
        depth = self._depth(low, high)
        self._level += 1
        if len(self._texts[low][anchor:depth].split()) >= run:
            found = self._divided(low, high, depth)
        else:
            found = self._below(low, high, anchor, depth, run, known=known)
            if len(found) > 1 and self._differ_in_a_value(found, depth):
                found = [self._order[low:high]]
        self._level -= 1
        return found

    def _below(
        self, low: int, high: int, anchor: int, depth: int, run: int, *, known: bool
    ) -> list[list[int]]:
        children = self._children(low, high, depth)
        if known:  # texts that go on with a number differ in a value, not in what they ask
            children = [(a, b) for a, b in children if not self._goes_on_with_number(a, depth)]
        return [g for a, b in children for g in self._found(a, b, anchor, run, known=known)]

    def _divided(self, low: int, high: int, depth: int) -> list[list[int]]:
        """Return a template's variants if they are operations of their own, else itself."""
        if (low, high) not in self._divisions:  # each rule asks again: without this, 2 ** levels
            self._divisions[low, high] = self._division(low, high, depth)
        return self._divisions[low, high]

    def _division(self, low: int, high: int, depth: int) -> list[list[int]]:
        whole = self._order[low:high]
        variants = self._variants(low, high, depth, self._rules)
        if len(variants) < 2 or self._differ_in_a_value(variants, depth):
            return [whole]
        taken = {index for variant in variants for index in variant}
        rest = [index for index in whole if index not in taken]
        return [*variants, *([rest] if rest else [])]

    def _variants(self, low: int, high: int, depth: int, rules: _Rules) -> list[list[int]]:
        """Return what the first rule finds whose share of the node's calls is met."""
        n_calls = self._calls[high] - self._calls[low]
        for run, share in rules:
            variants = self._below(low, high, depth, depth, run, known=True)
            taken = {index for variant in variants for index in variant}
            if variants and self._n_calls(taken) >= share * n_calls:
                return variants
        return []

    def _differ_in_a_value(self, variants: list[list[int]], depth: int) -> bool:
        """Tell whether variants share much around what they differ in, and that is short."""
        first = self._texts[self._place[variants[0][0]]]
        ends = [self._texts[self._place[variant[0]]][depth:] for variant in variants]
        suffix = common_suffix(ends)
        n_after = len(suffix.split())
        if n_after < _SHORT_RUN or len(first[:depth].split()) + n_after < _LONG_RUN:
            return False
        return max(len(end[: len(end) - len(suffix)].split()) for end in ends) <= _VALUE_WORDS

    def _n_calls(self, taken: set[int]) -> int:
        places = [self._place[index] for index in taken]
        return sum(self._calls[place + 1] - self._calls[place] for place in places)

    def _supported(self, low: int, high: int, *, known: bool) -> bool:
        if self._calls[high] - self._calls[low] < MIN_CALLS:
            return False
        return not known or self._openers[high] - self._openers[low] >= MIN_OPENERS

    def _depth(self, low: int, high: int) -> int:
        first, last = self._texts[low], self._texts[high - 1]
        length = _shared(first, last)
        return length if length == len(first) == len(last) else _word_end(first, length)

    def _goes_on_with_number(self, low: int, depth: int) -> bool:
        text = self._texts[low]
        return text[depth : _next_word(text, depth)].strip() == _NUMBER

    def _children(self, low: int, high: int, depth: int) -> list[tuple[int, int]]:
        """Return the intervals that go on with the same next word."""
        found = []
        while low < high:
            word = self._texts[low][: _next_word(self._texts[low], depth)]
            # A word that ends its text is not the beginning of the longer words after it.
            last = word if word and not word[-1].isspace() else word + _END
            upper = max(bisect_right(self._texts, last, low, high), low + 1)
            found.append((low, upper))
            low = upper
        return found if len(found) > 1 else []


def _shared(first: str, second: str) -> int:
    """Return the length of the longest common prefix, by bisection over slices."""
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _word_end(text: str, length: int) -> int:
    """Return where the last whole word within ``text[:length]`` ends, blanks after it included."""
    while length > 0 and not text[length - 1].isspace():
        length -= 1
    return length


def _next_word(text: str, start: int) -> int:
    """Return the end of the word after ``start``, with the blank behind it."""
    end = start
    while end < len(text) and text[end].isspace():
        end += 1
    while end < len(text) and not text[end].isspace():
        end += 1
    return min(end + 1, len(text))


def masked(text: str) -> str:
    """Return a text with each word that holds a digit as "0"."""
    return _NUMBERED.sub(_NUMBER, text)
