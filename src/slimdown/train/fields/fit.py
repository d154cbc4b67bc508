"""Fine-tuning a network on lessons within a time budget, from checkpoint to checkpoint.

All randomness is drawn from the seed and the step, and a checkpoint holds the step, the time spent
and the optimiser's state, so a resumed training goes the same way. Knows nothing of datasets.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, count, islice
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from slimdown.artefact import Artefact, Tensors
from slimdown.errors import TrainingFailed
from slimdown.train.fields.batches import Lesson, collated, epoch
from slimdown.train.fields.net import Batch, Net
from slimdown.train.fields.pace import Pace, Threads
from slimdown.train.fields.plan import IGNORED, Plan

CHECKPOINT = "checkpoint"
"""Name of the artefact's file that an unfinished training leaves, and a finished one removes."""

_PRIMED_PIECES = 24_000
_SHARPNESS = 12.0
_CLIPPED = 5.0
_FIRST, _LAST = 0.05, 0.02


@dataclass(frozen=True)
class Schedule:
    """How to train. ``budget_s`` is wall-clock time; learning rates are peaks.

    ``decay`` multiplies the encoder's rate from each layer to the one below it. As many epochs
    are trained as the budget holds, between ``least`` and ``most``; equal, they fix the length.
    """

    budget_s: float
    batch: int = 32
    batch_pieces: int = 2048
    rate: float = 4e-4
    head_rate: float = 4e-3
    decay: float = 0.85
    warmup: float = 0.1
    weight_decay: float = 0.01
    dropout: float = 0.1
    smoothing: float = 0.05
    least: float = 3.0
    most: float = 40.0
    checkpoint_s: float = 30.0
    seed: int = 7


def fit(
    net: Net, lessons: Sequence[Lesson], plan: Plan, schedule: Schedule, *, keep: Artefact
) -> Iterator[Pace]:
    """Train ``net`` in place, yielding the same `Pace` after each step.

    Goes on from the checkpoint in ``keep`` if there is one. Raises `TrainingFailed` if the loss
    ceases to be a number.
    """
    per_epoch = len(lessons) / schedule.batch
    pace = Pace(schedule.budget_s, schedule.least * per_epoch, schedule.most * per_epoch)
    optimiser, threads = _optimiser(net, schedule), Threads()
    _resume(net, optimiser, pace, keep)
    if not pace.step:
        prime_heads(net, lessons, plan, schedule)
    net.train()
    saved_s = pace.spent_s
    for rows in _batches_from(pace.step, lessons, schedule):
        torch.manual_seed(schedule.seed * 1_000_003 + pace.step)
        with pace.counted(), threads.tried():
            pace.loss = _step(
                net, optimiser, collated([lessons[r] for r in rows], plan), schedule, pace
            )
        if pace.share >= 1:
            yield pace
            break
        if pace.spent_s - saved_s > schedule.checkpoint_s:
            keep.write_tensors(CHECKPOINT, _checkpoint(net, optimiser, pace))
            saved_s = pace.spent_s
        yield pace
    net.eval()


def prime_heads(net: Net, lessons: Sequence[Lesson], plan: Plan, schedule: Schedule) -> None:
    """Start each head from its options' mean states (Snell et al. 2017), taggers from small noise.

    A closed set of a hundred answers is then half known before the first step.
    """
    torch.manual_seed(schedule.seed)
    if net.heads is None:
        return
    n_pieces = accumulate(len(lesson.pieces.ids) for lesson in lessons)
    sample = lessons[: 1 + sum(n < _PRIMED_PIECES for n in n_pieces)]
    net.eval()
    pooled, options = [], []
    with torch.no_grad():
        for rows in epoch(sample, size=64, most_pieces=schedule.batch_pieces, seed=0):
            batch = collated([sample[r] for r in rows], plan)
            pooled.append(net.pooled(net.states(batch), batch.real))
            options.append(batch.options)
        states, chosen = torch.cat(pooled), torch.cat(options)
        centred = states - states.mean(0)
        rows_of_heads = [
            _prototypes(centred, chosen[:, head], size) for head, size in enumerate(net.sizes)
        ]
        net.heads.weight.copy_(torch.cat(rows_of_heads) * _SHARPNESS)
        net.heads.bias.copy_(-(net.heads.weight @ states.mean(0)))


def _prototypes(centred: Any, chosen: Any, size: int) -> Any:
    known = chosen != IGNORED
    marks = functional.one_hot(chosen[known], size).float()
    means = marks.T @ centred[known] / marks.sum(0).clamp(min=1).unsqueeze(-1)
    return functional.normalize(means, dim=-1)


def _step(net: Net, optimiser: Any, batch: Batch, schedule: Schedule, pace: Pace) -> float:
    scale = _rate_scale(pace.share, schedule.warmup)
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * scale
    loss = net.losses(batch, schedule.smoothing)
    value = float(loss.detach())
    if not math.isfinite(value):
        raise TrainingFailed(
            f"the loss became {value} at step {pace.step}. The calls and the last checkpoint are "
            "kept. Delete the specialist's folder to train anew, or choose another rung."
        )
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), _CLIPPED)
    optimiser.step()
    return value


def _rate_scale(share: float, warmup: float) -> float:
    """Return the learning rate as a share of its peak: a rise up to ``warmup``, then a fall."""
    if share < warmup:
        return _FIRST + (1 - _FIRST) * share / warmup
    return _LAST + (1 - _LAST) * (1 - share) / (1 - warmup)


def _batches_from(
    step: int, lessons: Sequence[Lesson], schedule: Schedule
) -> Iterator[Sequence[int]]:
    size, most, seed = schedule.batch, schedule.batch_pieces, schedule.seed
    epochs = (epoch(lessons, size=size, most_pieces=most, seed=seed + number) for number in count())
    return islice(chain.from_iterable(epochs), step, None)


def _optimiser(net: Net, schedule: Schedule) -> Any:
    n_layers = len(net.bert.layers)
    groups: dict[tuple[float, float], list[Any]] = {}
    for name, tensor in net.named_parameters():
        rate = schedule.head_rate
        if name.startswith("bert."):
            parts = name.split(".")
            layer = int(parts[2]) if parts[1] == "layers" else -1
            rate = schedule.rate * schedule.decay ** (n_layers - 1 - layer)
        decay = schedule.weight_decay if tensor.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(tensor)
    return torch.optim.AdamW(
        [
            {"params": tensors, "lr": rate, "peak": rate, "weight_decay": decay}
            for (rate, decay), tensors in groups.items()
        ],
        betas=(0.9, 0.98),
        fused=True,
    )


def _checkpoint(net: Net, optimiser: Any, pace: Pace) -> Tensors:
    found: Tensors = {"pace": np.array([pace.step, pace.spent_s], np.float64)}
    for name, tensor in net.named_parameters():
        found[f"net.{name}"] = tensor.detach().numpy()
        for part, value in optimiser.state.get(tensor, {}).items():
            found[f"{part}.{name}"] = value.numpy()
    return found


def _resume(net: Net, optimiser: Any, pace: Pace, keep: Artefact) -> None:
    if not keep.has(CHECKPOINT):
        return
    found = keep.read_tensors(CHECKPOINT)
    with torch.no_grad():
        for name, tensor in net.named_parameters():
            tensor.copy_(torch.from_numpy(found[f"net.{name}"]))
            optimiser.state[tensor] = {
                part: torch.from_numpy(found[f"{part}.{name}"])
                for part in ("step", "exp_avg", "exp_avg_sq")
                if f"{part}.{name}" in found
            }
    pace.step, pace.spent_s = int(found["pace"][0]), float(found["pace"][1])
