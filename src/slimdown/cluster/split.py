"""Divides the calls of one signature by action and content, where that division is real.

Actions propose: calls are sorted by what they were answered with (tool, JSON keys, label, length
of text). Requests dispose: two proposals that cannot be told apart by their requests are one
operation, as an agent's turns are. So labels and slots never shatter a task, and what remains is
what an online assignment, which sees no answer, can follow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from slimdown.cluster.mine import MIN_CALLS
from slimdown.cluster.shapes import outlines
from slimdown.seams import Embedder
from slimdown.signature import constant_chars, content_slice, distances
from slimdown.types import Answer, Call, Template

_SHARE = 0.02
"""An action in a smaller share of a signature's calls proposes no operation of its own."""

_TOLD_APART = 0.9
"""Least share of each operation's requests that lie nearest to its own centroid, held out."""

_SAMPLE = 200
"""Calls of a proposal that are embedded to judge it."""

_COHERENT = 0.1
"""Least mean cosine among calls that share no constant text, for them to be one task."""

_REACH, _ROUNDING = 98.0, 1e-4
"""A task's radius: the distance that holds so many per cent of its calls; what float32 loses."""

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Part:
    """Calls of one operation, as indices; centroid and radius where content tells them apart."""

    members: tuple[int, ...]
    centroid: tuple[float, ...] = ()
    radius: float = 0.0
    action: str = ""


@dataclass(frozen=True, slots=True)
class Divided:
    """The operations of a signature, and the calls of none (``reason`` says why)."""

    parts: tuple[Part, ...]
    left: tuple[int, ...] = ()
    reason: str = ""


def divide(
    calls: Sequence[Call],
    answers: Sequence[Answer],
    template: Template,
    embedder: Embedder | None,
) -> Divided:
    """Return the operations among ``calls``, all of which share ``template``."""
    everything = tuple(range(len(calls)))
    fixed = constant_chars(template) > 0
    if embedder is None:
        return Divided((Part(everything),)) if fixed else Divided((), everything, _UNREAD)
    proposals = _proposals(outlines(answers))
    if len(proposals) < 2 and fixed:
        return Divided((Part(everything),))
    content = _Content(calls, template, embedder)
    operations = _told_apart(proposals, content)
    if len(operations) < 2 and fixed:
        return Divided((Part(everything),))
    return _around_centroids(operations, content, least=0.0 if fixed else _COHERENT)


class _Content:
    """The embedded content of a signature's calls; each text is embedded once."""

    def __init__(self, calls: Sequence[Call], template: Template, embedder: Embedder) -> None:
        self._texts = [content_slice(template, call.request) for call in calls]
        self._embedder = embedder
        self._known: dict[str, Vectors] = {}

    def __len__(self) -> int:
        return len(self._texts)

    def vectors(self, indices: Sequence[int]) -> Vectors:
        """Return unit vectors, shape (len(indices), dims)."""
        texts = [self._texts[i] for i in indices]
        new = sorted({text for text in texts if text not in self._known})
        if new:
            self._known.update(zip(new, self._embedder.embed(new), strict=True))
        return np.array([self._known[text] for text in texts])


def _proposals(actions: Sequence[str]) -> dict[str, list[int]]:
    """Return the calls of each frequent action."""
    counts = Counter(actions)
    least = max(MIN_CALLS, _SHARE * len(actions))
    found: dict[str, list[int]] = {a: [] for a, n in sorted(counts.items()) if n >= least}
    for index, action in enumerate(actions):
        if action in found:
            found[action].append(index)
    return found or {"any": list(range(len(actions)))}


def _told_apart(proposals: dict[str, list[int]], content: _Content) -> dict[str, Vectors]:
    """Join the proposals that requests do not tell apart; return sampled vectors of the rest."""
    found = {a: content.vectors(_thinned(members)) for a, members in proposals.items()}
    while len(found) > 1:
        names = list(found)
        shares = _confusion([found[name] for name in names])
        worst = int(np.argmin(np.diag(shares)))
        if shares[worst, worst] >= _TOLD_APART:
            break
        row = shares[worst].copy()
        row[worst] = -1
        other = names[int(np.argmax(row))]
        joined = np.concatenate([found.pop(names[worst]), found.pop(other)])
        found["+".join(sorted([names[worst], other]))] = joined
    return found


def _confusion(samples: Sequence[Vectors]) -> npt.NDArray[np.float64]:
    """Return the share of each sample's odd rows that lie nearest to each one's even rows."""
    centroids = np.array([sample[::2].mean(axis=0) for sample in samples])
    rows = [
        np.bincount(distances(sample[1::2], centroids).argmin(axis=1), minlength=len(samples))
        for sample in samples
    ]
    return np.array([row / row.sum() for row in rows])


def _around_centroids(
    operations: dict[str, Vectors], content: _Content, *, least: float
) -> Divided:
    """Give each call to the nearest centroid, as an online assignment will."""
    names = sorted(operations)
    centroids = np.array([operations[name].mean(axis=0) for name in names])
    far = distances(content.vectors(range(len(content))), centroids)
    nearest = far.argmin(axis=1)
    parts, left = [], []
    for place, name in enumerate(names):
        members = np.flatnonzero(nearest == place)
        if len(members) < MIN_CALLS or (centroids[place] ** 2).sum() < least:
            left += members.tolist()
            continue
        radius = float(np.percentile(far[members, place], _REACH)) + _ROUNDING
        reached = far[members, place] <= radius
        left += members[~reached].tolist()
        centroid = tuple(float(x) for x in centroids[place])
        parts.append(Part(tuple(members[reached].tolist()), centroid, radius, name))
    return Divided(tuple(parts), tuple(left), _DIVERSE)


def _thinned(members: Sequence[int]) -> Sequence[int]:
    return members[:: -(-len(members) // _SAMPLE)]


_UNREAD = "no constant text to know them by, and no embedder to read their content"
_DIVERSE = "the content lies too far from that of any operation with this prompt"
