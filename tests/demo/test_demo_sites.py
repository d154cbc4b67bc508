from random import Random

from slimdown.answer import answer_of
from slimdown.contract import violation
from slimdown.demo.answers import answer_at, truth_at
from slimdown.demo.contracts import facts_format, tools
from slimdown.demo.log import demo_calls
from slimdown.demo.sites import Site, request_at, sites
from slimdown.demo.tickets import intents, make_ticket

_TICKETS = [make_ticket(number, Random(number)) for number in range(200)]


def _site(name: str) -> Site:
    return next(site for site in sites() if site.name == name)


def test_each_site_asks_with_its_own_prompt_and_the_tickets_message() -> None:
    ticket = _TICKETS[0]
    asked = [request_at(site, ticket)["messages"] for site in sites()]
    assert len({messages[0]["content"] for messages in asked}) == 6
    assert all(ticket.message in messages[1]["content"] for messages in asked)


def test_the_intent_prompt_lists_every_intent() -> None:
    system = request_at(_site("intent"), _TICKETS[0])["messages"][0]["content"]
    assert all(intent in system for intent in intents())


def test_only_the_tool_site_offers_tools_and_only_the_facts_site_asks_for_json() -> None:
    requests = {site.name: request_at(site, _TICKETS[0]) for site in sites()}
    assert [name for name, r in requests.items() if "tools" in r] == ["act"]
    assert [name for name, r in requests.items() if "response_format" in r] == ["extract"]
    assert requests["act"]["tools"] == tools()
    assert requests["extract"]["response_format"] == facts_format()


def test_what_the_made_up_llm_answers_keeps_its_contract() -> None:
    for call in demo_calls(600):
        answer = answer_of(call)
        choice = (call.response or {"choices": [{}]})["choices"][0]
        refused = "can't help" in str(choice.get("message"))
        if answer and choice["finish_reason"] != "length" and not refused:
            assert violation(call.request, answer) is None


def test_the_llm_mostly_answers_what_is_true_where_there_is_a_truth() -> None:
    for name in ("intent", "priority"):
        told = [(truth_at(name, t), answer_at(name, t, Random(t.number))) for t in _TICKETS]
        right = [answer["content"] == truth for truth, answer in told if truth is not None]
        assert sum(right) / len(right) > 0.98


def test_an_unclear_priority_is_answered_in_two_ways() -> None:
    ticket = next(t for t in _TICKETS if t.urgency == "unclear")
    said = {answer_at("priority", ticket, Random(n))["content"] for n in range(40)}
    assert said == {"normal", "high"}


def test_a_reply_to_the_customer_is_in_words_and_has_no_truth() -> None:
    ticket = next(t for t in _TICKETS if t.product)
    said = answer_at("reply", ticket, Random(1))["content"]
    assert str(ticket.product) in said
    assert truth_at("reply", ticket) is None


def test_usage_adds_up_and_latency_is_that_of_a_network_call() -> None:
    for call in demo_calls(300):
        if call.response:
            usage = call.response["usage"]
            assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
        assert call.latency_ms is not None
        assert 50 < call.latency_ms < 30_000


def test_a_retry_repeats_the_request_and_the_answer_under_another_id() -> None:
    seen: dict[str, list[str]] = {}
    for call in demo_calls(2000):
        if call.response:
            seen.setdefault(call.response["id"], []).append(call.id)
    retried = [ids for ids in seen.values() if len(ids) > 1]
    assert retried
    assert all(len(set(ids)) == len(ids) == 2 for ids in retried)
