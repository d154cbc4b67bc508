"""Made-up help-desk tickets: a customer's message, and what is true of it.

Each message is put together anew from choices, so that two are seldom alike; it may name numbers
and products that it is not about. It does not know which calls the agent makes about it.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from random import Random
from typing import Any

import msgspec

from slimdown.demo.language import choose, fill, misspell, write_down

_TYPO_RATE = 0.02
_TWO_TOPICS_SHARE = 0.02
_LOWER_CASE_SHARE = 0.25
_NAMES_FACTS = {
    "track_order": (0.8, 0.5),
    "cancel_order": (0.8, 0.5),
    "return_item": (0.7, 0.7),
    "refund_status": (0.75, 0.5),
    "damaged_item": (0.7, 0.8),
    "wrong_item": (0.75, 0.7),
    "change_address": (0.8, 0.3),
    "invoice_request": (0.6, 0.4),
    "warranty_claim": (0.6, 0.9),
    "product_question": (0.0, 1.0),
}
"""Intent -> chance that its message names an order, and a product."""


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """One customer's message and the truth about it.

    Facts are as the message spells them, None where it does not tell. ``second_intent`` is there
    where the message asks for two things at once, ``urgency`` where it says how urgent it is.
    """

    number: int
    message: str
    intent: str
    second_intent: str | None
    urgency: str | None
    order: str | None
    product: str | None
    date: str | None
    amount: str | None
    address: str | None


@cache
def phrases() -> dict[str, Any]:
    """Return the phrase book."""
    book = files("slimdown.demo").joinpath("phrases.toml").read_bytes()
    return msgspec.toml.decode(book, type=dict[str, Any])


def intents() -> tuple[str, ...]:
    """Return the names of all intents, in the order the agent's prompt lists them."""
    return tuple(phrases()["intents"])


def make_ticket(number: int, random: Random) -> Ticket:
    """Return the ticket of this number; all that varies comes from ``random``."""
    intent = random.choice(intents())
    second = _second_intent(intent, random) if random.random() < _TWO_TOPICS_SHARE else None
    facts = _facts(intent, second, random)
    urgency = random.choices(
        [None, "urgent", "high", "low", "unclear"], weights=[50, 14, 14, 10, 12]
    )[0]
    text = fill(_message(intent, second, urgency, facts, random), facts | _decoys(random))
    if random.random() < _LOWER_CASE_SHARE:
        text, facts = text.lower(), {name: fact.lower() for name, fact in facts.items()}
    told = {name: facts.get(name) for name in ("order", "product", "date", "amount", "address")}
    return Ticket(
        number=number,
        message=text,
        intent=intent,
        second_intent=second,
        urgency=urgency,
        **told,
    )


def _second_intent(first: str, random: Random) -> str:
    return random.choice([name for name in intents() if name not in (first, "change_address")])


def _facts(intent: str, second: str | None, random: Random) -> dict[str, str]:
    order_chance, product_chance = _NAMES_FACTS.get(intent, (0.08, 0.05))
    facts: dict[str, str] = {}
    if random.random() < order_chance:
        facts["order"] = _order(random)
    if random.random() < product_chance or second == "product_question":
        facts["product"] = _product(random)
    # Who asks before buying has neither bought nor paid.
    bought = bool(facts) and intent != "product_question"
    if bought and random.random() < 0.45:
        facts["date"] = _date(random)
    if bought and random.random() < 0.35:
        facts["amount"] = _amount(random, 8, 900)
    if intent == "change_address":
        facts["address"] = _address(random)
    return facts


def _message(
    intent: str, second: str | None, urgency: str | None, facts: dict[str, str], random: Random
) -> str:
    book = phrases()
    core = [_core(intent, facts, random)]
    if second:
        core.append("and " + _core(second, facts, random))
    around = [_told(name, random) for name in facts if not any(f"{{{name}}}" in s for s in core)]
    around += [_pick(book["chatter"], random) for _ in range(_few(random))]
    around += [_pick(book["distractors"], random) for _ in range(int(random.random() < 0.3))]
    if urgency:
        around.append(_pick(book["urgency"][urgency], random))
    random.shuffle(around)
    before = random.choice([0, 0, 0, 1, len(around)])
    sentences = [*around[:before], *core, *around[before:]]
    if random.random() < 0.4:
        sentences.insert(0, _pick(book["greetings"], random))
    if random.random() < 0.35:
        sentences.append(_pick(book["closings"], random))
    return write_down([misspell(s, _TYPO_RATE, random) for s in sentences], random)


def _core(intent: str, facts: dict[str, str], random: Random) -> str:
    kinds: list[str] = [name for name in ("order", "product") if name in facts] or ["vague"]
    thing = _pick(phrases()["things"][random.choice(kinds)], random)
    said = _pick(phrases()["intents"][intent]["says"], random)
    return said.replace("{thing}", thing)


def _told(fact: str, random: Random) -> str:
    return _pick(phrases()["facts"].get(fact, [f"{{{fact}}}"]), random)


def _few(random: Random) -> int:
    return random.choices([0, 1, 2], weights=[5, 4, 1])[0]


def _pick(patterns: list[str], random: Random) -> str:
    return choose(random.choice(patterns), random)


def _decoys(random: Random) -> dict[str, str]:
    return {
        "phone": f"0{random.randrange(100, 999)} {random.randrange(100000, 999999)}",
        "other_order": _order(random),
        "other_product": _product(random),
        "case": str(random.randrange(10000, 99999)),
        "small_amount": _amount(random, 2, 8),
        "house": str(random.randrange(1, 90)),
    }


def _order(random: Random) -> str:
    number = f"{random.randrange(10000, 99999)}"
    return random.choices(["SO-", "so-", "#SO-"], weights=[6, 2, 2])[0] + number


def _product(random: Random) -> str:
    names = phrases()["names"]
    style = random.choice(names["styles"])
    return f"{random.choice(names['makers'])} {style}{random.choice(names['goods'])}"


def _date(random: Random) -> str:
    names, day = phrases()["names"], random.randrange(1, 29)
    month = random.choice(names["months"])
    forms = [
        f"{day} {month}",
        f"{month} {day}",
        f"2026-{random.randrange(1, 10):02d}-{day:02d}",
        f"last {random.choice(names['days'])}",
        f"{random.randrange(2, 12)} {random.choice(['days', 'weeks'])} ago",
    ]
    return random.choice(forms)


def _amount(random: Random, least: int, most: int) -> str:
    value = f"{random.randrange(least, most)}.{random.choice(['00', '50', '90', '95', '99'])}"
    return random.choice([f"${value}", f"{value} dollars", f"USD {value}"])


def _address(random: Random) -> str:
    names = phrases()["names"]
    street = f"{random.randrange(1, 200)} {random.choice(names['streets'])}"
    return f"{street}, {random.choice(names['towns'])}"
