"""Outputs as leaves and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.train.fields.tree import CALLED, applies, leaves, output_of, path_name

SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=3), VALUES, max_size=3)
CALLS = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(["find", "book"]), "arguments": OBJECTS}),
    min_size=1,
    max_size=2,
)


@given(OBJECTS)
def test_an_object_grows_back_from_its_leaves(output: Any) -> None:
    assert output_of(leaves(output, "json").items(), "json") == output


@given(CALLS)
def test_tool_calls_grow_back_from_their_leaves(output: Any) -> None:
    assert output_of(leaves(output, "tool").items(), "tool") == output


@given(st.text())
def test_a_label_is_its_own_leaf(label: str) -> None:
    assert leaves(label, "label") == {(): label}
    assert output_of([((), label)], "label") == label


def test_a_list_of_scalars_is_one_leaf_and_a_list_of_objects_is_not() -> None:
    found = leaves({"tags": ["a", "b"], "items": [{"n": 1}, {"n": 2}]}, "json")
    assert found == {("tags",): ["a", "b"], ("items", 0, "n"): 1, ("items", 1, "n"): 2}


def test_an_argument_lies_under_its_tools_position_and_name() -> None:
    found = leaves([{"name": "find", "arguments": {"id": "A1"}}], "tool")
    assert found == {CALLED: ["find"], (0, "find", "id"): "A1"}


def test_a_reply_in_words_has_no_output() -> None:
    assert leaves("I cannot help with that.", "tool") == {CALLED: None}
    with pytest.raises(ValueError, match="reply in words"):
        output_of([(CALLED, None)], "tool")


@pytest.mark.parametrize(
    "found",
    [
        [((), 1), (("a",), 2)],
        [(("a", 1), 2)],
        [(("a", 0), 1), (("a", "b"), 2)],
        [(("a",), 1), (("a", "b"), 2)],
    ],
)
def test_leaves_that_contradict_each_other_have_no_output(found: Any) -> None:
    with pytest.raises(ValueError, match=r"scalar|gaps"):
        output_of(found, "json")


def test_an_argument_applies_only_where_its_tool_is_called() -> None:
    assert applies((1, "book", "id"), ["find", "book"])
    assert not applies((0, "book", "id"), ["find", "book"])
    assert not applies((2, "book", "id"), ["find", "book"])
    assert not applies((0, "book", "id"), None)
    assert applies(CALLED, None)


def test_paths_have_readable_names() -> None:
    assert [path_name(p) for p in (CALLED, (), ("a", 0, "b"))] == ["called", "answer", "a.0.b"]
