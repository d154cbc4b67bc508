"""Settings: one strict TOML file, then ``SLIMDOWN_*`` variables, then flags; parsed once, frozen.

Every value is optional. Unknown keys are errors that suggest the key that was meant. Keys of
`gateway` and `upstreams` are overridden one by one, and their variables part names by two
underscores: ``SLIMDOWN_GATEWAY__PORT``. Secrets are not settings: a setting only refers to one
(`secret`), and the key that seals the workspace comes from the environment or its file (`seal`).
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from slimdown.errors import UsageError

FILE_NAME = "slimdown.toml"
WORKSPACE_NAME = ".slimdown"
RUNTIME_SOCKET = "runtime.sock"
"""Where in a workspace's folder the specialists' runtime listens."""

Seconds = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
Count = Annotated[int, msgspec.Meta(ge=1)]


def base_url(host: str, port: int) -> str:
    """Return what a client of OpenAI is given as its base URL; IPv6 goes into brackets."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"


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

    host: Annotated[str, msgspec.Meta(min_length=1)] = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8400
    on_failure: Literal["open", "closed"] = "open"
    hosts: tuple[str, ...] = ()
    connect_timeout_s: Seconds = 10.0
    first_byte_timeout_s: Seconds = 600.0
    idle_timeout_s: Seconds = 120.0
    longest_s: Seconds = 3600.0
    client_timeout_s: Seconds = 60.0
    retries: Annotated[int, msgspec.Meta(ge=0, le=5)] = 0
    max_body_bytes: Count = 32 << 20
    max_in_flight: Count = 1000
    record_budget_s: Seconds = 0.2
    specialist_budget_s: Seconds = 0.2


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


DEFAULT_UPSTREAMS = {
    "anthropic": UpstreamSettings(url="https://api.anthropic.com", models=("claude-*",)),
    "openai": UpstreamSettings(url="https://api.openai.com/v1"),
}
"""The upstreams where the settings name none."""

_PREFIX = "SLIMDOWN_"
_NESTED: dict[str, type[msgspec.Struct]] = {
    "gateway": GatewaySettings,
    "upstreams": UpstreamSettings,
}
_LONGEST_SECRET = 1 << 16


def load_settings(
    folder: Path, environ: Mapping[str, str], flags: Mapping[str, Any] | None = None
) -> Settings:
    """Return the settings in force; flags that are None count as not given.

    ``flags`` may hold ``gateway``, whose keys override one by one, and ``upstreams``, which stand
    in place of all others. Raises `UsageError` naming the source of a bad or unknown value.
    """
    values: dict[str, Any] = {}
    path = folder / FILE_NAME
    if path.exists():
        text = _read(path)
        values = _checked(_parsed_file(path, text), str(path), text)
    values = _merged(values, _checked(_from_environ(environ), "the environment"))
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    values = _merged(values, _checked(given, "the flags"))
    if "upstreams" in given:
        values["upstreams"] = given["upstreams"]
    settings = _convert(values, "the settings")
    for objection in _objections(settings):
        raise UsageError(f"{objection}; nothing was changed.")
    return settings


def secret(reference: str, environ: Mapping[str, str]) -> str:
    """Return the secret that a setting refers to: "env:NAME", or "file:PATH" (its only line).

    Raises `UsageError` where there is none; no message ever holds what may be a secret.
    """
    kind, colon, name = reference.partition(":")
    if not colon or kind not in ("env", "file") or not name:
        raise UsageError(_NO_REFERENCE + " Nothing was started.")
    found = environ.get(name, "") if kind == "env" else _secret_file(Path(name).expanduser())
    found = found.strip()
    if not found:
        raise UsageError(f"the secret {reference} is empty or not set. Nothing was started.")
    if not (found.isascii() and found.isprintable()):
        raise UsageError(
            f"the secret {reference} holds line breaks or other characters that no key has. "
            "Nothing was started."
        )
    return found


_NO_REFERENCE = (
    'a key must refer to a secret, as "env:NAME" or "file:PATH", and not be one; what stands '
    "there is not repeated here."
)


def _secret_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_SECRET).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"the secret file {path} cannot be read: {why}.") from None


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}. Nothing was changed.") from error


def _parsed_file(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} cannot be read: {error}. Nothing was changed.") from error


def _from_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in Settings.__struct_fields__:
        text = environ.get(_PREFIX + name.upper())
        if text is not None:
            values[name] = _parsed(_PREFIX + name.upper(), Settings.__annotations__[name], text)
    for variable, text in environ.items():
        names = variable.removeprefix(_PREFIX).lower().split("__")
        if variable.startswith(_PREFIX) and len(names) > 1 and names[0] in _NESTED:
            _put(values, names, variable, text)
    return values


def _put(values: dict[str, Any], names: list[str], variable: str, text: str) -> None:
    """Put one nested variable where its name says; an unknown name is found out by `_checked`."""
    kind = _NESTED[names[0]].__annotations__.get(names[-1], "str")
    for name in names[:-1]:
        values = values.setdefault(name, {})
        if not isinstance(values, dict):
            raise UsageError(f"{variable}: {name} was given another way. Nothing was changed.")
    values[names[-1]] = _parsed(variable, kind, text)


def _parsed(variable: str, kind: str, text: str) -> Any:
    if kind.startswith("tuple"):
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind.startswith("dict") or kind == "GatewaySettings":
        return _json(variable, text)
    return text


def _json(variable: str, text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise UsageError(f"{variable} is not JSON: {error}.") from error


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return both; where both hold a group of settings, its keys are taken one by one."""
    found = below | above
    for name in _NESTED:
        if isinstance(below.get(name), dict) and isinstance(above.get(name), dict):
            found[name] = _deeply(below[name], above[name])
    return found


def _deeply(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = {
        name: _deeply(below[name], value)
        for name, value in above.items()
        if isinstance(value, dict) and isinstance(below.get(name), dict)
    }
    return below | above | both


def _checked(values: dict[str, Any], source: str, text: str = "") -> dict[str, Any]:
    """Return the values of one source; raises `UsageError` at an unknown key or a bad value."""
    _check_keys(values, Settings, source, text, "")
    gateway, upstreams = values.get("gateway"), values.get("upstreams")
    if isinstance(gateway, dict):
        _check_keys(gateway, GatewaySettings, source, text, "gateway.")
    for name, each in upstreams.items() if isinstance(upstreams, dict) else ():
        if isinstance(each, dict):
            _check_keys(each, UpstreamSettings, source, text, f"upstreams.{name}.")
    _convert(values, source)
    return values


def _check_keys(
    values: dict[str, Any], kind: type[msgspec.Struct], source: str, text: str, within: str
) -> None:
    for key in values:
        if key not in kind.__struct_fields__:
            near = difflib.get_close_matches(key, kind.__struct_fields__, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            known = ", ".join(kind.__struct_fields__)
            line = _line_of(text, within.rstrip("."), key)
            raise UsageError(
                f"{source}{line}: unknown setting {within + key!r}.{hint} Known settings: {known}."
            )


def _line_of(text: str, table: str, key: str) -> str:
    """Return ", line N" where the key of a table is seen to stand, "" where it is not."""
    now = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\s*([^\]]+?)\s*\]", line)
        now = header[1].replace('"', "").replace(" ", "") if header else now
        name = line.partition("=")[0].strip().replace('"', "")
        path = f"{now}.{name}" if now else name
        if (now if header else path) == (f"{table}.{key}" if table else key):
            return f", line {number}"
    return ""


def _convert(values: dict[str, Any], source: str) -> Settings:
    """Return the settings; an upstream's URL may come from another source, and is checked later."""
    upstreams = values.get("upstreams")
    if isinstance(upstreams, dict):
        filled = {
            name: {"url": ""} | each if isinstance(each, dict) else each
            for name, each in upstreams.items()
        }
        values = values | {"upstreams": filled}
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"{source}: {error}. Nothing was changed.") from error


def _objections(settings: Settings) -> Iterator[str]:
    for name, share in (("risk", settings.risk), ("delta", settings.delta)):
        if not 0 < share < 1:
            yield f"{name} must lie between 0 and 1, not {share}"
    usd = settings.usd_per_cpu_hour
    if not (math.isfinite(usd) and usd >= 0):
        yield f"usd_per_cpu_hour must be a price of 0 or more, not {usd}"
    for name, upstream in settings.upstreams.items():
        yield from _upstream_objections(f"upstreams.{name}", upstream)


def _upstream_objections(name: str, upstream: UpstreamSettings) -> Iterator[str]:
    """Yield what is wrong; never the URL itself, which may hold a password."""
    try:
        parts = urlsplit(upstream.url)
        _ = parts.port
    except ValueError:
        yield f"{name}.url is no URL"
        return
    if parts.scheme not in ("http", "https") or not parts.hostname:
        yield f"{name}.url must be the base URL of an API, as in https://api.openai.com/v1"
    if "@" in parts.netloc:
        yield f'{name}.url must hold no name or password; {name}.key = "env:NAME" refers to one'
    if "?" in upstream.url or "#" in upstream.url:
        yield f"{name}.url must hold no query and no fragment"
    if not (upstream.url.isascii() and upstream.url.isprintable()) or " " in upstream.url:
        yield f"{name}.url holds characters that no URL has"
    if not upstream.models:
        yield f"{name}.models must hold a pattern, as in *"
    if upstream.key and not re.fullmatch(r"(env|file):.+", upstream.key):
        yield f"{name}.key: {_NO_REFERENCE[:-1]}"
