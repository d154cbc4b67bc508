"""A rung that copies: small stand-ins for the seams of training and serving."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from slimdown.seams import Progress
from slimdown.types import Dataset, DevPrediction, Prediction, Trained

if TYPE_CHECKING:
    from slimdown.artefact import Artefact


class CopyingSpecialist:
    """Answers what it has seen, word for word, and abstains on all else."""

    def __init__(self, answers: dict[str, Any]) -> None:
        """Take the answer to each known input."""
        self._answers = answers

    def answer(self, inputs: Sequence[str]) -> list[Prediction]:
        """Return the known answers with confidence 1, the others as abstentions."""
        known = self._answers
        return [
            Prediction(output=known.get(text), confidence=float(text in known)) for text in inputs
        ]


class CopyingRung:
    """A rung that trains in no time: it copies the answers of ``train``."""

    name = "copying"

    def objection(self, dataset: Dataset) -> str | None:
        """Fit any dataset that has an example to copy."""
        return None if dataset.train else "there is no example to copy."

    def train(self, dataset: Dataset, artefact: Artefact, progress: Progress) -> Trained:
        """Keep each training input with its answer."""
        answers = {example.input: example.output for example in dataset.train}
        progress(0.5, "copying")
        artefact.write_json("answers", answers)
        inputs = [example.input for example in dataset.dev]
        predictions = CopyingSpecialist(answers).answer(inputs)
        pairs = zip(dataset.dev, predictions, strict=True)
        return Trained(dev=tuple(DevPrediction(e.id, p) for e, p in pairs), facts={"copied": True})

    def load(self, artefact: Artefact) -> CopyingSpecialist:
        """Return a specialist with the answers that `train` kept."""
        return CopyingSpecialist(artefact.read_json("answers"))
