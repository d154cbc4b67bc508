"""What a request demands of its answer's form, and whether an answer breaks it.

The demands are the ``response_format`` (JSON object or JSON Schema, draft 2020-12), the parameter
schemas of ``tools``, ``tool_choice`` and ``parallel_tool_calls``. A schema comes from outside, so
it may fetch nothing, its patterns run in linear time (RE2), and its size and the work it causes
are bounded; one that is invalid or beyond those bounds gives no verdict, and no verdict is no
violation. Does not know whether an answer is right, nor the task that it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

import msgspec

from slimdown.canonical import canonical_json
from slimdown.types import Answer, JsonObject

MAX_SCHEMA_BYTES = 256 * 1024
"""A larger schema gives no verdict."""

MAX_SCHEMA_DEPTH = 64
"""A schema nested deeper gives no verdict."""

MAX_EVALUATIONS = 50_000
"""Keyword evaluations that one answer may cost before we give up without a verdict."""

# They would change the rules (`$schema`) or run patterns on a backtracking engine.
_REFUSED_KEYWORDS = frozenset({"$schema", "patternProperties"})

_CHOICES = {"none": "none", "required": "required", "any": "required"}  # "any" is Mistral's word

_left: ContextVar[int] = ContextVar("_left", default=MAX_EVALUATIONS)


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """The form that a request demands of its answer.

    ``json`` demands an object; ``schema`` is what it must satisfy, if anything. ``tools`` maps a
    declared function to its parameter schema (None where it has none) and is empty where the
    request, or the log that it came from, declares none: then tool calls are not judged.
    ``tool_choice`` is "auto", "none", "required" or the name of the one function to be called.
    """

    json: bool = False
    schema: Any = None
    tools: dict[str, Any] = {}
    tool_choice: str = "auto"
    parallel: bool = True


class _TooMuchWork(Exception):
    """A validation cost more than `MAX_EVALUATIONS`."""


def contract_of(request: JsonObject) -> Contract:
    """Return the contract of a chat-completions request; what is malformed demands nothing."""
    wanted = _object(request.get("response_format"))
    schema = _object(wanted.get("json_schema")).get("schema")
    return Contract(
        json=wanted.get("type") in ("json_object", "json_schema"),
        schema=schema if wanted.get("type") == "json_schema" else None,
        tools=_declared_tools(request),
        tool_choice=_tool_choice(request.get("tool_choice")),
        parallel=request.get("parallel_tool_calls") is not False,
    )


def violation(request: JsonObject, answer: Answer) -> str | None:
    """Say in a few words how ``answer`` breaks the contract of ``request``, or return None.

    The words name places and keywords, never values, so they may be logged.
    """
    return breach(contract_of(request), answer)


def breach(contract: Contract, answer: Answer) -> str | None:
    """Say in a few words how ``answer`` breaks ``contract``, or return None (also: no verdict)."""
    if answer.kind == "tool":
        return _tools_breach(contract, answer.value)
    if contract.tools and contract.tool_choice not in ("auto", "none"):
        return "words where a tool call is required"
    if not contract.json:
        return None
    if answer.kind != "json" or not isinstance(answer.value, dict):
        return "not a JSON object"
    return None if contract.schema is None else schema_breach(contract.schema, answer.value)


def schema_breach(schema: Any, value: Any) -> str | None:
    """Say where ``value`` first breaks a JSON Schema, or None: it holds, or there is no verdict."""
    try:
        validator = _validator(canonical_json(schema))
    except (RecursionError, UnicodeEncodeError):  # no JSON, or nested beyond all bounds
        return None
    if validator is None:
        return None
    token = _left.set(MAX_EVALUATIONS)
    try:
        error = next(validator.iter_errors(value), None)
    except _no_verdict():
        return None
    finally:
        _left.reset(token)
    return None if error is None else _told(error)


def _tools_breach(contract: Contract, calls: list[JsonObject]) -> str | None:
    if not contract.tools:
        return None
    if contract.tool_choice == "none":
        return "a tool call where none is allowed"
    if len(calls) > 1 and not contract.parallel:
        return "several tool calls where one is allowed"
    found = (_tool_breach(contract, call["name"], call["arguments"]) for call in calls)
    return next((words for words in found if words), None)


def _tool_breach(contract: Contract, name: str, arguments: Any) -> str | None:
    if name not in contract.tools:
        return "calls an undeclared tool"
    if contract.tool_choice not in ("auto", "required", name):
        return f"calls {name} where another tool is required"
    if not isinstance(arguments, dict):
        return f"{name}: arguments are not a JSON object"
    schema = contract.tools[name]
    broken = None if schema is None else schema_breach(schema, arguments)
    return f"{name}: {broken}" if broken else None


def _declared_tools(request: JsonObject) -> dict[str, Any]:
    tools = [_object(_object(t).get("function")) for t in _list(request.get("tools"))]
    functions = [*tools, *map(_object, _list(request.get("functions")))]
    return {f["name"]: f.get("parameters") for f in functions if isinstance(f.get("name"), str)}


def _tool_choice(choice: Any) -> str:
    if isinstance(choice, str):
        return _CHOICES.get(choice, "auto")
    name = _object(_object(choice).get("function")).get("name")
    return name if isinstance(name, str) else "auto"


def _object(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _told(error: Any) -> str:
    where = _place(list(error.absolute_schema_path)) or "the object"
    if error.validator == "required":
        missing = [n for n in error.validator_value if n not in error.instance]
        return f"{where} lacks {', '.join(map(str, missing))}"
    return f"{where} breaks `{error.validator}`"


def _place(schema_path: list[Any]) -> str:
    """Name the place by the schema's words: an answer's own keys may be somebody's data."""
    steps = pairwise(schema_path)
    return "/".join(str(name) for keyword, name in steps if keyword == "properties")


@lru_cache(maxsize=256)
def _validator(schema_json: bytes) -> Any:
    """Return a validator of our dialect, or None for a schema that we give no verdict on."""
    from jsonschema import FormatChecker
    from referencing import Registry

    if len(schema_json) > MAX_SCHEMA_BYTES:
        return None
    schema = msgspec.json.decode(schema_json)
    if isinstance(schema, dict):
        schema.pop("$schema", None)
    if not _acceptable(schema, MAX_SCHEMA_DEPTH):
        return None
    dialect = _dialect()
    try:
        dialect.check_schema(schema, format_checker=FormatChecker(formats=()))
    except _no_verdict():
        return None
    # An empty registry without a retriever: a reference to elsewhere stays unresolved.
    return dialect(schema, registry=Registry())


def _acceptable(schema: Any, depth: int) -> bool:
    if isinstance(schema, dict):
        inner = schema.values()
        if not _REFUSED_KEYWORDS.isdisjoint(schema):
            return False
    elif isinstance(schema, list):
        inner = schema  # type: ignore[assignment]
    else:
        return True
    return depth > 0 and all(_acceptable(value, depth - 1) for value in inner)


@cache
def _dialect() -> Any:
    from jsonschema import Draft202012Validator, validators

    keywords = dict(Draft202012Validator.VALIDATORS)
    keywords |= {"pattern": _pattern, "uniqueItems": _unique_items}
    counted = {name: _counted(check) for name, check in keywords.items()}
    return validators.extend(Draft202012Validator, counted)  # type: ignore[no-untyped-call]


def _counted(check: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
    def counting(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
        left = _left.get() - 1
        _left.set(left)
        if left < 0:
            raise _TooMuchWork
        yield from check(validator, value, instance, schema) or ()

    return counting


def _pattern(validator: Any, pattern: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if isinstance(instance, str) and not _compiled(pattern).search(instance):
        yield ValidationError("pattern")


def _unique_items(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    # By hash: the library compares each with each where items cannot be sorted.
    items = instance if wanted and isinstance(instance, list) else []
    if len({canonical_json(item) for item in items}) < len(items):
        yield ValidationError("uniqueItems")


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    import re2  # type: ignore[import-untyped]

    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)


@cache
def _no_verdict() -> tuple[type[BaseException], ...]:
    """Return what a hostile or faulty schema can raise in the course of a validation."""
    import re2
    from jsonschema import SchemaError
    from referencing.exceptions import Unresolvable

    arithmetic = (OverflowError, ZeroDivisionError, ValueError)
    return (_TooMuchWork, SchemaError, Unresolvable, re2.error, RecursionError, *arithmetic)
