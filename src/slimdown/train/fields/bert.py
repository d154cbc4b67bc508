"""A BERT in torch, for fine-tuning: the same tensors as `slimdown.encoder`, by the same names.

Word and position tables are frozen: a few thousand texts would only spoil them. Knows nothing of
heads, fields or optimisers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from slimdown.encoder.pieces import CASES
from slimdown.encoder.weights import EncoderConfig

_PARTS = ("query", "key", "value")


class Bert(nn.Module):
    """The encoder: ids and types (batch, pieces) -> last hidden states (batch, pieces, hidden)."""

    def __init__(self, config: EncoderConfig, dropout: float) -> None:
        """Make the layers, unfilled; ``dropout`` is the share of states dropped in training."""
        super().__init__()
        size = config.hidden_size
        self.words: Any = None  # frozen tables, set by `filled`; no parameters
        self.positions: Any = None
        self.types = nn.Parameter(torch.zeros(CASES, size))
        self.norm = nn.LayerNorm(size, eps=config.layer_norm_eps)
        self.layers = nn.ModuleList(
            _Layer(config, dropout) for _ in range(config.num_hidden_layers)
        )
        self.dropout = dropout

    def forward(self, ids: Tensor, types: Tensor, mask: Tensor | None) -> Tensor:
        """Return the states; ``mask`` (batch, 1, 1, pieces) is True where a piece is real."""
        states = self.words[ids] + self.positions[: ids.shape[1]] + self.types[types]
        states = _dropped(self.norm(states), self.dropout if self.training else 0.0)
        for layer in self.layers:
            states = layer(states, mask)
        return states

    def filled(self, tensors: Mapping[str, Any]) -> Bert:
        """Return this encoder with the tensors of a checkpoint in place."""
        with torch.no_grad():
            self.words = torch.from_numpy(tensors["embeddings.word_embeddings.weight"])
            self.positions = torch.from_numpy(tensors["embeddings.position_embeddings.weight"])
            self.types.copy_(torch.from_numpy(tensors["embeddings.token_type_embeddings.weight"]))
            _fill(self.norm, tensors, "embeddings.LayerNorm")
            for index, layer in enumerate(self.layers):
                layer.fill(tensors, f"encoder.layer.{index}")
        return self

    def tensors(self) -> dict[str, Any]:
        """Return all tensors as arrays, under a checkpoint's names."""
        found = {
            "embeddings.word_embeddings.weight": self.words.numpy(),
            "embeddings.position_embeddings.weight": self.positions.numpy(),
            "embeddings.token_type_embeddings.weight": _array(self.types),
            **_linear(self.norm, "embeddings.LayerNorm"),
        }
        for index, layer in enumerate(self.layers):
            found |= layer.tensors(f"encoder.layer.{index}")
        return found


class _Layer(nn.Module):
    def __init__(self, config: EncoderConfig, dropout: float) -> None:
        super().__init__()
        size, wide, eps = config.hidden_size, config.intermediate_size, config.layer_norm_eps
        self.heads = config.num_attention_heads
        self.attention = nn.Linear(size, 3 * size)
        self.mixed = nn.Linear(size, size)
        self.mixed_norm = nn.LayerNorm(size, eps=eps)
        self.wide = nn.Linear(size, wide)
        self.narrow = nn.Linear(wide, size)
        self.narrow_norm = nn.LayerNorm(size, eps=eps)
        self.dropout = dropout

    def forward(self, states: Tensor, mask: Tensor | None) -> Tensor:
        batch, pieces, size = states.shape
        split = self.attention(states).view(batch, pieces, 3, self.heads, size // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        # In bf16 the backward pass of attention takes as long as all matrix products together.
        with torch.autocast("cpu", enabled=False):
            attended = functional.scaled_dot_product_attention(
                query.float(),
                key.float(),
                value.float(),
                attn_mask=mask,
                scale=1 / math.sqrt(size // self.heads),
            )
        attended = attended.transpose(1, 2).reshape(batch, pieces, size)
        states = self.mixed_norm(states + self._dropped(self.mixed(attended)))
        wide = functional.gelu(self.wide(states))
        return self.narrow_norm(states + self._dropped(self.narrow(wide)))

    def fill(self, tensors: Mapping[str, Any], at: str) -> None:
        for end in ("weight", "bias"):
            parts = [tensors[f"{at}.attention.self.{part}.{end}"] for part in _PARTS]
            getattr(self.attention, end).copy_(torch.from_numpy(np.concatenate(parts)))
        for name, module in self._named(at).items():
            _fill(module, tensors, name)

    def tensors(self, at: str) -> dict[str, Any]:
        found = {}
        for end in ("weight", "bias"):
            parts = np.split(_array(getattr(self.attention, end)), 3)
            for part, array in zip(_PARTS, parts, strict=True):
                found[f"{at}.attention.self.{part}.{end}"] = array
        for name, module in self._named(at).items():
            found |= _linear(module, name)
        return found

    def _named(self, at: str) -> dict[str, Any]:
        return {
            f"{at}.attention.output.dense": self.mixed,
            f"{at}.attention.output.LayerNorm": self.mixed_norm,
            f"{at}.intermediate.dense": self.wide,
            f"{at}.output.dense": self.narrow,
            f"{at}.output.LayerNorm": self.narrow_norm,
        }

    def _dropped(self, states: Tensor) -> Tensor:
        return _dropped(states, self.dropout if self.training else 0.0)


def _dropped(states: Tensor, share: float) -> Tensor:
    """Drop features of whole texts: a mask per piece would cost more than it regularises."""
    if not share:
        return states
    keep = torch.empty(states.shape[0], 1, states.shape[2], dtype=states.dtype)
    return states * keep.bernoulli_(1 - share).div_(1 - share)


def _fill(module: Any, tensors: Mapping[str, Any], name: str) -> None:
    module.weight.copy_(torch.from_numpy(tensors[f"{name}.weight"]))
    module.bias.copy_(torch.from_numpy(tensors[f"{name}.bias"]))


def _linear(module: Any, name: str) -> dict[str, Any]:
    return {f"{name}.weight": _array(module.weight), f"{name}.bias": _array(module.bias)}


def _array(parameter: Tensor) -> Any:
    return parameter.detach().numpy()
