"""How long is trained, what is left out, and that real outputs can be said in fields."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from slimdown.encoder.weights import EncoderWeights, read_weights
from slimdown.errors import TrainingFailed
from slimdown.testing import tiny_encoder
from slimdown.train.fields.planning import expressible_share
from slimdown.types import Dataset, Example

pytest.importorskip("torch", reason="torch is not installed: nothing can be trained")

from slimdown.train.fields.training import (
    budget_s,
    lessons_of,
    schedule_for,
)

DATA = Path(os.environ.get("SLIMDOWN_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> EncoderWeights:
    return read_weights(tiny_encoder(tmp_path_factory.mktemp("weights") / "tiny"))


def examples(pairs: list[tuple[str, Any]]) -> tuple[Example, ...]:
    return tuple(
        Example(id=str(i), input=text, output=output, session=str(i), group=str(i))
        for i, (text, output) in enumerate(pairs)
    )


def dataset(pairs: list[tuple[str, Any]]) -> Dataset:
    return Dataset(task_id="t", kind="json", train=examples(pairs), dev=(), calibration=())


def test_small_sets_train_in_seconds_and_large_ones_in_minutes() -> None:
    budgets = [budget_s(n) for n in (40, 300, 1_000, 2_000, 13_000, 1_000_000)]
    assert budgets == sorted(budgets)
    assert budgets[1] < 15
    assert budgets[2] <= 30
    assert budgets[3] <= 120
    assert budgets[-1] <= 300


def test_large_sets_are_seen_at_least_once_and_small_ones_thrice() -> None:
    assert [schedule_for(n).least for n in (100, 2_000, 4_000, 50_000)] == [3.0, 3.0, 1.5, 1.0]


def test_what_is_asked_for_goes_before_what_is_derived() -> None:
    assert schedule_for(100, budget_s=1.5, seed=3).budget_s == 1.5


def test_texts_beyond_the_window_are_counted_and_left_out(weights: EncoderWeights) -> None:
    pairs: list[tuple[str, Any]] = [("call Ada", {"who": "Ada"}), ("call Bob", {"who": "Bob"})]
    _, lessons, dropped = lessons_of(dataset([*pairs, ("word " * 40, {"who": "word"})]), weights)
    assert len(lessons) == 2
    assert dropped == {"n_too_long": 1, "n_inexpressible": 0}


def test_answers_that_spans_alone_cannot_say_are_left_out(weights: EncoderWeights) -> None:
    pairs: list[tuple[str, Any]] = [(f"call {n}", {"who": n}) for n in ("Ada", "Bob", "Cy")] * 4
    _, lessons, dropped = lessons_of(dataset([*pairs, ("call her", {"who": "Eve"})]), weights)
    assert (len(lessons), dropped["n_inexpressible"]) == (12, 1)


def test_nothing_to_learn_from_is_a_failure_with_a_cause(weights: EncoderWeights) -> None:
    with pytest.raises(TrainingFailed, match="no training example fits"):
        lessons_of(dataset([("word " * 40, {"who": "word"})] * 3), weights)


@pytest.mark.parametrize(
    ("file", "least"),
    [
        ("snips_slots/calls_human.jsonl.gz", 0.99),
        ("restaurant8k_slots/calls_human.jsonl.gz", 0.99),
        ("extractgpt_ae110k/calls_gpt4_schema10shot_tr100.jsonl.gz", 0.7),
    ],
)
def test_recorded_answers_can_be_said_in_fields(file: str, least: float) -> None:
    path = DATA / file
    if not path.exists():
        pytest.skip(f"{path} is not here: set SLIMDOWN_DATA to the folder of recorded calls")
    pairs = []
    with gzip.open(path) as lines:
        for line in list(lines)[:300]:
            call = msgspec.json.decode(line)
            said = call["response"]["choices"][0]["message"]["content"]
            pairs.append((call["request"]["messages"][-1]["content"], msgspec.json.decode(said)))
    assert expressible_share(examples(pairs), "json") >= least
