"""What the demo's LLM answers, and what an attentive human would have answered.

The made-up LLM slips now and then, hears the second of two topics, and wavers where its rules
leave a case open: so agreement with it has a ceiling, as with a real one.
"""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec

from slimdown.demo.contracts import RETURNED, SEARCHED
from slimdown.demo.language import choose
from slimdown.demo.tickets import Ticket, intents
from slimdown.types import JsonObject

_SLIP_RATE = 0.001
_FIRST_TOPIC_SHARE = 0.85
_PRIORITY_WITHOUT_CUE = {"product_question": "low", "discount_code": "low"}
_REPLY = (
    "(Hello|Hi)(, and thank you for writing| and thanks for getting in touch)! "
    "I am (sorry to hear about the trouble|sorry for the trouble)ABOUT. "
    "(I have passed this on to my colleagues|We are looking into it), and you will "
    "(hear from us|have an answer) (within two working days|by tomorrow evening). "
    "(Is there anything else I can do?|Please write again if anything is unclear.)"
)


def answer_at(site: str, ticket: Ticket, random: Random) -> JsonObject:
    """Return the assistant message with which the made-up LLM answers at a site."""
    if site == "act":
        return _tool_message(chosen_tool(ticket, _heard_intent(ticket, random)), random)
    if site == "extract":
        return text_message(msgspec.json.encode(_noted(ticket, random)).decode())
    if site == "intent":
        return text_message(_heard_intent(ticket, random))
    if site == "priority":
        return text_message(_felt_priority(ticket, random))
    if site == "goodwill":
        return text_message(random.choice("ABC"))
    return text_message(_reply(ticket, random))


def truth_at(site: str, ticket: Ticket) -> Any:
    """Return what is right at a site, as `Example.output` has it; None where nothing is."""
    if site == "act":
        return [chosen_tool(ticket, ticket.intent)]
    if site == "extract":
        return extracted(ticket)
    if site == "intent":
        return ticket.intent
    return clear_priority(ticket) if site == "priority" else None


def text_message(content: str) -> JsonObject:
    """Return an assistant message that says ``content``."""
    return {"role": "assistant", "content": content}


def extracted(ticket: Ticket) -> JsonObject:
    """Return the facts of a ticket: as its message spells them, order and amount normalised."""
    return {
        "order_number": ticket.order and ticket.order.lstrip("#").upper(),
        "product": ticket.product,
        "date": ticket.date,
        "amount": None if ticket.amount is None else _number(ticket.amount),
    }


def chosen_tool(ticket: Ticket, intent: str) -> JsonObject:
    """Return the tool call that the agent's rules ask for, if the ticket is about ``intent``."""
    if intent in SEARCHED:
        return {"name": "search_help", "arguments": {"topic": SEARCHED[intent]}}
    order = extracted(ticket)["order_number"]
    if order is None:
        return {"name": "ask_customer", "arguments": {"missing": "order_number"}}
    arguments = {"order_number": order}
    if intent in RETURNED:
        return {"name": "start_return", "arguments": arguments | {"reason": RETURNED[intent]}}
    if intent == "change_address" and ticket.address:
        return {"name": "update_address", "arguments": arguments | {"address": ticket.address}}
    name = "cancel_order" if intent == "cancel_order" else "lookup_order"
    return {"name": name, "arguments": arguments}


def clear_priority(ticket: Ticket) -> str | None:
    """Return the priority that the agent's rules ask for, None where they leave it open."""
    if ticket.urgency == "unclear":
        return None
    return ticket.urgency or _PRIORITY_WITHOUT_CUE.get(ticket.intent, "normal")


def _heard_intent(ticket: Ticket, random: Random) -> str:
    if random.random() < _SLIP_RATE:
        return random.choice(intents())
    if ticket.second_intent and random.random() > _FIRST_TOPIC_SHARE:
        return ticket.second_intent
    return ticket.intent


def _noted(ticket: Ticket, random: Random) -> JsonObject:
    facts = extracted(ticket)
    if random.random() < 3 * _SLIP_RATE:
        facts[random.choice(list(facts))] = None
    return facts


def _felt_priority(ticket: Ticket, random: Random) -> str:
    clear = clear_priority(ticket)
    if clear is None or random.random() < _SLIP_RATE:
        return random.choice(["normal", "high"])
    return clear


def _tool_message(chosen: JsonObject, random: Random) -> JsonObject:
    arguments = msgspec.json.encode(chosen["arguments"]).decode()
    function = {"name": chosen["name"], "arguments": arguments}
    call = {"id": f"call_{random.getrandbits(32):08x}", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _reply(ticket: Ticket, random: Random) -> str:
    about = f" with your {ticket.product}" if ticket.product else ""
    return choose(_REPLY, random).replace("ABOUT", about)


def _number(amount: str) -> float:
    return float("".join(c for c in amount if c.isdigit() or c == "."))
