"""A BERT as an ONNX graph, made in memory from its tensors: no exporter, no torch, no file.

The fused operators are ONNX Runtime's own (domain com.microsoft). Texts of one batch have equal
length, so there is no padding and no mask: an answer does not hang on its neighbours in a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from slimdown.encoder.weights import EncoderConfig, Tensor

Precision = Literal["fp32", "int8"]
"""fp32, or weights in 8 bits per output column and activations in 8 bits per tensor."""

_MICROSOFT = "com.microsoft"


def bert_graph(
    config: EncoderConfig, tensors: Mapping[str, Tensor], precision: Precision = "fp32"
) -> bytes:
    """Return the serialised graph: int32 ``ids``, ``types`` (batch, pieces) -> float ``hidden``.

    ``hidden`` is the last layer's state, of shape (batch, pieces, hidden_size).
    """
    graph = _Graph(config, tensors, precision)
    hidden = graph.embedded()
    for layer in range(config.num_hidden_layers):
        hidden = graph.layer(hidden, layer)
    return graph.finished(hidden)


class _Graph:
    """The nodes and constants so far; each method adds some and returns its output's name."""

    def __init__(
        self, config: EncoderConfig, tensors: Mapping[str, Tensor], precision: Precision
    ) -> None:
        self._config = config
        self._tensors = tensors
        self._int8 = precision == "int8"
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def embedded(self) -> str:
        tables = [
            self._weight(f"embeddings.{table}_embeddings.weight")
            for table in ("word", "position", "token_type")
        ]
        norm = self._norm("embeddings.LayerNorm")
        return self._node(
            "EmbedLayerNormalization",
            ["ids", "types", *tables, *norm],
            epsilon=self._config.layer_norm_eps,
            outputs=2,
        )

    def layer(self, hidden: str, index: int) -> str:
        at = f"encoder.layer.{index}"
        attended = self._attention(hidden, f"{at}.attention.self")
        mixed, bias = self._product(attended, f"{at}.attention.output.dense")
        hidden = self._add_norm(mixed, hidden, bias, f"{at}.attention.output.LayerNorm")
        wide, bias = self._product(hidden, f"{at}.intermediate.dense")
        active = self._node("BiasGelu", [wide, bias])
        narrow, bias = self._product(active, f"{at}.output.dense")
        return self._add_norm(narrow, hidden, bias, f"{at}.output.LayerNorm")

    def finished(self, hidden: str) -> bytes:
        self._nodes.append(helper.make_node("Identity", [hidden], ["hidden"]))
        given = [
            helper.make_tensor_value_info(name, TensorProto.INT32, ["batch", "pieces"])
            for name in ("ids", "types")
        ]
        shape = ["batch", "pieces", self._config.hidden_size]
        result = helper.make_tensor_value_info("hidden", TensorProto.FLOAT, shape)
        graph = helper.make_graph(self._nodes, "bert", given, [result], self._constants)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(_MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()

    def _attention(self, hidden: str, at: str) -> str:
        parts = [f"{at}.{part}" for part in ("query", "key", "value")]
        weight = np.concatenate([self._tensors[f"{p}.weight"].T for p in parts], axis=1)
        bias = self._constant(
            f"{at}.bias", np.concatenate([self._tensors[f"{p}.bias"] for p in parts])
        )
        heads = self._config.num_attention_heads
        if not self._int8:
            packed = self._constant(f"{at}.weight", weight)
            return self._node("Attention", [hidden, packed, bias], num_heads=heads)
        # QAttention wants the activation quantised beforehand, unlike DynamicQuantizeMatMul.
        quantised, scale, zero = (f"{at}.{part}" for part in ("input", "scale", "zero"))
        self._nodes.append(
            helper.make_node("DynamicQuantizeLinear", [hidden], [quantised, scale, zero])
        )
        packed, scales, zeros = self._quantised(f"{at}.weight", weight)
        inputs = [quantised, packed, bias, scale, scales, "", zero, zeros]
        return self._node("QAttention", inputs, num_heads=heads)

    def _product(self, hidden: str, at: str) -> tuple[str, str]:
        weight = np.ascontiguousarray(self._tensors[f"{at}.weight"].T)
        bias = self._weight(f"{at}.bias")
        if not self._int8:
            packed = self._constant(f"{at}.weight", weight)
            return self._node("MatMul", [hidden, packed], domain=""), bias
        quantised = self._quantised(f"{at}.weight", weight)
        return self._node("DynamicQuantizeMatMul", [hidden, *quantised]), bias

    def _add_norm(self, new: str, old: str, bias: str, at: str) -> str:
        return self._node(
            "SkipLayerNormalization",
            [new, old, *self._norm(at), bias],
            epsilon=self._config.layer_norm_eps,
        )

    def _norm(self, at: str) -> tuple[str, str]:
        return self._weight(f"{at}.weight"), self._weight(f"{at}.bias")

    def _quantised(self, name: str, weight: Tensor) -> tuple[str, str, str]:
        scale = np.maximum(np.abs(weight).max(axis=0), 1e-12) / 127
        rounded = np.rint(weight / scale).astype(np.int8)
        return (
            self._constant(name, rounded),
            self._constant(f"{name}.scale", scale.astype(np.float32)),
            self._constant(f"{name}.zero", np.zeros(len(scale), np.int8)),
        )

    def _weight(self, name: str) -> str:
        return self._constant(name, self._tensors[name])

    def _constant(self, name: str, value: Tensor) -> str:
        kept = value.astype(np.float32) if value.dtype.kind == "f" else value
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(kept), name))
        return name

    def _node(
        self,
        operator: str,
        inputs: list[str],
        *,
        domain: str = _MICROSOFT,
        outputs: int = 1,
        **attributes: Any,
    ) -> str:
        at = f"{operator}.{len(self._nodes)}"
        names = [at, *(f"{at}.{i}" for i in range(1, outputs))]
        node: onnx.NodeProto = helper.make_node(
            operator, inputs, names, domain=domain, **attributes
        )
        self._nodes.append(node)
        return at
