import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from slimdown.curate.curation import curate, input_text
from slimdown.curate.filters import CurationRules
from slimdown.testing import sample_call
from slimdown.types import Call

DATA = Path(os.environ.get("SLIMDOWN_DATA", Path(__file__).parents[3] / "shared" / "data"))


def recorded(name: str) -> Iterator[Call]:
    path = DATA / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"no recorded calls at {path}: set SLIMDOWN_DATA")
    with gzip.open(path) as lines:
        yield from (msgspec.json.decode(line, type=Call) for line in lines)


def test_kept_and_dropped_are_all_calls() -> None:
    calls = [sample_call("a", session_id="s", started_at="2024"), sample_call("b", "")]

    curated = curate(calls)

    assert [(k.call_id, k.session, k.started_at) for k in curated.kept] == [
        (calls[0].id, "s", "2024")
    ]
    assert [(d.call_id, d.reason) for d in curated.dropped] == [(calls[1].id, "empty")]
    assert curated.reasons == {"empty": 1}


def test_duplicates_are_kept_and_share_a_group() -> None:
    curated = curate([sample_call("Where?", id="1"), sample_call("where", id="2")])

    assert len(curated.kept) == 2
    assert curated.n_groups == 1


def test_a_constant_system_prompt_does_not_make_calls_alike() -> None:
    system = " ".join(f"rule{i}" for i in range(500))

    assert curate([sample_call(t, system=system) for t in ("a", "b")]).n_groups == 2


def test_the_caller_says_which_text_varies() -> None:
    calls = [sample_call("a"), sample_call("b")]

    assert curate(calls, text_of=lambda _: "same").n_groups == 1


def test_contradictory_answers_are_kept_and_named() -> None:
    calls = [
        sample_call("a", "x", id="1"),
        sample_call("b", "x", id="2"),
        sample_call("a", "y", id="3"),
    ]

    curated = curate(calls)

    assert len(curated.kept) == 3
    assert curated.contradictory == ("1", "3")


def test_one_text_under_two_prompts_is_no_contradiction() -> None:
    calls = [sample_call("a", "x", system="intent"), sample_call("a", "y", system="mood")]

    assert curate(calls).contradictory == ()


def test_calls_without_a_known_outcome_are_kept_and_counted() -> None:
    rules = CurationRules(outcomes=("reward>=1",))
    calls = [sample_call("a"), sample_call("b", metadata={"reward": 0})]

    curated = curate(calls, rules)

    assert len(curated.kept) == 1
    assert curated.unjudged == {"reward>=1": 1}


def test_input_text_leaves_the_system_out() -> None:
    assert input_text(sample_call("hello", system="be kind")) == "hello"


def test_few_short_questions_are_taken_for_duplicates() -> None:
    curated = curate(recorded("ocats_banking77/calls_gpt4_test"))

    assert len(curated.kept) == 3_080
    assert curated.n_groups >= 0.99 * 3_080


def test_no_label_is_taken_for_a_refusal() -> None:
    assert curate(recorded("ocats_banking77/calls_gpt4_dev")).dropped == ()


def test_policy_answers_of_an_agent_are_not_refusals() -> None:
    assert curate(recorded("tau_bench_airline/calls_agent"), text_of=lambda _: "").dropped == ()


def test_failures_in_wire_traffic_are_set_aside() -> None:
    curated = curate(recorded("vcr_cassettes/calls_chat_completions"))

    assert set(curated.reasons) >= {"failure", "truncated", "refusal", "unsupported"}


def test_only_finished_workflows_are_kept_on_request() -> None:
    rules = CurationRules(outcomes=("trajectory_reward>=1",))

    curated = curate(recorded("tau_bench_airline/calls_agent"), rules, text_of=lambda _: "")

    assert set(curated.reasons) == {"outcome"}
    assert len(curated.kept) + len(curated.dropped) == 2_454
