"""Answers are valid by construction: whatever the weights, only what the plan can say is said."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_tasks import TEXTS, Pairs, examples, small_tasks

from slimdown.encoder import load_encoder
from slimdown.encoder.model import Encoder
from slimdown.encoder.pieces import Pieces, units_of
from slimdown.testing import tiny_encoder
from slimdown.train.fields.chain import Array, Tagged, spans_of
from slimdown.train.fields.plan import Plan, Target
from slimdown.train.fields.planning import expressible_share, make_plan
from slimdown.train.fields.served import FieldsSpecialist, _Text
from slimdown.train.fields.tree import CALLED, leaves, path_name
from slimdown.types import OutputKind, Prediction

SLOWLY = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(tiny_encoder(tmp_path_factory.mktemp("valid") / "tiny"), threads=1)


def plan_of(kind: OutputKind, pairs: Pairs) -> Plan:
    return make_plan(examples(pairs), kind)[0]


def drawn_specialist(plan: Plan, encoder: Encoder, seed: int) -> FieldsSpecialist:
    """Return a specialist whose heads and taggers are noise: any answer may come of it."""
    draw = np.random.default_rng(seed)
    n_options = sum(field.n_options for field in plan.headed())
    shapes: dict[str, tuple[int, ...]] = {}
    if n_options:
        shapes = {"heads.weight": (n_options, encoder.dims), "heads.bias": (n_options,)}
    for layer, n_fields in enumerate(plan.layers):
        n_tags, at = 1 + 2 * n_fields, f"taggers.{layer}"
        shapes |= {f"{at}.emit.weight": (n_tags, encoder.dims), f"{at}.emit.bias": (n_tags,)}
        shapes[f"{at}.moves"] = (n_tags + 1, n_tags)
    tensors = {name: draw.normal(0, 2, shape).astype(np.float32) for name, shape in shapes.items()}
    return FieldsSpecialist(plan, encoder, tensors)


def scalars(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def seen_types(kind: OutputKind, pairs: Pairs) -> dict[Any, set[type]]:
    """Return for each leaf path the types of the scalars that stood there."""
    found: dict[Any, set[type]] = {}
    for _, output in pairs:
        for path, value in leaves(output, kind).items():
            found.setdefault(path, set()).update(type(v) for v in scalars(value))
    return found


@SLOWLY
@given(small_tasks(), TEXTS, st.integers(0, 99))
def test_an_answer_has_only_paths_and_types_that_were_seen(
    encoder: Encoder, task: tuple[OutputKind, Pairs], text: str, seed: int
) -> None:
    kind, pairs = task
    seen = seen_types(kind, pairs)

    answers = drawn_specialist(plan_of(kind, pairs), encoder, seed).answer([text, pairs[0][0]])

    for got in (answer for answer in answers if answer.output is not None):
        for path, value in leaves(got.output, kind).items():
            assert {type(v) for v in scalars(value)} <= seen[path]


@SLOWLY
@given(small_tasks(), TEXTS, st.integers(0, 99))
def test_a_value_is_one_of_the_closed_set_or_was_said_in_the_input(
    encoder: Encoder, task: tuple[OutputKind, Pairs], text: str, seed: int
) -> None:
    kind, pairs = task
    plan = plan_of(kind, pairs)
    fields = {field.path: field for field in plan.fields}

    (got,) = drawn_specialist(plan, encoder, seed).answer([text])

    for path, value in leaves(got.output, kind).items() if got.output is not None else ():
        closed = value in fields[path].values
        verbatim = fields[path].reader == "verbatim" and all(v in text for v in scalars(value))
        assert closed or verbatim or fields[path].reader in ("integer", "decimal", "digits")


@SLOWLY
@given(small_tasks(), st.text(max_size=40), st.integers(0, 99))
def test_whatever_is_asked_the_figures_are_finite_and_the_answer_is_json(
    encoder: Encoder, task: tuple[OutputKind, Pairs], text: str, seed: int
) -> None:
    plan = plan_of(*task)

    (got,) = drawn_specialist(plan, encoder, seed).answer([text])

    assert msgspec.json.decode(msgspec.json.encode(got), type=Prediction) == got
    assert 0 <= got.confidence <= 1
    assert np.isfinite([*got.signals.values(), *got.fields.values()]).all()
    assert got.output is not None or got.confidence == 0
    assert set(got.fields) <= {path_name(field.path) for field in plan.fields}


@SLOWLY
@given(small_tasks(), TEXTS, TEXTS, st.integers(0, 99))
def test_an_answer_does_not_hang_on_its_company(
    encoder: Encoder, task: tuple[OutputKind, Pairs], text: str, other: str, seed: int
) -> None:
    specialist = drawn_specialist(plan_of(*task), encoder, seed)

    (alone,) = specialist.answer([text])
    _, among, _ = specialist.answer([other, text, other])

    assert among.output == alone.output
    assert among.confidence == pytest.approx(alone.confidence, abs=1e-4)


@SLOWLY
@given(small_tasks(), TEXTS, st.integers(0, 99))
def test_only_tools_that_were_called_together_are_called_together(
    encoder: Encoder, task: tuple[OutputKind, Pairs], text: str, seed: int
) -> None:
    kind, pairs = task
    (got,) = drawn_specialist(plan_of(kind, pairs), encoder, seed).answer([text])

    if kind == "tool" and got.output is not None:
        together = [leaves(output, "tool")[CALLED] for _, output in pairs]
        assert [call["name"] for call in got.output] in together
        assert all(set(call) == {"name", "arguments"} for call in got.output)


class Taught(FieldsSpecialist):
    """Answers as a network would that has learnt a target to perfection."""

    def __init__(self, plan: Plan, target: Target) -> None:
        self._plan, self._target = plan, target
        self._heard = {field.path: frozenset(field.heard) for field in plan.fields}

    def said(self, text: str) -> Any:
        pieces = Pieces((1,), (0,), units_of(text))
        return self._answer(text, pieces, np.zeros((1, 1))).output

    def _read(self, text: str, pieces: Pieces, states: Array) -> _Text:
        layers: list[Tagged] = []
        spans: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for layer, marked in enumerate(self._target.spans):
            tags = [0] * len(pieces.units)
            for tag, (start, end) in marked:
                tags[start:end] = [1 + 2 * tag, *[2 + 2 * tag] * (end - start - 1)]
            sure = np.eye(1 + 2 * self._plan.layers[layer])[tags]
            layers.append(Tagged(tags, 1.0, sure))
            for tag, span in spans_of(tags):
                spans.setdefault((layer, tag), []).append(span)
        headed = zip(self._plan.headed(), self._target.options, strict=True)
        # An ignored option belongs to a tool that is not called: any choice will do.
        logits = [99.0 * np.eye(field.n_options)[max(0, option)] for field, option in headed]
        return _Text(text, pieces, layers, spans, logits)


def as_said(value: Any) -> Any:
    """Return a value as spans can say it: nothing twice in a list, one value with no list."""
    if isinstance(value, dict):
        return {key: as_said(inner) for key, inner in value.items()}
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        once = list(dict.fromkeys(value))
        return once[0] if len(once) == 1 else once
    return [as_said(inner) for inner in value] if isinstance(value, list) else value


@SLOWLY
@given(small_tasks())
def test_what_is_taught_of_an_expressible_answer_says_that_answer(
    task: tuple[OutputKind, Pairs],
) -> None:
    kind, pairs = task
    plan, targets = make_plan(examples(pairs), kind)

    for (text, output), target in zip(pairs, targets, strict=True):
        if target.expressible:
            assert as_said(Taught(plan, target).said(text)) == as_said(output)


@SLOWLY
@given(small_tasks())
def test_the_expressible_share_is_that_of_the_targets(task: tuple[OutputKind, Pairs]) -> None:
    kind, pairs = task
    plan, targets = make_plan(examples(pairs), kind)

    share = expressible_share(examples(pairs), kind)

    assert share == (np.mean([t.expressible for t in targets]) if plan.fields else 0)


@SLOWLY
@given(small_tasks())
def test_spans_of_a_layer_never_overlap_and_options_are_of_their_head(
    task: tuple[OutputKind, Pairs],
) -> None:
    kind, pairs = task
    plan, targets = make_plan(examples(pairs), kind)

    for target in targets:
        for n_fields, layer in zip(plan.layers, target.spans, strict=True):
            units = [unit for _, (start, end) in layer for unit in range(start, end)]
            assert len(units) == len(set(units))
            assert all(0 <= tag < n_fields for tag, _ in layer)
        for field, option in zip(plan.headed(), target.options, strict=True):
            assert option == -100 or 0 <= option < field.n_options


@SLOWLY
@given(small_tasks())
def test_a_plan_is_the_same_whenever_it_is_made_and_survives_json(
    task: tuple[OutputKind, Pairs],
) -> None:
    kind, pairs = task

    plan = plan_of(kind, pairs)

    assert plan_of(kind, pairs) == plan
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(plan)), Plan) == plan


def test_where_fields_of_a_layer_say_the_same_word_once_one_of_them_gives_way() -> None:
    names = [f"{first}{last}" for first in "ABCDEFGHIJKLMNO" for last in ("da", "lf", "my")]
    apart = [(f"{a} calls {b}", {"a": a, "b": b}) for a in names[:15] for b in names[15:30]]
    both = ("Ada alone", {"a": "Ada", "b": "Ada"})

    plan, targets = make_plan(examples([*apart, both]), "json")

    assert plan.layers == (2,)
    assert all(target.expressible for target in targets[:-1])
    assert not targets[-1].expressible
    assert [span for _, span in targets[-1].spans[0]] == [(0, 1)]
