"""Lines made to break a reader: each is kept as it is, or told with its reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slimdown.capture import Reject, read_log
from slimdown.errors import ImportProblem
from slimdown.types import Call

GOOD = b'{"request":{"messages":["good"]}}'
CANARY = "canary-4711"


def read(path: Path, *lines: bytes) -> tuple[list[Call], list[Reject]]:
    path.write_bytes(b"\n".join(lines))
    rejects: list[Reject] = []
    return list(read_log(path, rejects=rejects.append)), rejects


def holding(value: str | bytes) -> bytes:
    """Return the line of a call whose seed is the JSON text ``value``."""
    text = value if isinstance(value, bytes) else value.encode()
    return b'{"request":{"messages":[],"seed":%s}}' % text


KEPT: list[tuple[str, Any]] = [
    (r'"\u0000"', "\x00"),
    (r'"\\u0000"', r"\u0000"),
    (r'"\ud83d\ude00"', "\U0001f600"),
    ('"\ufeff\u2028\u202e\x7f"', "\ufeff\u2028\u202e\x7f"),
    ("-0.0", -0.0),
    ("1E-400", 0.0),
    ("1.7976931348623157e308", 1.7976931348623157e308),
    ("9" * 400, int("9" * 400)),
    ("-18446744073709551616", -(2**64)),
    (
        '{"__proto__":{"admin":true},"__class__":1,"":{}}',
        {"__proto__": {"admin": True}, "__class__": 1, "": {}},
    ),
    ("[" * 300 + "]" * 300, json.loads("[" * 300 + "]" * 300)),
]


@pytest.mark.parametrize(("text", "value"), KEPT)
def test_sound_json_however_odd_is_kept_as_it_is(tmp_path: Path, text: str, value: Any) -> None:
    (call,), rejects = read(tmp_path / "log", holding(text))

    assert not rejects
    assert repr(call.request["seed"]) == repr(value)


def test_of_a_key_given_twice_the_last_counts_as_in_other_readers_of_json(tmp_path: Path) -> None:
    line = b'{"request":{"messages":["a"]},"label":1,"request":{"messages":["b"]},"label":2}'
    (call,), _ = read(tmp_path / "log", line)

    assert call.request == json.loads(line)["request"] == {"messages": ["b"]}
    assert call.label == 2


TOLD: list[tuple[bytes, str]] = [
    (holding("NaN"), "not JSON"),
    (holding("-Infinity"), "not JSON"),
    (holding("1e400"), "not JSON (Number out of range"),
    (holding("-1e400"), "not JSON (Number out of range"),
    (holding("9" * 5_000), "not JSON (Integer value out of range"),
    (holding("0x10"), "not JSON"),
    (holding("'a'"), "not JSON"),
    (holding('"\x01"'), "not JSON"),
    (holding(rb'"\udfff"'), "half of a surrogate pair"),
    (holding(rb'{"\ud800":1}'), "half of a surrogate pair"),
    (holding(rb'"\ud800\u0041"'), "half of a surrogate pair"),
    (holding(b'"\xed\xa0\x80"'), "not UTF-8"),
    (holding(b'"\xc0\x80"'), "not UTF-8"),
    (holding(b'"\xf5\x80\x80\x80"'), "not UTF-8"),
    (holding("[" * 100_000 + "]" * 100_000), "JSON nested too deeply"),
    (holding('{"a":' * 100_000 + "1" + "}" * 100_000), "JSON nested too deeply"),
    (b"\xef\xbb\xbf" + GOOD, "not JSON"),
    (GOOD + GOOD, "not JSON"),
    (b"\x00" + GOOD, "not JSON"),
]


@pytest.mark.parametrize(("line", "reason"), TOLD)
def test_unsound_json_is_told_with_its_bytes_and_spoils_no_other_line(
    tmp_path: Path, line: bytes, reason: str
) -> None:
    calls, (reject,) = read(tmp_path / "log", GOOD, line, GOOD)

    assert len(calls) == 2
    assert reject.reason.startswith(reason)
    assert (reject.line, reject.raw.rstrip(b"\n")) == (2, line)
    assert reject.n_bytes == len(line) + 1


def test_a_million_keys_are_read_and_described_in_few_words(tmp_path: Path) -> None:
    keys = b",".join(b'"k%d":0' % number for number in range(1_000_000))

    calls, (reject,) = read(tmp_path / "log", GOOD, b"{%s}" % keys, GOOD)

    assert len(calls) == 2
    assert reject.reason.startswith("no known format: an object with the keys k0, k1, k10")
    assert len(reject.reason) < 600
    assert (len(reject.raw), reject.n_bytes) == (1 << 20, len(keys) + 3)


def test_a_million_messages_are_one_call(tmp_path: Path) -> None:
    (call,), rejects = read(tmp_path / "log", b'{"request":{"messages":[%s0]}}' % (b"0," * 999_999))

    assert not rejects
    assert len(call.request["messages"]) == 1_000_000


PAYLOADS = [
    f'{{"request":{{"messages":["{CANARY}", NaN]}}}}',
    f'{{"request":{{"messages":["{CANARY}"',
    f'{{"request":{{"messages":"{CANARY}"}}}}',
    f'{{"request":{{"messages":[]}},"response":"{CANARY}"}}',
    f'{{"unknown":"{CANARY}"}}',
    f'["{CANARY}"]',
    f'"{CANARY}"',
    f'{{"messages":[{{"role":"user","content":"{CANARY}"}}]}}',
    f'{{"prompt":3,"completion":"{CANARY}"}}',
    f'{{"custom_id":"1","body":{{"input":"{CANARY}"}}}}',
    f'{{"traceId":"t","type":"SPAN","input":"{CANARY}"}}',
    rf'{{"request":{{"messages":["{CANARY} \ud800"]}}}}',
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_reason_never_holds_what_was_said(tmp_path: Path, payload: str) -> None:
    calls, (reject,) = read(tmp_path / "log", GOOD, payload.encode())

    assert len(calls) == 1
    assert CANARY not in reject.reason
    assert CANARY.encode() in reject.raw


@pytest.mark.parametrize("payload", PAYLOADS[:7])
def test_a_refused_file_is_described_without_what_was_said_in_it(
    tmp_path: Path, payload: str
) -> None:
    (tmp_path / "log").write_text(f'{{"a":"{CANARY}"}}\n["{CANARY}"]\n')

    with pytest.raises(ImportProblem, match="Nothing of it was stored") as refused:
        list(read_log(tmp_path / "log"))

    assert CANARY not in str(refused.value)


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    calls, rejects = read(tmp_path / "log", b"", b"  ", GOOD, b"", b"bad\r", GOOD + b"\r", b"worse")

    assert len(calls) == 2
    assert [reject.line for reject in rejects] == [5, 7]


def test_of_a_long_bad_line_the_first_mebibyte_is_kept(tmp_path: Path) -> None:
    line = b'{"a": "' + b"x" * (3 << 20)

    _, (reject,) = read(tmp_path / "log", GOOD, line)

    assert reject.raw == line[: 1 << 20]
    assert reject.n_bytes == len(line)


def test_a_file_of_blank_lines_is_empty(tmp_path: Path) -> None:
    calls, (reject,) = read(tmp_path / "log", b"", b" \t", b"\r", b"")

    assert not calls
    assert (reject.line, reject.reason) == (0, "the file is empty")


def test_forty_nine_unknown_lines_before_the_first_call_are_told_and_a_fiftieth_refuses_all(
    tmp_path: Path,
) -> None:
    calls, rejects = read(tmp_path / "log", *[b"{}"] * 49, GOOD)

    assert (len(calls), len(rejects)) == (1, 49)
    with pytest.raises(ImportProblem, match="an empty object"):
        read(tmp_path / "log", *[b"{}"] * 50, GOOD)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXTS, JSON, max_size=4)
RECORDS = st.fixed_dictionaries(
    {
        "request": st.builds(
            lambda other, said: {**other, "messages": said}, OBJECTS, st.lists(JSON)
        )
    },
    optional={"response": OBJECTS, "label": JSON, "metadata": OBJECTS, "session_id": TEXTS},
)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(records=st.lists(RECORDS, min_size=1, max_size=4), ascii_only=st.booleans())
def test_whatever_a_request_and_its_answer_hold_is_read_as_it_was(
    tmp_path: Path, records: list[dict[str, Any]], ascii_only: bool
) -> None:
    lines = [json.dumps(each, ensure_ascii=ascii_only).encode() for each in records]

    calls, rejects = read(tmp_path / "log", *lines)

    assert not rejects
    assert [call.request for call in calls] == [each["request"] for each in records]
    assert [call.response for call in calls] == [each.get("response") for each in records]
    assert [call.label for call in calls] == [each.get("label") for each in records]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(records=st.lists(RECORDS, min_size=1, max_size=4))
def test_calls_written_out_and_read_again_are_the_same_calls(
    tmp_path: Path, records: list[dict[str, Any]]
) -> None:
    calls, _ = read(tmp_path / "log", *map(msgspec.json.encode, records))

    again, rejects = read(tmp_path / "exported", *map(msgspec.json.encode, calls))

    assert not rejects
    assert again == calls
