"""Which session a request belongs to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.capture.wire import session_of_request
from slimdown.capture.wire_session import MAX_SESSION_CHARS
from slimdown.types import JsonObject

TRACE = b"4bf92f3577b34da6a3ce929d0e0e4736"
HEADERS = [
    (b"x-slimdown-session", b"one"),
    (b"x-session-id", b"two"),
    (b"x-conversation-id", b"three"),
    (b"traceparent", b"00-" + TRACE + b"-00f067aa0ba902b7-01"),
]


def asked(*messages: Any, **rest: Any) -> JsonObject:
    return {"model": "m", "messages": list(messages)} | rest


def says(role: str, content: Any) -> JsonObject:
    return {"role": role, "content": content}


def test_the_order_of_the_keys_is_the_documented_one() -> None:
    request = asked(
        says("user", "hi"),
        metadata={"session_id": "four", "conversation_id": 5},
        previous_response_id="seven",
        conversation={"id": "eight"},
    )
    sessions = [session_of_request(HEADERS[n:], request) for n in range(4)]
    del request["metadata"]["session_id"]
    sessions.append(session_of_request(HEADERS[3:], request))
    del request["metadata"]
    sessions.append(session_of_request(HEADERS[3:], request))
    sessions.append(session_of_request([], request))
    del request["previous_response_id"]
    sessions.append(session_of_request([], request))

    assert sessions == ["one", "two", "three", "four", "5", TRACE.decode(), "seven", "eight"]


@pytest.mark.parametrize(
    "headers",
    [
        [(b"x-session-id", b"  ")],
        [(b"traceparent", b"nonsense")],
        [(b"traceparent", b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01")],
    ],
)
def test_what_names_nothing_is_passed_over(headers: Any) -> None:
    request = asked(says("user", "hi"), metadata={"session_id": None})

    assert session_of_request(headers, request).startswith("opening-")


@pytest.mark.parametrize("name", ["x" * 201, "a\nb", "a\u202eb", "\0", "x" * (1 << 20)])
def test_a_hostile_name_is_kept_as_its_hash(name: str) -> None:
    session = session_of_request([(b"x-session-id", name.encode())], {})

    assert session.startswith("hash-")
    assert session != session_of_request([(b"x-session-id", b"y" + name.encode())], {})


def test_all_turns_of_a_conversation_open_alike() -> None:
    opening = [says("system", "be brief"), says("user", [{"type": "text", "text": "hi"}])]
    later = [*opening, says("assistant", "hello"), says("user", "more")]

    sessions = {session_of_request([], asked(*turn)) for turn in (opening, later)}

    assert len(sessions) == 1


def test_a_cache_mark_that_wanders_does_not_split_a_conversation() -> None:
    part = {"type": "text", "text": "hi"}
    marked = part | {"cache_control": {"type": "ephemeral"}}

    sessions = {session_of_request([], asked(says("user", [each]))) for each in (part, marked)}

    assert len(sessions) == 1


@pytest.mark.parametrize(
    "other",
    [
        asked(says("user", "ho")),
        asked(says("user", "hi"), model="n"),
        asked(says("system", "x"), says("user", "hi")),
        asked(says("user", "hi"), system="x"),
        {"model": "m", "input": "hi", "instructions": "x"},
        {"model": "m", "prompt": "ho"},
    ],
)
def test_conversations_that_open_differently_are_apart(other: JsonObject) -> None:
    assert session_of_request([], other) != session_of_request([], asked(says("user", "hi")))


@pytest.mark.parametrize(
    "huge",
    [
        asked(says("user", "x" * (8 << 20))),
        asked(says("user", [{"type": "text", "text": "x"}] * 100_000)),
        asked(*[says("assistant", "x")] * 100_000),
        asked(says("user", {str(i): "x" for i in range(100_000)})),
        asked(says("user", 10**5_000)),
        {"input": ["x"] * 100_000},
    ],
    ids=["text", "parts", "messages", "keys", "digits", "inputs"],
)
def test_the_hash_of_a_huge_opening_is_the_hash_of_its_beginning(huge: JsonObject) -> None:
    assert session_of_request([], huge).startswith("opening-")


KEYS = ["model", "messages", "input", "prompt", "system", "metadata", "previous_response_id"]
PLACES = st.sampled_from([*KEYS, "conversation", "instructions", "role", "content"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(PLACES, inner, max_size=3),
    max_leaves=4,
)


@given(
    st.lists(st.tuples(st.sampled_from([b"x-session-id", b"traceparent"]), st.binary())),
    st.dictionaries(PLACES, JSON, max_size=5),
)
def test_any_request_has_a_session_that_can_be_stored(headers: Any, request: JsonObject) -> None:
    session = session_of_request(headers, request)

    assert 0 < len(session) <= MAX_SESSION_CHARS
    assert session.isprintable()
