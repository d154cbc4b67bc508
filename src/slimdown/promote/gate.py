"""The gate before a stage: a shadow takes a trained specialist, to serve takes a certificate.

A certificate holds for the task, the prompt and the weights that it was earned with; a change of
any of them voids it. Pure: whoever calls tells what is so now. It does not know who is asked when.
"""

from __future__ import annotations

import msgspec

from slimdown.canonical import content_id
from slimdown.errors import GateNotMet
from slimdown.types import Certificate, Release, Stage, Task, TaskSet

_KEPT = "Nothing was changed: the upstream goes on answering what no route serves."


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What is so at the time of a move.

    ``tasks`` are those of the newest run, ``before`` those that the route table pins now (None
    where it pins none); ``risk`` and ``delta`` what is asked of a certificate; ``files`` the
    content id of the specialist's files as they are.
    """

    tasks: TaskSet
    before: TaskSet | None
    risk: float
    delta: float
    files: str


def require(release: Release, stage: Stage, now: Standing) -> None:
    """Raise `GateNotMet`, naming what is missing, unless a specialist may go to ``stage``."""
    task = release.task
    if not any(stands_in(task, tasks) for tasks in (now.tasks, now.before) if tasks):
        raise GateNotMet(
            f"the task {task.name} is not among the tasks of the last run as it was when "
            f"{release.specialist_id[:12]} was trained. {_KEPT} Run `slimdown run`, then promote "
            "the specialist that it makes."
        )
    if stage == "shadow":
        return
    flaw = _flaw(release, now)
    if flaw:
        raise GateNotMet(
            f"{task.name} cannot go to {stage}: {flaw} {_KEPT} `--stage shadow` asks the "
            "specialist unseen meanwhile."
        )


def stands_in(task: Task, tasks: TaskSet) -> bool:
    """Tell whether ``tasks`` would assign a task's requests as they were when it was found."""
    return any(found.id == task.id and _same(found, task) for found in tasks.tasks)


def _same(found: Task, task: Task) -> bool:
    mine = (task.kind, task.template, task.centroid, task.radius)
    return (found.kind, found.template, found.centroid, found.radius) == mine


def _flaw(release: Release, now: Standing) -> str | None:
    certificate = release.certificate
    if certificate is None:
        why = release.refusal or "it was not tested."
        return f"its specialist {release.rung} has no certificate: {why}"
    if _fingerprints(certificate) != _fingerprints_now(release, now):
        return (
            "its certificate is void: the task, the prompt or the specialist's files are no longer "
            "those that it was earned with. `slimdown run` tests it anew."
        )
    if certificate.risk > now.risk or certificate.delta > now.delta:
        return (
            f"its certificate holds {certificate.risk:.2%} with {1 - certificate.delta:.0%} "
            f"confidence, but the settings ask for {now.risk:.2%} with {1 - now.delta:.0%}. "
            "`slimdown run` tests it at that."
        )
    return None


def _fingerprints(certificate: Certificate) -> tuple[str | None, ...]:
    keys = certificate.keyed_on
    pinned = (keys.get("task"), keys.get("template"), keys.get("specialist"))
    return (certificate.task_id, certificate.specialist_id, *pinned)


def _fingerprints_now(release: Release, now: Standing) -> tuple[str, ...]:
    task = release.task
    return (task.id, release.specialist_id, task.id, content_id(task.template), now.files)
