"""A specialist is asked only what it was made for, by those whom the route gives it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from releases import release, request, route

from slimdown.route import decide
from slimdown.route.decide import drawn
from slimdown.types import JsonObject

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
SESSIONS = st.text(max_size=12)
SHARES = st.floats(0, 1, exclude_min=True)


def test_a_live_specialist_is_asked() -> None:
    decision = decide(request(), False, route(), release(), "session")

    assert (decision.reason, decision.asks_specialist, decision.shadows) == ("live", True, False)


def test_a_shadow_is_asked_afterwards_and_needs_no_certificate() -> None:
    shadow = route(stage="shadow", threshold=None)

    decision = decide(request(), False, shadow, release(certificate=None), "session")

    assert (decision.reason, decision.asks_specialist, decision.shadows) == ("shadow", False, True)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"headers_off": True}, "off"),
        ({"route": None}, "no_route"),
        ({"route": route(stage="retired")}, "retired"),
        ({"route": route(stage="canary", share=1e-9)}, "canary_not_drawn"),
        ({"release": None}, "no_release"),
        ({"release": release(certificate=None)}, "void"),
        ({"route": route(threshold=None)}, "void"),
        ({"release": release(specialist_id="s2")}, "void"),
        ({"route": route(task_id="t2")}, "void"),
        ({"request": request(n=2)}, "unsupported:n"),
        ({"request": request(model="gpt-4o")}, "other_model"),
        ({"request": request("x" * 41)}, "too_long"),
        ({"request": request(thinking_budget=7)}, "unsupported:unknown"),
    ],
)
def test_everything_else_goes_upstream_and_says_why(changes: JsonObject, reason: str) -> None:
    usual: JsonObject = {"request": request(), "headers_off": False, "route": route()}

    decision = decide(**{**usual, "release": release(), "session": "session", **changes})

    assert (decision.reason, decision.asks_specialist, decision.shadows) == (reason, False, False)


def test_a_request_of_just_the_longest_length_is_taken() -> None:
    assert decide(request("x" * 40), False, route(), release(), "s").asks_specialist


def test_very_many_messages_are_too_long_however_short() -> None:
    many = {**request(), "messages": [*request()["messages"], *[{"role": "user"}] * 100]}

    assert decide(many, False, route(), release(), "session").reason == "too_long"


def test_what_a_specialist_could_not_see_whole_is_not_shadowed_either() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}
    seen = request()
    seen["messages"][1]["content"] = [{"type": "text", "text": "what is this?"}, image]

    decision = decide(seen, False, route(stage="shadow"), release(), "session")

    assert (decision.reason, decision.shadows) == ("unsupported:messages", False)


def test_a_canary_gets_about_its_share_of_sessions() -> None:
    canary = route(stage="canary", share=0.1)

    asked = [decide(request(), False, canary, release(), f"s-{i}") for i in range(2_000)]

    # The standard deviation of such a draw is 13.
    assert 150 < sum(decision.asks_specialist for decision in asked) < 250


@given(SESSIONS, SHARES, SHARES)
def test_a_larger_canary_keeps_the_sessions_of_a_smaller_one(
    session: str, one: float, other: float
) -> None:
    small, large = sorted((one, other))

    in_small = drawn(route(stage="canary", share=small), session)

    assert drawn(route(stage="canary", share=large), session) or not in_small
    assert drawn(route(stage="canary", share=1.0), session)


def test_tasks_draw_their_sessions_apart() -> None:
    first, second = (route(stage="canary", share=0.5, task_id=task) for task in ("t1", "t2"))
    sessions = [f"s-{i}" for i in range(200)]

    alike = sum(drawn(first, session) == drawn(second, session) for session in sessions)

    assert 60 < alike < 140


@given(st.dictionaries(st.sampled_from(sorted(request())) | st.text(max_size=8), JSON), JSON)
def test_no_request_makes_deciding_fail(odd: JsonObject, message: Any) -> None:
    seen = {**request(), **odd}
    noted = {**request(), "messages": [*request()["messages"], message]}

    for one in (odd, seen, noted):
        assert decide(one, False, route(), release(), "session").reason


@given(st.text(min_size=1, max_size=12), JSON.filter(lambda value: value not in (None, False)))
def test_a_parameter_that_nobody_thought_of_goes_upstream(name: str, value: Any) -> None:
    known = decide({**request(), f"x_{name}": value}, False, route(), release(), "session")

    assert known.reason == "unsupported:unknown"


@given(st.text(max_size=80))
def test_nothing_longer_than_the_specialist_takes_is_ever_asked(text: str) -> None:
    asked = decide(request(text), False, route(), release(), "session")

    assert asked.asks_specialist == (len(text) <= 40)
