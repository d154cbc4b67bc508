"""From a dataset to a kept specialist: plan, lessons, fitting, files, predictions for dev."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from slimdown.artefact import Artefact
from slimdown.encoder.pieces import Tokenizer
from slimdown.encoder.weights import EncoderWeights, read_weights
from slimdown.errors import TrainingFailed
from slimdown.seams import Progress
from slimdown.train.fields.batches import Lesson
from slimdown.train.fields.fit import CHECKPOINT, Schedule, fit
from slimdown.train.fields.kept import keep_specialist
from slimdown.train.fields.net import Net
from slimdown.train.fields.plan import Plan
from slimdown.train.fields.planning import make_plan
from slimdown.types import Dataset, DevPrediction, Trained

_SMALL = 1_000
"""Up to so many examples a training takes seconds, so that several fit a first look."""

_LEAST_PASSES = 6_000


def budget_s(n_examples: int) -> float:
    """Return how long to train on so many examples, in seconds: 8 to 22, then up to 270."""
    small = 8.0 + 0.014 * min(n_examples, _SMALL)
    return min(270.0, small + 0.08 * max(0, n_examples - _SMALL))


def schedule_for(n_examples: int, **overrides: Any) -> Schedule:
    """Return the schedule for so many examples, with fields replaced by ``overrides``."""
    batch = 16 if n_examples < 2 * _SMALL else 32
    least = max(1.0, min(3.0, _LEAST_PASSES / n_examples))
    schedule = Schedule(budget_s=budget_s(n_examples), batch=batch, least=least)
    return replace(schedule, **overrides)


def train_specialist(
    dataset: Dataset, artefact: Artefact, progress: Progress, *, source: str, **overrides: Any
) -> Trained:
    """Fine-tune the encoder ``source`` on ``dataset.train``; leave the specialist in ``artefact``.

    Dev examples are predicted by the specialist as it will be served.
    """
    import torch

    started = time.perf_counter()
    weights = read_weights(source)
    plan, lessons, dropped = lessons_of(dataset, weights)
    schedule = schedule_for(len(lessons), **overrides)
    torch.manual_seed(schedule.seed)
    net = Net(weights.config, plan, schedule.dropout)
    net.bert.filled(weights.tensors)
    epochs = 0.0
    for pace in fit(net, lessons, plan, schedule, keep=artefact):
        epochs = pace.step * schedule.batch / len(lessons)
        progress(min(0.95, 0.95 * pace.share), f"epoch {epochs:.1f}, loss {pace.loss:.3f}")
    tuned = replace(weights, tensors=net.bert.tensors())
    specialist = keep_specialist(artefact, tuned, plan, net.own_tensors())
    artefact.remove(CHECKPOINT)
    answers = specialist.answer([e.input for e in dataset.dev])
    progress(1.0, "predicted dev")
    facts = {
        "encoder": weights.name,
        "seconds": round(time.perf_counter() - started, 1),
        "budget_s": schedule.budget_s,
        "epochs": round(epochs, 2),
        "n_lessons": len(lessons),
        "n_fields": len(plan.fields),
        **dropped,
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
    }
    dev = tuple(DevPrediction(e.id, answer) for e, answer in zip(dataset.dev, answers, strict=True))
    return Trained(dev=dev, facts=facts)


def lessons_of(
    dataset: Dataset, weights: EncoderWeights
) -> tuple[Plan, list[Lesson], dict[str, int]]:
    """Return the plan, a lesson per usable training example, and how many were left out and why."""
    tokenizer = Tokenizer(weights.tokenizer_json, window=weights.config.max_position_embeddings)
    plan, targets = make_plan(dataset.train, dataset.kind)
    pieces = tokenizer.of_units([e.input for e in dataset.train])
    short = [len(p.ids) <= tokenizer.window for p in pieces]
    # Where spans alone decide, an answer that they cannot say would teach that it is absent.
    sayable = [t.expressible or bool(t.options) for t in targets]
    lessons = [
        Lesson(p, t)
        for p, t, fits, says in zip(pieces, targets, short, sayable, strict=True)
        if fits and says
    ]
    if not lessons or not plan.fields:
        raise TrainingFailed(
            "no training example fits the encoder's window and can be said in fields. The calls "
            "are kept. Choose another rung."
        )
    dropped = {
        "n_too_long": short.count(False),
        "n_inexpressible": sum(s and not y for s, y in zip(short, sayable, strict=True)),
    }
    return plan, lessons, dropped
