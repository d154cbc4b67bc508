"""Groups calls by signature: tool list, output contract, and the constant text of their prompts.

Message positions are taken from the start, as long as what came before is constant; the first
position that varies ends a template. Knows prompts only: what was answered plays no part here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slimdown.cluster.mine import Seen, common_prefix, common_suffix, mine
from slimdown.signature import contract_id, messages_of, spoken_text, tools_id
from slimdown.types import Call, Slot, Template

_INSTRUCTING = ("system", "developer")


@dataclass(frozen=True, slots=True)
class Signature:
    """A template and the indices of the calls that it was found in."""

    template: Template
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Prompt:
    """What mining needs of a call, read once."""

    roles: tuple[str, ...]
    texts: tuple[str, ...]
    opener: int

    def role(self, position: int) -> str:
        return self.roles[position] if position < len(self.roles) else ""


@dataclass(frozen=True, slots=True)
class _Group:
    members: list[int]
    slots: tuple[Slot, ...]


def find_signatures(calls: Sequence[Call]) -> list[Signature]:
    """Return the signatures of ``calls``; each call is a member of exactly one."""
    prompts = [_prompt(call) for call in calls]
    bases: dict[tuple[str, str], list[int]] = {}
    for index, call in enumerate(calls):
        base = (tools_id(call.request), contract_id(call.request))
        bases.setdefault(base, []).append(index)
    found: dict[Template, list[int]] = {}
    for base, members in bases.items():
        for group in _refined(prompts, members):
            template = Template(_trimmed(group.slots), *base)
            found.setdefault(template, []).extend(group.members)
    return [Signature(template, tuple(sorted(members))) for template, members in found.items()]


def _refined(prompts: Sequence[_Prompt], members: list[int]) -> list[_Group]:
    """Divide calls of one tool list and contract by their messages, position after position."""
    done, todo = [], [_Group(members, ())]
    while todo:
        group = todo.pop()
        if group.slots and _ends(group, prompts):
            done.append(group)
        else:
            todo.extend(_next_position(prompts, group))
    return done


def _ends(group: _Group, prompts: Sequence[_Prompt]) -> bool:
    """Tell whether the next position holds nothing constant: a hole before, or calls that end."""
    last, position = group.slots[-1], len(group.slots)
    if not last.constant and last.role not in _INSTRUCTING:
        return True
    roles = {prompts[i].role(position) for i in group.members}
    return roles <= {""} or ("" in roles and len(roles) > 1) or roles <= {"tool"}


def _next_position(prompts: Sequence[_Prompt], group: _Group) -> list[_Group]:
    position = len(group.slots)
    found: list[_Group] = []
    by_role: dict[str, list[int]] = {}
    for index in group.members:
        by_role.setdefault(prompts[index].role(position), []).append(index)
    for role, members in sorted(by_role.items()):
        found += _by_text(prompts, members, group.slots, role)
    return found


def _by_text(
    prompts: Sequence[_Prompt], members: list[int], slots: tuple[Slot, ...], role: str
) -> list[_Group]:
    position = len(slots)
    where: dict[str, list[int]] = {}
    for index in members:
        where.setdefault(_text(prompts[index], position), []).append(index)
    seen = [
        Seen(text, len(found), len({prompts[i].opener for i in found}))
        for text, found in where.items()
    ]
    groups = mine(seen, instructing=role in _INSTRUCTING)
    return [
        _Group(
            sorted(i for place in group for i in where[seen[place].text]),
            (*slots, _slot(role, [seen[place].text for place in group])),
        )
        for group in groups
    ]


def _slot(role: str, texts: list[str]) -> Slot:
    if len(texts) == 1:
        return Slot(role, texts[0], constant=True)
    prefix = common_prefix(texts)
    # A prefix and a suffix that overlap in the shortest text would leave it no room.
    suffix = common_suffix([text[len(prefix) :] for text in texts])
    return Slot(role, prefix, suffix)


def _trimmed(slots: tuple[Slot, ...]) -> tuple[Slot, ...]:
    """Drop what constrains nothing at the end: a wholly variable user message."""
    while slots and not (slots[-1].prefix or slots[-1].suffix or slots[-1].constant):
        slots = slots[:-1]
    return slots


def _prompt(call: Call) -> _Prompt:
    messages = messages_of(call.request)
    texts = tuple(spoken_text(message) for message in messages)
    roles = tuple(str(message.get("role", "")) for message in messages)
    first_answer = roles.index("assistant") if "assistant" in roles else len(roles)
    return _Prompt(roles, texts, hash(texts[:first_answer]))


def _text(prompt: _Prompt, position: int) -> str:
    return prompt.texts[position] if position < len(prompt.texts) else ""
