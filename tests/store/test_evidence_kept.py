"""Evidence in the store: once for each call and specialist, found by task, sealed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from slimdown.errors import SealBroken, StoreError
from slimdown.seal import encode_key
from slimdown.store import Store
from slimdown.types import Evidence

KEY = {"SLIMDOWN_KEY": encode_key(b"k" * 32)}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path, KEY) as opened:
        yield opened


def pair(call_id: str = "call", task_id: str = "task", **fields: Any) -> Evidence:
    values: dict[str, Any] = {
        "specialist_id": "specialist",
        "stage": "shadow",
        "score": 0.5,
        "output": {"intent": "delivery"},
        "agreed": True,
        "created_at": "2025-01-02T03:04:05Z",
    }
    return Evidence(call_id=call_id, task_id=task_id, **{**values, **fields})


def test_evidence_comes_out_as_it_went_in_in_the_order_stored(store: Store) -> None:
    pairs = [pair(f"{i}", output=output) for i, output in enumerate([None, "a", {"b": [1]}, [2.5]])]
    store.add_evidence(pairs[:2])
    store.add_evidence(pairs[2:])

    assert list(store.evidence()) == pairs


def test_evidence_is_found_by_its_task(store: Store) -> None:
    store.add_evidence([pair("1", "one"), pair("2", "two"), pair("3", "one")])

    assert [each.call_id for each in store.evidence("one")] == ["1", "3"]
    assert list(store.evidence("three")) == []


def test_a_specialist_has_one_answer_to_a_call(store: Store) -> None:
    store.add_evidence([pair(), pair(agreed=False), pair(specialist_id="other")])

    assert [(each.specialist_id, each.agreed) for each in store.evidence()] == [
        ("specialist", True),
        ("other", True),
    ]


def test_more_evidence_than_a_page_comes_out_whole(store: Store) -> None:
    pairs = [pair(f"{i}", f"task {i % 2}") for i in range(600)]
    store.add_evidence(pairs)

    assert list(store.evidence()) == pairs
    assert list(store.evidence("task 1")) == pairs[1::2]


def test_neither_a_task_nor_an_answer_stands_in_any_file(tmp_path: Path, store: Store) -> None:
    store.add_evidence([pair("canary-call", "canary-task", output="canary-output")])

    files = [file for file in tmp_path.iterdir() if file.is_file()]
    assert not [file for file in files if b"canary" in file.read_bytes()]


@pytest.mark.parametrize("column", ["hash", "task", "sealed"])
def test_evidence_moved_to_another_place_does_not_open(
    tmp_path: Path, store: Store, column: str
) -> None:
    store.add_evidence([pair("1", "one"), pair("2", "two")])
    connection = apsw.Connection(str(tmp_path / "slimdown.db"))
    if column == "hash":
        connection.execute("UPDATE evidence SET hash = x'00' WHERE number = 2")
    else:
        connection.execute(
            f"UPDATE evidence SET {column} = (SELECT {column} FROM evidence WHERE number = 1)"
        )
    connection.close()

    with pytest.raises(SealBroken, match="evidence/1/"):
        list(store.evidence())


def test_a_reader_adds_no_evidence(tmp_path: Path, store: Store) -> None:
    with (
        Store.open(tmp_path, KEY, write=False) as reader,
        pytest.raises(StoreError, match="read only"),
    ):
        reader.add_evidence([pair()])
    assert list(store.evidence()) == []
