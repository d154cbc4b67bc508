"""What a token of a model costs: a dated table, and the user's own prices above it.

A model is looked up by its exact name (a leading ``openai/`` or ``anthropic/`` aside), so a dated
model never takes another's price. An unknown model has no price. It does not know of discounts,
batch or regional prices, nor of what writing to a prompt cache costs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

import msgspec

from slimdown.errors import UsageError

_PREFIXES = ("openai/", "anthropic/")
_KEYS = ("input", "output", "cached_input", "reasoning")


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """USD per million tokens. ``cached_input`` None: unknown; ``reasoning`` None: as output.

    ``as_of`` is the date of ``source``, "" for a price that the user set.
    """

    input: float
    output: float
    cached_input: float | None = None
    reasoning: float | None = None
    as_of: str = ""
    source: str = "your settings"


class Prices(msgspec.Struct, frozen=True):
    """Prices by model name."""

    table: dict[str, Price]

    def of(self, model: str | None) -> Price | None:
        """Return a model's price, or None where none is known."""
        if model is None:
            return None
        bare = next((model.removeprefix(p) for p in _PREFIXES if model.startswith(p)), model)
        return self.table.get(model) or self.table.get(bare)


def load_prices(overrides: Mapping[str, Mapping[str, float]] | None = None) -> Prices:
    """Return the bundled prices with the user's above them.

    ``overrides`` maps a model to ``input`` and ``output``, optionally ``cached_input`` and
    ``reasoning``, all USD per million tokens. Raises `UsageError` naming a bad model entry.
    """
    own = {model: _own_price(model, told) for model, told in (overrides or {}).items()}
    return Prices(_bundled() | own)


def price_notes(prices: Prices, models: Iterable[str]) -> tuple[str, ...]:
    """Return a sentence for each priced model: its price, the date and the source."""
    priced = ((model, prices.of(model)) for model in sorted(set(models)))
    return tuple(_note(model, price) for model, price in priced if price)


def _note(model: str, price: Price) -> str:
    cached = "" if price.cached_input is None else f" ({price.cached_input:g} cached)"
    dated = f" as of {price.as_of}" if price.as_of else ""
    return (
        f"{model}: {price.input:g}{cached} USD per million input tokens, {price.output:g} per "
        f"million output tokens{dated}, from {price.source}."
    )


class _Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    as_of: str
    source: str


class _Entry(
    msgspec.Struct, frozen=True, kw_only=True, rename={"origin": "from"}, forbid_unknown_fields=True
):
    models: list[str]
    origin: str
    input: float
    output: float
    cached_input: float | None = None


class _Book(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sources: dict[str, _Source]
    prices: list[_Entry]


@cache
def _bundled() -> dict[str, Price]:
    book = msgspec.toml.decode(
        files("slimdown.ledger").joinpath("prices.toml").read_bytes(), type=_Book
    )
    return {
        model: _price(entry, book.sources[entry.origin])
        for entry in book.prices
        for model in entry.models
    }


def _price(entry: _Entry, source: _Source) -> Price:
    return Price(
        input=entry.input,
        output=entry.output,
        cached_input=entry.cached_input,
        as_of=source.as_of,
        source=source.source,
    )


def _own_price(model: str, told: Mapping[str, float]) -> Price:
    unknown = sorted(set(told) - set(_KEYS))
    missing = [key for key in ("input", "output") if key not in told]
    wrong = sorted(k for k, usd in told.items() if not (math.isfinite(usd) and usd >= 0))
    for what, keys in (("unknown", unknown), ("missing", missing), ("not a price:", wrong)):
        if keys:
            raise UsageError(
                f"prices.{model}: {what} {', '.join(keys)}; nothing was changed. Give input and "
                "output, and if you like cached_input and reasoning, in USD per million tokens."
            )
    return msgspec.convert(dict(told), Price)
