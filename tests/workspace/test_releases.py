"""What a run leaves for serving: releases, ranked by task, and the tasks they were judged for."""

from pathlib import Path

import msgspec

from slimdown.canonical import content_id
from slimdown.evaluate.confidence import AgreementModel
from slimdown.seal import encode_key
from slimdown.settings import Settings
from slimdown.store import Store
from slimdown.testing import sample_call
from slimdown.types import Dataset, Example, OutputKind, Release, TaskSet
from slimdown.workspace import Workspace
from slimdown.workspace.releases import RANKED, RELEASE, known_values

ENVIRON = {"SLIMDOWN_KEY": encode_key(bytes(32))}


def quiet(_share: float, _note: str) -> None:
    pass


def run(folder: Path, *, risk: float = 0.3) -> None:
    """Run the rung that copies on a log whose two questions come back all the time."""
    log = folder / "log.jsonl"
    calls = [
        sample_call(f"{word} please", word, started_at=f"2026-01-01T00:{i // 60:02}:{i % 60:02}Z")
        for i, word in enumerate(["refund", "delivery"] * 100)
    ]
    log.write_bytes(
        b"".join(
            msgspec.json.encode(msgspec.structs.replace(call, id=str(i), session_id=str(i))) + b"\n"
            for i, call in enumerate(calls)
        )
    )
    settings = Settings(
        workspace=str(folder / "w"),
        rungs=("slimdown.testing:CopyingRung",),
        encoder="hashing",
        risk=risk,
    )
    with Workspace.open(settings, ENVIRON) as workspace:
        workspace.import_logs([log], progress=quiet)
        workspace.run(quiet)


def releases(folder: Path) -> list[Release]:
    with Store.open(folder / "w", ENVIRON, write=False) as store:
        return [msgspec.convert(r, Release) for r in store.results(RELEASE).values()]


def dataset(kind: OutputKind, *outputs: object) -> Dataset:
    examples = tuple(
        Example(id=str(i), input="", output=output, session=str(i), group=str(i))
        for i, output in enumerate(outputs)
    )
    return Dataset(task_id="t", kind=kind, train=examples, dev=(), calibration=())


def test_a_run_keeps_a_release_of_each_specialist(tmp_path: Path) -> None:
    run(tmp_path)

    [release] = releases(tmp_path)
    assert release.specialist_id in [path.name for path in (tmp_path / "w/specialists").iterdir()]
    assert release.models == ("gpt-4o-mini",)
    assert release.longest_input == len("delivery")  # " please" is the prompt's
    assert set(release.known_values) == {"refund", "delivery"}
    assert msgspec.convert(release.agreement, AgreementModel) == AgreementModel()
    assert bool(release.certificate) != bool(release.refusal)


def test_a_run_at_another_risk_keeps_its_own_verdict(tmp_path: Path) -> None:
    run(tmp_path, risk=0.01)
    strict = releases(tmp_path)
    run(tmp_path, risk=0.3)
    run(tmp_path, risk=0.01)

    assert releases(tmp_path) == strict


def test_the_tasks_are_kept_under_their_content(tmp_path: Path) -> None:
    run(tmp_path)

    with Store.open(tmp_path / "w", ENVIRON, write=False) as store:
        newest = store.result("tasks", "latest")
        tasks = msgspec.convert(store.result("tasks", newest), TaskSet)
        ranked = store.results(RANKED)

    assert content_id(tasks) == newest
    [release] = releases(tmp_path)
    assert tasks.tasks == (release.task,)
    assert ranked == {release.task.id: [release.specialist_id]}


def test_every_label_is_known() -> None:
    assert set(known_values(dataset("label", "a", "b", "b"))) == {"a", "b"}


def test_of_objects_only_what_recurs_is_known() -> None:
    found = known_values(dataset("json", {"to": "Oslo", "by": ["rail"]}, {"to": "Oslo", "n": 3}))

    assert found == ("Oslo",)


def test_a_value_twice_in_one_answer_does_not_recur() -> None:
    assert known_values(dataset("json", {"from": "Oslo", "to": "Oslo"}, {"to": "Rome"})) == ()
