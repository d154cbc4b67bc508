"""Settings of the gateway and its upstreams: nesting, ranges, and secrets that stay secret."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from slimdown.errors import UsageError
from slimdown.settings import (
    FILE_NAME,
    GatewaySettings,
    Settings,
    UpstreamSettings,
    load_settings,
    secret,
)

PASTED = "sk-proj-4711-not-to-be-seen"
NESTED = [
    "GATEWAY__PORT",
    "GATEWAY__HOSTS",
    "GATEWAY__PORT__X",
    "UPSTREAMS__A__URL",
    "UPSTREAMS__A",
]
shared = hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def load(
    folder: Path, text: str = "", environ: dict[str, str] | None = None, **flags: Any
) -> Settings:
    (folder / FILE_NAME).write_text(text)
    return load_settings(folder, environ or {}, flags)


def refused(
    folder: Path, text: str = "", environ: dict[str, str] | None = None, **flags: Any
) -> str:
    with pytest.raises(UsageError) as raised:
        load(folder, text, environ, **flags)
    return str(raised.value)


def test_keys_of_the_gateway_are_overridden_one_by_one(tmp_path: Path) -> None:
    text = '[gateway]\nhost = "::1"\nport = 1\nretries = 1\n'
    environ = {"SLIMDOWN_GATEWAY__PORT": "2", "SLIMDOWN_GATEWAY__RETRIES": "2"}

    found = load(tmp_path, text, environ, gateway={"retries": 3}).gateway

    assert (found.host, found.port, found.retries) == ("::1", 2, 3)


def test_an_upstream_may_be_told_in_the_file_and_its_key_in_the_environment(tmp_path: Path) -> None:
    text = '[upstreams.openai]\nurl = "https://api.openai.com/v1"\n'
    environ = {
        "SLIMDOWN_UPSTREAMS__OPENAI__KEY": "env:OPENAI_API_KEY",
        "SLIMDOWN_UPSTREAMS__OPENAI__MODELS": "gpt-*, o?-*",
    }

    (upstream,) = load(tmp_path, text, environ).upstreams.values()

    assert upstream.url == "https://api.openai.com/v1"
    assert (upstream.key, upstream.models) == ("env:OPENAI_API_KEY", ("gpt-*", "o?-*"))


def test_an_upstream_among_the_flags_stands_alone(tmp_path: Path) -> None:
    text = '[upstreams.a]\nurl = "http://a/v1"\n'

    found = load(tmp_path, text, upstreams={"b": {"url": "http://b/v1"}}).upstreams

    assert list(found) == ["b"]


def test_upstreams_keep_the_order_of_the_file(tmp_path: Path) -> None:
    text = '[upstreams.z]\nurl = "http://z"\n[upstreams.a]\nurl = "http://a"\n'

    found = load(tmp_path, text, {"SLIMDOWN_UPSTREAMS__A__KEY": "env:A"}).upstreams

    assert list(found) == ["z", "a"]


def test_a_whole_group_can_come_as_json(tmp_path: Path) -> None:
    environ = {"SLIMDOWN_GATEWAY": '{"port": 5}', "SLIMDOWN_GATEWAY__HOST": "localhost"}

    found = load(tmp_path, "", environ).gateway

    assert (found.port, found.host) == (5, "localhost")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("risk = 0.1\n\n[gateway]\nhost = '::1'\nprot = 1\n", ", line 5:"),
        ("gateway.prot = 1\n", ", line 1:"),
        ("[ gateway ]\n  'prot' = 1\n", ":"),
        ("gateway = {prot = 1}\n", ":"),
    ],
)
def test_an_unknown_key_is_told_with_its_line_and_the_one_that_was_meant(
    tmp_path: Path, text: str, line: str
) -> None:
    words = refused(tmp_path, text)

    assert words.startswith(f"{tmp_path / FILE_NAME}{line} unknown setting 'gateway.prot'.")
    assert "Did you mean 'port'?" in words


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        ("SLIMDOWN_GATEWAY__PROT", "unknown setting 'gateway.prot'. Did you mean 'port'?"),
        ("SLIMDOWN_GATEWAY__PORT__X", "at `$.gateway.port`"),
        ("SLIMDOWN_UPSTREAMS__A__KEEY", "unknown setting 'upstreams.a.keey'. Did you mean 'key'?"),
        ("SLIMDOWN_UPSTREAMS__A", "Expected `object`"),
    ],
)
def test_an_unknown_nested_variable_is_refused(tmp_path: Path, variable: str, words: str) -> None:
    assert words in refused(tmp_path, "", {variable: "1"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("port", "-1"),
        ("port", "65536"),
        ("host", ""),
        ("on_failure", "ajar"),
        ("retries", "6"),
        ("idle_timeout_s", "0"),
        ("longest_s", "nan"),
        ("record_budget_s", "inf"),
        ("max_body_bytes", "0"),
        ("max_in_flight", "-5"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(tmp_path: Path, key: str, value: str) -> None:
    words = refused(tmp_path, "", {f"SLIMDOWN_GATEWAY__{key.upper()}": value})

    assert f"`$.gateway.{key}`" in words


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "must be the base URL"),
        ("api.openai.com/v1", "must be the base URL"),
        ("ftp://host/v1", "must be the base URL"),
        ("http://", "must be the base URL"),
        ("http://[::1", "is no URL"),
        ("http://host:99999/v1", "is no URL"),
        (f"https://me:{PASTED}@host/v1", "no name or password"),
        (f"https://host/v1?key={PASTED}", "no query"),
        (f"https://host/v1#{PASTED}", "no query"),
        ("https://host/v1\\r\\nx: y", "characters"),
        ("https://host/v 1", "characters"),
    ],
)
def test_a_url_that_no_upstream_has_is_refused_unrepeated(
    tmp_path: Path, url: str, words: str
) -> None:
    said = refused(tmp_path, f'[upstreams.a]\nurl = "{url}"\n')

    assert said.startswith("upstreams.a.url ")
    assert words in said
    assert PASTED not in said


def test_an_upstream_needs_a_pattern(tmp_path: Path) -> None:
    text = '[upstreams.a]\nurl = "http://a"\nmodels = []\n'

    assert "upstreams.a.models must hold a pattern" in refused(tmp_path, text)


@pytest.mark.parametrize("key", [PASTED, "env:", "file:", f"value:{PASTED}", "sk-a:b"])
def test_a_secret_pasted_into_the_settings_is_refused_and_not_repeated(
    tmp_path: Path, key: str
) -> None:
    said = refused(tmp_path, f'[upstreams.a]\nurl = "http://a"\nkey = "{key}"\n')

    assert said.startswith("upstreams.a.key: a key must refer to a secret")
    assert PASTED not in said


def test_a_secret_comes_from_a_variable_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(f"{PASTED}\n")

    assert secret("env:KEY", {"KEY": PASTED}) == PASTED
    assert secret(f"file:{path}", {}) == PASTED


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("env:KEY", "is empty or not set"),
        ("file:/nowhere/key", "cannot be read: No such file"),
        ("file:/", "cannot be read: Is a directory"),
        (PASTED, "must refer to a secret"),
    ],
)
def test_a_secret_that_cannot_be_had_is_told(reference: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as raised:
        secret(reference, {})

    assert PASTED not in str(raised.value)


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "caf\u00e9", "a\x00b"])
def test_a_secret_that_would_break_a_header_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="no key has") as raised:
        secret("env:KEY", {"KEY": value + PASTED})

    assert PASTED not in str(raised.value)


def test_a_secret_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe")

    with pytest.raises(UsageError, match="it is no text"):
        secret(f"file:{tmp_path / 'key'}", {})


@shared
@given(st.dictionaries(st.sampled_from(NESTED), st.text(st.characters(codec=None), max_size=9)))
def test_any_nested_environment_is_read_or_refused(tmp_path: Path, found: dict[str, str]) -> None:
    environ = {f"SLIMDOWN_{name}": text for name, text in found.items()}

    try:
        settings = load_settings(tmp_path, environ)
    except UsageError as error:
        assert str(error)
    else:
        assert 0 <= settings.gateway.port <= 65535


@given(st.text(st.characters(codec=None), max_size=20))
def test_any_reference_is_resolved_or_refused(reference: str) -> None:
    try:
        found = secret(reference, {"A": "secret"})
    except UsageError as error:
        assert str(error)
    else:
        assert found.isprintable()


def test_the_gateways_page_tells_each_setting_with_its_default() -> None:
    page = (Path(__file__).parent.parent / "docs" / "gateway.md").read_text("utf-8")
    (told,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)

    found = tomllib.loads(told)

    assert msgspec.convert(found, Settings).gateway == GatewaySettings()
    assert set(found["gateway"]) == set(GatewaySettings.__struct_fields__)
    assert set(found["upstreams"]["openai"]) == set(UpstreamSettings.__struct_fields__)
