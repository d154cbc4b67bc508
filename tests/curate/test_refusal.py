import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.curate.refusal import declines, refused
from slimdown.types import Answer


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't assist with that request.",
        "I\u2019m sorry, but I can\u2019t help with that.",
        "I'm sorry. I can't help with that.",
        "I cannot provide that information.",
        "I apologize, but I cannot fulfill this request.",
        "As an AI language model, I don't have personal opinions.",
        "Sorry, I am not able to answer this question as it concerns a person.",
        "Unfortunately, I won't be able to help you with this.",
        "I must respectfully decline.",
        "I can't comply.",
        "That goes against my safety guidelines.",
    ],
)
def test_a_model_that_declines_is_heard(text: str) -> None:
    assert declines(text)


@pytest.mark.parametrize(
    "text",
    [
        "declined_card_payment",
        "unable_to_verify_identity",
        "I'm sorry, this fare cannot be changed.",
        "I can't cancel the booking, since it is more than 24 hours old.",
        "Your fare cannot be changed. Unfortunately, I cannot assist with this request.",
        "I have cancelled it. I can't help noticing that the price fell.",
        "The provided function cannot be used to answer the question.",
        "I need to know your booking number.",
        "",
    ],
)
def test_an_answer_that_says_no_is_still_an_answer(text: str) -> None:
    assert not declines(text)


def test_the_api_s_own_field_counts() -> None:
    response = {"choices": [{"message": {"content": None, "refusal": "No."}}]}

    assert refused(response, None)


def test_an_empty_refusal_field_does_not_count() -> None:
    response = {"choices": [{"message": {"content": "refund", "refusal": None}}]}

    assert not refused(response, Answer("text", "refund"))


def test_json_that_quotes_a_refusal_is_an_answer() -> None:
    assert not refused({}, Answer("json", {"reply": "I can't assist with that."}))


@given(st.text(), st.integers(0, 50))
def test_what_is_quoted_late_is_no_refusal(text: str, n_sentences: int) -> None:
    before = "The parcel has left the depot. " * (n_sentences + 14)

    assert not declines(before + "I can't assist with that. " + text)
