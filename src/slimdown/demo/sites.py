"""The six places where the demo's help-desk agent calls an LLM.

Four can be learnt, each with its own share of the LLM's slips; one answers a customer in words and
is for a human; one answers at random, so that nothing can learn it.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import msgspec

from slimdown.demo.contracts import facts_format, tools
from slimdown.demo.tickets import Ticket, intents
from slimdown.types import JsonObject


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """One place in the agent's code: its prompt and settings, and the share of tickets it sees.

    ``frame`` is the user message around ``{message}``.
    """

    name: str
    model: str
    share: float
    prompt: str
    settings: JsonObject
    frame: str = "{message}"
    metadata: JsonObject = {}


@cache
def sites() -> tuple[Site, ...]:
    """Return the agent's sites in the order that a ticket passes them."""
    told = msgspec.toml.decode(files("slimdown.demo").joinpath("sites.toml").read_bytes())
    return tuple(msgspec.convert({"name": name, **site}, Site) for name, site in told.items())


def request_at(site: Site, ticket: Ticket) -> JsonObject:
    """Return the chat-completions request that the agent makes about a ticket."""
    system = site.prompt.replace("{intents}", ", ".join(intents()))
    user = site.frame.replace("{message}", ticket.message)
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    contract: JsonObject = {}
    if site.name == "extract":
        contract = {"response_format": facts_format()}
    if site.name == "act":
        contract = {"tools": tools()}
    return {"model": site.model, "messages": messages, **site.settings, **contract}
