from __future__ import annotations

import msgspec
import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from slimdown.evaluate.confidence import (
    FEWEST_DISAGREEMENTS,
    AgreementModel,
    fit_agreement_model,
)
from slimdown.types import Prediction

any_number = st.floats(allow_nan=True, allow_infinity=True)


def _prediction(confidence: float, **signals: float) -> Prediction:
    return Prediction(output="a", confidence=confidence, signals=signals)


def _pairs(n: int, seed: int = 0) -> list[tuple[Prediction, bool]]:
    """Agreement follows the signal "helpful", not the confidence."""
    chance = np.random.default_rng(seed)
    pairs = []
    for helpful, luck, confidence in chance.random((n, 3)):
        prediction = _prediction(float(confidence), helpful=float(helpful), constant=1.0)
        pairs.append((prediction, bool(luck < helpful)))
    return pairs


def test_a_signal_that_tells_ranks_better_than_confidence() -> None:
    model = fit_agreement_model(_pairs(400))
    sure, unsure = _prediction(0.1, helpful=0.9), _prediction(0.9, helpful=0.1)
    assert model.score(sure) > model.score(unsure)


def test_few_disagreements_fall_back_to_raw_confidence() -> None:
    pairs = [(_prediction(0.9, helpful=1.0), True)] * 500
    pairs += [(_prediction(0.2, helpful=0.0), False)] * (FEWEST_DISAGREEMENTS - 1)
    model = fit_agreement_model(pairs)
    assert model == AgreementModel()
    assert model.score(_prediction(0.7)) == 0.7


def test_few_agreements_fall_back_too() -> None:
    assert fit_agreement_model([(_prediction(0.9), False)] * 100) == AgreementModel()


def test_nothing_to_learn_from_ranks_by_raw_confidence() -> None:
    assert fit_agreement_model([]).score(_prediction(0.4)) == 0.4


def test_an_abstention_scores_zero_in_any_model() -> None:
    abstention = Prediction(output=None, confidence=0.9, signals={"helpful": 1.0})
    assert AgreementModel().score(abstention) == 0
    assert fit_agreement_model(_pairs(400)).score(abstention) == 0


def test_abstentions_teach_nothing() -> None:
    pairs = _pairs(400)
    abstentions = [(Prediction(output=None, confidence=0.0), False)] * 50
    assert fit_agreement_model(pairs + abstentions) == fit_agreement_model(pairs)


def test_a_model_survives_json() -> None:
    model = fit_agreement_model(_pairs(300))
    assert msgspec.json.decode(msgspec.json.encode(model), type=AgreementModel) == model


def test_a_missing_signal_tells_by_its_absence() -> None:
    pairs = [(_prediction(0.5, x=1.0), True), (_prediction(0.5), False)] * 60
    model = fit_agreement_model(pairs)
    assert model.score(_prediction(0.5, x=1.0)) > 0.5 > model.score(_prediction(0.5))


def test_a_signal_unknown_to_the_model_is_ignored() -> None:
    model = fit_agreement_model(_pairs(300))
    known = _prediction(0.5, helpful=0.5, constant=1.0)
    more = _prediction(0.5, helpful=0.5, constant=1.0, novel=9.0)
    assert model.score(more) == model.score(known)


@given(any_number, any_number, any_number)
@example(0.0, 5e307, -5e307)
def test_any_signal_gives_a_score_between_zero_and_one(a: float, b: float, c: float) -> None:
    for model in (AgreementModel(), _FITTED):
        assert 0 < model.score(_prediction(a, helpful=b, constant=c)) <= 1


_FITTED = fit_agreement_model(_pairs(300))


def test_training_signals_that_are_no_numbers_do_no_harm() -> None:
    pairs = _pairs(300)
    pairs[0] = (_prediction(float("nan"), helpful=float("inf")), True)
    assert 0 < fit_agreement_model(pairs).score(_prediction(0.5, helpful=0.5)) < 1


def test_the_same_evidence_gives_the_same_model() -> None:
    assert fit_agreement_model(_pairs(300)) == fit_agreement_model(_pairs(300))
