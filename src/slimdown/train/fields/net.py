"""The network that is trained: an encoder, a tagging layer per group of fields, a head per field.

Torch only; serving reads the same tensors without it (see `served`). Knows nothing of schedules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from slimdown.encoder.weights import EncoderConfig
from slimdown.train.fields.bert import Bert
from slimdown.train.fields.chain import allowed
from slimdown.train.fields.plan import IGNORED, Plan


@dataclass(frozen=True)
class Batch:
    """Examples as tensors, filled up to the longest; see `batches.collated`.

    ``ids``, ``types``, ``real`` (batch, pieces); ``pooling`` (batch, units, pieces) averages a
    unit's pieces; ``n_units`` (batch,); ``tags`` a (batch, units) per layer; ``options``
    (batch, headed fields), IGNORED where an example says nothing.
    """

    ids: Tensor
    types: Tensor
    real: Tensor
    pooling: Tensor
    n_units: Tensor
    tags: tuple[Tensor, ...]
    options: Tensor


class Net(nn.Module):
    """Encoder, taggers and heads of one plan."""

    def __init__(self, config: EncoderConfig, plan: Plan, dropout: float) -> None:
        """Make the network, unfilled."""
        super().__init__()
        self.bert = Bert(config, dropout)
        size = config.hidden_size
        self.dropout = nn.Dropout(dropout)
        self.sizes = [field.n_options for field in plan.headed()]
        self.heads = nn.Linear(size, sum(self.sizes)) if self.sizes else None
        self.taggers = nn.ModuleList(_Tagger(size, n_fields) for n_fields in plan.layers)

    def losses(self, batch: Batch, smoothing: float) -> Tensor:
        """Return the mean over examples of the negative log-likelihood of all they teach."""
        states = self.states(batch)
        total = states.new_zeros(())
        if self.taggers:
            units = self.dropout(batch.pooling @ states)
            for tagger, tags in zip(self.taggers, batch.tags, strict=True):
                total = total + tagger(units, tags, batch.n_units)
        for head, logits in enumerate(self._head_logits(states, batch.real)):
            total = total + functional.cross_entropy(
                logits,
                batch.options[:, head],
                ignore_index=IGNORED,
                label_smoothing=smoothing,
                reduction="sum",
            )
        return total / len(batch.ids)

    def states(self, batch: Batch) -> Tensor:
        """Return the encoder's states of a batch, in fp32."""
        mask = None if bool(batch.real.all()) else batch.real[:, None, None, :]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            states: Tensor = self.bert(batch.ids, batch.types, mask)
        return states.float()

    def pooled(self, states: Tensor, real: Tensor) -> Tensor:
        """Return each text's mean state, of unit length, (batch, hidden)."""
        weight = real.to(states.dtype).unsqueeze(-1)
        return functional.normalize((states * weight).sum(1) / weight.sum(1), dim=-1)

    def _head_logits(self, states: Tensor, real: Tensor) -> Sequence[Tensor]:
        if self.heads is None:
            return ()
        pooled = self.dropout(self.pooled(states, real))
        return self.heads(pooled).split(self.sizes, dim=-1)

    def own_tensors(self) -> dict[str, Any]:
        """Return the tensors beside the encoder's: heads and taggers."""
        own = {k: v for k, v in self.state_dict().items() if not k.startswith("bert.")}
        return {
            name: tensor.numpy() for name, tensor in own.items() if not name.endswith(".allowed")
        }

    def fill_own(self, tensors: Mapping[str, Any]) -> None:
        """Put heads and taggers in place."""
        with torch.no_grad():
            for name, tensor in self.named_parameters():
                if not name.startswith("bert."):
                    tensor.copy_(torch.from_numpy(tensors[name]))


class _Tagger(nn.Module):
    """A linear chain over units; its loss is the negative log-likelihood of the true tags."""

    def __init__(self, size: int, n_fields: int) -> None:
        super().__init__()
        self.emit = nn.Linear(size, 1 + 2 * n_fields)
        self.moves = nn.Parameter(torch.zeros(2 + 2 * n_fields, 1 + 2 * n_fields))
        self.register_buffer("allowed", torch.from_numpy(allowed(n_fields)))

    def forward(self, units: Tensor, tags: Tensor, n_units: Tensor) -> Tensor:
        emitted = self.emit(units)
        scores = self.moves + self.allowed
        some = n_units > 0
        emitted, tags, n_units = emitted[some], tags[some], n_units[some]
        if not len(tags):
            return units.sum() * 0
        return (self._total(emitted, scores, n_units) - _path(emitted, scores, tags, n_units)).sum()

    def _total(self, emitted: Tensor, scores: Tensor, n_units: Tensor) -> Tensor:
        ways = scores[:-1].exp()
        reached = scores[-1] + emitted[:, 0]
        for at in range(1, emitted.shape[1]):
            peak = reached.max(dim=-1, keepdim=True).values
            stepped = peak + ((reached - peak).exp() @ ways + 1e-30).log() + emitted[:, at]
            reached = torch.where((n_units > at).unsqueeze(-1), stepped, reached)
        return reached.logsumexp(dim=-1)


def _path(emitted: Tensor, scores: Tensor, tags: Tensor, n_units: Tensor) -> Tensor:
    real = torch.arange(tags.shape[1]) < n_units.unsqueeze(-1)
    said = emitted.gather(-1, tags.unsqueeze(-1)).squeeze(-1)
    before = torch.cat([torch.full_like(tags[:, :1], len(scores) - 1), tags[:, :-1]], dim=1)
    return ((said + scores[before, tags]) * real).sum(-1)
