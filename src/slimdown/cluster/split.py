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

_COHERENT = 0.15
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
    content = _Content(calls, template, embedder)
    if not fixed:
        return _around_centroids(_alike(content), content)
    proposals = _proposals(outlines(answers))
    operations = _told_apart(proposals, content) if len(proposals) > 1 else {}
    if len(operations) < 2:
        return Divided((Part(everything),))
    return _around_centroids(operations, content)


class _Content:
    """The embedded content of a signature's calls; each text is embedded once."""

    def __init__(self, calls: Sequence[Call], template: Template, embedder: Embedder) -> None:
        self._calls = calls
        self._template = template
        self._embedder = embedder
        self._known: dict[str, Vectors] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def text(self, index: int) -> str:
        """Return what stands for a call when it is embedded."""
        return content_slice(self._template, self._calls[index].request)

    def vectors(self, indices: Sequence[int]) -> Vectors:
        """Return unit vectors, shape (len(indices), dims)."""
        texts = [self.text(i) for i in indices]
        new = sorted({text for text in texts if text not in self._known})
        if new:
            self._known.update(zip(new, self._embedder.embed(new), strict=True))
        return np.array([self._known[text] for text in texts])


def _alike(content: _Content) -> dict[str, Vectors]:
    """Return the groups of like content among a sample, where no prompt says what is asked.

    Average linkage, cut where the mean cosine between groups falls below `_COHERENT`.
    """
    from scipy.cluster.hierarchy import fcluster, linkage  # slow to load, and seldom needed

    sample = _thinned(range(len(content)), _SAMPLE * 4)
    vectors = content.vectors(sample)
    tree = linkage(vectors, method="average", metric="cosine")
    groups = fcluster(tree, 1 - _COHERENT, criterion="distance")
    found = {}
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        if len(rows) >= MIN_CALLS * len(sample) / len(content):
            middle = rows[(vectors[rows] @ vectors[rows].mean(axis=0)).argmax()]
            found[content.text(sample[middle])] = vectors[rows]
    return found


def _proposals(actions: Sequence[str]) -> dict[str, list[int]]:
    """Return the calls of each action that is frequent."""
    least = max(MIN_CALLS, _SHARE * len(actions))
    found: dict[str, list[int]] = {a: [] for a, n in sorted(Counter(actions).items()) if n >= least}
    for index, action in enumerate(actions):
        if action in found:
            found[action].append(index)
    return found


def _told_apart(proposals: dict[str, list[int]], content: _Content) -> dict[str, Vectors]:
    """Join the proposals that requests do not tell apart; return sampled vectors of the rest."""
    found = {a: content.vectors(_thinned(members, _SAMPLE)) for a, members in proposals.items()}
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


def _around_centroids(operations: dict[str, Vectors], content: _Content) -> Divided:
    """Give each call to the nearest centroid within reach, as an online assignment will."""
    everything = np.arange(len(content))
    if not operations:
        return Divided((), tuple(everything.tolist()), _DIVERSE)
    names = sorted(operations)
    centroids = np.array([operations[name].mean(axis=0) for name in names])
    far = distances(content.vectors(range(len(content))), centroids)
    nearest = far.argmin(axis=1)
    parts, kept = [], np.zeros(len(content), dtype=bool)
    for place, name in enumerate(names):
        own = distances(operations[name], centroids[place : place + 1])
        radius = float(np.percentile(own, _REACH)) + _ROUNDING
        within = (nearest == place) & (far[:, place] <= radius)
        if within.sum() < MIN_CALLS:
            continue
        kept |= within
        centroid = tuple(float(x) for x in centroids[place])
        parts.append(Part(tuple(everything[within].tolist()), centroid, radius, name))
    return Divided(tuple(parts), tuple(everything[~kept].tolist()), _DIVERSE)


def _thinned(members: Sequence[int], most: int) -> Sequence[int]:
    return members[:: -(-len(members) // most)]


_UNREAD = "no constant text to know them by, and no embedder to read their content"
_DIVERSE = "the content lies too far from that of any operation with this prompt"
