"""Texts as an encoder reads them: word pieces, and the units of text that they stand for.

A unit is a run of letters, a run of digits, or a single other mark, with its place in the text as
it was given, so that whatever is found in units can be copied verbatim. Letters' case, which an
uncased encoder cannot see, is told by a class per unit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer as _Tokenizer

_UNIT = re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_")
_INITIALS = 1

CASES = 5
"""Classes of a unit's case: lower or none, Capitalised, ALL CAPITALS, mIxed, digits."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A place in a text, ``text[start:end]``."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Pieces:
    """A text in word pieces: their ids and types, and for each the unit it belongs to (or -1)."""

    ids: tuple[int, ...]
    types: tuple[int, ...]
    units: tuple[Unit, ...] = ()
    unit_of: tuple[int, ...] = ()

    def shortened(self, n_pieces: int) -> Pieces:
        """Return these pieces without those beyond ``n_pieces``; the last of all is kept."""
        if len(self.ids) <= n_pieces:
            return self
        keep = n_pieces - 1
        return Pieces((*self.ids[:keep], self.ids[-1]), (*self.types[:keep], self.types[-1]))


class Tokenizer:
    """Word pieces by a tokenizer.json, as the `tokenizers` package reads it."""

    def __init__(self, tokenizer_json: str, *, window: int) -> None:
        """Use the tokenizer; ``window`` is the most pieces the encoder has places for."""
        self.window = window
        self._tokenizer = _Tokenizer.from_str(tokenizer_json)
        # Some tokenizer files pad or cut on their own: both would be silent here.
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def of_texts(self, texts: Sequence[str]) -> list[Pieces]:
        """Return the pieces of each text, as the encoder was pretrained on; units are left out."""
        encodings = self._tokenizer.encode_batch_fast([encodable(t) for t in texts])
        return [Pieces(tuple(e.ids), (0,) * len(e.ids)) for e in encodings]

    def of_units(self, texts: Sequence[str]) -> list[Pieces]:
        """Return the pieces of each text unit by unit, each typed by its unit's case."""
        texts = [encodable(text) for text in texts]
        found = [units_of(text) for text in texts]
        words = [
            [text[u.start : u.end] for u in units] for text, units in zip(texts, found, strict=True)
        ]
        encodings = self._tokenizer.encode_batch(words, is_pretokenized=True)
        return [
            _typed(tuple(e.ids), e.word_ids, units, spelled)
            for e, units, spelled in zip(encodings, found, words, strict=True)
        ]


def units_of(text: str) -> tuple[Unit, ...]:
    """Return the units of a text, left to right: runs of letters, of digits, and single marks."""
    return tuple(Unit(*match.span()) for match in _UNIT.finditer(text))


def encodable(text: str) -> str:
    """Return a text of the same length, its lone surrogates, which no tokenizer takes, as "?"."""
    return text.encode("utf-8", "replace").decode("utf-8")


def case_of(word: str) -> int:
    """Return a unit's class of case, 0 to `CASES` - 1."""
    if word.isdigit():
        return 4
    if word == word.lower():
        return 0
    if word == word.upper() and len(word) > _INITIALS:
        return 2
    return 1 if word[1:] == word[1:].lower() else 3


def _typed(
    ids: tuple[int, ...],
    word_ids: Sequence[int | None],
    units: tuple[Unit, ...],
    spelled: Sequence[str],
) -> Pieces:
    cases = [case_of(word) for word in spelled]
    unit_of = tuple(-1 if w is None else w for w in word_ids)
    return Pieces(ids, tuple(0 if w < 0 else cases[w] for w in unit_of), units, unit_of)
