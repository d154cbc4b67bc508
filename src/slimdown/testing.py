"""Public fakes, so that nothing needs to be mocked: sample calls, and small stand-ins for seams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slimdown.artefact import Artefact
from slimdown.canonical import content_id
from slimdown.seams import Progress
from slimdown.types import Call, Dataset, DevPrediction, JsonObject, Prediction, Trained


def sample_call(
    text: str = "where is my parcel?",
    answer: str | JsonObject = "delivery",
    *,
    system: str = "Name the intent of the message.",
    **fields: Any,
) -> Call:
    """Return a call that asked ``text`` and was answered ``answer`` (an object becomes JSON text).

    ``fields`` are further fields of `Call`; the id is the content's unless given.
    """
    from slimdown.canonical import canonical_json

    content = answer if isinstance(answer, str) else canonical_json(answer).decode()
    request = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": text}],
    }
    message = {"role": "assistant", "content": content}
    response = {
        "object": "chat.completion",
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 50, "completion_tokens": 5, "total_tokens": 55},
    }
    made: JsonObject = {"request": request, "response": response, **fields}
    return Call(**{"id": content_id(made), **made})


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
