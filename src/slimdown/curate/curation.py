"""Curation (S2): which calls are fit to learn from, and which of them are not independent.

One pass over the calls, keeping small facts of each; nothing of a call's text is held. What is
set aside stands in ``dropped`` with its reason. Duplicates are kept and grouped, since `split`
must know them; contradictory answers to one input are kept and named, since the upstream's noise
is part of what a specialist is measured against. Does not know tasks, templates or the store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import msgspec
from msgspec.structs import replace

from slimdown.canonical import content_id
from slimdown.curate.duplicates import Groups
from slimdown.curate.filters import (
    SYSTEM_ROLES,
    CurationRules,
    Look,
    checks,
    objection,
)
from slimdown.curate.outcomes import parse_rule
from slimdown.signature import messages_of, spoken_text
from slimdown.types import Call, Dropped


class Kept(msgspec.Struct, frozen=True):
    """A call fit to learn from. Calls of one ``group`` have nearly the same input; ``session`` is
    "" and ``started_at`` "" where unknown."""

    call_id: str
    group: str
    session: str
    started_at: str


class Curated(msgspec.Struct, frozen=True, kw_only=True):
    """What curation kept and what it set aside.

    ``contradictory`` are the kept calls whose exact input another kept call answered otherwise;
    ``unjudged`` counts, for each outcome rule, the calls whose metadata lacks its key.
    """

    kept: tuple[Kept, ...]
    dropped: tuple[Dropped, ...]
    contradictory: tuple[str, ...] = ()
    unjudged: dict[str, int] = {}

    @property
    def n_groups(self) -> int:
        """Distinct inputs among the kept calls, near-duplicates counted once."""
        return len({kept.group for kept in self.kept})

    @property
    def reasons(self) -> dict[str, int]:
        """Calls set aside, by reason, most frequent first."""
        return dict(Counter(dropped.reason for dropped in self.dropped).most_common())


def input_text(call: Call) -> str:
    """Return the text of all messages but the system's: a stand-in where no template is known."""
    spoken = [m for m in messages_of(call.request) if m.get("role") not in SYSTEM_ROLES]
    return "\n".join(spoken_text(message) for message in spoken)


def curate(
    calls: Iterable[Call],
    rules: CurationRules | None = None,
    *,
    text_of: Callable[[Call], str] = input_text,
) -> Curated:
    """Sort calls into kept and dropped, and group the kept ones by near-equal ``text_of``.

    ``text_of`` gives the variable part of a call's prompt: constant text makes calls look alike.
    Raises `UsageError` for a malformed rule, before any call is read.
    """
    rules = rules or CurationRules()
    tried, outcomes = checks(rules), [parse_rule(text) for text in rules.outcomes]
    kept: list[Kept] = []
    dropped: list[Dropped] = []
    groups, answers = Groups(), _Answers()
    unjudged: Counter[str] = Counter()
    for call in calls:
        look, set_aside = objection(call, tried)
        unjudged.update(r.text for r in outcomes if r.holds(call.metadata) is None)
        if set_aside:
            dropped.append(set_aside)
            continue
        kept.append(Kept(call.id, "", call.session_id or "", call.started_at or ""))
        groups.add(text_of(call))
        answers.add(look)
    return Curated(
        kept=tuple(replace(k, group=g) for k, g in zip(kept, groups.ids(), strict=True)),
        dropped=tuple(dropped),
        contradictory=answers.contradictory(),
        unjudged=dict(unjudged),
    )


class _Answers:
    """Remembers by content id how each exact input was answered."""

    def __init__(self) -> None:
        self._seen: list[tuple[str, str, str]] = []

    def add(self, look: Look) -> None:
        request = look.call.request
        asked = [request.get(name) for name in ("messages", "tools", "response_format")]
        self._seen.append((look.call.id, content_id(asked), content_id(look.answer)))

    def contradictory(self) -> tuple[str, ...]:
        """Return the ids of the calls whose input was answered in more than one way."""
        first: dict[str, str] = {}
        contested = {
            asked for _, asked, answer in self._seen if first.setdefault(asked, answer) != answer
        }
        return tuple(call_id for call_id, asked, _ in self._seen if asked in contested)
