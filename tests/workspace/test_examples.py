"""From calls to examples: the answer in its task's form, the input without the template."""

import pytest

from slimdown.answer import output_of
from slimdown.curate import Kept
from slimdown.testing import sample_call
from slimdown.types import Answer, OutputKind, Slot, Task, Template
from slimdown.workspace.examples import examples_of

TASK = Task(
    id="t1",
    name="sort",
    description="",
    kind="label",
    template=Template((Slot("system", "Sort it.", constant=True), Slot("user", "Mail: "))),
)


def kept(call_id: str, at: str = "2026-01-01T00:00:00.000Z") -> dict[str, Kept]:
    return {call_id: Kept(call_id=call_id, group="g1", session="s1", started_at=at)}


@pytest.mark.parametrize(
    ("kind", "answer", "output"),
    [
        ("label", Answer("text", "refund"), "refund"),
        ("text", Answer("text", "Dear you"), "Dear you"),
        ("label", Answer("json", {"b": 1, "a": 2}), '{"a":2,"b":1}'),
        ("text", Answer("json", ["x"]), '["x"]'),
        ("json", Answer("json", {"b": 1}), {"b": 1}),
        ("json", Answer("text", "I cannot"), "I cannot"),
        (
            "tool",
            Answer("tool", [{"name": "f", "arguments": {}}]),
            [{"name": "f", "arguments": {}}],
        ),
        ("tool", Answer("text", "Done."), "Done."),
    ],
)
def test_an_answer_takes_the_form_of_its_task(
    kind: OutputKind, answer: Answer, output: object
) -> None:
    assert output_of(kind, answer) == output


def test_labels_that_differ_in_the_order_of_keys_are_one_label() -> None:
    one, other = Answer("json", {"a": 1, "b": 2}), Answer("json", {"b": 2, "a": 1})

    assert output_of("label", one) == output_of("label", other)


def test_an_example_holds_what_varies_and_what_curation_knows() -> None:
    call = sample_call("Mail: lost parcel", "delivery", system="Sort it.", id="c1", label="truth")

    (example,) = examples_of(TASK, [call], kept("c1"))

    assert "lost parcel" in example.input
    assert "Sort it." not in example.input
    assert (example.id, example.output, example.label) == ("c1", "delivery", "truth")
    assert (example.session, example.group) == ("s1", "g1")


def test_calls_that_curation_set_aside_or_without_an_answer_are_no_examples() -> None:
    aside = sample_call("Mail: a", id="aside")
    failed = sample_call("Mail: b", id="failed", response=None, error="HTTP 500")

    assert list(examples_of(TASK, [aside, failed], kept("failed"))) == []


def test_a_call_without_a_time_has_an_empty_one() -> None:
    (example,) = examples_of(TASK, [sample_call("Mail: a", id="c1")], kept("c1", at=""))

    assert example.started_at == ""
