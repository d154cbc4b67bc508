"""Answers from heads and taggers set by hand, so that each choice is forced."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from slimdown.encoder import load_encoder
from slimdown.encoder.model import Encoder
from slimdown.testing import tiny_encoder
from slimdown.train.fields.plan import ABSENT, COPY, OTHER, Field, Plan
from slimdown.train.fields.served import FieldsSpecialist
from slimdown.train.fields.tree import CALLED
from slimdown.types import OutputKind, Prediction


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(tiny_encoder(tmp_path_factory.mktemp("served") / "tiny"), threads=1)


def asked(
    encoder: Encoder,
    text: str,
    *fields: Field,
    heads: list[float] | None = None,
    tags: list[list[float]] | None = None,
    kind: OutputKind = "json",
) -> Prediction:
    """Answer ``text`` where each head scores ``heads`` and each layer's tags score ``tags``."""
    tensors: dict[str, Any] = {}
    if heads is not None:
        tensors["heads.weight"] = np.zeros((len(heads), encoder.dims), np.float32)
        tensors["heads.bias"] = np.array(heads, np.float32)
    for layer, scores in enumerate(tags or []):
        tensors[f"taggers.{layer}.emit.weight"] = np.zeros((len(scores), encoder.dims), np.float32)
        tensors[f"taggers.{layer}.emit.bias"] = np.array(scores, np.float32)
        tensors[f"taggers.{layer}.moves"] = np.zeros((len(scores) + 1, len(scores)), np.float32)
    layers = tuple((len(scores) - 1) // 2 for scores in tags or [])
    plan = Plan(kind=kind, fields=fields, layers=layers)
    (answer,) = FieldsSpecialist(plan, encoder, tensors).answer([text])
    return answer


def copied(path: str, **changes: Any) -> Field:
    fixed = {"actions": (ABSENT, COPY), "reader": "verbatim", "layer": 0, "tag": 0}
    return Field(path=(path,), **{**fixed, **changes})


BEGINS, OUTSIDE = [[0.0, 9.0, 0.0]], [[9.0, 0.0, 0.0]]


def test_the_likeliest_value_is_stated_with_its_chance(encoder: Encoder) -> None:
    got = asked(encoder, "hi", Field(path=("a",), actions=(), values=("x", "y")), heads=[0.0, 2.0])
    assert got.output == {"a": "y"}
    assert got.confidence == pytest.approx(1 / (1 + np.exp(-2)))
    assert got.fields == {"a": pytest.approx(got.confidence)}


def test_a_label_is_stated_bare(encoder: Encoder) -> None:
    field = Field(path=(), actions=(), values=("x", "y"))
    assert asked(encoder, "hi", field, heads=[3.0, 0.0], kind="label").output == "x"


def test_other_is_an_abstention(encoder: Encoder) -> None:
    field = Field(path=("a",), actions=(OTHER,), values=("x",))
    got = asked(encoder, "hi", field, heads=[5.0, 0.0])
    assert (got.output, got.confidence) == (None, 0.0)


def test_an_absent_field_leaves_its_key_out(encoder: Encoder) -> None:
    field = Field(path=("a",), actions=(ABSENT,), values=("x",))
    assert asked(encoder, "hi", field, heads=[5.0, 0.0]).output == {}


def test_untagged_text_copies_nothing(encoder: Encoder) -> None:
    got = asked(encoder, "to Oslo", copied("city"), tags=OUTSIDE)
    assert got.output == {}
    assert got.fields["city"] > 0.99


def test_a_required_copy_that_is_not_tagged_is_an_abstention(encoder: Encoder) -> None:
    assert asked(encoder, "to Oslo", copied("city", actions=(COPY,)), tags=OUTSIDE).output is None


def test_a_tagged_word_is_copied_as_it_was_written(encoder: Encoder) -> None:
    got = asked(encoder, "Ångström", copied("name"), tags=BEGINS)
    assert got.output == {"name": "Ångström"}
    assert got.signals["n_unheard"] == 1.0


def test_a_value_heard_in_training_is_not_unheard(encoder: Encoder) -> None:
    got = asked(encoder, "Oslo", copied("name", heard=("oslo",)), tags=BEGINS)
    assert got.signals["n_unheard"] == 0.0


def test_two_rivals_for_one_value_halve_the_confidence(encoder: Encoder) -> None:
    got = asked(encoder, "Oslo Bern", copied("city"), tags=BEGINS)
    assert got.output["city"] in ("Oslo", "Bern")
    assert got.fields["city"] < 0.51


def test_the_same_word_twice_is_one_value(encoder: Encoder) -> None:
    got = asked(encoder, "Oslo Oslo", copied("city"), tags=BEGINS)
    assert got.output == {"city": "Oslo"}
    assert got.fields["city"] > 0.9


def test_lists_hold_all_that_is_said(encoder: Encoder) -> None:
    always, several = copied("city", lists="always"), copied("city", lists="several")
    assert asked(encoder, "Oslo", always, tags=BEGINS).output == {"city": ["Oslo"]}
    assert asked(encoder, "Oslo", several, tags=BEGINS).output == {"city": "Oslo"}
    assert asked(encoder, "Oslo Bern", several, tags=BEGINS).output == {"city": ["Oslo", "Bern"]}


def test_a_span_that_cannot_be_read_is_an_abstention(encoder: Encoder) -> None:
    assert asked(encoder, "Oslo", copied("n", reader="integer"), tags=BEGINS).output is None
    assert asked(encoder, "17", copied("n", reader="integer"), tags=BEGINS).output == {"n": 17}


def test_a_head_decides_between_a_copy_and_a_value(encoder: Encoder) -> None:
    field = copied("city", actions=(COPY,), values=(None,))
    copy = asked(encoder, "Oslo", field, heads=[4.0, 0.0], tags=BEGINS)
    null = asked(encoder, "Oslo", field, heads=[0.0, 4.0], tags=BEGINS)
    assert (copy.output, null.output) == ({"city": "Oslo"}, {"city": None})
    assert copy.signals["heads"] == pytest.approx(1 / (1 + np.exp(-4)))


def test_only_the_called_tools_arguments_are_stated(encoder: Encoder) -> None:
    called = Field(path=CALLED, actions=(), values=(["find"], ["drop"]))
    find = Field(path=(0, "find", "by"), actions=(), values=("name",), argument=True)
    drop = Field(path=(0, "drop", "why"), actions=(), values=("asked",), argument=True)
    got = asked(encoder, "hi", called, find, drop, heads=[0.0, 3.0, 0.0, 0.0], kind="tool")
    assert got.output == [{"name": "drop", "arguments": {"why": "asked"}}]
    assert set(got.fields) == {"called", "0.drop.why"}


def test_a_reply_in_words_is_an_abstention(encoder: Encoder) -> None:
    called = Field(path=CALLED, actions=(), values=(["find"], None))
    assert asked(encoder, "hi", called, heads=[0.0, 3.0], kind="tool").output is None


def test_fields_that_contradict_each_other_are_an_abstention(encoder: Encoder) -> None:
    outer = Field(path=("a",), actions=(), values=("x",))
    inner = Field(path=("a", "b"), actions=(), values=("y",))
    assert asked(encoder, "hi", outer, inner, heads=[0.0, 0.0]).output is None


def test_many_inputs_are_answered_in_order(encoder: Encoder) -> None:
    plan = Plan(kind="json", fields=(copied("w"),), layers=(1,))
    tensors = {
        "taggers.0.emit.weight": np.zeros((3, encoder.dims), np.float32),
        "taggers.0.emit.bias": np.array(BEGINS[0], np.float32),
        "taggers.0.moves": np.zeros((4, 3), np.float32),
    }
    texts = ["one", "x", "three", "y", "seven"]
    answers = FieldsSpecialist(plan, encoder, tensors).answer(texts)
    assert [a.output["w"] for a in answers] == texts
    assert FieldsSpecialist(plan, encoder, tensors).answer([]) == []
