import gzip
import os
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from slimdown.cluster import Clustering, find_tasks
from slimdown.cluster.hashing import HashingEmbedder
from slimdown.testing import sample_call
from slimdown.types import Call, Task

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("SLIMDOWN_DATA", ROOT.parent / "shared" / "data"))
SORT = "You sort the letters that reach a bank. Answer with one box."
DRAFT = "You draft replies to the guests of a hotel. Today is day {}. Be kind and brief."


def sorting(n: int = 30, first: int = 0) -> list[Call]:
    boxes = ("loans", "cards", "fraud")
    return [
        sample_call(f"letter {i}", boxes[i % 3], system=SORT, id=f"sort-{i}")
        for i in range(first, first + n)
    ]


def drafting(n: int = 30) -> list[Call]:
    return [
        sample_call(f"guest {i} asks", f"dear guest {i}", system=DRAFT.format(i), id=f"draft-{i}")
        for i in range(n)
    ]


def find(calls: list[Call], **arguments: Any) -> Clustering:
    return find_tasks(calls, **{"embedder": None, **arguments})


def test_two_prompts_are_two_tasks_although_one_holds_a_date() -> None:
    found = find([*sorting(), *drafting(40)])

    assert [(task.kind, task.n_calls) for task in found.tasks] == [("text", 40), ("label", 30)]
    assert found.left == ()
    assert found.coverage == 1


def test_a_task_says_what_it_is() -> None:
    (task,) = find(sorting()).tasks

    assert task.name == "classify-sort-letters-reach"
    assert SORT.split(".", maxsplit=1)[0] in task.description
    assert set(task.actions) == {"label:loans", "label:cards", "label:fraud"}


def test_the_order_of_calls_changes_nothing() -> None:
    calls = [*sorting(), *drafting()]
    shuffled = random.Random(0).sample(calls, len(calls))

    assert find(calls, embedder=HashingEmbedder()) == find(shuffled, embedder=HashingEmbedder())


def test_a_refit_on_more_calls_keeps_ids_and_names() -> None:
    before = find([*sorting(12), *drafting(12)]).tasks
    renamed = [msgspec.structs.replace(task, name=f"my {task.kind}") for task in before]

    after = find([*sorting(90), *drafting(60)], previous=renamed).tasks

    assert {(t.id, t.name) for t in after} == {(t.id, t.name) for t in renamed}


def test_a_prompt_whose_date_was_seen_once_keeps_its_id_when_it_moves_on() -> None:
    today = [sample_call(f"g {i}", f"a {i}", system=DRAFT.format("2026-01-01")) for i in range(20)]
    before = find(today).tasks

    after = find([*today, *drafting(60)], previous=before).tasks

    assert [task.id for task in after] == [task.id for task in before]


def test_divided_operations_keep_their_ids_apart() -> None:
    def calls(n: int) -> list[Call]:
        letters = [
            sample_call(f"{i} lost the card in {i % 7}", "ab"[i % 2], system="Help.")
            for i in range(n)
        ]
        minutes = [
            sample_call(f"{i} minutes, sum up roads {i % 7}", f"It met, {i}.", system="Help.")
            for i in range(n)
        ]
        return [*letters, *minutes]

    before = find(calls(40), embedder=HashingEmbedder()).tasks
    after = find(calls(80), embedder=HashingEmbedder(), previous=before).tasks

    assert len(before) == 2
    assert {(t.id, t.kind) for t in after} == {(t.id, t.kind) for t in before}


def test_a_new_task_takes_no_old_id() -> None:
    before = find(sorting()).tasks

    after = find(drafting(), previous=before).tasks

    assert after[0].id != before[0].id


def test_few_calls_are_left_with_the_reason() -> None:
    found = find([*sorting(), *drafting(3)])

    assert {d.reason for d in found.left} == {"too few"}
    assert {d.call_id for d in found.left} == {"draft-0", "draft-1", "draft-2"}


def test_failed_and_unanswered_calls_are_left() -> None:
    failed = sample_call("x", system=SORT, id="failed", error="timeout")
    silent = sample_call("x", "", system=SORT, id="silent")

    found = find([*sorting(), failed, silent])

    assert {(d.call_id, d.reason) for d in found.left} == {
        ("failed", "no answer"),
        ("silent", "no answer"),
    }


def test_no_calls_make_no_tasks() -> None:
    assert find([]) == Clustering((), {}, ())
    assert find([]).coverage == 0


def test_neither_metadata_nor_labels_are_read() -> None:
    plain = sorting()
    told = [msgspec.structs.replace(c, label=c.id, metadata={"task": c.id}) for c in plain]

    assert find(plain) == find(told)


def test_a_lone_surrogate_or_a_request_of_another_shape_does_no_harm() -> None:
    odd: list[Any] = [None, "text", [], [{"role": "user"}], [{"content": "\u202e\x00"}]]
    calls = [
        msgspec.structs.replace(call, id=f"odd-{i}", request={"messages": odd[i % len(odd)]})
        for i, call in enumerate(sorting(50))
    ]

    found = find(calls, embedder=HashingEmbedder())

    assert len(found.members) + len(found.left) == 50


def read(file: str, n: int) -> list[Call]:
    path = DATA / f"{file}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"no recorded calls at {path}: set SLIMDOWN_DATA")
    with gzip.open(path, "rb") as lines:
        return [
            msgspec.json.decode(line, type=Call) for _, line in zip(range(n), lines, strict=False)
        ]


def sites_of(task: Task, found: Clustering, calls: list[Call]) -> set[str]:
    return {c.metadata["task"] for c in calls if found.members.get(c.id) == task.id}


def test_real_call_sites_are_told_apart() -> None:
    calls = [
        *read("extractgpt_ae110k/calls_gpt4_schema10shot_tr100", 524),
        *read("ocats_banking77/calls_gpt4_dev", 150),
        *read("restaurant8k_slots/calls_human", 150),
    ]

    found = find(calls, embedder=HashingEmbedder())

    assert len(found.tasks) == 12
    assert all(len(sites_of(task, found, calls)) == 1 for task in found.tasks)


def test_an_agent_loop_stays_one_task_of_tool_calls() -> None:
    found = find(read("tau_bench_airline/calls_agent", 200), embedder=HashingEmbedder())

    assert [task.kind for task in found.tasks] == ["tool"]


def test_a_user_simulator_with_fifty_instructions_is_one_task() -> None:
    found = find(read("tau_bench_airline/calls_user_sim", 700))

    assert len(found.tasks) == 1
    assert not found.tasks[0].template.slots[0].constant


def test_single_tool_calls_without_a_narrow_task_are_left() -> None:
    found = find(read("bfcl_2024_08/calls_gpt-4o-2024-08-06-FC", 300), embedder=HashingEmbedder())

    assert found.coverage < 0.1
