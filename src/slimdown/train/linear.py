"""The rung ``linear``: a closed set of answers, learned in seconds without torch.

An answer is a class, a whole JSON object or list of tool calls too where few of them recur. Two
members vote: kernel ridge regression on likeness (words, and meaning where an encoder is
installed) and logistic regression on meaning. Every example of train and dev is answered by models
that did not see its group; all of it is evidence for the agreement model and for the start of the
test. It reads the text whole as words, and as meaning as far as the encoder's `embed` reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components

from slimdown.artefact import Artefact
from slimdown.canonical import canonical_json
from slimdown.encoder import load_encoder
from slimdown.errors import ArtefactIncomplete, MissingExtra
from slimdown.seams import Embedder, Progress
from slimdown.train import linear_kernel as kernel_ridge
from slimdown.train import linear_logistic as logistic
from slimdown.train.linear_sealed import Arrays, kept, read_sealed, write_sealed
from slimdown.train.linear_signals import (
    Known,
    Read,
    Views,
    held_out_reliability,
    predictions,
    read,
    reliability,
)
from slimdown.train.linear_words import Words
from slimdown.types import Dataset, DevPrediction, Example, Prediction, Trained

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_FEWEST_EXAMPLES = 20
_LEAST_RECURRING = 0.5
_TEMPERATURES = (4.0, 6.0, 8.0, 10.0, 12.0, 16.0, 20.0)
_CHECKPOINTS = ("checkpoint-meaning", *(f"checkpoint-fold-{i}" for i in range(logistic.N_FOLDS)))


@dataclass(frozen=True)
class _Evidence:
    """The training examples in numbers; ``names`` are the meanings of the classes' names."""

    texts: list[str]
    outputs: list[Any]
    classes: Ints
    groups: Ints
    meaning: Floats | None
    names: Floats | None


@dataclass(frozen=True)
class _Model:
    """All that answers: what `LinearRung.load` reads back."""

    outputs: list[Any]
    words: Words
    known: Known
    known_words: Any
    known_meaning: Floats | None
    names: Floats | None
    ridge: Floats
    logistic: Floats | None
    temperature: float
    reliability: Floats


class LinearRung:
    """Trains in seconds on two cores; serves in a few milliseconds, most of it the encoder's."""

    name = "linear"

    def objection(self, dataset: Dataset) -> str | None:
        """Object to free text, to few examples, and to answers that seldom recur."""
        examples = (*dataset.train, *dataset.dev)
        if dataset.kind == "text":
            return "its answers are free text; this rung chooses from a closed set."
        if len(examples) < _FEWEST_EXAMPLES:
            return f"{len(examples)} examples to learn from; it takes {_FEWEST_EXAMPLES}."
        counts = Counter(canonical_json(e.output) for e in examples)
        recurring = sum(n for n in counts.values() if n > 1) / len(examples)
        if recurring < _LEAST_RECURRING:
            return (
                f"{recurring:.0%} of the answers occur more than once; a closed set needs "
                f"{_LEAST_RECURRING:.0%}."
            )
        return None

    def train(self, dataset: Dataset, artefact: Artefact, progress: Progress) -> Trained:
        """Fit on train and dev; the returned predictions cover both, each held out."""
        examples = [*dataset.train, *dataset.dev]
        encoder = _encoder()
        progress(0.05, "reading the texts")
        seen = _evidence(examples, encoder, artefact)
        progress(0.5, "fitting")
        model, found = _fit(seen, artefact, progress)
        _write(model, encoder, artefact)
        for checkpoint in _CHECKPOINTS:
            artefact.remove(checkpoint)
        pairs = zip(examples, predictions(found, seen.outputs), strict=True)
        return Trained(
            dev=tuple(DevPrediction(e.id, p) for e, p in pairs),
            facts={
                "n_classes": len(seen.outputs),
                "encoder": encoder.name if encoder else None,
                "held_out_agreement": round(float((found.classes == seen.classes).mean()), 4),
            },
        )

    def load(self, artefact: Artefact) -> LinearSpecialist:
        """Return the specialist; raises `MissingExtra` if its encoder is not installed."""
        facts = artefact.read_json("linear")
        encoder = load_encoder() if facts["encoder"] else None
        if encoder is not None and encoder.name != facts["encoder"]:
            raise ArtefactIncomplete(
                f"{artefact.path} was trained with the encoder {facts['encoder']}, but "
                f"{encoder.name} is installed. The calls are kept; `slimdown run` trains it anew."
            )
        return LinearSpecialist(_read_back(facts, artefact), encoder)


class LinearSpecialist:
    """Answers with the class that its members together hold most probable."""

    def __init__(self, model: _Model, encoder: Embedder | None) -> None:
        """Take the model, and the encoder that it was trained with, if any."""
        self._model = model
        self._encoder = encoder

    def answer(self, inputs: Sequence[str]) -> list[Prediction]:
        """Return one prediction per input, in order."""
        if not inputs:
            return []
        meaning = None if self._encoder is None else self._encoder.embed(inputs)
        return predictions(_answer(self._model, inputs, meaning), self._model.outputs)


def _encoder() -> Embedder | None:
    """Return the default encoder, or None in an install without its weights: words are enough."""
    try:
        return load_encoder()
    except MissingExtra:
        return None


def _evidence(
    examples: Sequence[Example], encoder: Embedder | None, artefact: Artefact
) -> _Evidence:
    texts = [e.input for e in examples]
    keys = [canonical_json(e.output) for e in examples]
    outputs = {key: e.output for key, e in zip(keys, examples, strict=True)}
    number = {key: i for i, key in enumerate(sorted(outputs))}
    ordered = [outputs[key] for key in sorted(outputs)]
    meaning = names = None
    if encoder is not None:
        labels = [o.replace("_", " ") for o in ordered if isinstance(o, str)]
        both = kept(artefact, _CHECKPOINTS[0], partial(encoder.embed, [*texts, *labels]))
        meaning = both[: len(texts)]
        names = both[len(texts) :] if len(labels) == len(ordered) else None
    classes = np.array([number[key] for key in keys], np.int64)
    return _Evidence(texts, ordered, classes, _groups(examples), meaning, names)


def _groups(examples: Sequence[Example]) -> Ints:
    """Number the examples' groups; those that share a session or a near copy are of one."""
    number: dict[tuple[str, str], int] = {}
    session = [number.setdefault(("session", e.session or e.id), len(number)) for e in examples]
    group = [number.setdefault(("group", e.group or e.id), len(number)) for e in examples]
    ends = np.array(session, np.int64), np.array(group, np.int64)
    graph = coo_matrix((np.ones(len(examples)), ends), shape=(len(number), len(number)))
    _, component = connected_components(graph, directed=False)
    return component[ends[0]].astype(np.int64)


def _fit(seen: _Evidence, artefact: Artefact, progress: Progress) -> tuple[_Model, Read]:
    n_classes = len(seen.outputs)
    words = Words.fit(seen.texts)
    vectors = words.vectors(seen.texts)
    marks = kernel_ridge.landmarks(len(seen.texts))
    known_meaning = None if seen.meaning is None else seen.meaning[marks]
    kernel = kernel_ridge.likeness(vectors, vectors[marks], seen.meaning, known_meaning)
    fitted = kernel_ridge.fit(kernel, marks, seen.classes, n_classes, seen.groups)
    temperature = _temperature(fitted.left_out, seen.classes)
    members = {"ridge": logistic.softmax(temperature * fitted.left_out)}
    progress(0.7, "folds")
    weights = None
    if seen.meaning is not None:
        members["logistic"] = _held_out_chances(seen, artefact, n_classes)
        weights = logistic.fit(seen.meaning, seen.classes, n_classes)
    kernel[seen.groups[:, None] == seen.groups[marks]] = 0
    known = Known(seen.classes[marks], np.bincount(seen.classes, minlength=n_classes))
    names = None if seen.names is None or seen.meaning is None else seen.meaning @ seen.names.T
    found = read(Views(members, kernel, names, _lengths(seen.texts)), known)
    agreed = found.classes == seen.classes
    found.signals["reliability"] = held_out_reliability(
        found.classes, agreed, n_classes, seen.groups
    )
    model = _Model(
        outputs=seen.outputs,
        words=words,
        known=known,
        known_words=vectors[marks],
        known_meaning=known_meaning,
        names=seen.names,
        ridge=fitted.weights,
        logistic=weights,
        temperature=temperature,
        reliability=reliability(found.classes, agreed, n_classes),
    )
    return model, found


def _temperature(left_out: Floats, classes: Ints) -> float:
    """Return the factor on ridge scores under which the held-out answers are most probable."""
    rows = np.arange(len(classes))
    losses = [
        -np.log(logistic.softmax(t * left_out)[rows, classes] + 1e-9).mean() for t in _TEMPERATURES
    ]
    return _TEMPERATURES[int(np.argmin(losses))]


def _held_out_chances(seen: _Evidence, artefact: Artefact, n_classes: int) -> Floats:
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


def _answer(model: _Model, texts: Sequence[str], meaning: Floats | None) -> Read:
    vectors = model.words.vectors(texts)
    kernel = kernel_ridge.likeness(vectors, model.known_words, meaning, model.known_meaning)
    members = {"ridge": logistic.softmax(model.temperature * (kernel @ model.ridge))}
    if meaning is not None and model.logistic is not None:
        members["logistic"] = logistic.chances(meaning, model.logistic)
    names = None if model.names is None or meaning is None else meaning @ model.names.T
    found = read(Views(members, kernel, names, _lengths(texts)), model.known)
    found.signals["reliability"] = model.reliability[found.classes]
    return found


def _lengths(texts: Sequence[str]) -> Floats:
    return np.array([len(text) for text in texts], np.float32)


def _write(model: _Model, encoder: Embedder | None, artefact: Artefact) -> None:
    numbers: Arrays = {
        "ridge": model.ridge,
        "reliability": model.reliability,
        "counts": model.known.counts,
    }
    if model.logistic is not None:
        numbers["logistic"] = model.logistic
    artefact.write_tensors("weights", numbers)
    csr = model.known_words
    secrets: Arrays = {
        **model.words.arrays,
        "landmark_classes": model.known.landmark_classes,
        "words_data": csr.data,
        "words_indices": csr.indices,
        "words_indptr": csr.indptr,
    }
    if model.known_meaning is not None:
        secrets["meaning"] = model.known_meaning
    if model.names is not None:
        secrets["names"] = model.names
    write_sealed(artefact, "landmarks", secrets)
    facts = {
        "outputs": model.outputs,
        "temperature": model.temperature,
        "encoder": encoder.name if encoder else None,
        "words_shape": csr.shape,
    }
    artefact.write_json("linear", facts)


def _read_back(facts: dict[str, Any], artefact: Artefact) -> _Model:
    secrets, numbers = read_sealed(artefact, "landmarks"), artefact.read_tensors("weights")
    parts = (secrets["words_data"], secrets["words_indices"], secrets["words_indptr"])
    return _Model(
        outputs=facts["outputs"],
        words=Words(secrets),
        known=Known(secrets["landmark_classes"], numbers["counts"]),
        known_words=csr_matrix(parts, shape=tuple(facts["words_shape"])),
        known_meaning=secrets.get("meaning"),
        names=secrets.get("names"),
        ridge=numbers["ridge"],
        logistic=numbers.get("logistic"),
        temperature=facts["temperature"],
        reliability=numbers["reliability"],
    )
