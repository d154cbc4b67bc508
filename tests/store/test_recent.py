"""What is remembered, in bounded memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from slimdown.store.recent import Recent


def test_what_was_used_last_is_kept() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)

    recent.get("a")
    recent.put("c", 3)

    assert [recent.get(key) for key in "abc"] == [1, None, 3]


def test_a_large_value_drives_out_several_small_ones_and_none_is_too_large_to_drop() -> None:
    recent: Recent[str, int] = Recent(10)
    for number, key in enumerate("abcd"):
        recent.put(key, number, 2)

    recent.put("large", 4, 7)
    kept = [key for key in ("a", "b", "c", "d", "large") if recent.get(key) is not None]
    recent.put("too large", 5, 11)

    assert kept == ["d", "large"]
    assert recent.get("too large") is None


def test_forgetting_leaves_room_for_as_much_again() -> None:
    recent: Recent[int, int] = Recent(3)
    recent.put(1, 1, 3)
    recent.clear()

    recent.put(2, 2, 3)

    assert (recent.get(1), recent.get(2)) == (None, 2)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 8))))
def test_the_sizes_kept_never_exceed_the_limit(uses: list[tuple[int, int]]) -> None:
    recent: Recent[int, int] = Recent(20)

    for key, size in uses:
        if recent.get(key) is None:
            recent.put(key, size, size)

    assert sum(recent.get(key) or 0 for key in range(21)) <= 20
