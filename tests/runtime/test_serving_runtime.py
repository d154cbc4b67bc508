"""The runtime as a process: it starts, drains, ends with its parent, and is put in its place."""

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from small_workspace import ENVIRON, PARCELS, Client, Workshop, asking, running

from slimdown.errors import UsageError
from slimdown.runtime.serving import Runtime, serve

TASK = "Name the intent."
RUN = """
import os, sys
from pathlib import Path
from slimdown.runtime.serving import serve
from slimdown.settings import Settings
settings = Settings(workspace=sys.argv[1], encoder="hashing")
sys.exit(serve(settings, os.environ, uds=Path(sys.argv[2]), with_parent=True))
"""


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path / "w")


@pytest.fixture
def parcels(workshop: Workshop) -> str:
    specialist_id = workshop.train(TASK, PARCELS)
    workshop.route(specialist_id)
    return specialist_id


@contextmanager
def process(workshop: Workshop, place: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a runtime in a process of its own until it ends, or the block does; it is ready."""
    command = [sys.executable, "-c", RUN, str(workshop.folder), str(place)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, env=os.environ | ENVIRON)
    try:
        Client(place).wait_for(lambda: _is_ready(place, child), tries=1_200)
        yield child
    finally:
        child.kill()
        child.wait()
        assert child.stdin is not None
        child.stdin.close()


def _is_ready(place: Path, child: subprocess.Popen[bytes]) -> bool:
    assert child.poll() is None
    try:
        return Client(place).get("/readyz")[0] == 200
    except OSError:
        return False


def test_a_unix_socket_is_its_owners_alone_and_gone_afterwards(
    workshop: Workshop, parcels: str, tmp_path: Path
) -> None:
    place = tmp_path / "r.sock"

    with running(workshop, uds=place) as client:
        assert client.ask(asking(TASK, "hello"), parcels)[0] == 200
        assert stat.S_IMODE(place.stat().st_mode) == 0o600

    assert not place.exists()


def test_a_name_that_is_not_loopbacks_does_on_a_socket(workshop: Workshop, tmp_path: Path) -> None:
    with running(workshop, uds=tmp_path / "r.sock") as client:
        assert client.get("/v1/models", host="runtime")[0] == 200


def test_a_second_runtime_at_the_same_place_is_refused(workshop: Workshop, tmp_path: Path) -> None:
    place = tmp_path / "r.sock"

    with running(workshop, uds=place) as client:
        with pytest.raises(UsageError, match="answers at"):
            Runtime(workshop.settings(), ENVIRON, uds=place)

        assert client.get("/readyz")[0] == 200


def test_a_taken_port_and_a_path_too_long_are_told(workshop: Workshop, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} cannot be listened on"):
            Runtime(workshop.settings(), ENVIRON, port=port)

    with pytest.raises(UsageError, match="shorter path"):
        Runtime(workshop.settings(), ENVIRON, uds=tmp_path / ("long" * 50))


def test_a_file_that_is_no_socket_is_left_alone(workshop: Workshop, tmp_path: Path) -> None:
    place = tmp_path / "notes.txt"
    place.write_text("mine")

    with pytest.raises(UsageError, match="cannot be listened on"):
        Runtime(workshop.settings(), ENVIRON, uds=place)

    assert place.read_text() == "mine"


def test_a_killed_runtime_is_followed_by_another(
    workshop: Workshop, parcels: str, tmp_path: Path
) -> None:
    place = tmp_path / "r.sock"
    with process(workshop, place) as child:
        child.kill()
        child.wait()
        left_behind = place.exists()

    with process(workshop, place):
        status, body = Client(place).ask(asking(TASK, "hello"), parcels)

    assert left_behind
    assert (status, body["model"]) == (200, parcels)


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "parent"])
def test_told_to_end_it_ends_well(workshop: Workshop, tmp_path: Path, how: str) -> None:
    with process(workshop, tmp_path / "r.sock") as child:
        if how == "parent":
            assert child.stdin is not None
            child.stdin.close()
        else:
            child.send_signal(signal.Signals[how])

        assert child.wait(20) == 0
    assert not (tmp_path / "r.sock").exists()


def test_who_leaves_early_stops_nothing(workshop: Workshop, parcels: str) -> None:
    with running(workshop) as client:
        for n in (20, 120):
            connection = client.connection()
            connection.connect()
            connection.sock.sendall(_HALF[:n])
            connection.close()

        assert client.ask(asking(TASK, "hello"), parcels)[0] == 200


_HALF = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
    b"content-length: 1000\r\nx-slimdown-offer: nobody\r\n\r\n" + b"{" * 100
)


def test_many_at_once_are_each_answered_their_own(workshop: Workshop, parcels: str) -> None:
    texts = [*PARCELS] * 20
    found: dict[int, str] = {}

    def ask(client: Client, i: int) -> None:
        body = client.ask(asking(TASK, texts[i]), parcels)[1]
        found[i] = body["choices"][0]["message"]["content"]

    with running(workshop) as client:
        threads = [threading.Thread(target=ask, args=(client, i)) for i in range(len(texts))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert [found[i] for i in range(len(texts))] == [PARCELS[text] for text in texts]


def test_serving_computes_with_one_thread(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(UsageError, match="cannot be listened on"),
    ):
        serve(workshop.settings(), ENVIRON, port=taken.getsockname()[1])

    assert os.environ["OMP_NUM_THREADS"] == "1"
