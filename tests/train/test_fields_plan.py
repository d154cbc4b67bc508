"""What fields are learnt from outputs, and what an example teaches them."""

from __future__ import annotations

from typing import Any

import msgspec

from slimdown.train.fields.plan import (
    ABSENT,
    COPY,
    IGNORED,
    OTHER,
    Field,
    Plan,
)
from slimdown.train.fields.planning import expressible_share, make_plan
from slimdown.types import Example, OutputKind


def examples(pairs: list[tuple[str, Any]]) -> list[Example]:
    return [
        Example(id=str(i), input=text, output=output, session=str(i), group=str(i))
        for i, (text, output) in enumerate(pairs)
    ]


def fields_of(pairs: list[tuple[str, Any]], kind: OutputKind = "json") -> dict[Any, Field]:
    plan, _ = make_plan(examples(pairs), kind)
    return {field.path: field for field in plan.fields}


NAMES = ["Ada", "Grace", "Edsger", "Barbara", "Donald", "Alan", "Frances", "Tony", "Niklaus"]


def test_a_label_is_one_closed_field_without_copies() -> None:
    pairs: list[tuple[str, Any]] = [("low on cash", "low"), ("all is fine", "high")] * 3
    field = fields_of(pairs, "label")[()]
    assert field.actions == ()
    assert set(field.values) == {"low", "high"}


def test_a_value_said_in_the_input_is_copied() -> None:
    field = fields_of([(f"call {n} now", {"name": n}) for n in NAMES])["name",]
    assert (field.actions, field.values, field.reader) == ((COPY,), (), "verbatim")
    assert not field.headed


def test_the_reader_that_explains_most_is_taken() -> None:
    field = fields_of([(f"call {n.lower()} now", {"name": n}) for n in NAMES])["name",]
    assert field.reader == "capital"
    field = fields_of([(f"{n} of them", {"n": float(n)}) for n in range(12, 20)])["n",]
    assert field.reader == "decimal"


def test_a_key_that_is_missing_at_times_may_be_absent() -> None:
    pairs = [(f"call {n} now", {"name": n}) for n in NAMES] + [("call them", {})]
    assert fields_of(pairs)["name",].actions == (ABSENT, COPY)


def test_null_is_a_value_and_not_an_absence() -> None:
    pairs: list[tuple[str, Any]] = [(f"call {n} now", {"name": n}) for n in NAMES]
    pairs += [("call them", {"name": None})] * 3
    field = fields_of(pairs)["name",]
    assert (field.actions, field.values) == ((COPY,), (None,))


def test_recurring_values_that_are_not_said_are_closed() -> None:
    pairs = [(f"call {n}", {"sure": n < "D", "unit": "c"}) for n in NAMES]
    fields = fields_of(pairs)
    assert set(fields["sure",].values) == {True, False}
    assert fields["unit",].values == ("c",)


def test_values_neither_said_nor_repeated_are_other() -> None:
    pairs = [(f"call {n}", {"note": f"{n[::-1]}!"}) for n in NAMES]
    assert fields_of(pairs)["note",].actions == (OTHER,)
    assert expressible_share(examples(pairs), "json") == 0


def test_a_list_is_copied_in_the_order_of_the_text() -> None:
    pairs = [(f"{a} and {b}", {"who": [a, b]}) for a in NAMES[:4] for b in NAMES[4:]]
    plan, targets = make_plan(examples(pairs), "json")
    assert plan.fields[0].lists == "always"
    assert targets[0].spans == (((0, (0, 1)), (0, (2, 3))),)


def test_fields_that_say_the_same_words_get_layers_of_their_own() -> None:
    pairs = [(f"call {n} now", {"name": n, "title": n}) for n in NAMES]
    plan, targets = make_plan(examples(pairs), "json")
    assert plan.layers == (1, 1)
    assert all(t.expressible for t in targets)


def test_fields_apart_in_the_text_share_a_layer() -> None:
    pairs = [(f"{a} calls {b}", {"a": a, "b": b}) for a in NAMES for b in NAMES if a != b]
    assert make_plan(examples(pairs), "json")[0].layers == (2,)


def order(tool: str, number: str) -> list[dict[str, Any]]:
    return [{"name": tool, "arguments": {"order": number}}]


def test_tools_share_the_tag_of_a_like_named_argument() -> None:
    numbers = [f"SO-{n}" for n in range(10, 22)]
    pairs: list[tuple[str, Any]] = [(f"find {n}", order("find", n)) for n in numbers]
    pairs += [(f"drop {n}", order("drop", n)) for n in numbers]
    plan, _ = make_plan(examples(pairs), "tool")
    assert plan.layers == (1,)
    assert {f.tag for f in plan.fields if f.reader} == {0}


def test_an_argument_of_a_tool_not_called_teaches_nothing() -> None:
    pairs: list[tuple[str, Any]] = [
        ("stop", [{"name": "stop", "arguments": {"why": "asked"}}]),
        ("ask", [{"name": "ask", "arguments": {"what": "order"}}]),
    ] * 2
    plan, targets = make_plan(examples(pairs), "tool")
    assert [f.path for f in plan.headed()] == [(-1,), (0, "stop", "why"), (0, "ask", "what")]
    assert targets[0].options == (0, 0, IGNORED)
    assert targets[1].options == (1, IGNORED, 0)


def test_a_reply_in_words_is_known_and_not_expressible() -> None:
    pairs: list[tuple[str, Any]] = [("stop", [{"name": "stop", "arguments": {}}]), ("hi", "Hi!")]
    _, targets = make_plan(examples(pairs * 3), "tool")
    assert [t.expressible for t in targets[:2]] == [True, False]


def test_a_key_seen_once_is_no_field() -> None:
    pairs: list[tuple[str, Any]] = [(f"call {n}", {"kind": "call", n: 1}) for n in NAMES]
    plan, targets = make_plan(examples(pairs), "json")
    assert [f.path for f in plan.fields] == [("kind",)]
    assert not any(t.expressible for t in targets)


def test_a_plan_survives_json() -> None:
    plan, _ = make_plan(examples([(f"call {n}", {"who": {"name": n}}) for n in NAMES]), "json")
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(plan)), Plan) == plan
