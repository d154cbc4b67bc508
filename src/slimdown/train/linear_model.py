"""The model of the rung ``linear``: what answers, and how it is kept in a folder.

Weights lie open as tensors; the known examples, their words and the answers are sealed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from slimdown.artefact import Artefact
from slimdown.train import linear_kernel as kernel_ridge
from slimdown.train import linear_logistic as logistic
from slimdown.train.linear_sealed import Arrays, read_sealed, write_sealed
from slimdown.train.linear_signals import Known, Read, Views, read
from slimdown.train.linear_words import Words

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Model:
    """All that answers. ``names`` are the meanings of the answers as words, where they are words;
    ``encoder`` is the name of the encoder behind all meanings, None where there is none."""

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
    encoder: str | None

    @cached_property
    def known_columns(self) -> Any:
        """The known examples' words the other way round, by n-gram: made once, read each time."""
        return kernel_ridge.turned(self.known_words)


def answer(model: Model, texts: Sequence[str], meaning: Floats | None) -> Read:
    """Return the class numbers, confidence and signals; ``meaning`` are the texts' unit vectors."""
    vectors = model.words.vectors(texts)
    kernel = kernel_ridge.likeness(vectors, model.known_columns, meaning, model.known_meaning)
    members = {"ridge": logistic.softmax(model.temperature * (kernel @ model.ridge))}
    if meaning is not None and model.logistic is not None:
        members["logistic"] = logistic.chances(meaning, model.logistic)
    names = None if model.names is None or meaning is None else meaning @ model.names.T
    found = read(Views(members, kernel, names, lengths(texts)), model.known)
    found.signals["reliability"] = model.reliability[found.classes]
    return found


def lengths(texts: Sequence[str]) -> Floats:
    """Return each text's number of characters."""
    return np.array([len(text) for text in texts], np.float32)


def write(model: Model, artefact: Artefact) -> None:
    """Keep a model in the artefact."""
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
        "encoder": model.encoder,
        "words_shape": csr.shape,
    }
    artefact.write_json("linear", facts)


def read_back(artefact: Artefact) -> Model:
    """Return the model that `write` kept; raises `ArtefactIncomplete` or `SealBroken`."""
    facts = artefact.read_json("linear")
    secrets, numbers = read_sealed(artefact, "landmarks"), artefact.read_tensors("weights")
    parts = (secrets["words_data"], secrets["words_indices"], secrets["words_indptr"])
    return Model(
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
        encoder=facts["encoder"],
    )
