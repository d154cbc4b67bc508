"""``slimdown runtime`` as a command: where it listens, how it ends, what it refuses."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from slimdown.seal import encode_key
from slimdown.store import Store

Slimdown = Callable[..., tuple[int, str, str]]
ENVIRON = {"SLIMDOWN_KEY": encode_key(bytes(32)), "PYTHONUNBUFFERED": "1"}


def test_a_port_and_a_socket_exclude_each_other(slimdown: Slimdown) -> None:
    code, _, err = slimdown("runtime", "--port", "0", "--socket", "x")

    assert code == 2
    assert "exclude each other" in err


def test_a_socket_that_cannot_be_had_is_a_usage_error(slimdown: Slimdown, tmp_path: Path) -> None:
    code, _, err = slimdown("runtime", "--socket", tmp_path / ("long" * 50))

    assert code == 2
    assert "Nothing was started" in err


@pytest.mark.parametrize("flags", [("--port", "0"), ()], ids=["port", "socket"])
def test_it_says_where_it_answers_and_ends_when_told(
    tmp_path: Path, flags: tuple[str, ...]
) -> None:
    with Store.open(tmp_path / "w", ENVIRON):
        pass
    command = [sys.executable, "-m", "slimdown", "runtime", "-w", "w", *flags]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env=os.environ | ENVIRON, cwd=tmp_path, text=True
    ) as child:
        assert child.stdout is not None
        line = child.stdout.readline()
        port = re.search(r"http://127.0.0.1:(\d+)/v1", line)
        if port:
            with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/healthz") as reply:
                assert reply.status == 200
        child.send_signal(signal.SIGTERM)

        assert child.wait(20) == 0
    assert bool(port) == bool(flags)
    assert line.startswith("Specialists answer at ")
    assert ("w/runtime.sock" in line) != bool(flags)
