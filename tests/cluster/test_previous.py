import pytest

from slimdown.cluster.previous import keep_identity
from slimdown.testing import sample_call
from slimdown.types import Call, Slot, Task, Template

SYSTEM = Slot("system", "You sort letters.", constant=True)
CALLS = [sample_call(f"letter {i}", system="You sort letters.") for i in range(5)]


def task(task_id: str, *slots: Slot, centroid: tuple[float, ...] = (), tools: str = "") -> Task:
    return Task(
        id=task_id,
        name=f"name of {task_id}",
        description="",
        kind="text",
        template=Template(slots, tools),
        centroid=centroid,
    )


def continued(new: Task, *previous: Task, calls: list[Call] = CALLS) -> str:
    return keep_identity([new], [calls], previous)[0].id


def test_the_same_prompt_is_the_same_task_with_its_name() -> None:
    kept = keep_identity([task("new", SYSTEM)], [CALLS], [task("old", SYSTEM)])

    assert (kept[0].id, kept[0].name) == ("old", "name of old")


def test_a_template_that_widened_is_the_same_task() -> None:
    wide = Slot("system", "You sort ")

    assert continued(task("new", wide), task("old", SYSTEM)) == "old"


def test_a_template_that_narrowed_is_the_same_task_if_its_calls_fit_the_old_one() -> None:
    narrow = (SYSTEM, Slot("user", "letter "))

    assert continued(task("new", *narrow), task("old", SYSTEM)) == "old"


@pytest.mark.parametrize(
    "before",
    [
        task("old", Slot("system", "You draft replies.", constant=True)),
        task("old", SYSTEM, tools="other tools"),
        task("old", SYSTEM, centroid=(0.0, 1.0)),
    ],
)
def test_another_prompt_tool_list_or_content_is_another_task(before: Task) -> None:
    assert continued(task("new", SYSTEM, centroid=(1.0, 0.0)), before) == "new"


def test_the_likest_of_two_is_continued_and_no_old_task_twice() -> None:
    left, right = (0.9, 0.1), (0.1, 0.9)
    new = [task("a", SYSTEM, centroid=left), task("b", SYSTEM, centroid=right)]
    old = [task("1", SYSTEM, centroid=right), task("2", SYSTEM, centroid=left)]

    assert [t.id for t in keep_identity(new, [CALLS, CALLS], old)] == ["2", "1"]
    assert [t.id for t in keep_identity([new[0]] * 2, [CALLS, CALLS], old[1:])] == ["2", "a"]
