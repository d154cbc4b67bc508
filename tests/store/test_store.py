"""The store as its callers see it: what goes in comes out, once, in order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slimdown.errors import StoreError, StoreLocked, UsageError
from slimdown.store import Added, Store
from slimdown.testing import sample_call
from slimdown.types import Call

Environ = dict[str, str]


@pytest.fixture
def environ(tmp_path: Path) -> Environ:
    return {"SLIMDOWN_KEY_FILE": str(tmp_path / "key")}


@pytest.fixture
def store(tmp_path: Path, environ: Environ) -> Iterator[Store]:
    with Store.open(tmp_path / "workspace", environ) as opened:
        yield opened


def history(n_turns: int, extra: str = "") -> Call:
    """Return a call that resends a conversation of ``n_turns`` turns."""
    messages = [
        {"role": "user" if i % 2 == 0 else "assistant", "content": f"turn {i} {'x' * 500}"}
        for i in range(n_turns)
    ]
    return Call(id=f"call-{n_turns}{extra}", request={"model": "m", "messages": messages})


def test_a_call_comes_out_as_it_went_in(store: Store) -> None:
    call = sample_call(
        started_at="2025-01-02T03:04:05.678Z",
        latency_ms=12.5,
        session_id="s",
        error="late",
        label={"intent": "delivery"},
        metadata={"tags": ["a", 1, None, 2.5], "nested": {"empty": {}, "list": []}},
    )
    assert store.add([call]) == Added(1, 0)
    assert store.call(call.id) == call


def test_the_same_call_again_adds_nothing(store: Store) -> None:
    calls = [sample_call(str(i)) for i in range(5)]
    store.add(calls)
    assert store.add([*calls, sample_call("new")]) == Added(1, 5)
    assert store.count() == 6


def test_a_call_given_twice_at_once_is_stored_once(store: Store) -> None:
    assert store.add([sample_call(), sample_call()]) == Added(1, 1)


def test_calls_come_by_time_then_in_the_order_added(store: Store) -> None:
    times = ["2025-01-03", None, "2025-01-01", "2025-01-03", None]
    calls = [sample_call(started_at=time, id=f"{i}") for i, time in enumerate(times)]
    store.add(calls)
    assert [call.id for call in store.calls()] == ["1", "4", "2", "0", "3"]


def test_more_calls_than_a_page_come_out_whole(store: Store) -> None:
    calls = [sample_call(str(i), id=f"{i:04}") for i in range(700)]
    store.add(calls)
    assert list(store.calls()) == calls


def test_calls_by_id_come_in_order_of_time(store: Store) -> None:
    store.add(sample_call(started_at=f"2025-01-0{i}", id=f"call-{i}") for i in range(1, 6))
    found = store.calls(ids=["call-4", "call-2", "call-4"])
    assert [call.id for call in found] == ["call-2", "call-4"]


def test_an_id_that_no_call_has_is_an_error_that_names_it(store: Store) -> None:
    with pytest.raises(UsageError, match="no-such-call"):
        store.call("no-such-call")
    with pytest.raises(UsageError, match="no-such-call"):
        list(store.calls(ids=["no-such-call"]))


def test_a_call_is_found_by_how_its_id_starts(store: Store) -> None:
    store.add([sample_call(id="0123456789abcdef"), sample_call(id="0123456799999999")])
    assert store.call("012345678").id == "0123456789abcdef"
    with pytest.raises(UsageError, match="several"):
        store.call("01234567")
    with pytest.raises(UsageError, match="8 characters"):
        store.call("0123")


def test_an_id_that_starts_another_is_found_as_itself(store: Store) -> None:
    store.add([sample_call("a", id="session-1"), sample_call("b", id="session-10")])
    assert store.call("session-1").id == "session-1"


def test_a_list_shows_plain_facts(store: Store) -> None:
    store.add([sample_call(id="one", started_at="2025-01-01", latency_ms=8)])
    store.add([Call(id="two", request={}, error="refused", started_at="2025-01-02")])
    one, two = store.list_calls()
    assert (one.id, one.model, one.n_messages, one.status) == ("one", "gpt-4o-mini", 2, "ok")
    assert (one.latency_ms, one.prompt_tokens, one.completion_tokens) == (8.0, 50, 5)
    assert (two.id, two.model, two.status) == ("two", None, "error")
    assert [row.id for row in store.list_calls(limit=1, offset=1)] == ["two"]


def test_a_resent_history_costs_next_to_nothing(tmp_path: Path, environ: Environ) -> None:
    def size(calls: list[Call], folder: Path) -> int:
        with Store.open(folder, environ) as opened:
            opened.add(calls)
            opened.compact()
        return (folder / "slimdown.db").stat().st_size

    once = size([history(60)], tmp_path / "once")
    often = size([history(n) for n in range(1, 61)], tmp_path / "often")
    assert often < once + 60 * 600


def test_a_very_long_history_comes_out_whole(store: Store) -> None:
    call = Call(
        id="long",
        request={"messages": [{"role": "user", "content": str(i)} for i in range(20_000)]},
    )
    store.add([call])
    assert store.call("long") == call


def test_what_is_read_may_be_changed_without_changing_the_rest(store: Store) -> None:
    store.add([history(3), history(4)])
    for call in store.calls():
        call.request["messages"][0]["content"] = "changed"
    assert list(store.calls()) == [history(3), history(4)]


def test_the_content_version_changes_when_calls_are_added(store: Store) -> None:
    seen = {store.content_version()}
    store.add([sample_call("a")])
    seen.add(store.content_version())
    store.add([sample_call("b")])
    seen.add(store.content_version())
    store.add([sample_call("b")])
    assert len(seen) == 3
    assert store.content_version() in seen


def test_what_came_before_a_failing_source_is_kept(store: Store) -> None:
    def failing() -> Iterator[Call]:
        yield sample_call("kept")
        raise RuntimeError("the log broke off")

    with pytest.raises(RuntimeError):
        store.add(failing())
    assert store.count() == 1


def test_results_are_kept_replaced_listed_and_deleted(store: Store) -> None:
    store.put_result("tasks", "b", {"name": "intent"})
    store.put_result("tasks", "a", [1, 2.5, None])
    store.put_result("tasks", "b", {"name": "new"})
    store.put_results("other", {"x": 1, "y": sample_call(id="c")})
    assert store.results("tasks") == {"b": {"name": "new"}, "a": [1, 2.5, None]}
    assert store.result("tasks", "a") == [1, 2.5, None]
    assert store.results("other")["y"]["id"] == "c"
    store.delete_result("tasks", "a")
    store.delete_result("tasks", "never there")
    assert store.result("tasks", "a") is None


def test_a_second_writer_is_told_who_writes(tmp_path: Path, environ: Environ, store: Store) -> None:
    with pytest.raises(StoreLocked, match=r"process \d+"):
        Store.open(tmp_path / "workspace", environ)


def test_a_reader_sees_what_a_writer_has_stored_so_far(
    tmp_path: Path, environ: Environ, store: Store
) -> None:
    store.add([sample_call("a")])
    with Store.open(tmp_path / "workspace", environ, write=False) as reader:
        assert reader.count() == 1
        store.add([sample_call("b")])
        assert len(list(reader.calls())) == 2
        with pytest.raises(StoreError, match="read only"):
            reader.add([sample_call("c")])


def test_reading_goes_on_while_calls_are_added(store: Store) -> None:
    store.add(sample_call(str(i), id=f"{i:04}") for i in range(300))
    reading = store.calls()
    first = next(reading)
    store.add([sample_call("later", id="9999")])
    assert [first, *reading][-1].id == "9999"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=8), JSON, max_size=4)
MESSAGES = st.lists(JSON, max_size=4)
REQUESTS = OBJECTS | st.builds(
    lambda other, messages, tools: {**other, "messages": messages, "tools": tools},
    OBJECTS,
    MESSAGES,
    MESSAGES,
)
RESPONSES = OBJECTS | st.builds(
    lambda other, message: {**other, "choices": [{"message": message}, "other"]}, OBJECTS, JSON
)
TEXTS = st.none() | st.text(st.characters(exclude_categories=[]))
CALLS = st.builds(
    Call,
    id=st.text(),
    request=REQUESTS,
    response=st.none() | RESPONSES,
    started_at=TEXTS,
    session_id=TEXTS,
    error=TEXTS,
    label=JSON,
    metadata=OBJECTS,
)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(calls=st.lists(CALLS, max_size=8, unique_by=lambda call: call.id))
def test_whatever_json_can_hold_is_read_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, environ: Environ, calls: list[Call]
) -> None:
    with Store.open(tmp_path_factory.mktemp("workspace"), environ) as store:
        store.add(calls)
        for call in calls:
            assert store.call(call.id) == call
