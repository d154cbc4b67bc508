import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.errors import KeyProblem, SealBroken
from slimdown.seal import Sealer, encode_key, key_file, load_sealer

KEY = bytes(range(32))


@given(st.binary(max_size=2_000), st.text(max_size=40))
def test_what_is_sealed_opens_again(data: bytes, about: str) -> None:
    about = about.encode("utf-8", "replace").decode()

    assert Sealer(KEY).open(Sealer(KEY).seal(data, about), about) == data


@given(st.binary(min_size=1, max_size=200), st.data())
def test_one_flipped_bit_is_noticed(data: bytes, draw: st.DataObject) -> None:
    sealed = bytearray(Sealer(KEY).seal(data, "blob/1"))
    sealed[draw.draw(st.integers(0, len(sealed) - 1))] ^= 1

    with pytest.raises(SealBroken, match="blob/1"):
        Sealer(KEY).open(bytes(sealed), "blob/1")


def test_a_record_moved_to_another_place_does_not_open() -> None:
    sealed = Sealer(KEY).seal(b"secret", "message/1")

    with pytest.raises(SealBroken):
        Sealer(KEY).open(sealed, "message/2")


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(SealBroken, match="not the key"):
        Sealer(bytes(32)).open(Sealer(KEY).seal(b"secret", "x"), "x")


def test_a_cut_record_is_named() -> None:
    with pytest.raises(SealBroken, match="cut short"):
        Sealer(KEY).open(b"short", "x")


def test_the_key_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    environ = {"SLIMDOWN_KEY_FILE": str(tmp_path / "deep" / "key")}

    first, second = load_sealer(environ), load_sealer(environ)

    assert first.key == second.key
    assert stat.S_IMODE(key_file(environ).stat().st_mode) == 0o600


def test_the_environment_wins_over_the_key_file(tmp_path: Path) -> None:
    environ = {"SLIMDOWN_KEY": encode_key(KEY), "SLIMDOWN_KEY_FILE": str(tmp_path / "key")}

    assert load_sealer(environ).key == KEY
    assert not key_file(environ).exists()


def test_a_missing_key_is_not_made_where_data_is_sealed_already(tmp_path: Path) -> None:
    environ = {"SLIMDOWN_KEY_FILE": str(tmp_path / "key")}

    with pytest.raises(KeyProblem, match="Put back the key"):
        load_sealer(environ, create=False)
    assert not key_file(environ).exists()


@pytest.mark.parametrize("text", ["not base64!", "c2hvcnQ=", "é"])
def test_a_malformed_key_is_named_by_its_source(text: str) -> None:
    with pytest.raises(KeyProblem, match="SLIMDOWN_KEY"):
        load_sealer({"SLIMDOWN_KEY": text})


def test_a_key_file_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(KeyProblem, match="SLIMDOWN_KEY_FILE"):
        load_sealer({"SLIMDOWN_KEY_FILE": str(tmp_path / "file" / "key")})


def test_without_a_name_the_key_lies_in_the_users_configuration() -> None:
    assert key_file({"HOME": "/home/ada"}) == Path("/home/ada/.config/slimdown/key")
    assert key_file({"XDG_CONFIG_HOME": "/x"}) == Path("/x/slimdown/key")


def test_the_same_words_sealed_twice_have_nothing_in_common() -> None:
    sealer = Sealer(KEY)
    sealed = {sealer.seal(b"secret", "x") for _ in range(200)}

    assert len({each[:12] for each in sealed}) == 200
    assert len({each[12:28] for each in sealed}) == 200


def test_what_is_sealed_takes_little_more_than_its_compressed_form() -> None:
    sealed = Sealer(KEY).seal(b"a" * 100_000, "x")

    assert len(sealed) < 100
    assert b"aaaa" not in sealed


@pytest.mark.parametrize("n_bytes", [0, 1, 16, 31, 33, 64])
def test_a_key_of_another_length_is_refused_with_both_lengths(n_bytes: int) -> None:
    with pytest.raises(KeyProblem, match=f"32 bytes, this one has {n_bytes}"):
        Sealer(bytes(n_bytes))
    with pytest.raises(KeyProblem, match=f"has {n_bytes} bytes, not 32; nothing was changed"):
        load_sealer({"SLIMDOWN_KEY": encode_key(bytes(n_bytes)) or " "})


@given(st.binary(min_size=32, max_size=32))
def test_a_key_written_as_text_is_the_same_key(key: bytes) -> None:
    for text in (encode_key(key), f"  {encode_key(key)}\n"):
        assert load_sealer({"SLIMDOWN_KEY": text}).key == key


@given(st.binary(max_size=60))
def test_bytes_that_were_never_sealed_do_not_open(data: bytes) -> None:
    with pytest.raises(SealBroken, match="x"):
        Sealer(KEY).open(data, "x")


def test_an_error_about_a_key_never_shows_it(tmp_path: Path) -> None:
    almost = encode_key(b"secret-" * 5)
    (tmp_path / "key").write_text(almost)

    for environ in ({"SLIMDOWN_KEY": almost}, {"SLIMDOWN_KEY_FILE": str(tmp_path / "key")}):
        with pytest.raises(KeyProblem) as told:
            load_sealer(environ)
        assert almost not in str(told.value)
        assert "secret" not in repr(told.value)


def test_an_empty_key_variable_counts_as_none(tmp_path: Path) -> None:
    environ = {"SLIMDOWN_KEY": "", "SLIMDOWN_KEY_FILE": str(tmp_path / "key")}

    load_sealer(environ)

    assert key_file(environ).exists()


@pytest.mark.parametrize("content", [b"", b"\x00" * 44, b"\xff\xfe", b"c2hvcnQ=\n"])
def test_a_spoilt_key_file_is_named_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)

    with pytest.raises(KeyProblem, match="nothing was changed") as told:
        load_sealer({"SLIMDOWN_KEY_FILE": str(path)})

    assert str(path) in str(told.value)
    assert path.read_bytes() == content


def test_a_key_file_that_is_a_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(KeyProblem, match=r"cannot be read \(Is a directory\).*set SLIMDOWN_KEY"):
        load_sealer({"SLIMDOWN_KEY_FILE": str(tmp_path)})


def test_the_folder_made_for_a_key_is_its_owners_alone(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}

    load_sealer(environ)

    assert stat.S_IMODE((tmp_path / "slimdown").stat().st_mode) == 0o700
    assert [path.name for path in (tmp_path / "slimdown").iterdir()] == ["key"]


RACE = """
import sys
from slimdown.seal import load_sealer
print(load_sealer({"SLIMDOWN_KEY_FILE": sys.argv[1]}).key.hex())
"""


def test_a_key_made_by_another_process_is_used_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "key"
    arguments = [sys.executable, "-c", RACE, str(path)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    written = path.read_bytes()

    assert load_sealer({"SLIMDOWN_KEY_FILE": str(path)}).key.hex() == done.stdout.strip()
    assert path.read_bytes() == written


def test_one_sealer_serves_many_threads_at_once() -> None:
    sealer = Sealer(KEY)

    def round_trips(start: int) -> bool:
        texts = [os.urandom(20_000) + bytes(20_000) for _ in range(60)]
        return all(sealer.open(sealer.seal(t, str(start)), str(start)) == t for t in texts)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(round_trips, range(8)))
