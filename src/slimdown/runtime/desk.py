"""Answers questions by specialists, from one thread: all that wait are taken together.

Whatever came while the last batch was answered makes the next one, so batches grow with the load
and nobody waits for one to fill. It does not know how questions come in.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from slimdown.runtime.completion import Given, completion_of
from slimdown.runtime.refused import (
    ABSTAINED,
    FAILED,
    NOT_THIS_TASK,
    OVERLOADED,
    TOO_LONG,
    Refused,
    Why,
)
from slimdown.runtime.routing import Routing
from slimdown.runtime.shelf import Ready, Shelf, Unready
from slimdown.signature import specialist_input
from slimdown.types import JsonObject, Prediction

MOST_AT_ONCE = 32
"""Questions answered in one batch: an encoder gains little beyond, and the first of them waits."""

MOST_WAITING = 256
"""Questions that may wait; a further one is refused at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A chat-completions request, the specialists that may answer, and who waits for it."""

    request: JsonObject
    offered: tuple[str, ...]
    answer: asyncio.Future[bytes]
    """The completion as JSON; or `Refused`."""


@dataclass(frozen=True, slots=True, eq=False)
class _Matched:
    question: Question
    ready: Ready
    text: str


_Outcome = tuple[Question, bytes | Why]


class Desk:
    """A thread that answers, and the questions that wait for it; for one event loop."""

    def __init__(self, shelf: Shelf, routing: Callable[[], Routing]) -> None:
        """Answer by the specialists of ``shelf``, to the tasks of the ``routing`` at the time."""
        self.n_answered = 0
        self.n_batches = 0
        self._shelf = shelf
        self._routing = routing
        self._waiting: queue.SimpleQueue[Question | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="desk", daemon=True)

    @property
    def n_waiting(self) -> int:
        """How many questions wait."""
        return self._waiting.qsize()

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Answer what waits, then end."""
        self._waiting.put(None)
        self._thread.join()

    async def ask(self, request: JsonObject, offered: Sequence[str]) -> bytes:
        """Return the chat completion as JSON, or raise `Refused`; cancelled, it is not made."""
        if self.n_waiting >= MOST_WAITING:
            raise Refused(OVERLOADED)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.put(Question(request, tuple(offered), answer))
        return await answer

    def _work(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch = [first]
            while len(batch) < MOST_AT_ONCE and not self._waiting.empty():
                further = self._waiting.get()
                if further is None:
                    self._waiting.put(None)
                    break
                batch.append(further)
            self._answer([question for question in batch if not question.answer.cancelled()])

    def _answer(self, questions: Sequence[Question]) -> None:
        self.n_batches += bool(questions)
        assigned = self._assigned(questions)
        matched: dict[str, list[_Matched]] = {}
        refused: list[_Outcome] = []
        for question, task_id in zip(questions, assigned, strict=True):
            try:
                found = self._matched(question, task_id)
            except Refused as refusal:
                refused.append((question, refusal.why))
            else:
                matched.setdefault(found.ready.release.specialist_id, []).append(found)
        _tell(refused)
        for group in matched.values():
            outcomes = _by_specialist(group)
            self.n_answered += sum(isinstance(answer, bytes) for _, answer in outcomes)
            _tell(outcomes)

    def _assigned(self, questions: Sequence[Question]) -> list[str | None]:
        routing = self._routing()
        try:
            return routing.assign([question.request for question in questions])
        except Exception:  # noqa: BLE001 - a request may be anything; it must not stop the others
            if len(questions) == 1:
                return [None]
            return [each for question in questions for each in self._assigned([question])]

    def _matched(self, question: Question, task_id: str | None) -> _Matched:
        """Return the offered specialist of the request's task with its input; raises `Refused`."""
        found = [self._shelf.find(each) for each in question.offered]
        for each in found:
            if each.release is None or each.release.task.id != task_id:
                continue
            if isinstance(each, Unready):
                raise Refused(each.why)
            text = specialist_input(each.release.task, question.request)
            if len(text) > each.release.longest_input:
                raise Refused(TOO_LONG)
            return _Matched(question, each, text)
        unread = [e.why for e in found if isinstance(e, Unready) and e.release is None]
        raise Refused(unread[0] if unread else NOT_THIS_TASK)


def _by_specialist(group: Sequence[_Matched]) -> list[_Outcome]:
    """Answer questions of one specialist; one that it fails on does not take the others along."""
    try:
        predictions = group[0].ready.specialist.answer([each.text for each in group])
        return [_outcome(each, p) for each, p in zip(group, predictions, strict=True)]
    except Exception:  # noqa: BLE001 - a rung of anybody's may raise anything
        if len(group) == 1:
            return [(group[0].question, FAILED)]
        return [outcome for each in group for outcome in _by_specialist([each])]


def _outcome(matched: _Matched, prediction: Prediction) -> _Outcome:
    if prediction.output is None:
        return matched.question, ABSTAINED
    release, request = matched.ready.release, matched.question.request
    given = Given(
        task_id=release.task.id,
        specialist_id=release.specialist_id,
        kind=release.task.kind,
        output=prediction.output,
        score=matched.ready.agreement.score(prediction),
        confidence=prediction.confidence,
    )
    completion = completion_of(
        given, request, id=f"chatcmpl-{os.urandom(12).hex()}", created=int(time.time())
    )
    return matched.question, msgspec.json.encode(completion)


def _tell(outcomes: Sequence[_Outcome]) -> None:
    if outcomes:
        outcomes[0][0].answer.get_loop().call_soon_threadsafe(_settle, outcomes)


def _settle(outcomes: Sequence[_Outcome]) -> None:
    for question, outcome in outcomes:
        if question.answer.done():
            continue
        if isinstance(outcome, Why):
            question.answer.set_exception(Refused(outcome))
        else:
            question.answer.set_result(outcome)
