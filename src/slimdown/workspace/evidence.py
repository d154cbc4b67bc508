"""The evidence of a report: what the evaluation found, in the report's own rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from slimdown.evaluate.agreement import agreement_for
from slimdown.evaluate.report import evaluate
from slimdown.report.model import Confusion, FieldRow, LabelRow, WorstExample
from slimdown.types import Dataset, Graded, Prediction


def drawn(
    dataset: Dataset, predictions: Sequence[Prediction], answers: Sequence[Graded]
) -> dict[str, Any]:
    """Return the fields of a `RungReport` that describe its answers to calibration."""
    scores = [answer.score for answer in answers]
    seen = evaluate(dataset, predictions, agreement_for(dataset.kind), scores=scores)
    return {
        "agreement": seen.agreement,
        "truth_agreement": seen.n_true / seen.n_truth if seen.n_truth else None,
        "labels": msgspec.convert(seen.labels, tuple[LabelRow, ...], from_attributes=True),
        "fields": msgspec.convert(seen.fields, tuple[FieldRow, ...], from_attributes=True),
        "confusions": msgspec.convert(seen.confusions, tuple[Confusion, ...], from_attributes=True),
        "worst": msgspec.convert(seen.worst, tuple[WorstExample, ...], from_attributes=True),
    }
