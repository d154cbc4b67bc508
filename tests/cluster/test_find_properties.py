"""Finding tasks: the order of calls changes nothing, and what is not read changes nothing."""

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slimdown.cluster import Clustering, find_tasks
from slimdown.cluster.hashing import HashingEmbedder
from slimdown.cluster.mine import MIN_CALLS
from slimdown.demo.log import demo_calls
from slimdown.route import Assigner
from slimdown.testing import sample_call
from slimdown.types import Call

PROMPTS = (
    "You sort the letters that reach a bank. Answer with one box.",
    "You note the facts of an order as JSON. Leave out what is not told.",
    "You draft replies to the guests of a hotel. Be kind and brief.",
)
WORDS = ("late", "lost", "kind", "room", "card", "loan", "key", "bill")
DEMO = list(demo_calls(500, seed=3))
EMBEDDER = HashingEmbedder()
quick = settings(max_examples=15, deadline=None)


@st.composite
def logs(draw: st.DrawFn) -> list[Call]:
    """Draw calls under up to three prompts, a few of them failed."""
    random, calls = Random(draw(st.integers(0, 10**6))), []
    for place, system in enumerate(PROMPTS[: draw(st.integers(1, 3))]):
        for i in range(draw(st.integers(0, 3 * MIN_CALLS))):
            text = " ".join(random.choices(WORDS, k=5))
            fields = {"error": "timeout"} if random.random() < 0.1 else {}
            answer = random.choice(WORDS[:3])
            calls.append(sample_call(text, answer, system=system, id=f"{place}-{i}", **fields))
    return calls


def found_in(calls: list[Call]) -> Clustering:
    return find_tasks(calls, embedder=EMBEDDER)


@quick
@given(logs(), st.randoms(use_true_random=False))
def test_the_order_of_any_log_changes_nothing(calls: list[Call], random: Any) -> None:
    shuffled = random.sample(calls, len(calls))

    assert found_in(shuffled) == found_in(calls)


@quick
@given(logs())
def test_every_call_is_in_one_task_or_left_with_a_reason(calls: list[Call]) -> None:
    found = found_in(calls)

    left = [dropped.call_id for dropped in found.left]
    assert sorted([*found.members, *left]) == sorted(call.id for call in calls)
    assert all(dropped.reason for dropped in found.left)
    assert {task.id for task in found.tasks} == set(found.members.values())


@quick
@given(logs(), st.randoms(use_true_random=False))
def test_labels_and_metadata_may_be_shuffled_between_calls(calls: list[Call], random: Any) -> None:
    told = [(call.request["messages"][0], f"label of {call.id}") for call in calls]
    random.shuffle(told)

    marked = [
        msgspec.structs.replace(call, label=label, metadata={"task": task, "site": label})
        for call, (task, label) in zip(calls, told, strict=True)
    ]

    assert found_in(marked) == found_in(calls)


@quick
@given(logs())
def test_tasks_come_largest_first_and_count_their_calls(calls: list[Call]) -> None:
    found = found_in(calls)

    sizes = [task.n_calls for task in found.tasks]
    assert sizes == sorted(sizes, reverse=True)
    assert all(size >= MIN_CALLS for size in sizes)
    assert sizes == [list(found.members.values()).count(task.id) for task in found.tasks]


@quick
@given(logs())
def test_a_refit_on_the_same_calls_is_the_same_fit(calls: list[Call]) -> None:
    before = found_in(calls)

    assert find_tasks(calls, embedder=EMBEDDER, previous=before.tasks) == before


def test_the_sessions_times_and_latencies_of_a_log_play_no_part() -> None:
    bare = [
        msgspec.structs.replace(
            call, session_id=None, started_at=None, latency_ms=None, metadata={}, label=None
        )
        for call in DEMO
    ]

    assert found_in(bare) == found_in(DEMO)


def test_the_demo_s_six_sites_are_found_from_their_requests_alone() -> None:
    found = found_in(DEMO)

    by_id = {call.id: call.request["messages"][0]["content"] for call in DEMO}
    prompts = [{by_id[c] for c, t in found.members.items() if t == task.id} for task in found.tasks]
    assert [len(each) for each in prompts] == [1] * 6
    assert len(set.union(*prompts)) == 6
    assert {dropped.reason for dropped in found.left} == {"no answer"}


def test_no_two_tasks_share_an_id_or_a_name() -> None:
    tasks = found_in(DEMO).tasks

    assert len({task.id for task in tasks}) == len(tasks)
    assert len({task.name for task in tasks}) == len(tasks)


def test_the_fit_and_the_assignment_of_its_requests_agree() -> None:
    found = found_in(DEMO)

    assigned = Assigner(found.tasks, EMBEDDER).assign([call.request for call in DEMO])

    told = {c.id: task for c, task in zip(DEMO, assigned, strict=True) if c.id in found.members}
    assert told == found.members


@pytest.mark.parametrize(("n", "n_tasks"), [(MIN_CALLS - 1, 0), (MIN_CALLS, 1)])
def test_ten_calls_make_a_task_and_nine_are_told_to_be_too_few(n: int, n_tasks: int) -> None:
    calls = [sample_call(f"letter {i}", system=PROMPTS[0], id=str(i)) for i in range(n)]

    found = found_in(calls)

    assert len(found.tasks) == n_tasks
    assert {d.detail for d in found.left} <= {"9 calls share this prompt; 10 make a task"}
    assert len(found.left) == (0 if n_tasks else 9)


def test_a_task_s_id_is_that_of_its_prompt_and_not_of_its_calls() -> None:
    def sorted_letters(first: int) -> list[Call]:
        return [
            sample_call(f"{WORDS[i % 8]} {i}", WORDS[i % 3], system=PROMPTS[0], id=f"c{i}")
            for i in range(first, first + 20)
        ]

    earlier, later = found_in(sorted_letters(0)), found_in(sorted_letters(500))

    assert [t.id for t in earlier.tasks] == [t.id for t in later.tasks]
    assert not earlier.members.keys() & later.members.keys()


@given(st.lists(st.text(max_size=20), max_size=12), st.integers(1, 40))
def test_embeddings_are_unit_vectors_and_do_not_depend_on_their_neighbours(
    texts: list[str], dims: int
) -> None:
    embedder = HashingEmbedder(dims)

    vectors = embedder.embed(texts)

    assert vectors.shape == (len(texts), dims)
    assert all(abs(float(v @ v) - 1) < 1e-5 for v in vectors)
    assert all((embedder.embed([t])[0] == v).all() for t, v in zip(texts, vectors, strict=True))
