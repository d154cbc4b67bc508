"""Texts of one template, kept as what differs between them."""

from __future__ import annotations

import os
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.errors import SealBroken, StoreError
from slimdown.seal import Sealer, encode_key
from slimdown.store import Store, schema
from slimdown.store.parts import KeyedHash, Parts
from slimdown.store.templates import Templates, stand
from slimdown.testing import sample_call

KEY = b"k" * 32
TEMPLATE = b"role user content " + os.urandom(2_000)


def parts_with(connection: apsw.Connection) -> Parts:
    schema.migrate(connection)
    return Parts(connection, Sealer(KEY), KeyedHash(KEY))


@given(tail=st.binary(max_size=500))
def test_a_text_that_leans_stands_up_again(tail: bytes) -> None:
    templates = Templates()
    assert templates.lean(TEMPLATE) is None
    templates.add(7, TEMPLATE)
    leaning = templates.lean(TEMPLATE + tail)
    assert leaning is not None
    assert leaning.base == 7
    assert len(leaning.packed) < 100 + len(tail)
    assert stand(leaning.packed, TEMPLATE) == TEMPLATE + tail


@pytest.mark.parametrize("data", [b"", b"short", b"another start " + TEMPLATE])
def test_a_text_that_starts_otherwise_leans_on_nothing(data: bytes) -> None:
    templates = Templates()
    templates.add(1, TEMPLATE)
    assert templates.lean(data) is None


def test_a_base_is_renewed_so_that_few_texts_hang_on_it() -> None:
    templates = Templates()
    templates.add(1, TEMPLATE)
    leaning = [templates.lean(TEMPLATE + b"%d" % i) for i in range(300)]
    assert 200 < sum(each is not None for each in leaning) < 300


def test_bases_in_memory_are_bounded() -> None:
    templates = Templates()
    for i in range(1_000):
        templates.add(i, b"x" * 32 + b"%064d" % i + b"x" * 500)
    assert templates.lean(b"x" * 32 + b"%064d" % 0 + b"y" * 500) is None
    assert templates.lean(b"x" * 32 + b"%064d" % 999 + b"y" * 500) is not None


def test_parts_of_one_template_are_small_and_come_back() -> None:
    connection = apsw.Connection(":memory:")
    parts = parts_with(connection)
    stored = {parts.put(TEMPLATE + b"%d" % i)[0]: TEMPLATE + b"%d" % i for i in range(600)}
    n_bytes = connection.execute("SELECT sum(length(sealed)) FROM part").get
    assert isinstance(n_bytes, int)
    assert n_bytes < 600 * 200
    assert {number: parts.get(number)[1] for number in stored} == stored


def test_a_base_is_never_a_part_that_leans() -> None:
    connection = apsw.Connection(":memory:")
    parts = parts_with(connection)
    for i in range(600):
        parts.put(TEMPLATE + b"%d" % i)
    query = "SELECT count(*) FROM part p JOIN part b ON p.base = b.number WHERE b.base NOT NULL"
    assert connection.execute(query).get == 0


@pytest.mark.parametrize("base", ["number", "2", "3", "99"])
def test_a_part_moved_to_another_base_is_a_broken_seal(base: str) -> None:
    connection = apsw.Connection(":memory:")
    parts = parts_with(connection)
    parts.put(TEMPLATE)
    number, _ = parts.put(TEMPLATE + b" and more")
    parts.put(b"some other text " * 20)
    connection.execute(f"UPDATE part SET base = {base} WHERE number = ?", (number,))
    with pytest.raises(SealBroken):
        parts.get(number)


TRIGGER = """
CREATE TRIGGER refuse BEFORE INSERT ON call WHEN (SELECT count(*) FROM call) = 3
BEGIN SELECT RAISE(ABORT, 'refused'); END
"""


def test_what_was_rolled_back_is_not_leant_on(tmp_path: Path) -> None:
    calls = [sample_call("x" * 900 + str(i)) for i in range(9)]
    with Store.open(tmp_path, {"SLIMDOWN_KEY": encode_key(KEY)}) as store:
        alter(tmp_path, TRIGGER)
        with pytest.raises(StoreError, match="refused"):
            store.add(calls)
        assert store.count() == 0
        alter(tmp_path, "DROP TRIGGER refuse")
        store.add(calls)
        assert list(store.calls()) == calls


def alter(folder: Path, statement: str) -> None:
    connection = apsw.Connection(str(folder / "slimdown.db"))
    connection.execute(statement)
    connection.close()
