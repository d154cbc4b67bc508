"""Supervision of real children: small Python programs that say what they do."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slimdown import processes
from slimdown.processes import Child, ChildEnded, Supervisor, answers
from slimdown.testing import Close, Say, ScriptedUpstream

PATIENCE_S = 10.0
ENDS_WITH_PARENT = "import sys; print('up', flush=True); sys.stdin.read(); print('drained')"
IGNORES_SIGTERM = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('up', flush=True); time.sleep(60)"
)


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.01)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def supervisor(told: list[str]) -> Iterator[Supervisor]:
    with Supervisor(told.append) as made:
        yield made


def start(supervisor: Supervisor, told: list[str], code: str) -> None:
    supervisor.start(Child("child", python(code), os.environ))
    assert supervisor.wait_ready("child", lambda: "child: up" in told, PATIENCE_S)


def test_what_a_child_says_is_passed_on_under_its_name(
    supervisor: Supervisor, told: list[str]
) -> None:
    speaks = "import os; os.write(1, b'up\\n'); os.write(2, b'torn \\xe4\\n'); input()"
    start(supervisor, told, speaks)

    until(lambda: len(told) > 1)

    assert told == ["child: up", "child: torn \N{REPLACEMENT CHARACTER}"]


def test_a_child_that_was_killed_is_started_again(supervisor: Supervisor, told: list[str]) -> None:
    start(supervisor, told, ENDS_WITH_PARENT)
    first = supervisor.process_id("child")
    assert first is not None

    os.kill(first, signal.SIGKILL)
    until(lambda: told.count("child: up") == 2)

    assert supervisor.process_id("child") not in (None, first)
    assert "child ended (SIGKILL); starting it again" in told


def test_pauses_between_starts_grow(
    supervisor: Supervisor, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(processes, "LONGEST_PAUSE_S", 0.04)

    start(supervisor, told, "import time; print('up', flush=True); time.sleep(0.3)")

    until(lambda: told.count("child: up") >= 4)


@pytest.mark.parametrize("code", [1, 2, 4, 7])
def test_a_child_that_ends_before_it_is_ready_is_not_started_again(
    supervisor: Supervisor, told: list[str], code: int
) -> None:
    supervisor.start(Child("child", python(f"print('no port'); raise SystemExit({code})"), {}))

    with pytest.raises(ChildEnded, match="before it was ready") as raised:
        supervisor.wait_ready("child", lambda: False, PATIENCE_S)

    assert raised.value.code == code
    assert told == ["child: no port"]


def test_a_child_with_wrong_settings_is_not_started_again(
    supervisor: Supervisor, told: list[str]
) -> None:
    leaves = "import signal, sys; signal.signal(signal.SIGUSR1, lambda *_: sys.exit(2));"
    start(supervisor, told, leaves + "print('up', flush=True); input()")
    pid = supervisor.process_id("child")
    assert pid is not None

    os.kill(pid, signal.SIGUSR1)

    with pytest.raises(ChildEnded, match="cannot go on"):
        supervisor.wait()


def test_a_child_that_is_not_ready_in_time_is_told(supervisor: Supervisor) -> None:
    supervisor.start(Child("child", python(ENDS_WITH_PARENT), os.environ))

    with pytest.raises(ChildEnded):
        supervisor.wait_ready("child", lambda: False, 0.1)


def test_a_command_that_does_not_exist_ends_it_too(supervisor: Supervisor, told: list[str]) -> None:
    supervisor.start(Child("child", ("/nowhere/at/all",), {}))

    with pytest.raises(ChildEnded):
        supervisor.wait_ready("child", lambda: False, PATIENCE_S)

    assert told == ["child cannot be started: No such file or directory"]


def test_stopping_lets_a_child_finish_its_work(supervisor: Supervisor, told: list[str]) -> None:
    finishes = (
        "import signal, sys, time\n"
        "def end(*_): time.sleep(0.3); print('finished', flush=True); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); print('up', flush=True); time.sleep(60)"
    )
    start(supervisor, told, finishes)

    supervisor.stop()

    assert "child: finished" in told


def test_a_child_that_will_not_end_is_killed(supervisor: Supervisor, told: list[str]) -> None:
    start(supervisor, told, IGNORES_SIGTERM)
    pid = supervisor.process_id("child")
    assert pid is not None

    supervisor.stop(drain_s=0.2)

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_second_signal_kills_at_once(supervisor: Supervisor, told: list[str]) -> None:
    with supervisor.heeding_signals():
        start(supervisor, told, IGNORES_SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        first = supervisor.wait()
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()

        supervisor.stop(drain_s=60)

    assert first == signal.SIGTERM


def test_a_signal_ends_the_wait_for_a_child(supervisor: Supervisor) -> None:
    with supervisor.heeding_signals():
        supervisor.start(Child("child", python(ENDS_WITH_PARENT), os.environ))
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGINT)

        assert not supervisor.wait_ready("child", lambda: False, PATIENCE_S)


def test_children_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    mark = tmp_path / "drained"
    child = f"import sys; sys.stdin.read(); open({str(mark)!r}, 'w').close()"
    code = (
        "import sys, time; from slimdown.processes import *\n"
        f"s = Supervisor(print); s.start(Child('child', (sys.executable, '-c', {child!r}), {{}}))\n"
        "s.wait_ready('child', lambda: s.process_id('child'), 10)\n"
        "print('up', flush=True); s.wait()"
    )
    with subprocess.Popen(python(code), stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"

        parent.kill()

    until(mark.exists)


def test_a_child_may_heed_that_its_parent_has_gone() -> None:
    code = (
        "import threading; from slimdown.processes import end_with_parent; e = threading.Event();"
        "end_with_parent(e.set); print('up', flush=True); e.wait(); print('ended')"
    )
    with subprocess.Popen(
        python(code), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None and child.stdout is not None
        first = child.stdout.readline()

        child.stdin.close()

        assert (first, child.stdout.readline()) == ("up\n", "ended\n")


def test_no_one_answers_where_no_one_listens(tmp_path: Path) -> None:
    assert answers(tmp_path / "no.sock", "/readyz") is None
    assert answers(("127.0.0.1", 1), "/readyz") is None


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", 200),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", 503),
        (b"SSH-2.0-OpenSSH_9.2\r\n", None),
        (b"HTTP/1.1 \xb2\xb2\xb2 OK\r\n", None),
        (b"", None),
    ],
)
def test_the_status_of_a_page_is_read_whoever_answers(words: bytes, status: int | None) -> None:
    with ScriptedUpstream([Say(words), Close()]) as upstream:
        found = answers(("127.0.0.1", upstream.port), "/readyz")

        assert found == status
        assert upstream.requests[0].path == "/readyz"


def test_a_page_is_read_from_a_unix_socket_too(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        server = threading.Thread(target=_answer_once, args=(listener,))
        server.start()

        assert answers(path, "/readyz") == 200
        server.join()


def _answer_once(listener: socket.socket) -> None:
    client, _ = listener.accept()
    with client:
        client.recv(1024)
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
