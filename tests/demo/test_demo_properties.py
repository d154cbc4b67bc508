"""The demo's log as a whole: what its sessions, sites and labels hold whatever the seed."""

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slimdown.answer import answer_of, finish_reason
from slimdown.contract import violation
from slimdown.demo.answers import truth_at
from slimdown.demo.contracts import tools
from slimdown.demo.log import FINGERPRINT, MADE_FOR, demo_calls, write_demo_log
from slimdown.demo.sites import sites
from slimdown.demo.tickets import intents, make_ticket
from slimdown.types import Answer, Call

SEEDS = st.integers(0, 10**6)
LOG = list(demo_calls(2400, seed=5))
SITE_BY_PROMPT = {
    site.prompt.replace("{intents}", ", ".join(intents())): site.name for site in sites()
}
few = settings(max_examples=10, deadline=None)


def site_of(call: Call) -> str:
    return SITE_BY_PROMPT[call.request["messages"][0]["content"]]


def sessions(calls: list[Call]) -> dict[str, list[Call]]:
    found: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        found[str(call.session_id)].append(call)
    return found


def labels_of(site: str) -> set[str]:
    return {str(call.label) for call in LOG if site_of(call) == site and call.label is not None}


def test_the_agent_has_six_sites_and_no_two_share_a_prompt() -> None:
    assert [site.name for site in sites()] == [
        "intent",
        "extract",
        "act",
        "priority",
        "goodwill",
        "reply",
    ]
    assert len(SITE_BY_PROMPT) == 6
    assert {site_of(call) for call in LOG} == {site.name for site in sites()}


@few
@given(SEEDS)
def test_sessions_stand_in_the_order_of_their_time(seed: int) -> None:
    calls = list(demo_calls(150, seed))

    times = [str(call.started_at) for call in calls]
    assert times == sorted(times)
    order = list(dict.fromkeys(str(call.session_id) for call in calls))
    assert order == sorted(order)


@few
@given(SEEDS)
def test_each_session_passes_the_sites_in_order_about_one_message(seed: int) -> None:
    names = [site.name for site in sites()]

    for calls in sessions(list(demo_calls(120, seed))).values():
        places = [names.index(site_of(call)) for call in calls]
        message = calls[0].request["messages"][1]["content"].split("\n", 1)[-1]
        assert places == sorted(places)
        assert all(message in call.request["messages"][1]["content"] for call in calls)


@few
@given(SEEDS, st.integers(0, 40))
def test_a_log_of_any_length_is_exactly_so_long_and_its_ids_are_unique(seed: int, n: int) -> None:
    calls = list(demo_calls(n, seed))

    assert len(calls) == n
    assert len({call.id for call in calls}) == n


@few
@given(SEEDS)
def test_the_same_seed_makes_the_same_log_and_another_makes_another(seed: int) -> None:
    first = [msgspec.json.encode(call) for call in demo_calls(40, seed)]

    assert [msgspec.json.encode(call) for call in demo_calls(40, seed)] == first
    assert [msgspec.json.encode(call) for call in demo_calls(40, seed + 1)] != first


@few
@given(SEEDS)
def test_no_label_breaks_the_contract_that_its_request_demands(seed: int) -> None:
    kinds = {"act": "tool", "extract": "json", "intent": "text", "priority": "text"}

    for call in list(demo_calls(60, seed)):
        if call.label is not None:
            answer = Answer(kinds[site_of(call)], call.label)  # type: ignore[arg-type]
            assert violation(call.request, answer) is None


def test_every_label_of_a_closed_set_is_reached() -> None:
    assert labels_of("intent") == set(intents())
    assert labels_of("priority") == {"low", "normal", "high", "urgent"}
    assert labels_of("goodwill") == labels_of("reply") == set()


def test_every_tool_is_some_ticket_s_right_one() -> None:
    offered = {tool["function"]["name"] for tool in tools()}

    right = {call.label[0]["name"] for call in LOG if site_of(call) == "act" and call.label}

    assert right == offered


def test_each_site_is_answered_in_its_own_form() -> None:
    forms: dict[str, Counter[str]] = defaultdict(Counter)
    for call in LOG:
        answer = answer_of(call)
        if answer and finish_reason(call.response) != "length" and "can't help" not in str(answer):
            forms[site_of(call)][answer.kind] += 1

    assert {site: set(kinds) for site, kinds in forms.items()} == {
        "intent": {"text"},
        "extract": {"json"},
        "act": {"tool"},
        "priority": {"text"},
        "goodwill": {"text"},
        "reply": {"text"},
    }


def test_failed_calls_keep_their_request_and_tell_no_answer_or_truth() -> None:
    failed = [call for call in LOG if call.error]

    assert failed
    assert all(call.response is None and call.label is None for call in failed)
    assert all(call.request["messages"] and call.session_id for call in failed)
    assert {str(call.error)[:3] for call in failed} == {"429", "500"}


def test_every_call_says_that_it_was_made_up() -> None:
    assert {call.metadata["made_for"] for call in LOG} == {MADE_FOR}
    told = {call.response["system_fingerprint"] for call in LOG if call.response}
    assert told == {FINGERPRINT}


def test_a_log_of_any_size_spans_about_eight_weeks() -> None:
    for n_calls in (200, 2400):
        calls = list(demo_calls(n_calls, seed=5))
        first, last = (datetime.fromisoformat(str(c.started_at)) for c in (calls[0], calls[-1]))
        assert timedelta(weeks=6) < last - first < timedelta(weeks=10)


def test_calls_of_a_session_follow_each_other_within_minutes() -> None:
    for calls in sessions(LOG).values():
        times = [datetime.fromisoformat(str(call.started_at)) for call in calls]
        assert all(timedelta(0) < b - a < timedelta(minutes=2) for a, b in pairwise(times))


def test_labels_are_what_is_true_of_the_ticket_and_not_what_the_llm_said() -> None:
    slips = [
        call
        for call in LOG
        if site_of(call) == "intent" and (answer := answer_of(call)) and answer.value != call.label
    ]

    assert slips
    assert all(call.label in intents() for call in slips)


@pytest.mark.parametrize("site", ["reply", "goodwill", "unheard of"])
def test_sites_without_a_right_answer_have_no_truth(site: str) -> None:
    assert truth_at(site, make_ticket(0, Random(0))) is None


def test_a_written_log_is_lines_of_json_that_end_in_a_line_break(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("what stood here before")

    n_written = write_demo_log(path, n_calls=30, seed=2)

    data = path.read_bytes()
    assert n_written == data.count(b"\n") == 30
    assert data.endswith(b"}\n")
    assert write_demo_log(tmp_path / "again.jsonl", n_calls=30, seed=2) == 30
    assert (tmp_path / "again.jsonl").read_bytes() == data
    assert write_demo_log(path, n_calls=0) == 0
    assert path.read_bytes() == b""
