"""Spoken variety for made-up messages: choices, slips of the keyboard, habits of writing.

A pattern's ``(a|b)`` is a choice and may nest; ``{name}`` is a fact, filled in last and never
misspelt, so that an answer can copy it. It does not know what the messages are about.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from random import Random

_INNERMOST = re.compile(r"\(([^()]*)\)")
_SLOT = re.compile(r"\{(\w+)\}")
_SHORTEST_MISSPELT = 5


def choose(pattern: str, random: Random) -> str:
    """Return the pattern with each choice made, innermost first."""
    while found := _INNERMOST.search(pattern):
        chosen = random.choice(found[1].split("|"))
        pattern = pattern[: found.start()] + chosen + pattern[found.end() :]
    return pattern.strip()


def fill(text: str, facts: Mapping[str, str]) -> str:
    """Return the text with each ``{name}`` replaced by its fact; raises KeyError for an unknown."""
    return _SLOT.sub(lambda found: facts[found[1]], text)


def misspell(text: str, rate: float, random: Random) -> str:
    """Return the text with a share ``rate`` of its longer words mistyped, facts untouched."""
    words = text.split(" ")
    return " ".join(_mistype(w, random) if _slips(w, rate, random) else w for w in words)


def write_down(sentences: Sequence[str], random: Random) -> str:
    """Join sentences the way one writer would: with full stops, commas, dashes or line breaks."""
    glue = random.choices([". ", ", ", " - ", "\n"], weights=[12, 3, 1, 1])[0]
    if glue in (". ", "\n"):
        sentences = [s[:1].upper() + s[1:] for s in sentences]
    end = random.choices([".", "", "!", "..."], weights=[8, 5, 1, 1])[0]
    return glue.join(sentences) + end


def _slips(word: str, rate: float, random: Random) -> bool:
    return len(word) >= _SHORTEST_MISSPELT and word.isalpha() and random.random() < rate


def _mistype(word: str, random: Random) -> str:
    at = random.randrange(1, len(word) - 2)
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    dropped = word[:at] + word[at + 1 :]
    doubled = word[:at] + word[at] + word[at:]
    return random.choice([swapped, dropped, doubled])
