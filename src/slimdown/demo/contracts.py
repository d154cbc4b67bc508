"""What the demo's agent asks its LLM to answer with: the tools, and the schema of the facts."""

from __future__ import annotations

from slimdown.types import JsonObject

SEARCHED = {
    "payment_failed": "payments",
    "login_problem": "login",
    "delete_account": "account_deletion",
    "discount_code": "discounts",
    "product_question": "products",
    "invoice_request": "invoices",
}
"""Intent -> the topic of the help pages that answers it."""

RETURNED = {
    "return_item": "not_wanted",
    "damaged_item": "damaged",
    "wrong_item": "wrong_item",
    "warranty_claim": "warranty",
}
"""Intent -> the reason of the return that it opens."""


def facts_format() -> JsonObject:
    """Return the ``response_format`` of the extraction site."""
    kinds = {"order_number": "string", "product": "string", "date": "string", "amount": "number"}
    schema = _object({name: {"type": [kind, "null"]} for name, kind in kinds.items()})
    return {
        "type": "json_schema",
        "json_schema": {"name": "facts", "strict": True, "schema": schema},
    }


def tools() -> list[JsonObject]:
    """Return the ``tools`` of the agent's tool-choosing site."""
    order, text = {"order_number": {"type": "string"}}, {"type": "string"}
    reason = _one_of(sorted(RETURNED.values()))
    topic = _one_of(sorted(SEARCHED.values()))
    return [
        _tool("lookup_order", "Look up an order and its parcel.", order),
        _tool("cancel_order", "Cancel an order not yet shipped.", order),
        _tool("start_return", "Open a return for an order.", {**order, "reason": reason}),
        _tool("update_address", "Change where an order is sent.", {**order, "address": text}),
        _tool("search_help", "Search the help pages.", {"topic": topic}),
        _tool(
            "ask_customer",
            "Ask the customer for a missing detail.",
            {"missing": _one_of(["order_number"])},
        ),
    ]


def _tool(name: str, description: str, properties: JsonObject) -> JsonObject:
    function = {"name": name, "description": description, "parameters": _object(properties)}
    return {"type": "function", "function": function}


def _object(properties: JsonObject) -> JsonObject:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _one_of(values: list[str]) -> JsonObject:
    return {"type": "string", "enum": values}
