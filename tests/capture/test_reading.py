"""Reading files, folders and streams: what is bad is told and bounded, what is good is kept."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slimdown.capture import FORMATS, Reject, read_log, read_logs, sniff
from slimdown.errors import ImportProblem, UsageError
from slimdown.types import Call


def record(text: str = "hello", **fields: Any) -> dict[str, Any]:
    request = {"model": "m", "messages": [{"role": "user", "content": text}]}
    message = {"role": "assistant", "content": "hi"}
    return {"request": request, "response": {"choices": [{"message": message}]}, **fields}


def written(path: Path, *records: Any) -> Path:
    path.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in records))
    return path


def read(path: Path, **options: Any) -> tuple[list[Call], list[Reject]]:
    rejects: list[Reject] = []
    return list(read_log(path, rejects=rejects.append, **options)), rejects


def test_a_record_is_read_as_it_is(tmp_path: Path) -> None:
    whole = record(
        id="mine",
        started_at="2025-01-02 03:04:05.5",
        latency_ms=7,
        label="greeting",
        metadata={"session_id": "s-1", "anything": [1, 2.5]},
    )
    (call,), rejects = read(written(tmp_path / "log", whole))
    assert not rejects
    assert (call.request, call.response) == (whole["request"], whole["response"])
    assert (call.started_at, call.latency_ms) == ("2025-01-02T03:04:05.500Z", 7.0)
    assert (call.session_id, call.label, call.error) == ("s-1", "greeting", None)
    assert call.metadata == {**whole["metadata"], "source_id": "mine"}


def test_the_same_file_twice_gives_the_same_ids(tmp_path: Path) -> None:
    path = written(tmp_path / "log", record("a"), record("a"), record("b", id="x"))
    first, _ = read(path)
    again, _ = read(path)
    assert [call.id for call in first] == [call.id for call in again]


def test_equal_records_without_id_and_time_are_events_of_their_own(tmp_path: Path) -> None:
    calls, _ = read(written(tmp_path / "log", record(), record(), record()))
    assert len({call.id for call in calls}) == 3


def test_equal_records_with_a_time_are_one_event(tmp_path: Path) -> None:
    timed = record(started_at="2025-01-01T00:00:00Z")
    calls, _ = read(written(tmp_path / "log", timed, timed))
    assert len({call.id for call in calls}) == 1


def test_a_call_that_we_exported_keeps_its_id(tmp_path: Path) -> None:
    records = [record("a"), record("a"), record("b", id="x", metadata={"session_id": "s"})]
    calls, _ = read(written(tmp_path / "log", *records))
    again, _ = read(written(tmp_path / "exported", *calls))
    assert again == calls


def test_different_calls_under_one_id_both_survive(tmp_path: Path) -> None:
    calls, _ = read(written(tmp_path / "log", record("a", id="1"), record("b", id="1")))
    assert len({call.id for call in calls}) == 2


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress, bytes])
def test_compression_is_told_by_content_not_by_name(tmp_path: Path, pack: Any) -> None:
    path = written(tmp_path / "log.txt", *(record(str(i)) for i in range(50)))
    path.write_bytes(pack(path.read_bytes()))
    calls, rejects = read(path)
    assert (len(calls), rejects) == (50, [])


def test_joined_compressed_files_are_read_to_the_end(tmp_path: Path) -> None:
    data = written(tmp_path / "log", record("a", id="1")).read_bytes()
    for pack in (gzip.compress, zstandard.compress):
        (tmp_path / "log").write_bytes(pack(data) + pack(data.replace(b'"1"', b'"2"')))
        assert len(read(tmp_path / "log")[0]) == 2


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_compressed_file_cut_short_keeps_its_good_part(tmp_path: Path, pack: Any) -> None:
    path = written(tmp_path / "log", *(record(f"{i} {hash(str(i))}") for i in range(20_000)))
    packed = pack(path.read_bytes())
    path.write_bytes(packed[: len(packed) // 2])
    calls, rejects = read(path)
    assert len(calls) > 1_000
    assert "breaks off" in rejects[-1].reason
    assert len(rejects) == 1


def test_a_bad_line_spoils_only_itself(tmp_path: Path) -> None:
    bad = [b"not json", b'{"a":', b'{"other": 1}', b'"text"', b"[]", "caf\u00e9".encode("latin-1")]
    good = [msgspec.json.encode(record(str(i))) for i in range(len(bad))]
    lines = [line for pair in zip(good, bad, strict=True) for line in pair]
    (tmp_path / "log").write_bytes(b"\n".join(lines))
    calls, rejects = read(tmp_path / "log")
    assert len(calls) == len(bad)
    assert [reject.line for reject in rejects] == [2, 4, 6, 8, 10, 12]
    assert [reject.raw.strip() for reject in rejects] == bad


REASONS = [
    (b'{"request": {"messages": [{"content": "\xff"}]}}', "not UTF-8"),
    (b'{"request": {"messages": [{"content": "\\ud800 "}]}}', "surrogate"),
    (b"[" * 100_000, "nested too deeply"),
    (b'{"a":' * 100_000, "nested too deeply"),
    (b'{"request": {"messages": [], "x": NaN}}', "not JSON"),
    (b'{"request": {"messages": [], "x": 1e999}}', "not JSON"),
    (b"\x00" * 64, "not JSON"),
    (b'{"request": {}}', "no list of messages"),
    (b'{"request": {"messages": []}, "response": []}', "not an object"),
    (b'{"messages": [{"role": "user", "content": "?"}]}', "says nothing"),
]


@pytest.mark.parametrize(("line", "reason"), REASONS)
def test_each_kind_of_bad_line_has_its_reason(tmp_path: Path, line: bytes, reason: str) -> None:
    good = msgspec.json.encode(record())
    (tmp_path / "log").write_bytes(b"\n".join([good, line, good]))
    calls, rejects = read(tmp_path / "log")
    assert len(calls) == 2
    (reject,) = rejects
    assert reason in reject.reason
    assert reject.line == 2


def test_an_integer_of_more_than_64_bits_is_kept_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b'{"request": {"messages": [], "seed": 1%s}}' % (b"0" * 25))
    (call,), _ = read(tmp_path / "log")
    assert call.request["seed"] == 10**25


def test_unusual_but_sound_text_is_kept_as_it_is(tmp_path: Path) -> None:
    text = "\x00 \u202e \u200d \U0001f468\u200d\U0001f469 \ufeff e\u0301 \x1b[31m"
    (call,), _ = read(written(tmp_path / "log", record(text)))
    assert call.request["messages"][0]["content"] == text


LONG = """
import re, sys
from pathlib import Path
from slimdown.capture import read_log
rejects = []
n_calls = sum(1 for _ in read_log(Path(sys.argv[1]), rejects=rejects.append))
# Not ru_maxrss, which counts what the parent held when it forked us.
status = Path("/proc/self/status").read_text()
peak = int(re.search(r"VmHWM:\\s+([0-9]+)", status)[1]) // 1024
print(n_calls, len(rejects), rejects[0].n_bytes, len(rejects[0].raw), peak)
"""


def test_a_line_of_100_megabytes_is_passed_over_in_little_memory(tmp_path: Path) -> None:
    good = msgspec.json.encode(record())
    with gzip.open(tmp_path / "log", "wb", compresslevel=1) as file:
        file.write(good + b'\n{"a": "')
        for _ in range(100):
            file.write(b"x" * 1_000_000)
        file.write(b'"}\n' + good)
    arguments = [sys.executable, "-c", LONG, str(tmp_path / "log")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    n_calls, n_rejects, n_bytes, n_kept, peak_mib = map(int, done.stdout.split())
    assert (n_calls, n_rejects) == (2, 1)
    assert n_bytes > 100_000_000
    assert n_kept == 1 << 20
    assert peak_mib < 250


REFUSED = [
    (record, "utf-16", "UTF-16"),
    (b"PK\x03\x04 and the rest", None, "zip archive"),
    (b"PAR1 and the rest", None, "Parquet"),
    (b"id,prompt,answer\n1,a,b\n", None, "not JSON"),
    (b'{"some": 1, "thing": 2}', None, "keys some, thing"),
    (b"[1, 2, 3]", None, "a number"),
]


@pytest.mark.parametrize(("content", "encoding", "seen"), REFUSED)
def test_a_file_of_no_known_format_is_refused_with_what_was_seen(
    tmp_path: Path, content: Any, encoding: str | None, seen: str
) -> None:
    data = json.dumps(content()).encode(encoding) if encoding else content
    (tmp_path / "log").write_bytes(data)
    with pytest.raises(ImportProblem, match=seen):
        read(tmp_path / "log")
    with pytest.raises(ImportProblem, match=seen):
        sniff(tmp_path / "log")


def test_a_long_file_of_no_known_format_is_given_up_early(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"2025-01-01 INFO started\n" * 10_000)
    rejects: list[Reject] = []
    with pytest.raises(ImportProblem, match="Known formats: "):
        list(read_log(tmp_path / "log", rejects=rejects.append))
    assert not rejects


def test_bad_lines_before_the_first_good_one_are_told(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"# exported\n" + msgspec.json.encode(record()))
    calls, rejects = read(tmp_path / "log")
    assert len(calls) == 1
    assert [reject.line for reject in rejects] == [1]


def test_an_empty_file_gives_nothing_and_is_told(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    calls, rejects = read(tmp_path / "log")
    assert not calls
    assert [reject.reason for reject in rejects] == ["the file is empty"]


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportProblem, match="cannot be opened"):
        read(tmp_path / "nowhere")


def test_a_byte_order_mark_is_no_part_of_the_first_record(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"\xef\xbb\xbf" + msgspec.json.encode(record()))
    assert len(read(tmp_path / "log")[0]) == 1


@pytest.mark.parametrize("indent", [None, 1])
def test_a_json_array_of_records_is_read_like_lines(tmp_path: Path, indent: int | None) -> None:
    records = [record("a"), record("b"), "neither"]
    (tmp_path / "log").write_text(json.dumps(records, indent=indent))
    calls, rejects = read(tmp_path / "log")
    assert len(calls) == 2
    assert [reject.line for reject in rejects] == [3]


def test_one_record_over_many_lines_is_one_document(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(json.dumps(record(), indent=2))
    assert len(read(tmp_path / "log")[0]) == 1


def test_a_page_of_an_api_is_read_as_its_records(tmp_path: Path) -> None:
    page = {"object": "list", "data": [record("a"), record("b")]}
    (tmp_path / "log").write_text(json.dumps(page, indent=2))
    assert len(read(tmp_path / "log")[0]) == 2


def test_a_folder_is_read_file_by_file_and_strangers_in_it_are_told(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    written(tmp_path / "sub" / "b.jsonl", record("b"))
    written(tmp_path / "a.jsonl", record("a"))
    (tmp_path / "README.md").write_text("# Logs\n")
    calls, rejects = read(tmp_path)
    assert len(calls) == 2
    assert [Path(reject.source).name for reject in rejects] == ["README.md"]


def test_a_folder_without_any_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportProblem, match="no file"):
        read(tmp_path)
    (tmp_path / "README.md").write_text("# Logs\n")
    with pytest.raises(ImportProblem, match="no file"):
        read(tmp_path)


def test_files_named_together_are_read_together(tmp_path: Path) -> None:
    paths = [written(tmp_path / f"{i}", record(str(i))) for i in range(3)]
    assert len(list(read_logs(paths))) == 3


def test_a_named_format_is_the_only_one_read(tmp_path: Path) -> None:
    path = written(tmp_path / "log", record(workload_id="w"), record())
    calls, rejects = read(path, format="flywheel")
    assert len(calls) == 1
    assert len(rejects) == 1
    with pytest.raises(UsageError, match="flywheel"):
        read(path, format="flywhel")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_on_the_page_of_formats(name: str) -> None:
    page = Path(__file__).parents[2] / "docs" / "formats.md"
    assert f"`{name}`" in page.read_text("utf-8")


def test_progress_ends_at_the_end(tmp_path: Path) -> None:
    path = written(tmp_path / "log", *(record(str(i)) for i in range(1_000)))
    told: list[float] = []
    list(read_log(path, progress=lambda share, _: told.append(share)))
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_standard_input_is_read_for_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    data = io.BytesIO(msgspec.json.encode(record()))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(data)))
    assert len(list(read_log(Path("-")))) == 1


WORDS = (
    "request response messages role content tool_calls function name arguments custom_id body "
    "error message choices object model usage created observations type input output traceId "
    "level modelParameters usageDetails latency startTime endTime call_type status conversations "
    "from value prompt completion history metadata session_id id parts function_call args text "
    "instructions tools call_id toolName headers traceparent weight timestamp workload_id contents"
)
VALUES = (
    "user assistant tool GENERATION chat.completion response list function_call "
    "function_call_output tool_call tool_call_response ERROR failure message"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(VALUES.split()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS.split()), inner, max_size=5)
    ),
    max_leaves=20,
)
SEEDS: list[Any] = [
    lambda value: value,
    lambda value: {"type": "GENERATION", "traceId": "t", "input": value, "output": value},
    lambda value: {"request": {"input": value, "tools": value}, "response": {"output": value}},
    lambda value: {"messages": [{"role": "assistant", "content": value}]},
    lambda value: {"call_type": value, "messages": value, "response": value},
    lambda value: {"custom_id": value, "body": {"messages": []}, "response": value},
]


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(values=st.lists(JSON, max_size=3), seed=st.sampled_from(SEEDS))
def test_no_record_however_odd_stops_the_reading(
    tmp_path: Path, values: list[Any], seed: Any
) -> None:
    path = written(tmp_path / "log", *map(seed, values), record())
    calls, _ = read(path)
    assert calls[-1].request == record()["request"]
