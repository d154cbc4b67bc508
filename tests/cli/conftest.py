from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from slimdown.cli import execute

Slimdown = Callable[..., tuple[int, str, str]]


@pytest.fixture
def slimdown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Slimdown:
    """Run one command in an empty folder; return exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLIMDOWN_KEY_FILE", str(tmp_path / "keys" / "key"))
    monkeypatch.setenv("SLIMDOWN_ENCODER", "hashing")

    def command(*arguments: object) -> tuple[int, str, str]:
        code = execute([str(argument) for argument in arguments])
        told = capsys.readouterr()
        return code, told.out, told.err

    return command


@pytest.fixture
def slimdown_json(slimdown: Slimdown) -> Callable[..., Any]:
    """Run one command with --json and return what it printed, decoded."""

    def command(*arguments: object) -> Any:
        code, out, err = slimdown(*arguments, "--json")
        assert code == 0, err
        return msgspec.json.decode(out)

    return command
