"""The rung ``linear``: a closed set of answers, learned in seconds without torch.

An answer is a class, a whole JSON object or list of tool calls too where few of them recur. Two
members vote: kernel ridge regression on likeness (words, and meaning where an encoder is
installed) and logistic regression on meaning. It reads the text whole as words, and as meaning as
far as the encoder's `embed` reads. It never answers what the upstream has not answered before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from slimdown.artefact import Artefact
from slimdown.canonical import canonical_json
from slimdown.encoder import load_encoder
from slimdown.encoder.pieces import encodable
from slimdown.errors import ArtefactIncomplete, MissingExtra
from slimdown.seams import Embedder, Progress
from slimdown.train.linear_fit import CHECKPOINTS, evidence_of, fit
from slimdown.train.linear_model import Model, answer, read_back, write
from slimdown.train.linear_signals import predictions
from slimdown.types import Dataset, DevPrediction, Prediction, Trained

_FEWEST_EXAMPLES = 20
_LEAST_RECURRING = {"label": 0.5, "json": 0.8, "tool": 0.8}


def installed_encoder() -> Embedder | None:
    """Return the default encoder, or None in an install without its weights: words are enough."""
    try:
        return load_encoder()
    except MissingExtra:
        return None


class LinearRung:
    """Trains in seconds on two cores; serves in a few milliseconds, most of it the encoder's."""

    name = "linear"

    def __init__(self, encoder: Callable[[], Embedder | None] = installed_encoder) -> None:
        """Read meaning with what ``encoder`` returns; with None by words alone."""
        self._encoder = encoder

    def objection(self, dataset: Dataset) -> str | None:
        """Object to free text, to few examples, and to answers that seldom recur."""
        examples = (*dataset.train, *dataset.dev)
        if dataset.kind == "text":
            return "its answers are free text; this rung chooses from a closed set."
        if len(examples) < _FEWEST_EXAMPLES:
            return f"{len(examples)} examples to learn from; it takes {_FEWEST_EXAMPLES}."
        counts = Counter(canonical_json(e.output) for e in examples)
        recurring = sum(n for n in counts.values() if n > 1) / len(examples)
        needed = _LEAST_RECURRING[dataset.kind]
        if recurring < needed:
            return (
                f"{recurring:.0%} of the answers occur more than once; a closed set needs "
                f"{needed:.0%}."
            )
        return None

    def train(self, dataset: Dataset, artefact: Artefact, progress: Progress) -> Trained:
        """Fit on train and dev; the returned predictions cover both, each held out."""
        examples = [*dataset.train, *dataset.dev]
        encoder = self._encoder()
        progress(0.05, "reading the texts")
        seen = evidence_of(examples, encoder, artefact)
        progress(0.5, "fitting")
        model, found = fit(seen, encoder, artefact, progress)
        write(model, artefact)
        for checkpoint in CHECKPOINTS:
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
        """Return the specialist; raises `ArtefactIncomplete` without its encoder."""
        model = read_back(artefact)
        encoder = self._encoder() if model.encoder else None
        name = encoder.name if encoder else None
        if name != model.encoder:
            raise ArtefactIncomplete(
                f"{artefact.path} was trained with the encoder {model.encoder}, but "
                f"{name or 'none'} is installed. The calls are kept: install it again, or train "
                "anew with `slimdown run`."
            )
        return LinearSpecialist(model, encoder)


class LinearSpecialist:
    """Answers with the class that its members together hold most probable."""

    def __init__(self, model: Model, encoder: Embedder | None) -> None:
        """Take the model, and the encoder that it was trained with, if any."""
        self._model = model
        self._encoder = encoder

    def answer(self, inputs: Sequence[str]) -> list[Prediction]:
        """Return one prediction per input, in order."""
        if not inputs:
            return []
        texts = [encodable(text) for text in inputs]
        meaning = None if self._encoder is None else self._encoder.embed(texts)
        return predictions(answer(self._model, texts, meaning), self._model.outputs)
