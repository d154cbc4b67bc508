import stat
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
