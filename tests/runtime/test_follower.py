"""The runtime follows its workspace: new routes, new specialists, and what is broken."""

import shutil
from pathlib import Path

import msgspec
import pytest
from small_workspace import ENVIRON, PARCELS, Client, Workshop, asking, running, task_of

from slimdown.runtime.follower import Follower
from slimdown.runtime.shelf import Shelf
from slimdown.store import Store
from slimdown.types import JsonObject, RouteTable

TASK, OTHER = "Name the intent.", "Rate the mood."
MOODS = {"hello": "good", "where is it?": "bad"}


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path / "w")


def table(client: Client) -> int:
    return int(client.get("/healthz")[1]["route_table"])


def answer(client: Client, request: JsonObject, specialist_id: str) -> str:
    status, body = client.ask(request, specialist_id)
    assert status == 200, body
    return str(body["choices"][0]["message"]["content"])


def test_a_new_route_is_answered_as_soon_as_its_table_counts(workshop: Workshop) -> None:
    with running(workshop) as client:
        specialist = workshop.train(TASK, PARCELS)
        before = client.get("/v1/models")[1]["data"]

        workshop.route(specialist)
        client.wait_for(lambda: table(client) == 1, tries=80)

        assert before == []
        assert answer(client, asking(TASK, "hello"), specialist) == "delivery"


def test_each_of_two_tasks_is_answered_by_its_own(workshop: Workshop) -> None:
    parcels, moods = workshop.train(TASK, PARCELS), workshop.train(OTHER, MOODS)
    workshop.route(parcels, moods)

    with running(workshop) as client:
        both = (parcels, moods)

        assert client.ask(asking(TASK, "hello"), *both)[1]["model"] == parcels
        assert client.ask(asking(OTHER, "hello"), *both)[1]["model"] == moods


def test_a_specialist_without_a_route_is_loaded_when_it_is_asked_for(workshop: Workshop) -> None:
    routed, other = workshop.train(TASK, PARCELS), workshop.train(OTHER, MOODS)
    workshop.route(routed)

    with running(workshop) as client:
        request = asking(OTHER, "hello")
        first = client.code(request, other)
        client.wait_for(lambda: client.ask(request, other)[0] == 200)

    assert first == (503, "loading")


def test_requests_of_a_task_that_left_are_refused(workshop: Workshop) -> None:
    parcels, moods = workshop.train(TASK, PARCELS), workshop.train(OTHER, MOODS)
    workshop.route(parcels, moods)

    with running(workshop) as client:
        workshop.tasks = [task_of(OTHER)]
        workshop.route(moods)
        client.wait_for(lambda: table(client) == 2)

        assert client.code(asking(TASK, "hello"), parcels) == (409, "not_this_task")


@pytest.mark.parametrize("damage", ["missing", "altered", "another's"])
def test_a_broken_specialist_is_told_and_the_others_serve(workshop: Workshop, damage: str) -> None:
    parcels, moods = workshop.train(TASK, PARCELS), workshop.train(OTHER, MOODS)
    folder = workshop.artefact(parcels).path
    if damage == "missing":
        shutil.rmtree(folder)
    elif damage == "altered":
        (folder / "answers.json").write_bytes(b"\0")
    else:
        shutil.rmtree(folder)
        shutil.copytree(workshop.artefact(moods).path, folder)
    workshop.route(parcels, moods)

    with running(workshop) as client:
        status, body = client.ask(asking(TASK, "hello"), parcels)

        assert (status, body["error"]["code"]) == (404, "broken_specialist")
        assert answer(client, asking(OTHER, "hello"), moods) == "good"
        assert len(client.get("/healthz")[1]["not_loaded"]) == 1


def test_a_release_that_cannot_be_read_breaks_its_specialist_alone(workshop: Workshop) -> None:
    parcels, moods = workshop.train(TASK, PARCELS), workshop.train(OTHER, MOODS)
    workshop.route(parcels, moods)
    with Store.open(workshop.folder, ENVIRON, role="short") as store:
        store.put_result("release", parcels, {"nonsense": 1})

    with running(workshop) as client:
        assert client.code(asking(TASK, "hello"), parcels) == (404, "broken_specialist")
        assert answer(client, asking(OTHER, "hello"), moods) == "good"


def test_a_mended_specialist_serves_again(workshop: Workshop) -> None:
    specialist = workshop.train(TASK, PARCELS)
    path = workshop.artefact(specialist).path
    path.rename(path.with_suffix(".away"))
    workshop.route(specialist)

    with running(workshop) as client:
        request = asking(TASK, "hello")
        broken = client.code(request, specialist)
        path.with_suffix(".away").rename(path)
        client.wait_for(lambda: client.ask(request, specialist)[0] == 200)

    assert broken == (404, "broken_specialist")


def test_without_its_embedder_only_tasks_that_need_it_are_not_answered(workshop: Workshop) -> None:
    near = msgspec.structs.replace(task_of(OTHER), centroid=(1.0, 0.0), radius=4.0)
    parcels, moods = workshop.train(TASK, PARCELS), workshop.train(OTHER, MOODS, task=near)
    workshop.route(parcels, moods, embedder="one that nobody has")

    with running(workshop) as client:
        assert answer(client, asking(TASK, "hello"), parcels) == "delivery"
        assert client.code(asking(OTHER, "hello"), moods) == (409, "not_this_task")
        assert "one that nobody has" in client.get("/healthz")[1]["problem"]


def test_a_workspace_that_is_made_later_is_found(tmp_path: Path) -> None:
    later = Workshop(tmp_path / "other")
    shelf = Shelf()
    settings = msgspec.structs.replace(later.settings(), workspace=str(tmp_path / "w"))
    follower = Follower(settings, ENVIRON, shelf)
    follower.look()
    problem, ready = follower.problem, follower.is_ready

    (tmp_path / "other").rename(tmp_path / "w")
    follower.look()
    follower.close()

    assert "no workspace" in problem
    assert not ready
    assert follower.is_ready
    assert follower.problem == ""


def test_a_bad_table_leaves_the_last_good_one_in_force(workshop: Workshop) -> None:
    specialist = workshop.train(TASK, PARCELS)
    workshop.route(specialist)
    follower = Follower(workshop.settings(), ENVIRON, Shelf())
    follower.look()

    with Store.open(workshop.folder, ENVIRON, role="short") as store:
        bad = RouteTable(version=2, tasks_id="bad")
        store.put_routes(bad, {("tasks", "bad"): {"tasks": 3}})
    follower.look()
    follower.close()

    assert follower.routing.table.version == 1
    assert follower.problem != ""


def test_a_release_is_read_anew_with_the_next_table(workshop: Workshop) -> None:
    specialist = workshop.train(TASK, PARCELS)
    workshop.route(specialist)

    with running(workshop) as client:
        workshop.release(specialist, task_of(TASK), "slimdown.testing:CopyingRung", longest=5)
        workshop.route(specialist)
        client.wait_for(lambda: table(client) == 2)

        assert client.code(asking(TASK, "where is it?"), specialist) == (422, "too_long")
        assert answer(client, asking(TASK, "hello"), specialist) == "delivery"


def test_a_workspace_that_is_moved_away_and_made_anew_is_followed(tmp_path: Path) -> None:
    old = Workshop(tmp_path / "w")
    old.route(old.train(TASK, PARCELS))
    follower = Follower(old.settings(), ENVIRON, Shelf())
    follower.look()

    (tmp_path / "w").rename(tmp_path / "away")
    follower.look()
    gone = follower.problem, follower.routing.table.version
    new = Workshop(tmp_path / "w")
    new.route(new.train(TASK, PARCELS))
    new.route(new.train(OTHER, MOODS))
    follower.look()
    follower.close()

    assert gone[0].startswith("there is no workspace")
    assert gone[1] == 1  # the last good routes stay in force
    assert (follower.routing.table.version, follower.problem) == (2, "")
