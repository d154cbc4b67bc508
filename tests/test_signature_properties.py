"""What a specialist reads: nothing constant, nothing lost, every part word for word."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from slimdown.signature import (
    CONTENT_CHARS,
    constant_chars,
    content_slice,
    contract_id,
    matches,
    messages_of,
    specialist_input,
    spoken_text,
    tools_id,
    variable_text,
)
from slimdown.types import JsonObject, Slot, Task, Template

TEXT = st.text(max_size=12)
ROLES = st.sampled_from(["system", "user", "assistant", "tool"])
MESSAGES = st.lists(st.tuples(ROLES, TEXT), max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def slots_with_texts(draw: st.DrawFn) -> list[tuple[Slot, str]]:
    """Draw slots, each with the variable text of a message that fits it."""
    pairs = []
    for _ in range(draw(st.integers(0, 4))):
        constant = draw(st.booleans())
        suffix = "" if constant else draw(TEXT)
        slot = Slot(draw(ROLES), draw(TEXT), suffix, constant)
        pairs.append((slot, "" if constant else draw(TEXT)))
    return pairs


def asked(messages: list[tuple[str, str]], **fields: Any) -> JsonObject:
    return {"messages": [{"role": r, "content": text} for r, text in messages], **fields}


def task(*slots: Slot) -> Task:
    return Task(id="t", name="t", description="", kind="text", template=Template(slots))


@given(slots_with_texts(), MESSAGES)
def test_what_varies_in_each_message_is_kept_in_order(
    pairs: list[tuple[Slot, str]], later: list[tuple[str, str]]
) -> None:
    slots = tuple(slot for slot, _ in pairs)
    fitting = [(slot.role, slot.prefix + text + slot.suffix) for slot, text in pairs]
    varying = [(slot.role, text) for slot, text in pairs] + later

    read = specialist_input(task(*slots), asked([*fitting, *later]))

    kept = [(role, text) for role, text in varying if text]
    joined = "\n".join(f"[{role}]\n{text}" for role, text in kept)
    assert read == (kept[0][1] if len(kept) == 1 else joined)


@given(slots_with_texts(), MESSAGES)
def test_no_message_of_a_request_that_does_not_fit_is_lost(
    pairs: list[tuple[Slot, str]], messages: list[tuple[str, str]]
) -> None:
    unlike = tuple(Slot(f"not {slot.role}", slot.prefix, slot.suffix) for slot, _ in pairs)

    read = specialist_input(task(*unlike), asked(messages))

    assert read == variable_text(Template(()), asked(messages))
    assert all(text in read for _, text in messages)


@given(slots_with_texts(), MESSAGES)
def test_a_part_is_cut_at_the_ends_of_its_message_and_nowhere_else(
    pairs: list[tuple[Slot, str]], messages: list[tuple[str, str]]
) -> None:
    slots = tuple(slot for slot, _ in pairs)
    request = asked(messages)

    read = specialist_input(task(*slots), request)

    spoken = [spoken_text(message) for message in messages_of(request)]
    n_constant = constant_chars(Template(slots))
    assert sum(map(len, spoken)) - n_constant <= len(read)


@given(slots_with_texts())
def test_a_request_made_from_a_template_matches_it(pairs: list[tuple[Slot, str]]) -> None:
    template = Template(tuple(slot for slot, _ in pairs))
    fitting = [(slot.role, slot.prefix + text + slot.suffix) for slot, text in pairs]

    assert matches(template, asked(fitting))
    assert matches(template, asked([*fitting, ("user", "and more")]))
    assert not fitting or not matches(template, asked(fitting[:-1]))


@given(TEXT, st.integers(0, 3 * CONTENT_CHARS))
def test_a_content_slice_is_bounded_and_keeps_both_ends(tail: str, length: int) -> None:
    text = "h" * length + tail

    sliced = content_slice(Template(()), asked([("user", text)]))

    assert len(sliced) <= 2 * CONTENT_CHARS + 1
    assert sliced.endswith(tail)
    assert sliced.startswith(text[:CONTENT_CHARS])
    assert sliced == text or len(text) > 2 * CONTENT_CHARS


@given(st.dictionaries(st.sampled_from(["messages", "tools", "response_format"]), JSON))
def test_a_request_of_any_shape_has_a_signature(request: JsonObject) -> None:
    template = Template((), tools_id(request), contract_id(request))

    assert matches(template, request)
    assert isinstance(variable_text(template, request), str)


@given(st.dictionaries(TEXT, JSON, min_size=1))
def test_ids_of_tools_and_contracts_ignore_the_order_of_keys(schema: JsonObject) -> None:
    turned = dict(reversed(list(schema.items())))

    assert tools_id({"tools": [schema]}) == tools_id({"tools": [turned]})
    assert contract_id({"response_format": schema}) == contract_id({"response_format": turned})


def test_the_order_of_tools_is_part_of_the_prompt() -> None:
    one, two = {"name": "one"}, {"name": "two"}

    assert tools_id({"tools": [one, two]}) != tools_id({"tools": [two, one]})


def test_the_answer_settings_of_a_request_play_no_part() -> None:
    template = Template((Slot("user", "ask "),))

    assert matches(template, asked([("user", "ask me")], temperature=1, model="other", seed=3))


def test_a_tool_result_and_its_call_are_read_as_they_stand() -> None:
    call = {"type": "function", "function": {"name": "find", "arguments": '{"id": "7"}'}}
    request = {
        "messages": [
            {"role": "assistant", "content": "Wait.", "tool_calls": [call]},
            {"role": "tool", "content": '{"found": true}'},
        ]
    }

    read = variable_text(Template(()), request)

    assert read == (
        '[assistant]\nWait.\n[{"name":"find","arguments":"{\\"id\\": \\"7\\"}"}]\n'
        '[tool]\n{"found": true}'
    )
