from hypothesis import given
from hypothesis import strategies as st

from slimdown.canonical import bytes_id, canonical_json, content_id

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
)


@given(st.dictionaries(NAMES, VALUES, min_size=2, max_size=6))
def test_the_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    turned = dict(reversed(list(value.items())))

    assert content_id(turned) == content_id(value)


@given(VALUES, VALUES)
def test_different_values_have_different_ids(one: object, other: object) -> None:
    same = canonical_json(one) == canonical_json(other)

    assert (content_id(one) == content_id(other)) == same


def test_an_id_is_32_hexadecimal_digits() -> None:
    assert len(bytes_id(b"")) == 32
    assert int(content_id({"a": [1, 2.5, None]}), 16) >= 0
