"""Ranks a specialist's answers by how likely the upstream is to agree.

A logistic model over the prediction's signals, fitted on held-out predictions. Only its rank is
used, so a bad fit costs coverage and never breaks the promise of a certificate. It knows nothing
of rungs: a signal is a name and a number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from slimdown.types import Prediction

FEWEST_DISAGREEMENTS = 30
"""Below this many, raw confidence ranks: a fit on fewer would chase their accidents."""

_INVERSE_PENALTY = 0.1
_LOWEST = 1e-12
_WIDEST = 6.0
_LARGEST = 1e12

Floats = npt.NDArray[np.float64]


class AgreementModel(msgspec.Struct, frozen=True, kw_only=True):
    """Weights on standardised signals; without any, the raw confidence ranks.

    ``signals`` names the columns; ``means`` and ``scales`` standardise them; ``weights`` has one
    entry per signal, then one per signal for its being missing; JSON can hold it all.
    """

    signals: tuple[str, ...] = ()
    means: tuple[float, ...] = ()
    scales: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    offset: float = 0.0

    def score(self, prediction: Prediction) -> float:
        """Return the score of one prediction, above 0 and at most 1; 0 for an abstention."""
        if prediction.output is None:
            return 0.0
        if not self.signals:
            return _bounded(prediction.confidence)
        columns = _columns([prediction], self.signals, self.means, self.scales)[0]
        return _bounded(_sigmoid(float(columns @ np.array(self.weights)) + self.offset))


def fit_agreement_model(pairs: Sequence[tuple[Prediction, bool]]) -> AgreementModel:
    """Fit on predictions, none by a model fitted on its own example, and whether each agreed.

    With fewer than `FEWEST_DISAGREEMENTS` (or agreements), returns the model that ranks by raw
    confidence. Abstentions are left out.
    """
    answered = [(p, agreed) for p, agreed in pairs if p.output is not None]
    n_agreed = sum(agreed for _, agreed in answered)
    if min(n_agreed, len(answered) - n_agreed) < FEWEST_DISAGREEMENTS:
        return AgreementModel()
    found = [p for p, _ in answered]
    names = tuple(sorted({"confidence", *(name for p in found for name in p.signals)}))
    raw = _raw(found, names)
    present = np.isfinite(raw)
    kept = np.where(present, raw, 0.0)
    count = np.maximum(present.sum(axis=0), 1)
    means = kept.sum(axis=0) / count
    spread = np.sqrt((np.where(present, raw - means, 0.0) ** 2).sum(axis=0) / count)
    scales = np.where(spread > _LOWEST, spread, 1.0)
    columns = _columns(found, names, means.tolist(), scales.tolist())
    weights, offset = _logistic(columns, np.array([agreed for _, agreed in answered]))
    return AgreementModel(
        signals=names,
        means=tuple(means.tolist()),
        scales=tuple(scales.tolist()),
        weights=tuple(weights),
        offset=offset,
    )


def _logistic(columns: Floats, agreed: npt.NDArray[np.bool_]) -> tuple[list[float], float]:
    from sklearn.linear_model import LogisticRegression

    model: Any = LogisticRegression(C=_INVERSE_PENALTY, max_iter=1000).fit(columns, agreed)
    return [float(w) for w in model.coef_[0]], float(model.intercept_[0])


def _raw(predictions: Sequence[Prediction], names: Sequence[str]) -> Floats:
    rows = [{"confidence": p.confidence, **p.signals} for p in predictions]
    values = [[row.get(name, math.nan) for name in names] for row in rows]
    raw = np.array(values, np.float64).reshape(len(rows), len(names))
    # Infinite counts as missing; the bound keeps sums and squares of the rest finite.
    return np.where(np.isfinite(raw), np.clip(raw, -_LARGEST, _LARGEST), math.nan)


def _columns(
    predictions: Sequence[Prediction],
    names: Sequence[str],
    means: Sequence[float],
    scales: Sequence[float],
) -> Floats:
    """Return standardised signals, 0 where missing, then indicators of what is missing."""
    raw = _raw(predictions, names)
    present = np.isfinite(raw)
    standard = (np.where(present, raw, 0.0) - np.array(means)) / np.array(scales)
    # A signal far outside what was seen says "unlike anything seen", not "surer than ever".
    clipped = np.clip(np.where(present, standard, 0.0), -_WIDEST, _WIDEST)
    return np.hstack([clipped, (~present).astype(np.float64)])


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-min(max(value, -500.0), 500.0)))


def _bounded(score: float) -> float:
    if math.isnan(score):
        return _LOWEST
    return min(max(score, _LOWEST), 1.0)
