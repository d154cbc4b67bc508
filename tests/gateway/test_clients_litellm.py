"""The unmodified `litellm` library hears through the gateway what it would hear without it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from recorded_calls import WORDS, Replayed, Row, replaying, row_of, said

CALLER = Path(__file__).with_name("litellm_caller.py")


class Told(msgspec.Struct, frozen=True):
    """What the library heard by session, and what was recorded meanwhile."""

    heard: dict[str, Any]
    replayed: Replayed

    def row(self, session: str) -> Row:
        """Return the only row of a session."""
        (call,) = self.replayed.rows(session)
        return row_of(call)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with replaying(tmp_path_factory.mktemp("litellm"), said("where?")) as replayed:
        command = [sys.executable, str(CALLER), replayed.base_url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        yield Told(json.loads(done.stdout.splitlines()[-1]), replayed)


def test_a_completion_is_the_recorded_one(told: Told) -> None:
    assert (told.heard["plain"], told.heard["plain tokens"]) == (WORDS, 55)
    assert told.row("plain") == Row("chat", False, None, WORDS, 55)


def test_a_stream_joins_to_the_recorded_words(told: Told) -> None:
    row = told.row("stream")

    assert told.heard["stream"] == WORDS
    assert (row.stream, row.error, row.said) == (True, None, WORDS)


def test_an_awaited_completion_is_the_recorded_one(told: Told) -> None:
    assert told.heard["async"] == WORDS
    assert told.row("async") == Row("chat", False, None, WORDS, 55)


def test_a_miss_is_an_error_of_the_library(told: Told) -> None:
    assert "none of the 1 recorded calls asked this" in told.heard["miss"]
    assert (told.row("miss").error or "").startswith("upstream_status_404")
