"""The values that pass between rooms: frozen, without I/O, with one meaning each.

A `Call` is what happened; an `Example` is what a specialist learns from; a `Task` is a cluster of
like calls; a `Dataset` is a task's examples in splits; a `Prediction` is a specialist's answer;
a `Certificate` or a `Refusal` is the verdict on it. Nothing here knows where values are kept.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

JsonObject = dict[str, Any]
"""A JSON object as msgspec decodes it."""

OutputKind = Literal["label", "json", "tool", "text"]
"""What a task's answers are: one of a closed set, a JSON object, tool calls, or free text."""

Stage = Literal["shadow", "canary", "live", "retired"]
"""How far a specialist may go: asked unseen, serving a share of sessions, serving all, none."""

AnswerKind = Literal["text", "json", "tool"]
"""What a single answer is; only a task can tell that its texts are labels."""


class Call(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One model request and its answer, as recorded.

    ``request`` is a chat-completions request and ``response`` a chat completion, both untouched.
    ``started_at`` is ISO 8601 in UTC (it sorts as text), ``latency_ms`` milliseconds. ``label`` is
    the ground truth where somebody knows it; it is never trained on. ``error`` says why a call
    failed; such a call is kept and never trained on.
    """

    id: str
    request: JsonObject
    response: JsonObject | None = None
    started_at: str | None = None
    latency_ms: float | None = None
    session_id: str | None = None
    error: str | None = None
    label: Any = None
    metadata: JsonObject = {}


class Answer(msgspec.Struct, frozen=True):
    """What the model said, parsed.

    ``value`` is the stripped text of a ``text`` answer, the object or array of a ``json`` one, and
    for ``tool`` a list of ``{"name": str, "arguments": object}`` in the order they were called.
    """

    kind: AnswerKind
    value: Any


class Example(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call as a specialist sees it: the variable part of the prompt, and what to answer.

    ``output`` is a str for kinds ``label`` and ``text``, an object for ``json``, a list of
    ``{"name", "arguments"}`` for ``tool`` (a str where the model replied in words instead).
    ``session`` and ``group`` tell which examples are not independent of each other.
    """

    id: str
    input: str
    output: Any
    session: str
    group: str
    started_at: str = ""
    label: Any = None


class Dropped(msgspec.Struct, frozen=True):
    """A call that a stage set aside, and why. ``reason`` is a short stable code."""

    call_id: str
    reason: str
    detail: str = ""


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """A task's examples, split by time and session: train is oldest, calibration newest.

    In ``dev`` and ``calibration`` no two examples share a session or a near-duplicate group, and
    none shares one with an earlier split.
    """

    task_id: str
    kind: OutputKind
    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    calibration: tuple[Example, ...]
    dropped: tuple[Dropped, ...] = ()

    @property
    def n_examples(self) -> int:
        """Examples in all three splits."""
        return len(self.train) + len(self.dev) + len(self.calibration)


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """A specialist's answer to one input.

    ``confidence`` lies in 0..1 and ranks answers; it promises nothing by itself. ``signals`` are
    named features from which an agreement model may rank better. ``fields`` maps an output field
    to its own confidence. ``output`` is None where the specialist abstains: never served.
    """

    output: Any
    confidence: float
    signals: dict[str, float] = {}
    fields: dict[str, float] = {}


class DevPrediction(msgspec.Struct, frozen=True):
    """A prediction for an example that its model was not fitted on (dev, or held out of train)."""

    example_id: str
    prediction: Prediction


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """What training leaves beside the weights: honest predictions, and facts about the run."""

    dev: tuple[DevPrediction, ...]
    facts: JsonObject = {}


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Written last into a specialist's folder, so its presence means that the rest is whole.

    ``files`` maps a file's name to the SHA-256 of its bytes, in hexadecimal.
    """

    id: str
    rung: str
    task_id: str
    kind: OutputKind
    dataset_id: str
    files: dict[str, str]
    train_seconds: float
    n_train: int
    created_at: str
    facts: JsonObject = {}
    version: int = 1


class Graded(msgspec.Struct, frozen=True):
    """A held-out example as a specialist answered it: its score, and whether it agreed."""

    score: float
    agreed: bool


class CurvePoint(msgspec.Struct, frozen=True):
    """One point of the coverage-versus-risk curve on calibration, with its upper bound."""

    coverage: float
    threshold: float
    n: int
    k: int
    upper: float


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """The evidence by which a specialist may serve answers that score ``threshold`` or more.

    Of ``n`` served calibration answers ``k`` disagreed with the upstream, which bounds the served
    disagreement by ``risk`` with confidence ``1 - delta``. ``coverage`` is the share of unlabelled
    recent traffic that scores at least ``threshold``. ``keyed_on`` fingerprints all it rests on.
    """

    task_id: str
    specialist_id: str
    rung: str
    threshold: float
    n: int
    k: int
    risk: float
    delta: float
    coverage: float
    upper: float
    keyed_on: dict[str, str]
    created_at: str


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a specialist may not serve. ``code`` is stable; ``missing_labels`` is an estimate of the
    further labelled calls that would make a test worthwhile, None where more would not help."""

    code: str
    reason: str
    missing_labels: int | None = None


class Slot(msgspec.Struct, frozen=True):
    """One message position of a template: who speaks, and the constant text around what varies.

    A message is ``prefix + variable + suffix``; ``constant`` means that prefix is all of it.
    """

    role: str
    prefix: str = ""
    suffix: str = ""
    constant: bool = False


class Template(msgspec.Struct, frozen=True):
    """The constant parts of a task's requests, by message position from the start.

    Messages beyond ``slots`` are wholly variable. ``tools_id`` and ``contract_id`` are content
    ids of the tool list and of the output contract ("" where a request has none).
    """

    slots: tuple[Slot, ...]
    tools_id: str = ""
    contract_id: str = ""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster of like calls.

    ``centroid`` (a mean of unit vectors, so shorter than they) and ``radius`` (a squared Euclidean
    distance) are set where several tasks share a template, or where it holds no constant text;
    a request beyond every radius belongs to no task. ``actions`` are what the calls of the task
    answered with when it was found (tool names, output shapes): to describe it, not to assign.
    """

    id: str
    name: str
    description: str
    kind: OutputKind
    template: Template
    actions: tuple[str, ...] = ()
    centroid: tuple[float, ...] = ()
    radius: float = 0.0
    n_calls: int = 0


class TaskSet(msgspec.Struct, frozen=True, kw_only=True):
    """The tasks that requests are assigned among, and the embedder that their centroids need."""

    embedder: str
    tasks: tuple[Task, ...]


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """A trained specialist with all that is needed to serve it.

    ``agreement`` is the fitted agreement model, as `AgreementModel` converts it; without a
    ``certificate`` (``refusal`` tells why) only a shadow may run. ``longest_input`` counts the
    characters of the longest input it was made or judged with: a longer one goes upstream.
    ``models`` are the upstream models that its examples asked for. ``known_values`` are the texts
    that recur in the answers; another text must stand in the request to count as grounded.
    """

    specialist_id: str
    rung: str
    task: Task
    agreement: JsonObject
    longest_input: int
    models: tuple[str, ...]
    known_values: tuple[str, ...] = ()
    certificate: Certificate | None = None
    refusal: str = ""
    created_at: str = ""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers a task's calls: ``share`` is that of sessions while the stage is canary.

    Answers that score less than ``threshold`` go upstream; None (no certificate) serves none.
    ``delta`` and ``risk`` are those of the certificate by which it serves.
    """

    task_id: str
    task_name: str
    specialist_id: str
    rung: str
    stage: Stage
    share: float = 1.0
    threshold: float | None = None
    risk: float | None = None
    delta: float | None = None


class RouteTable(msgspec.Struct, frozen=True, kw_only=True):
    """All routes at one time. A change makes the next ``version``; none is ever edited.

    ``tasks_id`` is the content id of the `TaskSet` that requests are assigned among.
    """

    version: int = 0
    tasks_id: str = ""
    routes: tuple[Route, ...] = ()
    author: str = ""
    reason: str = ""
    created_at: str = ""


class Decision(msgspec.Struct, frozen=True):
    """Who is asked for a call, and why: ``reason`` is a short stable code.

    ``route`` is that of the call's task where it has one. ``asks_specialist`` where the specialist
    may answer the caller; ``shadows`` where it is asked after the upstream's reply has left.
    """

    reason: str
    route: Route | None = None
    asks_specialist: bool = False
    shadows: bool = False


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """A specialist's answer beside the upstream's, on a call that was answered by the upstream."""

    call_id: str
    task_id: str
    specialist_id: str
    stage: Stage
    score: float
    output: Any
    agreed: bool
    created_at: str
