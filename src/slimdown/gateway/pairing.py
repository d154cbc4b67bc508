"""A specialist's answer beside the upstream's, as evidence: compared, never executed or shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from slimdown.answer import answer_of, finish_reason, output_of
from slimdown.backends.reply import RuntimeAnswer, RuntimeRefusal
from slimdown.evaluate.agreement import agreement_for
from slimdown.gateway.planning import Plan, route_of
from slimdown.types import Call, Evidence, JsonObject, OutputKind

_FINISHED = frozenset({"stop", "tool_calls", "function_call"})


def compared(
    plan: Plan,
    draft: RuntimeAnswer | RuntimeRefusal | None,
    call_id: str,
    upstream_answer: JsonObject | None,
) -> Evidence | None:
    """Return a draft beside the upstream's answer, or None where either is missing."""
    if not isinstance(draft, RuntimeAnswer) or not is_comparable(upstream_answer):
        return None
    route, release = route_of(plan, draft), plan.releases.get(draft.specialist_id)
    if route is None or release is None:
        return None
    kind = release.task.kind
    ours, theirs = _output(kind, draft.completion), _output(kind, upstream_answer)
    if ours is None or theirs is None:
        return None
    return Evidence(
        call_id=call_id,
        task_id=draft.task_id,
        specialist_id=draft.specialist_id,
        stage=route.stage,
        score=draft.score,
        output=ours,
        agreed=agreement_for(kind)(ours, theirs),
        created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )


def is_comparable(upstream_answer: JsonObject | None) -> bool:
    """Tell whether the upstream finished its answer: a cut one is nobody's teacher."""
    return finish_reason(upstream_answer) in _FINISHED


def _output(kind: OutputKind, completion: JsonObject | None) -> Any:
    answer = answer_of(Call(id="", request={}, response=completion))
    return None if answer is None else output_of(kind, answer)
