"""The recorded call whose words are most like a text's, by hashed word overlap.

Knows only texts and numbers. It is a stand-in for tests and demos, not a judge of meaning.
"""

from __future__ import annotations

import re
import zlib
from array import array
from collections.abc import Iterable

_WORD = re.compile(r"\w+")


class NearestText:
    """Texts in groups, each with a number; four bytes for each different word of a text."""

    def __init__(self) -> None:
        """Hold no text yet."""
        self._groups: dict[bytes, _Group] = {}

    def add(self, group: bytes, text: str, number: int) -> None:
        """Add a text that is to be found as ``number`` within its group."""
        self._groups.setdefault(group, _Group()).add(_hashed(text), number)

    def find(self, group: bytes, text: str) -> int | None:
        """Return the number of the group's most similar text (the first of equals), or None where
        the group is unknown. Similar is twice the words shared by the words of both (Dice)."""
        found = self._groups.get(group)
        return found.nearest(_hashed(text)) if found else None


class _Group:
    def __init__(self) -> None:
        self._numbers = array("I")
        self._sizes = array("I")
        self._holders: dict[int, array[int]] = {}

    def add(self, words: frozenset[int], number: int) -> None:
        place = len(self._numbers)
        self._numbers.append(number)
        self._sizes.append(len(words))
        for word in words:
            self._holders.setdefault(word, array("I")).append(place)

    def nearest(self, words: frozenset[int]) -> int:
        import numpy as np

        shared = np.zeros(len(self._numbers))
        for word in words & self._holders.keys():
            shared[np.frombuffer(self._holders[word], dtype=np.uint32)] += 1
        sizes = np.frombuffer(self._sizes, dtype=np.uint32)
        return self._numbers[int(np.argmax(2 * shared / np.maximum(sizes + len(words), 1)))]


def _hashed(text: str) -> frozenset[int]:
    words: Iterable[str] = set(_WORD.findall(text.lower()))
    return frozenset(zlib.crc32(word.encode("utf-8", "replace")) for word in words)
