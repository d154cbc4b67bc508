from pathlib import Path

import pytest

from slimdown.errors import UsageError
from slimdown.settings import load_settings


def test_flags_win_over_environment_and_environment_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "slimdown.toml").write_text('risk = 0.1\ndelta = 0.2\nencoder = "hashing"\n')

    settings = load_settings(
        tmp_path, {"SLIMDOWN_RISK": "0.05", "SLIMDOWN_DELTA": "0.1"}, {"delta": 0.01, "risk": None}
    )

    assert (settings.risk, settings.delta, settings.encoder) == (0.05, 0.01, "hashing")


def test_lists_in_the_environment_are_parted_by_commas(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, {"SLIMDOWN_RUNGS": "linear, fields"})

    assert settings.rungs == ("linear", "fields")


def test_an_unknown_key_is_refused_with_the_one_that_was_meant(tmp_path: Path) -> None:
    (tmp_path / "slimdown.toml").write_text("rsik = 0.1\n")

    with pytest.raises(UsageError, match="Did you mean 'risk'"):
        load_settings(tmp_path, {})


@pytest.mark.parametrize("text", ["risk = 2.0", "risk = 'low'", "risk = ", "delta = 0"])
def test_a_bad_value_is_refused_and_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "slimdown.toml").write_text(text)

    with pytest.raises(UsageError):
        load_settings(tmp_path, {})


def test_prices_can_come_from_the_environment_as_json(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, {"SLIMDOWN_PRICES": '{"my-llm": {"input": 1, "output": 2}}'})

    assert settings.prices["my-llm"]["output"] == 2
    with pytest.raises(UsageError, match="not JSON"):
        load_settings(tmp_path, {"SLIMDOWN_PRICES": "{"})
