"""A trained `fields` specialist at work: ONNX Runtime for the encoder, numpy for the rest.

Says only what its plan can say: values seen in training, or read off the input. Where a field
wants another value, a span cannot be read, or the input exceeds the encoder's window, it abstains.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from slimdown.encoder.model import Encoder
from slimdown.encoder.pieces import Pieces, encodable
from slimdown.train.fields.chain import Array, Tagged, allowed, best_tags, spans_of, unit_pooling
from slimdown.train.fields.plan import ABSENT, COPY, OTHER, Field, Plan, heard_as
from slimdown.train.fields.readers import READERS, said
from slimdown.train.fields.tree import CALLED, Path, applies, output_of, path_name
from slimdown.types import Prediction

_NOTHING = object()


@dataclass(frozen=True)
class _Choice:
    """What a field chose: a value, or nothing; how sure; by how much more than the runner-up.

    ``head`` is the field's own head's part in ``confidence``, 1 where it has none.
    """

    value: Any
    confidence: float
    margin: float
    abstains: bool = False
    copied: bool = False
    head: float = 1.0


@dataclass(frozen=True)
class _Text:
    """A text with all that its fields are decided by."""

    text: str
    pieces: Pieces
    layers: Sequence[Tagged]
    spans: Mapping[tuple[int, int], list[tuple[int, int]]]
    logits: Sequence[Array]


class FieldsSpecialist:
    """Answers by a plan, an encoder and the tensors of heads and taggers."""

    def __init__(self, plan: Plan, encoder: Encoder, tensors: Mapping[str, Array]) -> None:
        """Serve ``tensors`` as `net.Net.own_tensors` names them."""
        self._plan = plan
        self._encoder = encoder
        self._heard = {known.path: frozenset(known.heard) for known in plan.fields}
        self._heads = (tensors.get("heads.weight"), tensors.get("heads.bias"))
        self._taggers = [
            (
                tensors[f"taggers.{i}.emit.weight"],
                tensors[f"taggers.{i}.emit.bias"],
                tensors[f"taggers.{i}.moves"] + allowed(n),
            )
            for i, n in enumerate(plan.layers)
        ]

    def answer(self, inputs: Sequence[str]) -> list[Prediction]:
        """Return a prediction for each input; None as output where the specialist abstains."""
        texts = [encodable(text) for text in inputs]
        pieces = self._encoder.tokenizer.of_units(texts)
        fits = [i for i, p in enumerate(pieces) if len(p.ids) <= self._encoder.tokenizer.window]
        hidden = self._encoder.hidden([pieces[i] for i in fits])
        answers = [Prediction(output=None, confidence=0.0, signals={"too_long": 1.0})] * len(inputs)
        for at, states in zip(fits, hidden, strict=True):
            answers[at] = self._answer(texts[at], pieces[at], states)
        return answers

    def _answer(self, text: str, pieces: Pieces, states: Array) -> Prediction:
        read = self._read(text, pieces, states)
        choices: dict[Path, _Choice] = {}
        called: Any = _NOTHING
        logits = iter(read.logits)
        for known in self._plan.fields:
            scores = next(logits) if known.headed else None
            if called is not _NOTHING and not applies(known.path, called):
                continue
            choices[known.path] = _chosen(known, scores, read)
            if known.path == CALLED:
                called = choices[known.path].value
        return self._prediction(choices, read)

    def _prediction(self, choices: Mapping[Path, _Choice], read: _Text) -> Prediction:
        chains = math.prod(tagged.probability for tagged in read.layers)
        heads = math.prod(choice.head for choice in choices.values())
        product = min(1.0, chains * heads)
        signals = {
            "product": product,
            "min": min((c.confidence for c in choices.values()), default=1.0),
            "margin": min((c.margin for c in choices.values()), default=1.0),
            "chain": chains,
            "heads": heads,
            "n_copied": float(sum(c.copied for c in choices.values())),
            "n_unheard": float(sum(self._n_unheard(p, c) for p, c in choices.items())),
            "log_length": math.log1p(len(read.pieces.ids)),
        }
        fields = {path_name(path): c.confidence for path, c in choices.items()}
        output = _output(self._plan, choices)
        confidence = 0.0 if output is None else product
        return Prediction(output=output, confidence=confidence, signals=signals, fields=fields)

    def _n_unheard(self, path: Path, choice: _Choice) -> int:
        if not choice.copied:
            return 0
        values = choice.value if isinstance(choice.value, list) else [choice.value]
        return sum(heard_as(value) not in self._heard[path] for value in values)

    def _read(self, text: str, pieces: Pieces, states: Array) -> _Text:
        units = unit_pooling(pieces) @ states if self._taggers else states[:0]
        layers = [best_tags(units @ w.T + b, moves) for w, b, moves in self._taggers]
        spans: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for layer, tagged in enumerate(layers):
            for tag, span in spans_of(tagged.tags):
                spans.setdefault((layer, tag), []).append(span)
        return _Text(text, pieces, layers, spans, self._logits(states))

    def _logits(self, states: Array) -> list[Array]:
        weight, bias = self._heads
        if weight is None:
            return []
        pooled = states.mean(axis=0)
        pooled = pooled / max(float(np.linalg.norm(pooled)), 1e-12)
        sizes = [known.n_options for known in self._plan.headed()]
        return np.split(weight @ pooled + bias, np.cumsum(sizes)[:-1])


def _chosen(known: Field, logits: Array | None, read: _Text) -> _Choice:
    if logits is None:
        return _copied(known, read) if COPY in known.actions else _absent(1.0)
    chances = np.exp(logits - logits.max())
    chances /= chances.sum()
    order = np.argsort(-chances, kind="stable")
    best, top = int(order[0]), float(chances[order[0]])
    margin = top - float(chances[order[1]]) if len(order) > 1 else 1.0
    if best >= len(known.actions):
        value = known.values[best - len(known.actions)]
        return _Choice(value, top, margin, known.path == CALLED and value is None, head=top)
    action = known.actions[best]
    if action != COPY:
        return _Choice(_NOTHING, top, margin, abstains=action == OTHER, head=top)
    copied = _copied(known, read, must=True)
    return replace(
        copied,
        confidence=copied.confidence * top,
        margin=min(margin, copied.margin),
        head=top,
    )


def _absent(confidence: float) -> _Choice:
    return _Choice(_NOTHING, confidence, confidence)


def _copied(known: Field, read: _Text, *, must: bool = False) -> _Choice:
    marginals = read.layers[known.layer].marginals
    spans = read.spans.get((known.layer, known.tag), [])
    begin, inside = 1 + 2 * known.tag, 2 + 2 * known.tag
    if not spans:
        said_so = marginals[:, begin] + marginals[:, inside]
        sure = 1.0 - float(said_so.max(initial=0.0))
        return _Choice(_NOTHING, sure, sure, abstains=must or ABSENT not in known.actions)
    found = []
    for span in spans:
        tags = [begin] + [inside] * (span[1] - span[0] - 1)
        sure = float(min(marginals[at, tag] for at, tag in zip(range(*span), tags, strict=True)))
        found.append((READERS[known.reader](said(read.text, read.pieces.units, span)), sure))
    return _gathered(known, found)


def _gathered(known: Field, found: list[tuple[Any, float]]) -> _Choice:
    """Return the value of a field's spans: one, a list, or the surest where one is wanted."""
    values: dict[Any, float] = {}
    for value, sure in found:
        values[value] = max(sure, values.get(value, 0.0))
    unread = None in values
    least = min(values.values())
    if known.lists == "always" or (known.lists == "several" and len(values) > 1):
        return _Choice(list(values), least, least, abstains=unread, copied=True)
    value, sure = max(values.items(), key=lambda item: item[1])
    # Each further value is a rival: one of them must be wrong.
    sure /= len(values)
    return _Choice(value, sure, sure, abstains=unread, copied=True)


def _output(plan: Plan, choices: Mapping[Path, _Choice]) -> Any:
    if any(choice.abstains for choice in choices.values()):
        return None
    found = _stated(choices)
    try:
        return output_of(found, plan.kind)
    except (ValueError, KeyError):
        return None  # fields that contradict each other have no output: abstain


def _stated(choices: Mapping[Path, _Choice]) -> Iterator[tuple[Path, Any]]:
    return ((path, c.value) for path, c in choices.items() if c.value is not _NOTHING)
