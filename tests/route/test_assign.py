from itertools import product

import pytest

from slimdown.cluster import find_tasks
from slimdown.cluster.hashing import HashingEmbedder
from slimdown.errors import UsageError
from slimdown.route import Assigner
from slimdown.testing import sample_call
from slimdown.types import Call, JsonObject, Slot, Task, Template

SORT = Slot("system", "You sort letters.", constant=True)


def task(task_id: str, *slots: Slot) -> Task:
    return Task(id=task_id, name=task_id, description="", kind="text", template=Template(slots))


def asked(text: str, system: str = "You sort letters.") -> JsonObject:
    return sample_call(text, system=system).request


def mixed() -> list[Call]:
    places = ("Rome", "Oslo", "Lima", "Bonn", "Kyiv")
    letters = [
        (f"{place} card lost near the {other} bank, {i} in {place}", ("late", "lost")[i % 2])
        for i, (place, other) in enumerate(product(places, places))
    ]
    minutes = [
        (f"{place} council minutes {i}: sum up the vote on roads of {other}", f"It voted, {i}.")
        for i, (place, other) in enumerate(product(places, places))
    ]
    return [sample_call(text, answer, system="You help.") for text, answer in letters + minutes]


def test_an_exact_signature_is_enough() -> None:
    assigner = Assigner([task("sort", SORT)], None)

    assert assigner.assign([asked("a letter"), asked("a", "You sort post.")]) == ["sort", None]


def test_the_most_specific_template_wins() -> None:
    narrow = task("narrow", SORT, Slot("user", "Letter: "))
    assigner = Assigner([task("wide", SORT), narrow], None)

    assert assigner.assign([asked("Letter: hi"), asked("hi")]) == ["narrow", "wide"]


def test_other_tools_make_a_request_unknown() -> None:
    assigner = Assigner([task("sort", SORT)], None)

    assert assigner.assign([{**asked("a"), "tools": [{"type": "function"}]}]) == [None]


def test_no_tasks_and_no_requests_are_fine() -> None:
    assert Assigner([], None).assign([asked("a")]) == [None]
    assert Assigner([task("sort", SORT)], None).assign([]) == []


def test_requests_are_assigned_as_the_fit_placed_them() -> None:
    calls, embedder = mixed(), HashingEmbedder()
    found = find_tasks(calls, embedder=embedder)

    assigned = Assigner(found.tasks, embedder).assign([call.request for call in calls])

    assert len(found.tasks) == 2
    assert assigned == [found.members.get(call.id) for call in calls]


def test_a_request_is_assigned_alike_alone_and_among_others() -> None:
    calls, embedder = mixed(), HashingEmbedder()
    assigner = Assigner(find_tasks(calls, embedder=embedder).tasks, embedder)
    requests = [call.request for call in calls[::7]]

    assert assigner.assign(requests) == [assigner.assign([r])[0] for r in requests]


def test_content_far_from_every_task_stays_unknown() -> None:
    embedder = HashingEmbedder()
    assigner = Assigner(find_tasks(mixed(), embedder=embedder).tasks, embedder)

    assert assigner.assign([asked("zwölf Boxkämpfer jagen Viktor", "You help.")]) == [None]


def test_without_the_embedder_content_decides_nothing() -> None:
    tasks = find_tasks(mixed(), embedder=HashingEmbedder()).tasks

    assert Assigner(tasks, None).assign(
        [asked("Rome card lost near the Oslo bank, 7 in Rome", "You help.")]
    ) == [None]


def test_another_embedder_than_the_tasks_were_found_with_is_refused() -> None:
    tasks = find_tasks(mixed(), embedder=HashingEmbedder(256)).tasks

    with pytest.raises(UsageError, match="256 numbers, but hashing-1-64 has 64"):
        Assigner(tasks, HashingEmbedder(64))


def test_the_answer_plays_no_part() -> None:
    assigner = Assigner([task("sort", SORT)], None)
    calls = [sample_call("a", answer, system="You sort letters.") for answer in ("x", "y")]

    assert len(set(assigner.assign([call.request for call in calls]))) == 1
