"""What each stage asks of a specialist, and in which words it is refused."""

from collections.abc import Mapping

import msgspec
import pytest
from route_moves import CHANGE, certificate, release, standing, task, tasks

from slimdown.errors import GateNotMet
from slimdown.promote import promoted
from slimdown.types import Release, RouteTable, Stage, TaskSet

MAIL = task("mail")
MAILS = tasks(MAIL)
NOTHING: Mapping[str, float] = {}
STAGES: list[Stage] = ["canary", "live"]


def promote(
    made: Release, stage: Stage, now: TaskSet = MAILS, asked: Mapping[str, float] = NOTHING
) -> RouteTable:
    facts = msgspec.structs.replace(standing(now), **asked)
    return promoted(RouteTable(), made, stage=stage, share=0.5, now=facts, change=CHANGE)


@pytest.mark.parametrize("stage", STAGES)
def test_a_valid_certificate_opens_the_gate(stage: Stage) -> None:
    table = promote(release(MAIL), stage)

    assert [route.stage for route in table.routes] == [stage]


@pytest.mark.parametrize("stage", STAGES)
def test_without_a_certificate_the_gate_says_why_there_is_none(stage: Stage) -> None:
    refused = release(MAIL, certificate=None, refusal="only 12 labels.")

    with pytest.raises(GateNotMet, match=r"mail cannot go to .*only 12 labels\."):
        promote(refused, stage)


def test_a_shadow_takes_no_certificate() -> None:
    table = promote(release(MAIL, certificate=None), "shadow")

    assert table.routes[0].threshold is None


@pytest.mark.parametrize(
    "keyed_on",
    [
        {"template": "another prompt"},
        {"specialist": "other weights"},
        {"task": "another task"},
    ],
    ids=["prompt", "weights", "task"],
)
def test_what_a_certificate_rests_on_must_be_as_it_was(keyed_on: dict[str, str]) -> None:
    whole = certificate(MAIL)
    void = certificate(MAIL, keyed_on=whole.keyed_on | keyed_on)

    with pytest.raises(GateNotMet, match="void"):
        promote(release(MAIL, certificate=void), "live")


def test_the_certificate_of_another_specialist_is_void() -> None:
    with pytest.raises(GateNotMet, match="void"):
        promote(release(MAIL, certificate=certificate(MAIL, "other")), "live")


@pytest.mark.parametrize("asked", [{"risk": 0.01}, {"delta": 0.01}], ids=["risk", "delta"])
def test_a_laxer_promise_than_the_settings_ask_is_not_enough(asked: dict[str, float]) -> None:
    with pytest.raises(GateNotMet, match="the settings ask"):
        promote(release(MAIL), "live", asked=asked)


def test_a_stricter_promise_than_the_settings_ask_is_enough() -> None:
    assert promote(release(MAIL), "live", asked={"risk": 0.1}).routes[0].risk == 0.02


@pytest.mark.parametrize("stage", ["shadow", *STAGES])
def test_a_task_that_is_another_now_takes_another_specialist(stage: Stage) -> None:
    changed = tasks(task("mail", system="Sort this mail, please."))

    with pytest.raises(GateNotMet, match="Run `slimdown run`"):
        promote(release(MAIL), stage, changed)


def test_a_task_that_is_no_more_has_no_route() -> None:
    with pytest.raises(GateNotMet, match="not among the tasks"):
        promote(release(MAIL), "shadow", tasks(task("spam")))
