from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from slimdown.demo.language import choose, fill
from slimdown.demo.tickets import Ticket, intents, make_ticket, phrases

_TICKETS = [make_ticket(number, Random(number)) for number in range(1500)]
_SLOTS = {
    *("order", "product", "date", "amount", "address", "thing"),
    *("phone", "other_order", "other_product", "case", "small_amount", "house"),
}


def _patterns(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _patterns(inner)
    else:
        for inner in value:
            yield from _patterns(inner)


def _told(ticket: Ticket) -> dict[str, str]:
    names = ("order", "product", "date", "amount", "address")
    return {name: fact for name in names if (fact := getattr(ticket, name)) is not None}


def test_every_pattern_of_the_phrase_book_is_balanced_and_names_known_facts() -> None:
    known = {name: name for name in _SLOTS}
    for pattern in _patterns(phrases()):
        assert pattern.count("(") == pattern.count(")"), pattern
        chosen = fill(choose(pattern, Random(1)), known)
        assert not set("(){}|") & set(chosen), pattern


def test_every_intent_has_several_ways_to_be_said() -> None:
    assert 12 <= len(intents()) <= 14
    for intent, told in phrases()["intents"].items():
        assert len(told["says"]) >= 5, intent


def test_intents_come_about_equally_often() -> None:
    counts = Counter(ticket.intent for ticket in _TICKETS)
    assert set(counts) == set(intents())
    assert max(counts.values()) < 2 * min(counts.values())


def test_every_fact_of_a_ticket_stands_in_its_message_as_spelt() -> None:
    for ticket in _TICKETS:
        for name, fact in _told(ticket).items():
            assert fact in ticket.message, (name, ticket)


def test_messages_name_orders_that_they_are_not_about() -> None:
    others = [
        ticket
        for ticket in _TICKETS
        if ticket.message.lower().count("so-") > (ticket.order is not None)
    ]
    assert len(others) > 0.05 * len(_TICKETS)


def test_who_asks_before_buying_has_not_paid() -> None:
    asking = [t for t in _TICKETS if t.intent == "product_question"]
    assert asking
    assert all(t.amount is None and t.date is None for t in asking)


def test_some_messages_are_all_in_lower_case_facts_too() -> None:
    lower = [t for t in _TICKETS if t.message == t.message.lower()]
    assert 0.1 < len(lower) / len(_TICKETS) < 0.5
    assert any(t.product and t.product == t.product.lower() for t in lower)


def test_a_second_topic_is_rare_and_never_the_first_again() -> None:
    double = [t for t in _TICKETS if t.second_intent]
    assert 0 < len(double) < 0.05 * len(_TICKETS)
    assert all(t.second_intent != t.intent for t in double)


def test_only_a_change_of_address_tells_an_address() -> None:
    told = {ticket.intent for ticket in _TICKETS if ticket.address}
    assert told == {"change_address"}


@pytest.mark.parametrize("urgency", ["urgent", "high", "low", "unclear"])
def test_each_urgency_is_met_often_enough_to_learn(urgency: str) -> None:
    share = sum(ticket.urgency == urgency for ticket in _TICKETS) / len(_TICKETS)
    assert 0.05 < share < 0.25
