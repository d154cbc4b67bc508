"""Settings and names that a user may get wrong: what is said, and that nothing else is raised."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from slimdown.errors import UnknownName, UsageError
from slimdown.resolve import NAMES, known_names, resolve
from slimdown.settings import FILE_NAME, Settings, load_settings

ENVIRON = st.dictionaries(
    st.sampled_from([f"SLIMDOWN_{name.upper()}" for name in Settings.__struct_fields__]),
    st.text(st.characters(codec=None), max_size=12) | st.sampled_from(["1", "-1", "nan", "{}"]),
)
shared = hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def refused(folder: Path, environ: dict[str, str], **flags: Any) -> str:
    with pytest.raises(UsageError) as raised:
        load_settings(folder, environ, flags)
    return str(raised.value)


def test_without_a_file_variables_or_flags_the_defaults_hold(tmp_path: Path) -> None:
    assert load_settings(tmp_path, {"PATH": "/bin", "SLIMDOWN_KEY": "not a setting"}) == Settings()


def test_flags_that_are_none_leave_the_file_in_force(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('rungs = ["linear"]\nrisk = 0.1\n')

    settings = load_settings(tmp_path, {}, {"rungs": None, "risk": None, "delta": 0.2})

    assert (settings.rungs, settings.risk, settings.delta) == (("linear",), 0.1, 0.2)


@pytest.mark.parametrize("usd", ["-0.01", "nan", "inf", "-inf"])
def test_a_price_of_cpu_time_that_is_no_price_is_refused(tmp_path: Path, usd: str) -> None:
    words = refused(tmp_path, {"SLIMDOWN_USD_PER_CPU_HOUR": usd})

    assert words.startswith("usd_per_cpu_hour must be a price of 0 or more, not ")
    assert words.endswith("nothing was changed.")


def test_cpu_time_may_be_free(tmp_path: Path) -> None:
    assert load_settings(tmp_path, {"SLIMDOWN_USD_PER_CPU_HOUR": "0"}).usd_per_cpu_hour == 0


@pytest.mark.parametrize("name", ["risk", "delta"])
@pytest.mark.parametrize("share", ["0", "1", "nan", "-0.1", "inf"])
def test_a_share_outside_0_and_1_is_refused_by_name(tmp_path: Path, name: str, share: str) -> None:
    words = refused(tmp_path, {f"SLIMDOWN_{name.upper()}": share})

    assert words.startswith(f"{name} must lie between 0 and 1, not ")
    assert words.endswith("nothing was changed.")


@pytest.mark.parametrize(
    ("environ", "flags", "source"),
    [
        ({"SLIMDOWN_RISK": "low"}, {}, "the environment: "),
        ({"SLIMDOWN_PRICES": "[]"}, {}, "the environment: "),
        ({"SLIMDOWN_PRICES": "\udcff"}, {}, "SLIMDOWN_PRICES is not JSON: "),
        ({}, {"risk": "low"}, "the flags: "),
        ({}, {"colour": "red"}, "the flags: unknown setting 'colour'."),
    ],
)
def test_a_bad_value_is_told_with_where_it_stands(
    tmp_path: Path, environ: dict[str, str], flags: dict[str, Any], source: str
) -> None:
    assert refused(tmp_path, environ, **flags).startswith(source)


@pytest.mark.parametrize("data", [b"risk = \xff", b"[[[", b"risk = 0.1\nrisk = 0.2"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(data)

    words = refused(tmp_path, {})

    assert words.startswith(f"{tmp_path / FILE_NAME} cannot be read: ")
    assert words.endswith("Nothing was changed.")


def test_a_folder_in_the_place_of_the_file_is_told_too(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()

    assert "cannot be read" in refused(tmp_path, {})


def test_a_bad_value_is_refused_even_where_a_better_one_overrides_it(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('risk = "low"\n')

    assert str(tmp_path / FILE_NAME) in refused(tmp_path, {"SLIMDOWN_RISK": "0.1"}, risk=0.2)


def test_blanks_and_empty_parts_of_a_list_are_left_out(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, {"SLIMDOWN_OUTCOMES": " reward>=1 ,, success=true,"})

    assert settings.outcomes == ("reward>=1", "success=true")


@shared
@given(ENVIRON)
def test_any_environment_is_read_or_refused(tmp_path: Path, environ: dict[str, str]) -> None:
    try:
        settings = load_settings(tmp_path, environ)
    except UsageError as error:
        assert str(error)
    else:
        assert 0 < settings.risk < 1 and settings.usd_per_cpu_hour >= 0


@pytest.mark.parametrize("name", ["", ":", ":x", ".x:y", "math:", "a:b:c", "@linear", "\x00:x"])
def test_a_name_that_cannot_be_one_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(UnknownName) as raised:
        resolve("rungs", name)

    assert 'Known: fields, linear, or "module:attribute".' in str(raised.value)


@pytest.mark.parametrize("seam", NAMES)
def test_every_short_name_leads_to_something_that_can_be_called(seam: str) -> None:
    assert known_names(seam)
    assert all(callable(resolve(seam, name)) for name in known_names(seam))


def test_an_empty_argument_is_none() -> None:
    assert resolve("rungs", "math:sqrt@") is resolve("rungs", "math:sqrt")


def test_an_argument_may_itself_hold_an_at_sign_and_a_colon() -> None:
    assert resolve("rungs", "pathlib:Path@a@b:c")() == Path("a@b:c")
