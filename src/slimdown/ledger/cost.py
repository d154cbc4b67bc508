"""What one call cost upstream, from the tokens it reports and a table of prices.

Where a call reports no usable token counts they are estimated from its length, and the cost says
so. It does not know what the provider really billed.
"""

from __future__ import annotations

from typing import Any

import msgspec

from slimdown.ledger.prices import Prices, load_prices
from slimdown.types import Call, JsonObject

_CHARACTERS_PER_TOKEN = 4
_PER_MILLION = 1e-6
_MOST_TOKENS = 2**53
"""No call has more: a count beyond it is a fault of the log, and no float holds it exactly."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one call: ``cached`` are among ``input``, ``reasoning`` among ``output``.

    ``estimated`` where the call did not report them: a token is then taken to be four characters.
    """

    input: int
    output: int
    cached: int = 0
    reasoning: int = 0
    estimated: bool = False


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What a call cost in USD; ``estimated`` where its tokens, or a price among them, are."""

    usd: float
    usage: Usage
    model: str
    as_of: str
    estimated: bool = False


def cost_of(call: Call, prices: Prices | None = None) -> Cost | None:
    """Return what a call cost upstream, or None where no price of its model is known.

    The model that answered counts before the one that was asked. Cached input without a price of
    its own is charged as fresh input, which is an upper bound, and marked estimated. A call that
    failed without an answer costs nothing.
    """
    prices = prices or load_prices()
    models = [(call.response or {}).get("model"), call.request.get("model")]
    named = [model for model in models if isinstance(model, str)]
    model = next((model for model in named if prices.of(model)), None)
    price = prices.of(model)
    if model is None or price is None:
        return None
    usage = usage_of(call)
    cached_price = price.input if price.cached_input is None else price.cached_input
    reasoning_price = price.output if price.reasoning is None else price.reasoning
    usd = _PER_MILLION * (
        (usage.input - usage.cached) * price.input
        + usage.cached * cached_price
        + (usage.output - usage.reasoning) * price.output
        + usage.reasoning * reasoning_price
    )
    unsure = usage.estimated or (usage.cached > 0 and price.cached_input is None)
    return Cost(usd=usd, usage=usage, model=model, as_of=price.as_of, estimated=unsure)


def usage_of(call: Call) -> Usage:
    """Return a call's tokens as it reports them, else as its length lets guess."""
    if call.response is None:
        return Usage(input=0, output=0, estimated=True)
    told = call.response.get("usage")
    return (_reported(told) if isinstance(told, dict) else None) or _estimated(call)


def _reported(told: JsonObject) -> Usage | None:
    asked, said = _count(told.get("prompt_tokens")), _count(told.get("completion_tokens"))
    if asked is None or said is None:
        return None
    cached = _detail(told, "prompt_tokens_details", "cached_tokens")
    reasoning = _detail(told, "completion_tokens_details", "reasoning_tokens")
    return Usage(
        input=asked, output=said, cached=min(cached, asked), reasoning=min(reasoning, said)
    )


def _estimated(call: Call) -> Usage:
    response = call.response or {}
    asked = [call.request.get("messages"), call.request.get("tools")]
    return Usage(
        input=sum(_length(value) for value in asked) // _CHARACTERS_PER_TOKEN,
        output=_length(response.get("choices")) // _CHARACTERS_PER_TOKEN,
        estimated=True,
    )


def _detail(told: JsonObject, group: str, name: str) -> int:
    details = told.get(group)
    return (_count(details.get(name)) or 0) if isinstance(details, dict) else 0


def _count(value: Any) -> int | None:
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS
    return value if fits else None


def _length(value: Any) -> int:
    """Return the characters of all strings in a JSON value; keys are the wire's, not the text's."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_length, value.values()))
    return sum(map(_length, value)) if isinstance(value, list) else 0
