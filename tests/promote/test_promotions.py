"""Route tables: each move makes the next one, and a roll back undoes a step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from route_moves import CHANGE, Moves, release, standing, task, tasks

from slimdown.canonical import content_id
from slimdown.errors import UsageError
from slimdown.promote import promoted, stepped_down
from slimdown.types import RouteTable, Stage

MAIL, SPAM = task("mail"), task("spam")
STEPS = st.lists(
    st.tuples(st.sampled_from(["shadow", "canary", "live"]), st.sampled_from("ab")), max_size=6
)


def test_a_promotion_makes_the_next_version_with_its_author() -> None:
    moves = Moves(MAIL)

    table = moves.promote(release(MAIL), "canary", 0.25)

    assert (table.version, table.author, table.reason) == (1, "ada", "because")
    assert table.tasks_id == content_id(moves.tasks)
    [route] = table.routes
    assert (route.stage, route.share, route.threshold) == ("canary", 0.25, 0.7)


def test_a_task_has_one_route() -> None:
    moves = Moves(MAIL, SPAM)

    moves.promote(release(MAIL))
    moves.promote(release(SPAM, "t"))
    moves.promote(release(MAIL, "newer"), "live")

    assert [(r.task_name, r.specialist_id) for r in moves.table.routes] == [
        ("mail", "newer"),
        ("spam", "t"),
    ]


def test_only_a_canary_has_a_share() -> None:
    moves = Moves(MAIL)

    assert moves.promote(release(MAIL), "live", 0.3).routes[0].share == 1.0
    assert moves.promote(release(MAIL), "shadow", 0.3).routes[0].share == 1.0


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01, float("nan"), float("inf")])
def test_a_share_that_cannot_be_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="share"):
        Moves(MAIL).promote(release(MAIL), "canary", share)


def test_a_roll_back_returns_to_the_route_before() -> None:
    moves = Moves(MAIL)
    moves.promote(release(MAIL))
    moves.promote(release(MAIL), "canary", 0.1)
    moves.promote(release(MAIL), "live")

    moves.roll_back(MAIL)

    assert (moves.route(MAIL).stage, moves.route(MAIL).share) == ("canary", 0.1)
    assert moves.table.version == 4


def test_roll_backs_go_ever_further_back_and_end_retired() -> None:
    moves = Moves(MAIL)
    moves.promote(release(MAIL))
    moves.promote(release(MAIL), "live")

    stages = [moves.roll_back(MAIL).routes[0].stage for _ in range(2)]

    assert stages == ["shadow", "retired"]
    with pytest.raises(UsageError, match="no route to roll back"):
        moves.roll_back(MAIL)


def test_a_roll_back_returns_to_the_specialist_before() -> None:
    moves = Moves(MAIL)
    moves.promote(release(MAIL, "old"), "live")
    moves.promote(release(MAIL, "new"), "live")

    moves.roll_back(MAIL)

    assert moves.route(MAIL).specialist_id == "old"


def test_a_roll_back_of_one_task_leaves_the_others_alone() -> None:
    moves = Moves(MAIL, SPAM)
    moves.promote(release(MAIL), "live")
    moves.promote(release(SPAM), "live")

    moves.roll_back(MAIL)

    assert moves.route(SPAM).stage == "live"
    assert moves.route(MAIL).stage == "retired"


def test_a_task_that_never_had_a_route_has_none_to_roll_back() -> None:
    with pytest.raises(UsageError, match="slimdown routes"):
        Moves(MAIL).roll_back(MAIL)


@given(STEPS)
def test_as_many_roll_backs_as_steps_lead_to_nobody_asked(steps: list[tuple[Stage, str]]) -> None:
    moves = Moves(MAIL)
    for stage, specialist in steps:
        moves.promote(release(MAIL, specialist), stage)

    for _ in range(len(steps)):
        if moves.route(MAIL).stage != "retired":
            moves.roll_back(MAIL)

    assert all(route.stage == "retired" for route in moves.table.routes)


@given(STEPS)
def test_no_roll_back_asks_a_specialist_that_was_not_asked_before(
    steps: list[tuple[Stage, str]],
) -> None:
    moves = Moves(MAIL)
    for stage, specialist in steps:
        moves.promote(release(MAIL, specialist), stage)
        seen = {(r.stage, r.specialist_id) for t in moves.history for r in t.routes}
        after = moves.roll_back(MAIL).routes[0]
        assert after.stage == "retired" or (after.stage, after.specialist_id) in seen


def test_newer_tasks_do_not_count_while_those_of_the_table_hold_the_task() -> None:
    before, now = tasks(MAIL), tasks(MAIL, SPAM)
    table = RouteTable(version=1, tasks_id=content_id(before))

    after = promoted(
        table,
        release(MAIL),
        stage="live",
        share=1.0,
        now=standing(now, before),
        change=CHANGE,
    )

    assert after.tasks_id == content_id(before)


def test_a_route_whose_task_is_another_under_newer_tasks_is_retired() -> None:
    moves = Moves(MAIL, SPAM)
    moves.promote(release(MAIL), "live")
    moves.promote(release(SPAM), "live")
    bills, mail = task("bills"), task("mail", system="Another prompt.")
    now = standing(tasks(bills, mail, SPAM), moves.tasks)

    after = promoted(moves.table, release(bills), stage="shadow", share=1.0, now=now, change=CHANGE)

    assert {r.task_name: r.stage for r in after.routes} == {
        "bills": "shadow",
        "mail": "retired",
        "spam": "live",
    }
    assert [route.task_name for route in stepped_down(moves.table, after)] == ["mail"]


def test_a_route_of_other_tasks_is_not_returned_to() -> None:
    moves = Moves(MAIL)
    moves.promote(release(MAIL), "live")
    moves.tasks = tasks(task("mail", system="Another prompt."))
    newer = moves.tasks.tasks[0]
    table = promoted(
        moves.table,
        release(newer, "new"),
        stage="live",
        share=1.0,
        now=standing(moves.tasks, tasks(MAIL)),
        change=CHANGE,
    )
    moves.history.append(table)

    moves.roll_back(newer)

    assert moves.route(newer).stage == "retired"
