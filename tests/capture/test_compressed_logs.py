"""Compressed logs, whole and damaged: what is whole is read, and where it breaks off is told."""

from __future__ import annotations

import gzip
import random
import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slimdown.capture import Reject, read_log
from slimdown.errors import ImportProblem
from slimdown.types import Call

DRAW = random.Random(7)
N_RECORDS = 40


def line(number: int) -> bytes:
    text = f"{number} {DRAW.randbytes(200).hex()}"
    return msgspec.json.encode({"request": {"messages": [text], "n": number}}) + b"\n"


LINES = [line(number) for number in range(N_RECORDS)]
WHOLE = b"".join(LINES)
HALVES = (b"".join(LINES[:20]), b"".join(LINES[20:]))
SKIPPABLE = b"\x50\x2a\x4d\x18" + struct.pack("<I", 4) + b"size"
"""A frame that a reader has to skip (RFC 8878, 3.1.2), as pzstd writes before each of its own."""

PACKERS: list[Any] = [gzip.compress, zstandard.compress]


def streamed(data: bytes) -> bytes:
    """Return a zstd frame that does not tell its size, as a pipe writes it."""
    packer = zstandard.ZstdCompressor().compressobj()
    return packer.compress(data) + packer.flush()


def checked(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def read(path: Path, data: bytes) -> tuple[list[int], list[Reject]]:
    path.write_bytes(data)
    rejects: list[Reject] = []
    calls: list[Call] = list(read_log(path, rejects=rejects.append))
    return [call.request["n"] for call in calls], rejects


SOUND = {
    "a frame without its size": streamed(WHOLE),
    "a checked frame": checked(WHOLE),
    "a frame to skip, first": SKIPPABLE + zstandard.compress(WHOLE),
    "frames to skip, between and last": b"".join(streamed(h) + SKIPPABLE for h in HALVES),
    "gzip and zeros": gzip.compress(WHOLE) + bytes(512),
    "a member for each line": b"".join(map(gzip.compress, LINES)),
    "a frame for each line": b"".join(map(zstandard.compress, LINES)),
    "an empty member first": gzip.compress(b"") + gzip.compress(WHOLE),
    "an empty frame first": zstandard.compress(b"") + zstandard.compress(WHOLE),
}


@pytest.mark.parametrize("name", SOUND)
def test_every_sound_way_to_pack_a_log_is_read_to_its_end(tmp_path: Path, name: str) -> None:
    found, rejects = read(tmp_path / "log", SOUND[name])

    assert found == list(range(N_RECORDS))
    assert not rejects


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), pack=st.sampled_from([*PACKERS, streamed, checked]))
def test_a_log_cut_anywhere_gives_what_came_before_and_tells_the_place(
    tmp_path: Path, data: st.DataObject, pack: Any
) -> None:
    packed = pack(WHOLE)
    cut = data.draw(st.integers(4, len(packed) - 1))

    try:
        found, rejects = read(tmp_path / "log", packed[:cut])
    except ImportProblem as error:
        assert "breaks off" in str(error)
        return

    assert found == list(range(len(found)))
    assert len(found) > 0
    assert [("breaks off" in each.reason, each.raw) for each in rejects] == [(True, b"")]


@pytest.mark.parametrize("pack", PACKERS)
def test_a_log_cut_between_two_members_is_whole_as_far_as_it_goes(
    tmp_path: Path, pack: Any
) -> None:
    found, rejects = read(tmp_path / "log", pack(HALVES[0]))

    assert found == list(range(20))
    assert not rejects


@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize("after", [b"garbage", b"{}", b"\x1f\x8b\x08garbage"])
def test_what_is_packed_before_something_foreign_is_kept(
    tmp_path: Path, pack: Any, after: bytes
) -> None:
    found, rejects = read(tmp_path / "log", pack(WHOLE) + after)

    assert found == list(range(N_RECORDS))
    assert [reject.line for reject in rejects] == [N_RECORDS + 1]
    assert "breaks off" in rejects[0].reason


@pytest.mark.parametrize("pack", PACKERS)
def test_a_cut_member_after_a_whole_one_costs_only_itself(tmp_path: Path, pack: Any) -> None:
    found, rejects = read(tmp_path / "log", pack(HALVES[0]) + pack(HALVES[1])[:9])

    assert found == list(range(20))
    assert [reject.line for reject in rejects] == [21]


@pytest.mark.parametrize("packed", [gzip.compress(LINES[0]), checked(LINES[0])])
def test_a_checksum_that_does_not_fit_is_told(tmp_path: Path, packed: bytes) -> None:
    altered = bytearray(packed)
    altered[-5 if packed[:1] == b"\x1f" else -1] ^= 1
    sound = gzip.compress(LINES[1]) if packed[:1] == b"\x1f" else checked(LINES[1])

    _, rejects = read(tmp_path / "log", sound + bytes(altered))

    assert len(rejects) == 1
    assert "breaks off" in rejects[0].reason


@pytest.mark.parametrize(
    "start", [b"\x1f\x8b", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", SKIPPABLE[:6]]
)
def test_a_file_that_breaks_off_at_once_is_refused_and_not_called_empty(
    tmp_path: Path, start: bytes
) -> None:
    with pytest.raises(ImportProblem, match="breaks off here"):
        read(tmp_path / "log", start)


@pytest.mark.parametrize("pack", PACKERS)
def test_a_packed_file_that_holds_nothing_is_empty(tmp_path: Path, pack: Any) -> None:
    found, rejects = read(tmp_path / "log", pack(b""))

    assert not found
    assert [reject.reason for reject in rejects] == ["the file is empty"]


def test_a_file_packed_twice_is_refused_and_not_unpacked_twice(tmp_path: Path) -> None:
    with pytest.raises(ImportProblem, match="Nothing of it was stored"):
        read(tmp_path / "log", gzip.compress(gzip.compress(WHOLE)))


OTHERS = [
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh9", "bzip2"),
    (b"%PDF-1.7", "PDF"),
    (b"SQLite f", "SQLite"),
]


@pytest.mark.parametrize(("start", "kind"), OTHERS)
def test_another_kind_of_file_is_named_also_inside_gzip(
    tmp_path: Path, start: bytes, kind: str
) -> None:
    with pytest.raises(ImportProblem, match=kind):
        read(tmp_path / "log", start + bytes(64))
    with pytest.raises(ImportProblem, match=kind):
        read(tmp_path / "log", gzip.compress(start + bytes(64)))


def test_a_broken_file_in_a_folder_does_not_keep_the_others_from_being_read(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(WHOLE)[:12])
    (tmp_path / "b.zst").write_bytes(zstandard.compress(WHOLE))
    rejects: list[Reject] = []

    calls = list(read_log(tmp_path, rejects=rejects.append))

    assert len(calls) == N_RECORDS
    assert [(Path(each.source).name, each.line) for each in rejects] == [("a.gz", 0)]
