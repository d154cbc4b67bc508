"""Settings: one strict TOML file, then ``SLIMDOWN_*`` variables, then flags; parsed once, frozen.

Every value is optional. Unknown keys are errors that suggest the key that was meant. Secrets are
not settings: the key that seals the workspace comes from the environment or its file (`seal`).
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from slimdown.errors import UsageError

FILE_NAME = "slimdown.toml"
WORKSPACE_NAME = ".slimdown"


class UpstreamSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One LLM provider: ``url`` as a client's base URL, and the ``models`` it answers (patterns
    with ``*``). ``key`` refers to a secret, "env:NAME" or "file:PATH", sent in place of the
    caller's own; without it the caller's own is passed through."""

    url: str
    models: tuple[str, ...] = ("*",)
    key: str = ""


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the gateway listens, waits and fails. Times are in seconds, sizes in bytes.

    ``on_failure`` says what happens where a call cannot be recorded: "open" answers all the same,
    "closed" refuses. ``hosts`` are further names that a request may call us by. ``retries`` counts
    repeats of a call that the upstream answered with 502, 503, 504 or 529; clients retry too.
    ``record_budget_s`` and ``specialist_budget_s`` bound what our own faults may cost a call.
    """

    host: str = "127.0.0.1"
    port: int = 8400
    on_failure: Literal["open", "closed"] = "open"
    hosts: tuple[str, ...] = ()
    connect_timeout_s: float = 10.0
    first_byte_timeout_s: float = 600.0
    idle_timeout_s: float = 120.0
    longest_s: float = 3600.0
    client_timeout_s: float = 60.0
    retries: int = 0
    max_body_bytes: int = 32 << 20
    max_in_flight: int = 1000
    record_budget_s: float = 0.25
    specialist_budget_s: float = 0.25


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a user may set; the defaults are what we would choose.

    ``risk`` is the share of served answers that may differ from the upstream's, held with
    confidence ``1 - delta``. ``rungs`` is the ladder, cheapest first. ``human_facing`` and
    ``outcomes`` are curation rules. ``usd_per_cpu_hour`` prices a specialist's CPU time.
    ``prices`` maps a model to USD per million tokens: ``input``, ``output``, ``cached_input``.
    ``upstreams`` are the LLM providers behind the gateway, asked by the first model pattern that
    fits; none given, OpenAI's and Anthropic's.
    """

    workspace: str = WORKSPACE_NAME
    risk: float = 0.02
    delta: float = 0.05
    rungs: tuple[str, ...] = ("linear", "fields")
    encoder: str = "minilm"
    human_facing: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    usd_per_cpu_hour: float = 0.05
    prices: dict[str, dict[str, float]] = {}
    gateway: GatewaySettings = GatewaySettings()
    upstreams: dict[str, UpstreamSettings] = {}


def load_settings(
    folder: Path, environ: Mapping[str, str], flags: Mapping[str, Any] | None = None
) -> Settings:
    """Return the settings in force; flags that are None count as not given.

    Raises `UsageError` naming the source of a bad or unknown value.
    """
    values: dict[str, Any] = {}
    path = folder / FILE_NAME
    if path.exists():
        values |= _checked(_read(path), str(path))
    values |= _checked(_from_environ(environ), "the environment")
    values |= _checked({k: v for k, v in (flags or {}).items() if v is not None}, "the flags")
    settings = _convert(values, "the settings")
    for name, share in (("risk", settings.risk), ("delta", settings.delta)):
        if not 0 < share < 1:
            raise UsageError(f"{name} must lie between 0 and 1, not {share}; nothing was changed.")
    usd = settings.usd_per_cpu_hour
    if not (math.isfinite(usd) and usd >= 0):
        raise UsageError(
            f"usd_per_cpu_hour must be a price of 0 or more, not {usd}; nothing was changed."
        )
    return settings


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}. Nothing was changed.") from error


def _from_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in Settings.__struct_fields__:
        text = environ.get(f"SLIMDOWN_{name.upper()}")
        if text is not None:
            values[name] = _parsed(name, text)
    return values


def _parsed(name: str, text: str) -> Any:
    kind = Settings.__annotations__[name]
    if kind.startswith("tuple"):
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind.startswith("dict"):
        return _json(name, text)
    return text


def _json(name: str, text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise UsageError(f"SLIMDOWN_{name.upper()} is not JSON: {error}.") from error


def _checked(values: dict[str, Any], source: str) -> dict[str, Any]:
    for key in values:
        if key not in Settings.__struct_fields__:
            near = difflib.get_close_matches(key, Settings.__struct_fields__, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            known = ", ".join(Settings.__struct_fields__)
            raise UsageError(f"{source}: unknown setting {key!r}.{hint} Known settings: {known}.")
    _convert(values, source)
    return values


def _convert(values: dict[str, Any], source: str) -> Settings:
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"{source}: {error}. Nothing was changed.") from error
