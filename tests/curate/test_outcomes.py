from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.curate.outcomes import parse_rule
from slimdown.errors import UsageError


@pytest.mark.parametrize(
    ("rule", "metadata", "holds"),
    [
        ("reward>=1", {"reward": 1.0}, True),
        ("reward>=1", {"reward": 0.5}, False),
        ("reward > 1", {"reward": 1}, False),
        ("reward<2", {"reward": 1}, True),
        ("reward=1", {"reward": 1.0}, True),
        ("success=true", {"success": True}, True),
        ("success=true", {"success": 1}, False),
        ("success==true", {"success": False}, False),
        ("state!=failed", {"state": "done"}, True),
        ('state="in review"', {"state": "in review"}, True),
        ("run.score>0", {"run": {"score": 3}}, True),
        ("run.score>0", {"run.score": 3}, True),
        ("score>0", {"feedback": {"score": 3}}, True),
        ("score>0", {"score": "3"}, False),
        ("score>0", {"score": True}, False),
        ("score>0", {}, None),
        ("run.score>0", {"run": 3}, None),
        ("answer=null", {"answer": None}, True),
    ],
)
def test_a_rule_is_a_comparison(rule: str, metadata: dict[str, Any], holds: bool | None) -> None:
    assert parse_rule(rule).holds(metadata) is holds


@pytest.mark.parametrize("text", ["", "reward", ">=1", "reward>=", "a b=1", "reward=>1 2=", "1>0"])
def test_a_rule_that_is_no_comparison_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"nothing was curated|not a number"):
        parse_rule(text)


def test_words_have_no_order() -> None:
    with pytest.raises(UsageError, match="not a number"):
        parse_rule("state>done")


@given(st.text(max_size=20))
def test_any_text_is_a_rule_or_refused_with_reason(text: str) -> None:
    try:
        parse_rule(text).holds({})
    except UsageError as error:
        assert "nothing was" in str(error)
