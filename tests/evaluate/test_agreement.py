from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.evaluate.agreement import agreement_for, disagreements
from slimdown.evaluate.canonicalise import enum_paths
from slimdown.types import OutputKind

KINDS: tuple[OutputKind, ...] = ("label", "json", "tool", "text")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
CALL = st.fixed_dictionaries(
    {"name": st.sampled_from("fg"), "arguments": st.dictionaries(st.sampled_from("abc"), JSON)}
)
CALLS = st.lists(CALL, max_size=4)
OUTPUT = JSON | CALLS
KIND = st.sampled_from(KINDS)


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("Refund", "refund"),
        (" refund. ", "refund"),
        ('"refund"', "refund"),
        ("`refund`.", "refund"),
        ("**refund**", "refund"),
        ("caf\u00e9", "cafe\u0301"),
    ],
)
def test_labels_agree_but_for_dress(ours: str, theirs: str) -> None:
    assert agreement_for("label")(ours, theirs)


@pytest.mark.parametrize(("ours", "theirs"), [("-5", "5"), ("007", "7"), ("a b", "ab"), (".", "")])
def test_labels_that_differ_disagree(ours: str, theirs: str) -> None:
    assert not agreement_for("label")(ours, theirs)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": 1, "b": None}, {"a": 1}),
        ({"a": " x "}, {"a": "x"}),
        ({"a": 0.1 + 0.2}, {"a": 0.3}),
        ({"a": 2.0}, {"a": 2}),
        ({"at": "2024-05-01T10:00:00Z"}, {"at": "2024-05-01T12:00:00+02:00"}),
        ({"at": "2024-05-01 10:00"}, {"at": "2024-05-01T10:00:00"}),
    ],
)
def test_objects_agree_in_canonical_form(ours: Any, theirs: Any) -> None:
    assert agreement_for("json")(ours, theirs)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"a": "007"}, {"a": "7"}),
        ({"a": "7"}, {"a": 7}),
        ({"a": True}, {"a": 1}),
        ({"a": "X"}, {"a": "x"}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": ""}, {}),
        ({"a": 19.99}, {"a": 19.98}),
        ({"a": 2**60}, {"a": 2**60 + 1}),
        ({"a": "20240501"}, {"a": "2024-05-01"}),
        ({"at": "2024-02-30T10:00:00Z"}, {"at": "2024-03-01T10:00:00Z"}),
        ({}, []),
    ],
)
def test_objects_that_differ_disagree(ours: Any, theirs: Any) -> None:
    assert not agreement_for("json")(ours, theirs)
    assert disagreements("json", ours, theirs)


def test_text_from_a_closed_list_is_compared_without_case() -> None:
    listed = {"type": "array", "items": {"properties": {"size": {"enum": ["S", "L"]}}}}
    enums = enum_paths({"properties": {"wanted": listed, "name": {"type": "string"}}})
    agree = agreement_for("json", enums=enums)

    assert enums == {"wanted[].size"}
    assert agree({"wanted": [{"size": "l"}]}, {"wanted": [{"size": "L"}]})
    assert not agree({"name": "l"}, {"name": "L"})


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ([call("f", a=1, b="x")], [call("f", b="x", a=1.0)]),
        ([call("f", a=1), call("g")], [call("g"), call("f", a=1)]),
        ([], []),
        ("One moment,  please", "One moment, please"),
    ],
)
def test_tool_calls_agree_in_any_order(ours: Any, theirs: Any) -> None:
    assert agreement_for("tool")(ours, theirs)


@pytest.mark.parametrize(
    ("ours", "theirs", "paths"),
    [
        ([call("f", a="-5")], [call("f", a="5")], ("f.a",)),
        ([call("f", a="007")], [call("f", a=7)], ("f.a",)),
        ([call("f", path="/a ")], [call("f", path="/a")], ("f.path",)),
        ([call("f", a=1, b=2)], [call("f", a=1)], ("f.b",)),
        ([call("f", a=None)], [call("f")], ("f.a",)),
        ([call("f", a={"b": [1, 2]})], [call("f", a={"b": [1, 3]})], ("f.a.b[1]",)),
        ([call("f")], [call("g")], ("f", "g")),
        ([call("f")], [call("f"), call("f")], ("f",)),
        ([call("f", a=1)], "I cannot find it.", ("$",)),
    ],
)
def test_tool_calls_that_differ_are_told_by_argument(
    ours: Any, theirs: Any, paths: tuple[str, ...]
) -> None:
    assert not agreement_for("tool")(ours, theirs)
    assert disagreements("tool", ours, theirs) == paths


def test_text_agrees_word_for_word_only() -> None:
    agree = agreement_for("text")

    assert agree("Your parcel\nis here.", " Your parcel is here.")
    assert not agree("Your parcel is here.", "your parcel is here")


def test_fields_that_differ_are_told_by_path() -> None:
    ours = {"a": 1, "b": {"c": [1, 2]}, "d": {"e": 1}}
    theirs = {"a": 1, "b": {"c": [1, 3]}, "f": 0}

    assert disagreements("json", ours, theirs) == ("b.c[1]", "d", "f")
    assert disagreements("json", {"a": [1]}, {"a": [1, 2]}) == ("a",)
    assert disagreements("label", "x", "y") == ("$",)


@given(KIND, OUTPUT)
def test_agreement_is_reflexive(kind: OutputKind, output: Any) -> None:
    assert agreement_for(kind)(output, output)


@given(KIND, OUTPUT, OUTPUT)
def test_agreement_is_symmetric(kind: OutputKind, a: Any, b: Any) -> None:
    agree = agreement_for(kind)

    assert agree(a, b) == agree(b, a)
    assert disagreements(kind, a, b) == disagreements(kind, b, a)


@given(KIND, OUTPUT, OUTPUT)
def test_fields_differ_exactly_where_agreement_fails(kind: OutputKind, a: Any, b: Any) -> None:
    assert (disagreements(kind, a, b) == ()) == agreement_for(kind)(a, b)


@given(st.dictionaries(st.text(max_size=3), JSON), st.randoms(use_true_random=False))
def test_the_order_of_keys_is_free(value: dict[str, Any], random: Any) -> None:
    keys = list(value)
    random.shuffle(keys)

    assert agreement_for("json")({key: value[key] for key in keys}, value)


@given(CALLS, st.randoms(use_true_random=False))
def test_the_order_of_parallel_calls_is_free(calls: list[Any], random: Any) -> None:
    shuffled = random.sample(calls, len(calls))

    assert agreement_for("tool")(shuffled, calls)


@given(CALLS, CALL)
def test_one_call_more_is_a_disagreement(calls: list[Any], extra: Any) -> None:
    assert not agreement_for("tool")([*calls, extra], calls)
