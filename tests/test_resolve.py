import math
from pathlib import Path

import pytest

from slimdown.errors import UnknownName
from slimdown.resolve import known_names, resolve


def test_a_module_and_attribute_are_found() -> None:
    assert resolve("rungs", "math:sqrt") is math.sqrt


def test_what_stands_behind_an_at_sign_is_its_argument() -> None:
    assert resolve("rungs", "pathlib:Path@some/folder")() == Path("some/folder")


def test_short_names_are_listed() -> None:
    assert {"linear", "fields"} <= set(known_names("rungs"))


def test_a_misspelt_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'linear'"):
        resolve("rungs", "liner")


def test_a_module_that_does_not_load_is_refused_with_the_cause() -> None:
    with pytest.raises(UnknownName, match="no_such_module"):
        resolve("rungs", "no_such_module:thing")
    with pytest.raises(UnknownName, match="loading math:nothing"):
        resolve("rungs", "math:nothing")
