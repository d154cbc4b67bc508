"""Fine-tuning a network on lessons within a time budget, from checkpoint to checkpoint.

The number of steps is set once, from the speed of the first ones; a checkpoint holds it, and all
randomness is drawn from the seed and the step, so a resumed training goes the same way. Knows
nothing of datasets or outputs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from slimdown.artefact import Artefact, Tensors
from slimdown.errors import TrainingFailed
from slimdown.train.fields.batches import Lesson, collated, epoch
from slimdown.train.fields.net import Net
from slimdown.train.fields.plan import IGNORED, Plan

CHECKPOINT = "checkpoint"
"""Name of the artefact's file that an unfinished training leaves, and a finished one removes."""

_TIMED = slice(2, 8)
_PROTOTYPES = 1024


@dataclass(frozen=True)
class Schedule:
    """How to train. ``budget_s`` is wall-clock time; learning rates are peaks.

    ``decay`` multiplies the encoder's rate from each layer to the one below it. ``epochs`` fixes
    the length regardless of the budget (None: as many as fit, between ``least`` and ``most``).
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
    epochs: float | None = None
    least: float = 3.0
    most: float = 40.0
    checkpoint_s: float = 30.0
    seed: int = 7


@dataclass
class _Run:
    """Where a training stands."""

    step: int = 0
    n_steps: int = 0
    spent_s: float = 0.0


def fit(
    net: Net, lessons: Sequence[Lesson], plan: Plan, schedule: Schedule, *, keep: Artefact
) -> Iterator[tuple[float, str]]:
    """Train ``net`` in place, yielding the share done and a note after each step.

    Goes on from the checkpoint in ``keep`` if there is one. Raises `TrainingFailed` if the loss
    ceases to be a number.
    """
    optimiser = _optimiser(net, schedule)
    run = _resumed(net, optimiser, keep)
    if schedule.epochs is not None:
        run.n_steps = math.ceil(schedule.epochs * len(lessons) / schedule.batch)
    if not run.step:
        prime_heads(net, lessons, plan, schedule)
    net.train()
    timed: list[float] = []
    saved_s = run.spent_s
    for at, rows in enumerate(_batches(lessons, schedule)):
        if at < run.step:
            continue
        started = time.perf_counter()
        loss = _step(net, optimiser, collated([lessons[r] for r in rows], plan), schedule, run)
        run.step += 1
        timed.append(time.perf_counter() - started)
        run.spent_s += timed[-1]
        if not run.n_steps and len(timed) == _TIMED.stop:
            run.n_steps = _n_steps(schedule, timed, len(lessons))
        if run.n_steps and run.step >= run.n_steps:
            break
        if run.spent_s - saved_s > schedule.checkpoint_s:
            keep.write_tensors(CHECKPOINT, _checkpoint(net, optimiser, run))
            saved_s = run.spent_s
        done = run.step / run.n_steps if run.n_steps else 0.0
        yield done, f"step {run.step} of {run.n_steps or '?'}, loss {loss:.3f}"
    net.eval()


def prime_heads(net: Net, lessons: Sequence[Lesson], plan: Plan, schedule: Schedule) -> None:
    """Start each head from its options' mean states (Snell et al. 2017), taggers from small noise.

    A closed set of a hundred answers is then half known before the first step.
    """
    torch.manual_seed(schedule.seed)
    if net.heads is None:
        return
    sample = lessons[:_PROTOTYPES]
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
        net.heads.weight.copy_(torch.cat(rows_of_heads) * _SCALE)
        net.heads.bias.copy_(-(net.heads.weight @ states.mean(0)))


_SCALE = 12.0


def _prototypes(centred: Any, chosen: Any, size: int) -> Any:
    known = chosen != IGNORED
    marks = functional.one_hot(chosen[known], size).float()
    means = marks.T @ centred[known] / marks.sum(0).clamp(min=1).unsqueeze(-1)
    return functional.normalize(means, dim=-1)


def _step(net: Net, optimiser: Any, batch: Any, schedule: Schedule, run: _Run) -> float:
    torch.manual_seed(schedule.seed * 1_000_003 + run.step)
    scale = _rate_scale(run, schedule)
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * scale
    loss = net.losses(batch, schedule.smoothing)
    value = float(loss.detach())
    if not math.isfinite(value):
        raise TrainingFailed(
            f"the loss became {value} at step {run.step}. The calls and the last checkpoint are "
            "kept. Delete the specialist's folder to train anew, or choose another rung."
        )
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
    optimiser.step()
    return value


def _rate_scale(run: _Run, schedule: Schedule) -> float:
    if not run.n_steps:  # the length is not known yet: a gentle rise
        return 0.1 + 0.05 * run.step
    warmup = max(_TIMED.stop + 2, schedule.warmup * run.n_steps)
    if run.step < warmup:
        return max(0.1 + 0.05 * min(run.step, _TIMED.stop), run.step / warmup)
    return 0.02 + 0.98 * (run.n_steps - run.step) / max(1.0, run.n_steps - warmup)


def _n_steps(schedule: Schedule, timed: Sequence[float], n_lessons: int) -> int:
    per_epoch = n_lessons / schedule.batch
    step_s = float(np.mean(timed[_TIMED]))
    fitting = schedule.budget_s / max(step_s, 1e-6)
    return math.ceil(min(max(fitting, schedule.least * per_epoch), schedule.most * per_epoch))


def _batches(lessons: Sequence[Lesson], schedule: Schedule) -> Iterator[list[int]]:
    number = 0
    while True:
        yield from epoch(
            lessons,
            size=schedule.batch,
            most_pieces=schedule.batch_pieces,
            seed=schedule.seed + number,
        )
        number += 1


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


def _checkpoint(net: Net, optimiser: Any, run: _Run) -> Tensors:
    found: Tensors = {"run": np.array([run.step, run.n_steps, run.spent_s], np.float64)}
    for name, tensor in net.named_parameters():
        found[f"net.{name}"] = tensor.detach().numpy()
        for part, value in optimiser.state.get(tensor, {}).items():
            found[f"{part}.{name}"] = value.numpy()
    return found


def _resumed(net: Net, optimiser: Any, keep: Artefact) -> _Run:
    if not keep.has(CHECKPOINT):
        return _Run()
    found = keep.read_tensors(CHECKPOINT)
    with torch.no_grad():
        for name, tensor in net.named_parameters():
            tensor.copy_(torch.from_numpy(found[f"net.{name}"]))
            optimiser.state[tensor] = {
                part: torch.from_numpy(found[f"{part}.{name}"])
                for part in ("step", "exp_avg", "exp_avg_sq")
                if f"{part}.{name}" in found
            }
    step, n_steps, spent_s = found["run"]
    return _Run(int(step), int(n_steps), float(spent_s))
