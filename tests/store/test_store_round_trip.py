"""The store beside a model of it: what is added, in whatever portions, is there once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slimdown.capture import read_log
from slimdown.errors import UsageError
from slimdown.seal import encode_key
from slimdown.store import Added, Store
from slimdown.testing import sample_call
from slimdown.types import Call

KEY = {"SLIMDOWN_KEY": encode_key(b"k" * 32)}
OFTEN = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
TIMES = st.sampled_from(
    [None, "2024-12-31T23:59:59.999Z", "2025-01-01T00:00:00.000Z", "9999", "-1"]
)


def opened(factory: pytest.TempPathFactory) -> Store:
    return Store.open(factory.mktemp("workspace"), KEY)


def numbered(number: int, time: str | None = None) -> Call:
    return sample_call(f"question {number}", id=f"call-{number:04}", started_at=time)


@OFTEN
@given(batches=st.lists(st.lists(st.integers(0, 12), max_size=8), max_size=5))
def test_counts_of_new_and_known_are_those_of_a_set(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[int]]
) -> None:
    folder = tmp_path_factory.mktemp("workspace")
    model: dict[int, None] = {}
    for batch in batches:
        n_before = len(model)
        model |= dict.fromkeys(batch)
        n_new = len(model) - n_before
        with Store.open(folder, KEY) as store:
            assert store.add(map(numbered, batch)) == Added(n_new, len(batch) - n_new)
            assert list(store.calls()) == [numbered(number) for number in model]


@OFTEN
@given(times=st.lists(TIMES, max_size=20))
def test_calls_come_by_time_and_at_one_time_in_the_order_added(
    tmp_path_factory: pytest.TempPathFactory, times: list[str | None]
) -> None:
    calls = [numbered(number, time) for number, time in enumerate(times)]
    expected = sorted(calls, key=lambda call: call.started_at or "")

    with opened(tmp_path_factory) as store:
        store.add(calls)

        assert list(store.calls()) == expected
        assert [row.id for row in store.list_calls()] == [call.id for call in expected]
        assert list(store.calls(ids=[call.id for call in reversed(calls)])) == expected


@OFTEN
@given(limit=st.integers(1, 9), n_calls=st.integers(0, 20))
def test_pages_of_any_size_make_up_the_whole_list(
    tmp_path_factory: pytest.TempPathFactory, limit: int, n_calls: int
) -> None:
    with opened(tmp_path_factory) as store:
        store.add(numbered(number, "2025" if number % 3 else None) for number in range(n_calls))

        pages = [store.list_calls(limit, offset) for offset in range(0, 21, limit)]

        assert [row for page in pages for row in page] == store.list_calls(100)
        assert len(store.list_calls(100)) == n_calls


@OFTEN
@given(n_before=st.integers(0, 30))
def test_an_import_that_broke_off_anywhere_ends_as_if_it_had_not(
    tmp_path_factory: pytest.TempPathFactory, n_before: int
) -> None:
    calls = [numbered(number) for number in range(30)]

    def breaking_off() -> Iterator[Call]:
        yield from calls[:n_before]
        raise KeyboardInterrupt

    with opened(tmp_path_factory) as store:
        with pytest.raises(KeyboardInterrupt):
            store.add(breaking_off())
        assert list(store.calls()) == calls[:n_before]

        assert store.add(calls) == Added(30 - n_before, n_before)
        assert list(store.calls()) == calls


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
RESULTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
EDITS = st.lists(st.tuples(TEXTS, st.none() | RESULTS.map(lambda value: [value])), max_size=12)


@OFTEN
@given(edits=EDITS)
def test_results_are_those_of_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[str, list[Any] | None]]
) -> None:
    model: dict[str, Any] = {}
    with opened(tmp_path_factory) as store:
        for key, value in edits:
            if value is None:
                store.delete_result("stage", key)
                model.pop(key, None)
            else:
                store.put_result("stage", key, value)
                model[key] = json.loads(msgspec.json.encode(value))
        assert store.results("stage") == model
        assert store.results("another stage") == {}
        assert all(store.result("stage", key) == value for key, value in model.items())


def test_results_that_fail_on_the_way_are_kept_all_or_none(tmp_path: Path) -> None:
    with Store.open(tmp_path, KEY) as store:
        store.put_results("stage", {"a": 1})

        with pytest.raises(TypeError):
            store.put_results("stage", {"a": 2, "b": object()})

        assert store.results("stage") == {"a": 1}


LINES = [
    {"request": {"model": "m", "messages": [{"role": "user", "content": "\x00 \u202e"}]}},
    {"request": {"messages": [], "seed": 10**30, "x": -0.0}, "response": {"choices": []}},
    {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]},
    {"prompt": "??", "completion": "!", "metadata": {"": None}},
]


def test_a_log_read_stored_and_written_out_again_is_the_same_calls(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("\n".join(map(json.dumps, LINES)))
    calls = list(read_log(tmp_path / "log"))

    with Store.open(tmp_path / "workspace", KEY) as store:
        store.add(calls)
        stored = list(store.calls())
        (tmp_path / "out").write_bytes(b"\n".join(map(msgspec.json.encode, stored)))
        again = store.add(read_log(tmp_path / "out"))

    assert {call.id: call for call in stored} == {call.id: call for call in calls}
    assert again == Added(0, len(LINES))


@pytest.mark.parametrize("text", ["", "call-00", "\ud800", "\x00", "call-0001\x00", "CALL-0001"])
def test_an_id_that_is_not_there_is_never_taken_for_another(tmp_path: Path, text: str) -> None:
    with Store.open(tmp_path, KEY) as store:
        store.add([numbered(1)])

        with pytest.raises(UsageError, match="no call has the id"):
            store.call(text)
        assert store.call("call-0001") == numbered(1)


def test_the_content_version_is_the_same_for_a_reader_and_after_reopening(tmp_path: Path) -> None:
    with Store.open(tmp_path, KEY) as store:
        store.add([numbered(1)])
        version = store.content_version()
        store.put_result("stage", "a", 1)
        store.compact()

        assert store.content_version() == version

    with Store.open(tmp_path, KEY, write=False) as reader:
        assert reader.content_version() == version
