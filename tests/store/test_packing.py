"""Calls taken apart and put together, and the parts that they share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.errors import SealBroken, StoreLocked
from slimdown.seal import Sealer
from slimdown.store import schema
from slimdown.store.lock import WriterLock
from slimdown.store.packing import decode, decode_envelope, encode, facts, pack, unpack
from slimdown.store.parts import KeyedHash, Parts
from slimdown.testing import sample_call
from slimdown.types import Call

KEY = b"k" * 32


@pytest.fixture
def parts() -> Parts:
    connection = apsw.Connection(":memory:")
    schema.migrate(connection)
    return Parts(connection, Sealer(KEY), KeyedHash(KEY))


def test_calls_that_differ_in_one_message_share_all_other_parts() -> None:
    one, two = pack(sample_call("a")).parts, pack(sample_call("b")).parts
    assert (one.rest, one.frame, one.answer) == (two.rest, two.frame, two.answer)
    assert one.messages is not None
    assert two.messages is not None
    assert one.messages[0] == two.messages[0]
    assert one.messages[1] != two.messages[1]


def test_an_answer_is_the_part_that_it_becomes_in_the_next_history() -> None:
    answer = {"role": "assistant", "content": "!"}
    asked = Call(id="1", request={"messages": []}, response={"choices": [{"message": answer}]})
    next_call = Call(id="2", request={"messages": [answer]})
    assert [pack(asked).parts.answer] == list(pack(next_call).parts.messages or ())


def test_a_history_of_very_many_messages_is_one_part_and_comes_back() -> None:
    call = Call(id="c", request={"messages": list(range(20_000)), "model": "m"})

    packed = pack(call)

    assert packed.parts.messages is None
    assert unpack(decode_envelope(packed.envelope), facts(call), packed.parts) == call


def test_the_order_of_keys_comes_back() -> None:
    request: dict[str, Any] = {"tools": [], "z": 1, "messages": [], "a": {"y": 1, "b": 2}}
    call = Call(id="1", request=request, metadata={"z": {"y": 1}, "a": 2})
    packed = pack(call)
    back = unpack(decode_envelope(packed.envelope), packed.facts, packed.parts)
    assert list(back.request) == list(request)
    assert list(back.request["a"]) == ["y", "b"]
    assert list(back.metadata) == ["z", "a"]


def test_a_list_of_very_many_messages_is_one_part_and_comes_back() -> None:
    call = Call(id="1", request={"model": "m", "messages": [1] * 10_001, "tools": []})

    packed = pack(call)

    assert packed.parts.messages is None
    assert packed.facts.n_messages == 10_001
    assert unpack(decode_envelope(packed.envelope), packed.facts, packed.parts) == call


def test_a_deeply_nested_value_is_packed_whole() -> None:
    deep: Any = "bottom"
    for _ in range(300):
        deep = {"in": [deep]}
    call = Call(id="1", request={}, metadata={"deep": deep})
    packed = pack(call)
    assert unpack(decode_envelope(packed.envelope), packed.facts, packed.parts) == call


ODD: list[Any] = [
    2**64,
    -(2**63) - 1,
    "\ud800",
    "\udc00\ud800",
    "\x00",
    91,
    123,
    [91],
    1.0,
    -0.0,
    1e308,
]


@pytest.mark.parametrize("value", ODD)
def test_odd_values_are_encoded_and_decoded(value: Any) -> None:
    assert repr(decode(encode(value))) == repr(value)
    assert decode(encode({"in": [value]})) == {"in": [value]}


def test_facts_of_an_odd_call_are_left_empty() -> None:
    usage = {"prompt_tokens": -1, "completion_tokens": "many"}
    call = Call(id="1", request={"model": ["m"], "messages": 3}, response={"usage": usage})
    found = facts(call)
    assert (found.model, found.n_messages) == (None, 0)
    assert (found.prompt_tokens, found.completion_tokens) == (None, None)
    assert (found.status, facts(Call(id="2", request={})).status) == ("ok", "unanswered")


def test_a_part_is_stored_once_and_opens_to_itself(parts: Parts) -> None:
    number, digest = parts.put(b"said")
    parts.forget()
    assert parts.put(b"said") == (number, digest)
    assert parts.get(number) == (digest, b"said")
    assert parts.put(b"other")[0] != number


@given(steps=st.lists(st.integers(1, 9), max_size=30), others=st.lists(st.integers(1, 9)))
def test_a_history_comes_back_in_its_order(steps: list[int], others: list[int]) -> None:
    connection = apsw.Connection(":memory:")
    schema.migrate(connection)
    parts = Parts(connection, Sealer(KEY), KeyedHash(KEY))
    number = parts.put_history(steps)
    parts.put_history([*steps, *others])
    parts.forget()
    assert parts.put_history(steps) == number
    assert parts.history(number) == steps


def test_the_hash_depends_on_the_key() -> None:
    assert KeyedHash(KEY)(b"said") != KeyedHash(b"o" * 32)(b"said")
    assert KeyedHash(KEY)(b"said") == KeyedHash(KEY)(b"said")


def test_a_part_that_is_gone_is_a_broken_seal(parts: Parts) -> None:
    with pytest.raises(SealBroken, match="part/7"):
        parts.get(7)


def test_a_lock_is_free_again_when_released(tmp_path: Path) -> None:
    first = WriterLock(tmp_path / "lock")
    with pytest.raises(StoreLocked):
        WriterLock(tmp_path / "lock")
    first.release()
    WriterLock(tmp_path / "lock").release()


def test_a_lock_file_left_by_a_dead_process_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("999999\n")
    WriterLock(tmp_path / "lock").release()


def test_migrating_again_changes_nothing() -> None:
    connection = apsw.Connection(":memory:")
    schema.migrate(connection)
    schema.migrate(connection)
    assert schema.version(connection) == len(schema.STEPS)
