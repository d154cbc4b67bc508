"""The tasks that a request may belong to, by its signature alone: no vectors, microseconds.

Where several tasks share a template, all of them are candidates; which one it is takes an embedder
and is for `assign`. Knows nothing of routes.
"""

from __future__ import annotations

from collections.abc import Sequence

from slimdown.signature import (
    constant_chars,
    contract_id,
    matches_messages,
    messages_of,
    tools_id,
)
from slimdown.types import JsonObject, Task, Template

MOST_TOOLS = 1_024
"""A request with more tools belongs to no task: to compare them would take its time, and OpenAI
allows 128."""


class Candidates:
    """An index of tasks by template, most specific template first."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        """Index ``tasks``."""
        by_template: dict[Template, tuple[Task, ...]] = {}
        for task in tasks:
            by_template[task.template] = (*by_template.get(task.template, ()), task)
        self._of: dict[tuple[str, str], list[tuple[Template, tuple[Task, ...]]]] = {}
        for template in sorted(by_template, key=lambda t: (-len(t.slots), -constant_chars(t))):
            base = (template.tools_id, template.contract_id)
            self._of.setdefault(base, []).append((template, by_template[template]))

    def of(self, request: JsonObject) -> tuple[Task, ...]:
        """Return the tasks of the most specific template that a request matches, if any."""
        tools = request.get("tools") or request.get("functions")
        if isinstance(tools, list) and len(tools) > MOST_TOOLS:
            return ()
        listed = self._of.get((tools_id(request), contract_id(request)))
        if not listed:
            return ()
        messages = messages_of(request)
        return next((tasks for t, tasks in listed if matches_messages(t, messages)), ())
