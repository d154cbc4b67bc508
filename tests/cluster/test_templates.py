from typing import Any

from slimdown.cluster.templates import Signature, find_signatures
from slimdown.testing import sample_call
from slimdown.types import Call

WISHES = ["book", "cancel", "move", "refund", "upgrade", "rebook", "change"]
POLICY = "You are the agent of an airline and you follow this policy to the letter."


def call(*messages: tuple[str, Any], **fields: Any) -> Call:
    listed = [{"role": role, "content": content} for role, content in messages]
    made = sample_call(str(messages))
    return Call(id=made.id, request={"messages": listed, **fields}, response=made.response)


def signatures(calls: list[Call]) -> list[Signature]:
    return sorted(find_signatures(calls), key=lambda s: s.members)


def test_few_shot_messages_are_part_of_the_template() -> None:
    shots = (("system", "Sort mail."), ("user", "a bill"), ("assistant", "bills"))

    (found,) = signatures([call(*shots, ("user", f"letter {i}")) for i in range(20)])

    assert [slot.constant for slot in found.template.slots] == [True, True, True, False]
    assert found.template.slots[3].prefix == "letter "


def test_a_conversation_ends_the_template_at_its_first_turn() -> None:
    calls = [
        call(("system", POLICY), ("user", f"{word} please"), *([("assistant", word)] * (i % 3)))
        for i, word in enumerate(WISHES * 4)
    ]

    (found,) = signatures(calls)

    assert [slot.role for slot in found.template.slots] in (["system"], ["system", "user"])
    assert len(found.members) == len(calls)


def test_what_stands_around_a_user_s_text_is_constant() -> None:
    calls = [call(("user", f"Question: is {w} a word? Answer:")) for w in "abcdefghijklmnop"]

    (found,) = signatures(calls)

    assert found.template.slots[0].prefix == "Question: is "
    assert found.template.slots[0].suffix == " a word? Answer:"


def test_tool_lists_and_contracts_divide() -> None:
    tools = [{"type": "function", "function": {"name": "find"}}]
    contract = {"type": "json_object"}
    calls = [
        *(call(("system", POLICY), ("user", str(i))) for i in range(3)),
        *(call(("system", POLICY), ("user", str(i)), tools=tools) for i in range(3)),
        *(call(("system", POLICY), ("user", str(i)), response_format=contract) for i in range(3)),
    ]

    assert [len(found.members) for found in signatures(calls)] == [3, 3, 3]


def test_calls_with_and_without_a_system_prompt_are_apart() -> None:
    calls = [
        *(call(("system", POLICY), ("user", f"x{i}y")) for i in range(12)),
        *(call(("user", f"{chr(97 + i)}")) for i in range(12)),
    ]

    assert [len(found.members) for found in signatures(calls)] == [12, 12]


def test_one_signature_per_template() -> None:
    calls = [
        *(call(("system", POLICY)) for _ in range(12)),
        *(call(("system", POLICY), ("user", chr(97 + i) * 3)) for i in range(12)),
    ]

    found = signatures(calls)

    assert len({signature.template for signature in found}) == len(found) == 1
