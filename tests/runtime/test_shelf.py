"""What is loaded, what is wanted, what is let go."""

import pytest

from slimdown.evaluate.confidence import AgreementModel
from slimdown.runtime.refused import LOADING, unknown
from slimdown.runtime.shelf import LOOK_AGAIN_S, MOST_WANTED, Ready, Shelf, Unready
from slimdown.testing import CopyingSpecialist
from slimdown.types import Release, Task, Template

TASK = Task(id="t", name="t", description="", kind="label", template=Template(()))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def ready(specialist_id: str) -> Ready:
    release = Release(
        specialist_id=specialist_id,
        rung="copying",
        task=TASK,
        agreement={},
        longest_input=9,
        models=(),
    )
    return Ready(release, CopyingSpecialist({}), AgreementModel())


@pytest.fixture
def clock() -> Clock:
    return Clock()


def loaded(shelf: Shelf) -> list[str]:
    return sorted(found.release.specialist_id for found in shelf.ready())


def test_what_is_asked_for_is_wanted_once_until_it_is_put() -> None:
    shelf = Shelf()

    found = [shelf.find("a"), shelf.find("a")]

    assert [isinstance(f, Unready) and f.why for f in found] == [LOADING, LOADING]
    assert shelf.next_wanted() == "a"
    shelf.put("a", ready("a"))
    assert shelf.next_wanted() is None
    assert isinstance(shelf.find("a"), Ready)


def test_what_did_not_load_is_tried_again_after_a_while(clock: Clock) -> None:
    shelf = Shelf(clock=clock)
    shelf.put("a", Unready(unknown("a"), clock()))

    first = shelf.find("a")
    wanted_at_once = shelf.next_wanted()
    clock.now = LOOK_AGAIN_S
    later = shelf.find("a")

    assert wanted_at_once is None
    assert shelf.next_wanted() == "a"
    assert first == later  # the reason stands until it is known better


def test_those_asked_for_last_are_kept() -> None:
    shelf = Shelf(most=2)
    for name in "ab":
        shelf.put(name, ready(name))
    shelf.find("a")

    shelf.put("c", ready("c"))

    assert loaded(shelf) == ["a", "c"]


def test_routed_specialists_are_kept_beside_the_others() -> None:
    shelf = Shelf(most=1)
    shelf.route(["a", "b"])

    for name in "abcd":
        shelf.put(name, ready(name))

    assert loaded(shelf) == ["a", "b", "d"]


def test_those_no_longer_routed_are_let_go_like_others() -> None:
    shelf = Shelf(most=1)
    shelf.route(["a", "b"])
    for name in "ab":
        shelf.put(name, ready(name))

    shelf.route([])

    assert loaded(shelf) == ["b"]


def test_wishes_have_a_bound() -> None:
    shelf = Shelf()

    for i in range(3 * MOST_WANTED):
        shelf.find(f"made up {i}")

    wanted = 0
    while (name := shelf.next_wanted()) is not None:
        shelf.put(name, Unready(unknown(name), 0.0))
        wanted += 1
    assert wanted == MOST_WANTED


def test_of_the_routed_those_that_did_not_load_are_told() -> None:
    shelf = Shelf()
    shelf.route(["a", "b"])

    shelf.put("a", Unready(unknown("a"), 0.0))
    shelf.put("b", ready("b"))
    shelf.put("c", Unready(unknown("c"), 0.0))

    assert [unready.why.code for unready in shelf.unready()] == ["unknown_specialist"]
    assert "a" in shelf.unready()[0].why.message
