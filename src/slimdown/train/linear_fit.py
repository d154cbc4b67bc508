"""Fitting the rung ``linear``, with an honest answer to each example that it learns from.

Every example is answered by models that did not see its group: all of train and dev is evidence
for the agreement model and for the start of the test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from slimdown.artefact import Artefact
from slimdown.canonical import canonical_json
from slimdown.encoder.pieces import encodable
from slimdown.seams import Embedder, Progress
from slimdown.train import linear_kernel as kernel_ridge
from slimdown.train import linear_logistic as logistic
from slimdown.train.linear_model import Model, lengths
from slimdown.train.linear_sealed import kept
from slimdown.train.linear_signals import (
    Known,
    Read,
    Views,
    held_out_reliability,
    read,
    reliability,
)
from slimdown.train.linear_words import Words
from slimdown.types import Example

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

CHECKPOINTS = ("checkpoint-meaning", *(f"checkpoint-fold-{i}" for i in range(logistic.N_FOLDS)))
"""Files that only an unfinished run holds."""

_TEMPERATURES = (4.0, 6.0, 8.0, 10.0, 12.0, 16.0, 20.0)


@dataclass(frozen=True)
class Evidence:
    """The training examples in numbers; ``names`` are the meanings of the classes' names."""

    texts: list[str]
    outputs: list[Any]
    classes: Ints
    groups: Ints
    meaning: Floats | None
    names: Floats | None


def evidence_of(
    examples: Sequence[Example], encoder: Embedder | None, artefact: Artefact
) -> Evidence:
    """Return examples as numbers; meanings are kept as a checkpoint of the artefact."""
    texts = [encodable(e.input) for e in examples]
    keys = [canonical_json(e.output) for e in examples]
    outputs = {key: e.output for key, e in zip(keys, examples, strict=True)}
    number = {key: i for i, key in enumerate(sorted(outputs))}
    ordered = [outputs[key] for key in sorted(outputs)]
    meaning = names = None
    if encoder is not None:
        labels = [o.replace("_", " ") for o in ordered if isinstance(o, str)]
        both = kept(artefact, CHECKPOINTS[0], partial(encoder.embed, [*texts, *labels]))
        meaning = both[: len(texts)]
        names = both[len(texts) :] if len(labels) == len(ordered) else None
    classes = np.array([number[key] for key in keys], np.int64)
    return Evidence(texts, ordered, classes, _groups(examples), meaning, names)


def _groups(examples: Sequence[Example]) -> Ints:
    """Number the examples' groups; those that share a session or a near copy are of one."""
    number: dict[tuple[str, str], int] = {}
    session = [number.setdefault(("session", e.session or e.id), len(number)) for e in examples]
    group = [number.setdefault(("group", e.group or e.id), len(number)) for e in examples]
    ends = np.array(session, np.int64), np.array(group, np.int64)
    graph = coo_matrix((np.ones(len(examples)), ends), shape=(len(number), len(number)))
    _, component = connected_components(graph, directed=False)
    return component[ends[0]].astype(np.int64)


def fit(
    seen: Evidence, encoder: Embedder | None, artefact: Artefact, progress: Progress
) -> tuple[Model, Read]:
    """Return the model fitted on all, and the held-out answer to each example.

    ``encoder`` is what the meanings in ``seen`` came from.
    """
    n_classes = len(seen.outputs)
    ridge = _fit_ridge(seen)
    progress(0.7, "folds")
    members = {"ridge": logistic.softmax(ridge.temperature * ridge.fitted.left_out)}
    weights = None
    if seen.meaning is not None:
        members["logistic"] = _held_out_chances(seen, artefact, n_classes)
        weights = logistic.fit(seen.meaning, seen.classes, n_classes)
    known = Known(seen.classes[ridge.marks], np.bincount(seen.classes, minlength=n_classes))
    found = read(Views(members, ridge.kernel, _name_likeness(seen), lengths(seen.texts)), known)
    agreed = found.classes == seen.classes
    found.signals["reliability"] = held_out_reliability(
        found.classes, agreed, n_classes, seen.groups
    )
    model = Model(
        outputs=seen.outputs,
        words=ridge.words,
        known=known,
        known_words=ridge.known_words,
        known_meaning=None if seen.meaning is None else seen.meaning[ridge.marks],
        names=seen.names,
        ridge=ridge.fitted.weights,
        logistic=weights,
        temperature=ridge.temperature,
        reliability=reliability(found.classes, agreed, n_classes),
        encoder=None if encoder is None else encoder.name,
    )
    return model, found


@dataclass(frozen=True)
class _Ridge:
    """The kernel member; ``kernel`` is 0 where a landmark is of the example's own group."""

    words: Words
    known_words: Any
    marks: Ints
    kernel: Floats
    fitted: kernel_ridge.Fitted
    temperature: float


def _fit_ridge(seen: Evidence) -> _Ridge:
    words = Words.fit(seen.texts)
    vectors = words.vectors(seen.texts)
    marks = kernel_ridge.landmarks(len(seen.texts))
    known_meaning = None if seen.meaning is None else seen.meaning[marks]
    columns = kernel_ridge.turned(vectors[marks])
    kernel = kernel_ridge.likeness(vectors, columns, seen.meaning, known_meaning)
    fitted = kernel_ridge.fit(kernel, marks, seen.classes, len(seen.outputs), seen.groups)
    kernel[seen.groups[:, None] == seen.groups[marks]] = 0
    temperature = _temperature(fitted.left_out, seen.classes)
    return _Ridge(words, vectors[marks], marks, kernel, fitted, temperature)


def _name_likeness(seen: Evidence) -> Floats | None:
    if seen.meaning is None or seen.names is None:
        return None
    likeness: Floats = seen.meaning @ seen.names.T
    return likeness


def _temperature(left_out: Floats, classes: Ints) -> float:
    """Return the factor on ridge scores under which the held-out answers are most probable."""
    rows = np.arange(len(classes))
    losses = [
        -np.log(logistic.softmax(t * left_out)[rows, classes] + 1e-9).mean() for t in _TEMPERATURES
    ]
    return _TEMPERATURES[int(np.argmin(losses))]


def _held_out_chances(seen: Evidence, artefact: Artefact, n_classes: int) -> Floats:
    assert seen.meaning is not None
    fold = logistic.folds(seen.groups)
    result = np.full((len(seen.texts), n_classes), 1 / n_classes, np.float32)
    for each in range(logistic.N_FOLDS):
        held = fold == each
        if held.any() and not held.all():
            fit_rest = partial(logistic.fit, seen.meaning[~held], seen.classes[~held], n_classes)
            weights = kept(artefact, f"checkpoint-fold-{each}", fit_rest)
            result[held] = logistic.chances(seen.meaning[held], weights)
    return result
