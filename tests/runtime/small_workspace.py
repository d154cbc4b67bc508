"""A workspace with trained specialists and routes, made without a run; and a runtime on it."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from slimdown.artefact import Artefact
from slimdown.canonical import content_id
from slimdown.evaluate.confidence import AgreementModel
from slimdown.runtime.serving import Runtime
from slimdown.seal import KEY_BYTES, Sealer, encode_key
from slimdown.settings import GatewaySettings, Settings
from slimdown.store import Store
from slimdown.train.job import Job, work
from slimdown.types import (
    Dataset,
    Example,
    JsonObject,
    OutputKind,
    Release,
    Route,
    RouteTable,
    Slot,
    Task,
    TaskSet,
    Template,
)

KEY = bytes(range(KEY_BYTES))
ENVIRON = {"SLIMDOWN_KEY": encode_key(KEY)}
COPYING = "slimdown.testing:CopyingRung"
PARCELS = {"where is it?": "delivery", "i want my money": "refund", "hello": "delivery"}


class Workshop:
    """A folder that becomes a workspace, a task and a specialist at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tasks: list[Task] = []
        with Store.open(folder, ENVIRON):
            pass

    def settings(self, **gateway: Any) -> Settings:
        return Settings(
            workspace=str(self.folder), encoder="hashing", gateway=GatewaySettings(**gateway)
        )

    def train(
        self,
        name: str,
        answers: Mapping[str, Any],
        *,
        kind: OutputKind = "label",
        rung: str = COPYING,
        task: Task | None = None,
    ) -> str:
        """Train a specialist for a task of this name; return its id."""
        task = task or task_of(name, kind)
        examples = tuple(
            Example(id=f"{i}", input=text, output=output, session=f"{i}", group=f"{i}")
            for i, (text, output) in enumerate(answers.items())
        )
        dataset = Dataset(task_id=task.id, kind=kind, train=examples, dev=(), calibration=())
        specialist_id = content_id([rung, name, dataset])
        path = self.folder / "specialists" / specialist_id
        job = Job(
            rung=rung,
            path=str(path),
            key=KEY,
            dataset=dataset,
            dataset_id="d",
            specialist_id=specialist_id,
        )
        work(job, lambda _share, _note: None)
        self.release(specialist_id, task, rung, max(map(len, answers)))
        return specialist_id

    def release(self, specialist_id: str, task: Task, rung: str, longest: int) -> None:
        release = Release(
            specialist_id=specialist_id,
            rung=rung,
            task=task,
            agreement=msgspec.to_builtins(AgreementModel()),
            longest_input=longest,
            models=("gpt-4o-mini",),
        )
        self.tasks = [*(t for t in self.tasks if t.id != task.id), task]
        with Store.open(self.folder, ENVIRON, role="short") as store:
            store.put_result("release", specialist_id, release)

    def route(self, *specialist_ids: str, embedder: str = "") -> RouteTable:
        """Route these specialists, each as a shadow of its task, in the next table."""
        tasks = TaskSet(embedder=embedder, tasks=tuple(self.tasks))
        tasks_id = content_id(tasks)
        with Store.open(self.folder, ENVIRON, role="short") as store:
            releases = [
                msgspec.convert(store.result("release", each), Release) for each in specialist_ids
            ]
            table = RouteTable(
                version=store.routes().version + 1,
                tasks_id=tasks_id,
                routes=tuple(map(_shadow, releases)),
            )
            store.put_routes(table, {("tasks", tasks_id): tasks})
        return table

    def artefact(self, specialist_id: str) -> Artefact:
        return Artefact(self.folder / "specialists" / specialist_id, Sealer(KEY))


def _shadow(release: Release) -> Route:
    return Route(
        task_id=release.task.id,
        task_name=release.task.name,
        specialist_id=release.specialist_id,
        rung=release.rung,
        stage="shadow",
    )


def task_of(name: str, kind: OutputKind = "label") -> Task:
    """Return a task whose requests have ``name`` as their system message."""
    template = Template((Slot("system", prefix=name, constant=True), Slot("user")))
    return Task(id=f"id-of-{name}", name=name, description="", kind=kind, template=template)


def asking(task: str, text: str, **members: Any) -> JsonObject:
    """Return a request of a task."""
    messages = [{"role": "system", "content": task}, {"role": "user", "content": text}]
    return {"model": "gpt-4o-mini", "messages": messages, **members}


@contextmanager
def running(workshop: Workshop, *, uds: Path | None = None, **gateway: Any) -> Iterator[Client]:
    """Serve a workspace until left; yield a client of the runtime, which is ready."""
    runtime = Runtime(workshop.settings(**gateway), ENVIRON, uds=uds)
    thread = threading.Thread(target=runtime.run, daemon=True)
    thread.start()
    client = Client(uds or runtime.port)
    try:
        client.wait_for(lambda: client.get("/readyz")[0] == 200)
        yield client
    finally:
        runtime.stop()
        thread.join()


class Client:
    """Asks a runtime on a port or a Unix socket; each request over a connection of its own."""

    def __init__(self, place: Path | int) -> None:
        self._place = place

    def get(self, path: str, **headers: str) -> tuple[int, Any]:
        return self.send("GET", path, b"", headers)

    def ask(self, request: JsonObject, *offered: str) -> tuple[int, Any]:
        """Post a request that these specialists may answer; return status and decoded body."""
        headers = {"x-slimdown-offer": ",".join(offered)} if offered else {}
        return self.send("POST", "/v1/chat/completions", msgspec.json.encode(request), headers)

    def code(self, request: JsonObject, *offered: str) -> tuple[int, str]:
        """Return status and error code of a request that is refused."""
        status, body = self.ask(request, *offered)
        return status, body["error"]["code"]

    def text(self, path: str) -> str:
        return self._exchanged("GET", path, b"", {})[1].decode()

    def send(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, Any]:
        status, content = self._exchanged(method, path, body, headers)
        return status, msgspec.json.decode(content) if content else None

    def _exchanged(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        connection = self.connection()
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def connection(self) -> http.client.HTTPConnection:
        if isinstance(self._place, int):
            return http.client.HTTPConnection("127.0.0.1", self._place, timeout=10)
        return _UnixConnection(self._place)

    def wait_for(self, is_so: Any, tries: int = 400) -> None:
        """Wait until something is so, ten seconds at most."""
        pause = threading.Event()
        for _ in range(tries):
            if is_so():
                return
            pause.wait(0.025)
        raise AssertionError("waited in vain")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(str(self._path))
