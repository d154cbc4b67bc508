"""A surveyed log: every call is somewhere once, and the figures are of those calls."""

from collections.abc import Iterable

import msgspec
import pytest

from slimdown.curate import CurationRules
from slimdown.ledger import load_prices
from slimdown.testing import sample_call
from slimdown.types import Call
from slimdown.workspace.survey import Survey, survey

SYSTEMS = ("Sort this mail by its topic.", "Rate the mood of this text.")


def log(n: int = 80) -> list[Call]:
    """Return calls of two tasks in turn, and one that is like no other."""
    calls = [
        sample_call(
            f"{i * 7919 % 1009} words {i} and {i * 31 % 97}",
            ("yes", "no")[i // 2 % 2],
            system=SYSTEMS[i % 2],
            session_id=f"s{i // 4}",
        )
        for i in range(n)
    ]
    return [*calls, sample_call("write a poem on rain", "Rain, rain.", system="You are a poet.")]


def surveyed(calls: Iterable[Call], **given: object) -> Survey:
    kept, told = list(calls), {"outcomes": (), "human_facing": ()} | given
    return survey(
        lambda: kept,
        embedder=None,
        rules=msgspec.convert(told, CurationRules),
        prices=load_prices(),
        progress=lambda share, note: None,
    )


def test_each_call_is_a_member_of_one_task_or_of_none() -> None:
    found = surveyed(log())

    assert len(found.tasks) == 2
    assert sorted(facts.n_calls for facts in found.facts.values()) == [1, 40, 40]
    assert len(found.members) == 80
    assert {found.members[call.id] for call in log()[:80]} == {task.id for task in found.tasks}


def test_calls_of_no_task_are_still_paid_for() -> None:
    found = surveyed(log())

    assert found.facts[""].n_calls == 1
    assert found.total.n_calls == 81
    assert found.total.cost_usd == pytest.approx(81 * found.facts[""].cost_usd)


def test_sessions_are_counted_over_the_whole_log() -> None:
    assert surveyed(log()).n_sessions == 20


def test_the_same_log_gives_the_same_survey() -> None:
    assert surveyed(log()) == surveyed(log())


def test_tasks_keep_their_ids_when_the_log_grows() -> None:
    first = surveyed(log(40))
    more = log(80)

    found = survey(
        lambda: more,
        embedder=None,
        rules=CurationRules(),
        prices=load_prices(),
        previous=first.tasks,
        progress=lambda share, note: None,
    )

    assert {task.id for task in found.tasks} == {task.id for task in first.tasks}


def test_every_call_is_kept_or_dropped_by_curation() -> None:
    failed = [sample_call(f"bad {i}", response=None, error="HTTP 500") for i in range(5)]

    found = surveyed([*log(), *failed])

    ids = [*(k.call_id for k in found.kept), *(d.call_id for d in found.dropped)]
    assert sorted(ids) == sorted(call.id for call in [*log(), *failed])
    assert {call.id for call in failed} <= {d.call_id for d in found.dropped}


def test_two_tasks_asked_the_same_text_do_not_contradict_each_other() -> None:
    same = [
        sample_call(f"the very same words {i}", answer, system=system)
        for i in range(20)
        for system, answer in zip(SYSTEMS, ("mail", "glad"), strict=True)
    ]

    assert surveyed(same).contradictory == ()


def test_progress_passes_through_the_three_passes_in_order() -> None:
    told: list[tuple[float, str]] = []
    calls = log()

    survey(
        lambda: calls,
        embedder=None,
        rules=CurationRules(),
        prices=load_prices(),
        progress=lambda share, note: told.append((share, note)),
    )

    assert told == [
        (0.0, "finding tasks"),
        (0.5, "assigning calls"),
        (0.75, "curating"),
        (1.0, ""),
    ]


def test_an_empty_log_has_no_task_and_costs_nothing() -> None:
    found = surveyed([])

    assert (found.tasks, found.members, found.facts, found.total.n_calls) == ((), {}, {}, 0)


def test_a_survey_survives_the_way_through_the_store() -> None:
    found = surveyed(log())

    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(found)), Survey) == found
