"""Names a task after its prompt, so that a person knows it when he sees it.

A name is made once: a refit that finds the task again keeps the name it had.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from slimdown.types import OutputKind, Template

_VERBS: dict[OutputKind, str] = {
    "label": "classify",
    "json": "extract",
    "tool": "act",
    "text": "write",
}
_ANSWERS: dict[OutputKind, str] = {
    "label": "one of a closed set of labels",
    "json": "a JSON object",
    "tool": "tool calls",
    "text": "free text",
}
_COMMON = frozenset(
    re.findall(
        r"\S+",
        """
        a about above all an and answer are as ask at be below by can do each else following for
        from given has have help hello i if in input instructions into is it its json leave like
        make may me message must my need no not nothing of on one only or other out output please
        question respond return same say says should so some task text that the their them there
        this to up use used user using want was we what when which will with would write you your
        classify extract act assistant
        """,
    )
)
_WORD = re.compile(r"[a-z][a-z]{2,}")
_N_WORDS, _FADE = 3, 12


def prompt_words(template: Template, sample: Sequence[str]) -> list[str]:
    """Return the telling words of a prompt in order, or of sample inputs if it is all variable."""
    constant = " ".join(f"{slot.prefix} {slot.suffix}" for slot in template.slots)
    words = _words(constant)
    return words if len(set(words)) >= _N_WORDS else [*words, *_frequent(sample)]


def name_tasks(prompts: Sequence[list[str]], kinds: Sequence[OutputKind]) -> list[str]:
    """Return a name per prompt, e.g. "classify-messages-customers-bank": unique, in order.

    Words count for more the earlier they stand and the fewer other prompts hold them.
    """
    held = Counter(word for words in prompts for word in set(words))
    names: list[str] = []
    for words, kind in zip(prompts, kinds, strict=True):
        names.append(_unique("-".join([_VERBS[kind], *_telling(words, held, len(prompts))]), names))
    return names


def describe(template: Template, kind: OutputKind, n_calls: int) -> str:
    """Return one sentence on a task: what is asked, and what is answered."""
    opening = next((s.prefix.strip() for s in template.slots if s.prefix.strip()), "")
    first = " ".join(re.split(r"(?<=[.!?])\s", opening, maxsplit=1)[0].split())
    asked = f'prompts that begin "{first[:100]}"' if first else "requests without a fixed prompt"
    return f"Answers {asked} with {_ANSWERS[kind]} ({n_calls} calls)."


def _telling(words: list[str], held: Counter[str], n_prompts: int) -> list[str]:
    """Return words of the prompt's beginning, and where others begin alike, of what is its own."""
    first: dict[str, int] = {}
    for position, word in enumerate(words):
        first.setdefault(word, position)

    def weight(word: str) -> float:
        return math.log(1 + n_prompts / held[word]) / (1 + first[word] / _FADE)

    heads = sorted(first, key=lambda word: (-weight(word), word))[:_N_WORDS]
    if not heads or min(held[word] for word in heads) == 1:
        return sorted(heads, key=lambda word: first[word])
    own = sorted(set(first) - set(heads[:2]), key=lambda word: (held[word], first[word]))
    return [*sorted(heads[:2], key=lambda word: first[word]), *own[:2]]


def _words(text: str) -> list[str]:
    found = _WORD.findall(text.lower())
    return [word for word in found if word not in _COMMON]


def _frequent(sample: Sequence[str]) -> list[str]:
    counts = Counter(word for text in sample for word in set(_words(text)))
    return sorted(counts, key=lambda word: (-counts[word], word))[: 2 * _N_WORDS]


def _unique(name: str, taken: list[str]) -> str:
    candidates = [name, *(f"{name}-{number}" for number in range(2, len(taken) + 3))]
    return next(candidate for candidate in candidates if candidate not in taken)
