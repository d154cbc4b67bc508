"""Rungs whose skill a test sets, reached as "fake_rungs:NAME@ARGUMENT"; see `reachable`."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from slimdown.artefact import Artefact
from slimdown.canonical import bytes_id
from slimdown.errors import SlimdownError
from slimdown.seams import Progress
from slimdown.types import Dataset, DevPrediction, Prediction, Trained

NOTEBOOK = "FAKE_RUNGS_NOTEBOOK"
"""The variable that names the file in which rungs note that they were trained."""


def reachable(monkeypatch: pytest.MonkeyPatch, notebook: Path) -> None:
    """Let the training process import this module, and note its trainings in ``notebook``."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setenv(NOTEBOOK, str(notebook))


def trainings(notebook: Path) -> list[str]:
    """Return the lines that trainings left."""
    return notebook.read_text().splitlines() if notebook.exists() else []


def _note(line: object) -> None:
    with Path(os.environ[NOTEBOOK]).open("a") as file:
        file.write(f"{line}\n")


class Skilled:
    """Answers an input's last word: sure of a share of inputs, right on a share of the sure."""

    def __init__(self, right: float, sure: float) -> None:
        self._right = right
        self._sure = sure

    def answer(self, inputs: Sequence[str]) -> list[Prediction]:
        return [self._one(text) for text in inputs]

    def _one(self, text: str) -> Prediction:
        if _draw("sure", text) >= self._sure:
            return Prediction(output="a guess", confidence=_draw("confidence", text) / 10)
        word = text.rsplit(maxsplit=1)[-1]
        output = word if _draw("right", text) < self._right else f"not {word}"
        return Prediction(output=output, confidence=0.5 + _draw("confidence", text) / 2)


class SkilledRung:
    """``SkilledRung@DEV/REAL/SURE``: sure of a share; of it, right in dev and in earnest."""

    name = "skilled"

    def __init__(self, argument: str = "1/1/1") -> None:
        self._dev, self._real, self._sure = map(float, argument.split("/"))

    def objection(self, dataset: Dataset) -> str | None:
        return None

    def train(self, dataset: Dataset, artefact: Artefact, progress: Progress) -> Trained:
        _note(f"{dataset.task_id} {len(dataset.calibration)}")
        progress(0.5, "learning")
        artefact.write_json("skill", [self._real, self._sure])
        predictions = Skilled(self._dev, self._sure).answer([e.input for e in dataset.dev])
        pairs = zip(dataset.dev, predictions, strict=True)
        return Trained(dev=tuple(DevPrediction(e.id, p) for e, p in pairs))

    def load(self, artefact: Artefact) -> Skilled:
        return Skilled(*artefact.read_json("skill"))


class ObjectingRung(SkilledRung):
    """Fits nothing."""

    def objection(self, dataset: Dataset) -> str | None:
        return "it is Sunday."


class FailingRung(SkilledRung):
    """Fails with a cause."""

    def train(self, dataset: Dataset, artefact: Artefact, progress: Progress) -> Trained:
        raise SlimdownError("the disk is full")


class OnceFailingRung(SkilledRung):
    """Fails the first time that it is trained at all, as where memory ran out."""

    def train(self, dataset: Dataset, artefact: Artefact, progress: Progress) -> Trained:
        if not trainings(Path(os.environ[NOTEBOOK])):
            _note("failed")
            os._exit(9)
        return super().train(dataset, artefact, progress)


class EndlessRung(SkilledRung):
    """Notes its process id, then learns for longer than any test waits."""

    def train(self, dataset: Dataset, artefact: Artefact, progress: Progress) -> Trained:
        _note(os.getpid())
        for step in range(6_000):
            progress(step / 6_000, "learning")
            time.sleep(0.02)
        raise AssertionError("nobody stopped this training")


def _draw(what: str, text: str) -> float:
    return int(bytes_id(f"{what} {text}".encode())[:8], 16) / 16**8
