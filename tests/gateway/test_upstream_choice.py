"""Which upstream a model's calls go to, and with whose key."""

import asyncio

import pytest

from slimdown.errors import UsageError
from slimdown.gateway.upstreams import Upstreams
from slimdown.settings import GatewaySettings, UpstreamSettings

SEVERAL = {
    "anthropic": UpstreamSettings(url="https://a.example", models=("claude-*",)),
    "local": UpstreamSettings(url="http://127.0.0.1:1/v1", models=("llama-*", "qwen-?b")),
    "openai": UpstreamSettings(url="https://o.example/v1"),
}


def choose(model: str, upstreams: dict[str, UpstreamSettings]) -> str:
    return Upstreams(GatewaySettings(), upstreams, {}).choose(model).name


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("claude-sonnet-4", "anthropic"),
        ("llama-3", "local"),
        ("qwen-7b", "local"),
        ("qwen-70b", "openai"),
        ("gpt-4o", "openai"),
        ("", "openai"),
        ("CLAUDE-X", "openai"),
        ("x" * 5_000_000, "openai"),
    ],
)
def test_the_first_pattern_that_fits_decides(model: str, name: str) -> None:
    assert choose(model, SEVERAL) == name


def test_without_settings_claude_is_anthropics_and_the_rest_openais() -> None:
    assert (choose("claude-x", {}), choose("gpt-4o", {})) == ("anthropic", "openai")


def test_a_model_that_no_pattern_fits_goes_to_the_last_upstream() -> None:
    narrow = {"only": UpstreamSettings(url="http://127.0.0.1:1", models=("gpt-*",))}

    assert choose("other", narrow) == "only"


def test_a_key_is_looked_up_where_its_reference_points() -> None:
    keyed = {"up": UpstreamSettings(url="http://127.0.0.1:1/v1", key="env:MY_KEY")}

    chosen = Upstreams(GatewaySettings(), keyed, {"MY_KEY": "sk-1"}).choose("x")

    assert chosen.key == "sk-1"


def test_a_key_that_is_not_there_stops_the_start() -> None:
    keyed = {"up": UpstreamSettings(url="http://127.0.0.1:1/v1", key="env:MY_KEY")}

    with pytest.raises(UsageError, match="MY_KEY"):
        Upstreams(GatewaySettings(), keyed, {})


def test_upstreams_that_were_never_opened_close() -> None:
    asyncio.run(Upstreams(GatewaySettings(), SEVERAL, {}).close())
