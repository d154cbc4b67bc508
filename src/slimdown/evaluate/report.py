"""What a specialist got right and wrong on held-out examples, by label, field and example.

It describes; whether the specialist may serve is for a certificate to say. It does not know which
answers would have been served: that takes a threshold, and this reads none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from slimdown.canonical import canonical_json
from slimdown.evaluate.agreement import disagreements
from slimdown.evaluate.canonicalise import normalise_label
from slimdown.seams import Agreement
from slimdown.types import Dataset, Example, OutputKind, Prediction

MOST_ROWS = 10
"""Confusions and worst examples that an evaluation keeps."""


class LabelFigures(msgspec.Struct, frozen=True):
    """One label: ``n`` upstream answers of it; shares 0..1, None where undefined."""

    label: str
    n: int
    precision: float | None
    recall: float | None


class FieldFigures(msgspec.Struct, frozen=True):
    """One output field: in ``n`` answers of either side, equal in this share of them."""

    path: str
    n: int
    agreement: float


class Confused(msgspec.Struct, frozen=True):
    """``n`` examples that the upstream answered ``theirs`` and the specialist ``ours``."""

    theirs: str
    ours: str
    n: int


class Worst(msgspec.Struct, frozen=True):
    """A disagreement in spite of a high score; outputs as in `Example`."""

    call_id: str
    input: str
    ours: Any
    theirs: Any
    score: float


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """A specialist on calibration. An abstention is neither an agreement nor an answer.

    Of ``n`` examples it answered all but ``n_abstained`` and agreed on ``n_agreed``. Where ground
    truth is known, for ``n_truth`` examples, ``n_true`` of our answers and ``n_upstream_true`` of
    the upstream's are right.
    """

    n: int
    n_abstained: int
    n_agreed: int
    labels: tuple[LabelFigures, ...] = ()
    fields: tuple[FieldFigures, ...] = ()
    confusions: tuple[Confused, ...] = ()
    worst: tuple[Worst, ...] = ()
    n_truth: int = 0
    n_true: int = 0
    n_upstream_true: int = 0

    @property
    def agreement(self) -> float | None:
        """Share of all examples on which it agreed, None without examples."""
        return self.n_agreed / self.n if self.n else None

    @property
    def abstention(self) -> float | None:
        """Share of all examples on which it abstained, None without examples."""
        return self.n_abstained / self.n if self.n else None


class _Case(msgspec.Struct, frozen=True):
    example: Example
    ours: Any
    agreed: bool
    score: float


def evaluate(
    dataset: Dataset,
    predictions: Sequence[Prediction],
    agreement: Agreement,
    *,
    scores: Sequence[float] | None = None,
) -> Evaluation:
    """Compare predictions for the calibration examples, in order, with the upstream's answers.

    ``scores`` are what the threshold will read; without them the raw confidence ranks the worst.
    Raises ValueError if predictions and examples differ in number.
    """
    ranks = [p.confidence for p in predictions] if scores is None else scores
    cases = [
        _Case(e, p.output, p.output is not None and agreement(p.output, e.output), float(score))
        for e, p, score in zip(dataset.calibration, predictions, ranks, strict=True)
    ]
    answered = [case for case in cases if case.ours is not None]
    known = [case for case in cases if case.example.label is not None]
    is_label = dataset.kind == "label"
    return Evaluation(
        n=len(cases),
        n_abstained=len(cases) - len(answered),
        n_agreed=sum(case.agreed for case in cases),
        labels=_labels(cases) if is_label else (),
        fields=_fields(dataset.kind, answered) if dataset.kind in ("json", "tool") else (),
        confusions=_confusions(answered) if is_label else (),
        worst=_worst(answered),
        n_truth=len(known),
        n_true=sum(c.ours is not None and agreement(c.ours, c.example.label) for c in known),
        n_upstream_true=sum(agreement(c.example.output, c.example.label) for c in known),
    )


def _labels(cases: Sequence[_Case]) -> tuple[LabelFigures, ...]:
    theirs = Counter(_name(case.example.output) for case in cases)
    ours = Counter(_name(case.ours) for case in cases if case.ours is not None)
    both = Counter(_name(case.example.output) for case in cases if case.agreed)
    return tuple(
        LabelFigures(label, n, _share(both[label], ours[label]), _share(both[label], n))
        for label, n in sorted(theirs.items(), key=lambda item: (-item[1], item[0]))
    )


def _confusions(answered: Sequence[_Case]) -> tuple[Confused, ...]:
    pairs = Counter((_name(c.example.output), _name(c.ours)) for c in answered if not c.agreed)
    ranked = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:MOST_ROWS]
    return tuple(Confused(theirs, ours, n) for (theirs, ours), n in ranked)


def _worst(answered: Sequence[_Case]) -> tuple[Worst, ...]:
    wrong = sorted((c for c in answered if not c.agreed), key=lambda c: (-c.score, c.example.id))
    return tuple(
        Worst(c.example.id, c.example.input, c.ours, c.example.output, c.score)
        for c in wrong[:MOST_ROWS]
    )


def _fields(kind: OutputKind, answered: Sequence[_Case]) -> tuple[FieldFigures, ...]:
    n: Counter[str] = Counter()
    agreed: Counter[str] = Counter()
    for case in answered:
        paths = _paths(kind, case.ours) | _paths(kind, case.example.output)
        differing = set() if case.agreed else _differing(kind, case.ours, case.example.output)
        n.update(paths)
        agreed.update(path for path in paths if not _touched(path, differing))
    return tuple(FieldFigures(path, n[path], agreed[path] / n[path]) for path in sorted(n))


def _differing(kind: OutputKind, ours: Any, theirs: Any) -> set[str]:
    return {_collapsed(path) for path in disagreements(kind, ours, theirs)}


def _paths(kind: OutputKind, output: Any) -> set[str]:
    """Return the paths of an answer's leaves; a tool call adds its function's name."""
    if kind == "json":
        return {_collapsed(path) for path in _leaves(output, "")}
    if not isinstance(output, list):
        return {"$"}
    names = {str(call["name"]) for call in output}
    leaves = (_leaves(c.get("arguments"), str(c["name"]), nulls=True) for c in output)
    return {_collapsed(path) for path in names.union(*leaves)}


def _leaves(value: Any, path: str, *, nulls: bool = False) -> set[str]:
    """Return the paths of leaves; a null field is one where agreement tells it from an absent one,
    and what holds no leaf is a leaf itself."""
    if isinstance(value, dict):
        told = ((name, inner) for name, inner in value.items() if nulls or inner is not None)
        steps = [(inner, f"{path}.{name}" if path else name) for name, inner in told]
    elif isinstance(value, list):
        steps = [(inner, f"{path}[]") for inner in value]
    else:
        steps = []
    leaves = [_leaves(inner, at, nulls=nulls) for inner, at in steps]
    return set().union(*leaves) or {path or "$"}


def _collapsed(path: str) -> str:
    return re.sub(r"\[\d+\]", "[]", path)


def _touched(path: str, differing: set[str]) -> bool:
    if path == "$":
        return bool(differing)
    return any(
        other in (path, "$") or path.startswith((f"{other}.", f"{other}[")) for other in differing
    )


def _name(output: Any) -> str:
    if isinstance(output, str):
        return normalise_label(output)
    return canonical_json(output).decode("utf-8", "replace")


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
