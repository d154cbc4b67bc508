from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from slimdown.answer import answer_of, finish_reason
from slimdown.demo.answers import answer_at, chosen_tool, clear_priority, extracted
from slimdown.demo.contracts import tools
from slimdown.demo.log import FINGERPRINT, MADE_FOR, demo_calls, write_demo_log
from slimdown.demo.sites import sites
from slimdown.demo.tickets import Ticket, intents, make_ticket
from slimdown.types import Call

_CALLS = tuple(demo_calls(2400))


def _site_of(call: Call) -> str:
    system = call.request["messages"][0]["content"]
    return next(s.name for s in sites() if system.startswith(s.prompt.split("{")[0]))


def _answered(site: str) -> Iterator[tuple[Call, Any]]:
    for call in _CALLS:
        answer = answer_of(call)
        if _site_of(call) == site and answer and finish_reason(call.response) != "length":
            yield call, answer.value


def _ticket(**changed: Any) -> Ticket:
    facts = {"order": "#so-12345", "product": "Aria kettle", "date": "3 May", "amount": "$5.50"}
    told = {"message": "", "intent": "track_order", "second_intent": None, "urgency": None}
    return Ticket(**{"number": 1, "address": None, **facts, **told, **changed})


def test_the_same_seed_makes_the_same_log() -> None:
    assert list(demo_calls(300)) == list(demo_calls(300))
    assert list(demo_calls(300)) != list(demo_calls(300, seed=8))


def test_as_many_calls_are_made_as_were_asked_for() -> None:
    assert [len(list(demo_calls(n))) for n in (0, 1, 17)] == [0, 1, 17]


def test_every_call_says_that_it_is_made_up() -> None:
    assert {call.metadata["made_for"] for call in _CALLS} == {MADE_FOR}
    assert {c.response["system_fingerprint"] for c in _CALLS if c.response} == {FINGERPRINT}


def test_ids_differ_and_calls_come_in_order_of_time_within_a_session() -> None:
    assert len({call.id for call in _CALLS}) == len(_CALLS)
    by_session: dict[str | None, list[str]] = {}
    for call in _CALLS:
        by_session.setdefault(call.session_id, []).append(call.started_at or "")
    assert all(times == sorted(times) for times in by_session.values())


def test_the_log_spans_several_weeks() -> None:
    days = {(call.started_at or "")[:10] for call in demo_calls(500)}
    assert len(days) > 40


def test_all_six_sites_are_called_and_the_learnable_ones_most() -> None:
    counts = Counter(map(_site_of, _CALLS))
    assert set(counts) == {"intent", "extract", "act", "priority", "goodwill", "reply"}
    assert min(counts[s] for s in ("intent", "extract", "act", "priority")) > 0.18 * len(_CALLS)


def test_only_customer_replies_are_marked_as_read_by_a_human() -> None:
    human = {_site_of(c) for c in _CALLS if c.metadata.get("audience") == "human"}
    assert human == {"reply"}


def test_one_to_two_percent_of_calls_failed_were_cut_short_refused_or_repeated() -> None:
    failed = sum(call.error is not None for call in _CALLS)
    cut = sum(finish_reason(call.response) == "length" for call in _CALLS)
    refused = sum("can't help" in str(call.response) for call in _CALLS)
    repeats = Counter(msgspec.json.encode([c.request, c.session_id]) for c in _CALLS)
    asked_twice = sum(n - 1 for n in repeats.values())
    assert min(failed, cut, refused, asked_twice) > 0
    assert 0.008 < (failed + cut + refused + asked_twice) / len(_CALLS) < 0.025


def test_messages_are_varied() -> None:
    messages = {c.session_id: c.request["messages"][1]["content"].lower() for c in _CALLS}
    assert len(set(messages.values())) > 0.97 * len(messages)


def test_messages_are_short() -> None:
    words = sorted(len(c.request["messages"][1]["content"].split()) for c in _CALLS)
    assert words[len(words) // 2] < 40
    assert words[-1] < 100


def test_intents_are_drawn_from_the_listed_ones() -> None:
    refused = "I'm sorry, but I can't help with that request."
    assert {v for _, v in _answered("intent")} == {*intents(), refused}


def test_the_llm_is_right_about_intents_nearly_always_but_not_always() -> None:
    right = [value == call.label for call, value in _answered("intent")]
    assert 0.97 < sum(right) / len(right) < 1


@pytest.mark.parametrize("name", ["product", "date"])
def test_extracted_words_are_copied_from_the_message(name: str) -> None:
    found = [(c, v[name]) for c, v in _answered("extract") if isinstance(v, dict) and v[name]]
    assert len(found) > 50
    assert all(value in c.request["messages"][1]["content"] for c, value in found)


def test_every_fact_is_absent_from_some_messages_and_present_in_others() -> None:
    rows = [value for _, value in _answered("extract") if isinstance(value, dict)]
    for name in ("order_number", "product", "date", "amount"):
        present = sum(row[name] is not None for row in rows) / len(rows)
        assert 0.1 < present < 0.9, name


def test_an_order_number_is_noted_in_capitals_and_an_amount_as_a_number() -> None:
    facts = extracted(_ticket())
    assert facts["order_number"] == "SO-12345"
    assert facts["amount"] == 5.5


def test_every_tool_is_chosen_and_keeps_its_schema() -> None:
    schemas = {t["function"]["name"]: t["function"]["parameters"] for t in tools()}
    chosen = [v[0] for _, v in _answered("act") if isinstance(v, list)]
    assert {c["name"] for c in chosen} == set(schemas)
    assert all(set(c["arguments"]) == set(schemas[c["name"]]["required"]) for c in chosen)


def test_a_tool_that_needs_an_order_asks_for_it_where_the_message_has_none() -> None:
    chosen = chosen_tool(_ticket(order=None), "cancel_order")
    assert chosen == {"name": "ask_customer", "arguments": {"missing": "order_number"}}


def test_priority_follows_the_message_and_is_open_where_it_is_unclear() -> None:
    assert clear_priority(_ticket(urgency="urgent")) == "urgent"
    assert clear_priority(_ticket(intent="discount_code")) == "low"
    assert clear_priority(_ticket()) == "normal"
    assert clear_priority(_ticket(urgency="unclear")) is None


def test_goodwill_follows_no_rule() -> None:
    said = Counter(answer_at("goodwill", _ticket(), Random(n))["content"] for n in range(600))
    assert set(said) == {"A", "B", "C"}
    assert min(said.values()) > 150


def test_no_message_keeps_an_unfilled_slot_or_an_unmade_choice() -> None:
    for number in range(400):
        message = make_ticket(number, Random(number)).message
        assert not set("{}()|") & set(message), message


def test_the_written_log_reads_back_as_the_same_calls(tmp_path: Path) -> None:
    path = tmp_path / "demo.jsonl"
    assert write_demo_log(path, n_calls=120) == 120
    lines = path.read_bytes().splitlines()
    assert [msgspec.json.decode(line, type=Call) for line in lines] == list(demo_calls(120))
