"""Assignment looks at requests alone; what it does not know, it leaves unknown."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slimdown.cluster.hashing import HashingEmbedder
from slimdown.errors import UsageError
from slimdown.route import Assigner
from slimdown.signature import content_slice, tools_id
from slimdown.testing import sample_call
from slimdown.types import Call, JsonObject, Slot, Task, Template

EMBEDDER = HashingEmbedder(64)
PROMPTS = ("You sort letters.", "You sort parcels.", "You write replies.")
CONTENTS = ("a card was lost in town", "sum up the minutes of the council", "a lost card in Rome")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
REQUESTS = st.builds(
    lambda system, text: sample_call(text, system=system).request,
    st.sampled_from([*PROMPTS, "Unheard of."]),
    st.sampled_from(CONTENTS) | st.text(max_size=20),
)


def task(name: str, *slots: Slot, **fields: Any) -> Task:
    template = Template(slots, fields.pop("tools", ""))
    return Task(id=name, name=name, description="", kind="text", template=template, **fields)


def prompt(text: str) -> Slot:
    return Slot("system", text, constant=True)


def near(name: str, content: str, radius: float) -> Task:
    """Return a task under the first prompt whose centroid is this content's own vector."""
    slot = prompt(PROMPTS[0])
    text = content_slice(Template((slot,)), sample_call(content, system=PROMPTS[0]).request)
    centroid = tuple(float(x) for x in EMBEDDER.embed([text])[0])
    return task(name, slot, centroid=centroid, radius=radius)


TASKS = (
    near("cards", CONTENTS[0], 0.6),
    near("minutes", CONTENTS[1], 0.6),
    task("parcels", prompt(PROMPTS[1])),
)
ASSIGNER = Assigner(TASKS, EMBEDDER)


@given(REQUESTS, JSON, JSON)
def test_changing_the_answer_never_changes_the_assignment(
    request: JsonObject, answer: Any, label: Any
) -> None:
    call = Call(id="c", request=request, response={"choices": [{"message": {"content": "a"}}]})
    before = msgspec.json.encode(call.request)
    other = msgspec.structs.replace(
        call, response={"choices": answer}, label=label, metadata={"task": label}, error="late"
    )

    assigned = [ASSIGNER.assign([c.request]) for c in (call, other)]

    assert assigned[0] == assigned[1]
    assert msgspec.json.encode(call.request) == before


@given(st.lists(REQUESTS, max_size=12), st.randoms(use_true_random=False))
def test_neighbours_in_a_batch_do_not_matter(requests: list[JsonObject], random: Any) -> None:
    order = random.sample(range(len(requests)), len(requests))
    assigned = ASSIGNER.assign(requests)

    shuffled = ASSIGNER.assign([requests[i] for i in order])

    assert shuffled == [assigned[i] for i in order]


@settings(max_examples=30)
@given(st.permutations(TASKS), st.lists(REQUESTS, max_size=6))
def test_the_order_of_the_tasks_does_not_matter(
    tasks: list[Task], requests: list[JsonObject]
) -> None:
    assert Assigner(tasks, EMBEDDER).assign(requests) == ASSIGNER.assign(requests)


@given(st.text(max_size=30).filter(lambda text: text not in PROMPTS), st.text(max_size=20))
def test_an_unheard_prompt_stays_unknown_whatever_is_asked(system: str, text: str) -> None:
    assert ASSIGNER.assign([sample_call(text, system=system).request]) == [None]


@given(st.dictionaries(st.sampled_from(["messages", "tools", "response_format"]), JSON))
def test_a_request_of_any_shape_is_unknown_and_no_error(request: JsonObject) -> None:
    assert ASSIGNER.assign([request]) == [None]


def test_content_decides_between_tasks_of_one_prompt() -> None:
    requests = [sample_call(text, system=PROMPTS[0]).request for text in CONTENTS[:2]]

    assert ASSIGNER.assign(requests) == ["cards", "minutes"]


def test_the_radius_is_where_a_task_ends() -> None:
    request = sample_call(CONTENTS[2], system=PROMPTS[0]).request
    tight, loose = near("cards", CONTENTS[0], 1e-3), near("cards", CONTENTS[0], 2.0)

    assert Assigner([tight], EMBEDDER).assign([request]) == [None]
    assert Assigner([loose], EMBEDDER).assign([request]) == ["cards"]


def test_a_wider_task_takes_nothing_that_lies_nearer_to_another() -> None:
    wide, tight = near("wide", CONTENTS[1], 9.0), near("tight", CONTENTS[0], 1e-3)
    assigner = Assigner([wide, tight], EMBEDDER)

    exact, close = (sample_call(text, system=PROMPTS[0]).request for text in CONTENTS[::2])

    assert assigner.assign([exact, close]) == ["tight", None]


def test_two_tasks_of_one_prompt_without_centroids_are_not_guessed_between() -> None:
    twins = [task("one", prompt(PROMPTS[1])), task("two", prompt(PROMPTS[1]))]

    assert Assigner(twins, EMBEDDER).assign([sample_call("a", system=PROMPTS[1]).request]) == [None]


def test_a_longer_template_wins_over_more_constant_text() -> None:
    wordy = task("wordy", Slot("system", "You sort let"))
    longer = task("longer", Slot("system", "You"), Slot("user", "a"))

    assert Assigner([wordy, longer], None).assign(
        [sample_call("a b", system=PROMPTS[0]).request]
    ) == ["longer"]


def test_a_task_with_tools_takes_no_request_without_them() -> None:
    tools = [{"type": "function", "function": {"name": "find"}}]
    tooled = task("tooled", prompt(PROMPTS[1]), tools=tools_id({"tools": tools}))
    bare = sample_call("a", system=PROMPTS[1]).request

    assigned = Assigner([tooled], None).assign([bare, {**bare, "tools": tools}])

    assert assigned == [None, "tooled"]


def test_a_foreign_embedder_is_refused_and_says_what_was_kept() -> None:
    with pytest.raises(UsageError, match=r"The tasks are kept\. Choose the embedder"):
        Assigner(TASKS, HashingEmbedder(32))
