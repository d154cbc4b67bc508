"""Odd tasks and odd inputs, trained and asked for real, on an encoder that trains in no time."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from small_tasks import Pairs, artefact, dataset, examples, quiet

from slimdown.errors import ArtefactIncomplete, SealBroken, SlimdownError, TrainingFailed
from slimdown.seams import Specialist
from slimdown.testing import tiny_encoder
from slimdown.train.fields import FieldsRung
from slimdown.train.fields.planning import expressible_share
from slimdown.types import OutputKind, Prediction, Trained

pytest.importorskip("torch", reason="torch is not installed: nothing can be trained")

CITIES = ["Oslo", "Bern", "Rome", "Lima", "Cairo", "Paris", "Tunis", "Quito"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_encoder(tmp_path_factory.mktemp("encoder") / "tiny")


def rung(source: str, epochs: float = 1.0, **changes: Any) -> FieldsRung:
    fixed = {"least": epochs, "most": epochs, "rate": 2e-3, "head_rate": 2e-2}
    return FieldsRung(source, **{**fixed, **changes})


def learnt(
    source: str, folder: Path, pairs: Pairs, kind: OutputKind = "json", epochs: float = 1.0
) -> Specialist:
    rung(source, epochs).train(dataset(pairs, kind), artefact(folder), quiet)
    return rung(source).load(artefact(folder))


def tool(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


def outputs(answers: list[Prediction]) -> list[Any]:
    return [answer.output for answer in answers]


def trained_on_empty_inputs(source: str, folder: Path) -> Trained:
    pairs = [("", "card"), ("", "cash"), ("   ", "card")] * 5
    return rung(source).train(dataset(pairs, "label", dev=pairs[:3]), artefact(folder), quiet)


def test_inputs_without_a_word_are_answered_by_what_is_usual(source: str, tmp_path: Path) -> None:
    trained = trained_on_empty_inputs(source, tmp_path)

    assert {d.prediction.output for d in trained.dev} <= {"card", "cash"}
    assert trained.facts["n_lessons"] == 15


def test_empty_inputs_between_others_do_not_stop_a_copying_task(
    source: str, tmp_path: Path
) -> None:
    pairs: Pairs = [*((f"to {c}", {"city": c}) for c in CITIES), ("", {}), ("\x00", {})] * 3

    specialist = learnt(source, tmp_path, pairs, epochs=20)

    assert outputs(specialist.answer(["", " \n\t"])) == [{}, {}]


def test_no_input_at_all_gives_no_answer(source: str, tmp_path: Path) -> None:
    specialist = learnt(source, tmp_path, [(f"to {c}", {"city": c}) for c in CITIES])

    assert specialist.answer([]) == []


@pytest.mark.parametrize(
    "name", ["Ærøskøbing", "北京", "القاهرة", "🙂 town", "e\u0301clair", "İzmir"]
)
def test_names_of_any_script_are_copied_letter_for_letter(
    source: str, tmp_path: Path, name: str
) -> None:
    pairs: Pairs = [(f"to {city}", {"city": city}) for city in [*CITIES, name]] * 3

    specialist = learnt(source, tmp_path, pairs, epochs=8)

    (got,) = specialist.answer([f"to {name}"])
    assert expressible_share(examples(pairs), "json") == 1
    assert got.output is None or got.output["city"] in f"to {name}"


def test_lone_surrogates_are_read_as_question_marks(source: str, tmp_path: Path) -> None:
    pairs: Pairs = [(f"to {city} \ud800", {"city": city}) for city in CITIES] * 3

    specialist = learnt(source, tmp_path, pairs, epochs=10)

    odd, plain = specialist.answer(["to Oslo \udfff", "to Oslo ?"])
    assert odd == plain


def test_inputs_beyond_the_window_abstain_and_the_others_are_answered_in_place(
    source: str, tmp_path: Path
) -> None:
    specialist = learnt(source, tmp_path, [("a", "x"), ("b", "y")] * 8, "label")
    fits, beyond = "a" * 62, "a" * 63

    long, short, much = specialist.answer([beyond, fits, "a b " * 10_000])

    assert [a.signals.get("too_long") for a in (long, short, much)] == [1.0, None, 1.0]
    assert (long.output, long.confidence, long.fields) == (None, 0.0, {})
    assert short.output in ("x", "y")


def test_examples_beyond_the_window_are_counted_and_not_learnt(source: str, tmp_path: Path) -> None:
    pairs = [("a", "x"), ("b", "y"), ("c" * 100, "z")] * 4

    trained = rung(source).train(dataset(pairs, "label"), artefact(tmp_path), quiet)

    assert (trained.facts["n_too_long"], trained.facts["n_lessons"]) == (4, 8)


def test_labels_seen_once_are_never_answered(source: str, tmp_path: Path) -> None:
    pairs = [*[("low on cash", "cash"), ("lost card", "card")] * 6, ("odd one", "once")]

    specialist = learnt(source, tmp_path, pairs, "label", epochs=15)

    assert set(outputs(specialist.answer(["odd one", "odd", "lost card"]))) <= {"cash", "card"}


def test_labels_that_are_all_seen_once_leave_only_abstentions(source: str, tmp_path: Path) -> None:
    pairs = [(f"ask {i}", f"answer {i * 7}") for i in range(40)]

    objection = rung(source).objection(dataset(pairs, "label"))
    specialist = learnt(source, tmp_path, pairs, "label")

    assert objection is not None
    assert objection.startswith("0% of 40 answers")
    assert outputs(specialist.answer(["ask 1", "ask 2"])) == [None, None]


def test_contradictory_labels_are_answered_without_confidence(source: str, tmp_path: Path) -> None:
    pairs = [("where is it", "card"), ("where is it", "cash")] * 12

    specialist = learnt(source, tmp_path, pairs, "label", epochs=10)

    (got,) = specialist.answer(["where is it"])
    assert got.output in ("card", "cash")
    assert got.confidence < 0.8


def test_answers_without_a_leaf_are_objected_to_and_fail_with_a_cause(
    source: str, tmp_path: Path
) -> None:
    empty = dataset([(f"hi {i}", {}) for i in range(50)])

    objection = rung(source).objection(empty)

    assert objection is not None
    assert objection.startswith("0% of 50 answers")
    with pytest.raises(TrainingFailed, match=r"calls are kept\. Choose another rung"):
        rung(source).train(empty, artefact(tmp_path), quiet)


def test_one_example_alone_cannot_be_learnt_from(source: str, tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="no training example"):
        rung(source).train(dataset([("to Oslo", {"city": "Oslo"})]), artefact(tmp_path), quiet)


@pytest.mark.parametrize(
    "constant",
    [
        {"a": None},
        {"a": [None, None]},
        {"a": []},
        {"a": {}},
        {"a": {"b": {"c": [{"d": 1}, {"d": 2.5}, {"e": [True, "x"]}]}}},
        {"": "", "a.b": 0, "0": -1},
        {"n": 9_007_199_254_740_993, "x": 1e-300, "zero": -0.0, "yes": True, "one": 1},
        {"text": 'schön 🙂\n\t"quoted" \\ and \u2028'},
        [{"a": 1}, {"a": 2}],
        [],
    ],
)
def test_a_constant_answer_is_given_back_to_the_letter(
    source: str, tmp_path: Path, constant: Any
) -> None:
    specialist = learnt(source, tmp_path, [(f"ask {c}", constant) for c in "abcdefgh"])

    (got,) = specialist.answer(["ask z"])

    assert got.output == constant
    assert repr(got.output) == repr(constant)


def test_integers_decimals_and_words_for_them_keep_their_type(source: str, tmp_path: Path) -> None:
    draw = random.Random(3)
    numbers = [draw.randint(11, 99) for _ in range(40)]
    pairs: Pairs = [(f"pay {n}", {"whole": n, "part": float(n), "said": str(n)}) for n in numbers]

    specialist = learnt(source, tmp_path, pairs, epochs=20)

    said = [o for o in outputs(specialist.answer([f"pay {n}" for n in range(11, 99)])) if o]
    assert len(said) > 40
    for output in said:
        assert {key: type(v) for key, v in output.items()} == {
            "whole": int,
            "part": float,
            "said": str,
        }


def test_a_key_that_is_null_at_times_is_null_or_said_and_never_left_out(
    source: str, tmp_path: Path
) -> None:
    pairs: Pairs = [(f"to {c}", {"city": c}) for c in CITIES]
    pairs = [*pairs, *[("anywhere", {"city": None})] * 6] * 3

    specialist = learnt(source, tmp_path, pairs, epochs=25)

    assert outputs(specialist.answer(["anywhere"])) == [{"city": None}]
    assert all(o is None or set(o) == {"city"} for o in outputs(specialist.answer(CITIES)))


def test_parallel_calls_come_back_in_order_with_their_own_arguments(
    source: str, tmp_path: Path
) -> None:
    pairs: Pairs = [
        (f"find {a} and book {b}", [tool("find", city=a), tool("book", city=b, sure=True)])
        for a in CITIES
        for b in CITIES
        if a != b
    ]

    specialist = learnt(source, tmp_path, pairs, "tool", epochs=12)

    for got in outputs(specialist.answer([text for text, _ in pairs[:20]])):
        if got is not None:
            assert [call["name"] for call in got] == ["find", "book"]
            assert got[1]["arguments"]["sure"] is True
            assert got[0]["arguments"].keys() <= {"city"}


def test_the_same_tool_called_twice_has_two_sets_of_arguments(source: str, tmp_path: Path) -> None:
    twice = [tool("set", lamp="hall", level=1), tool("set", lamp="porch", level=9)]
    once = [tool("set", lamp="hall", level=1)]
    pairs: Pairs = [("both", twice), ("one", once)] * 8

    specialist = learnt(source, tmp_path, pairs, "tool", epochs=25)

    assert outputs(specialist.answer(["both", "one"])) == [twice, once]


def test_arguments_that_are_no_object_are_given_back_as_they_were(
    source: str, tmp_path: Path
) -> None:
    odd = [{"name": "run", "arguments": "not json"}, {"name": "run", "arguments": [1, [2]]}]

    specialist = learnt(source, tmp_path, [("a", odd), ("b", odd)] * 4, "tool")

    assert outputs(specialist.answer(["a"])) == [odd]


def test_replies_in_words_alone_are_never_answered(source: str, tmp_path: Path) -> None:
    pairs = [("hi", "Hello!"), ("bye", "Farewell!")] * 30

    objection = rung(source).objection(dataset(pairs, "tool"))
    specialist = learnt(source, tmp_path, pairs, "tool")

    assert objection is not None
    assert "0% of 60" in objection
    assert outputs(specialist.answer(["hi"])) == [None]


def test_the_same_task_is_learnt_the_same_way_twice(source: str, tmp_path: Path) -> None:
    pairs: Pairs = [(f"to {c}", {"city": c, "kind": "trip"}) for c in CITIES] * 2

    first = learnt(source, tmp_path / "a", pairs, epochs=3).answer(CITIES)
    second = learnt(source, tmp_path / "b", pairs, epochs=3).answer(CITIES)

    assert outputs(first) == outputs(second)
    assert [a.confidence for a in first] == pytest.approx([b.confidence for b in second], abs=1e-5)


@pytest.fixture
def kept(source: str, tmp_path: Path) -> Path:
    learnt(source, tmp_path, [("a", "x"), ("b", "y")] * 4, "label")
    return tmp_path


@pytest.mark.parametrize("file", ["encoder.safetensors", "heads.safetensors", "fields.json"])
def test_a_folder_that_lacks_a_file_does_not_load_and_names_it(
    source: str, kept: Path, file: str
) -> None:
    (artefact(kept).path / file).unlink()

    with pytest.raises(ArtefactIncomplete, match=rf"has no {file}.*calls are kept"):
        rung(source).load(artefact(kept))


def test_a_folder_does_not_load_with_another_key(source: str, kept: Path) -> None:
    with pytest.raises(SealBroken, match="not the key"):
        rung(source).load(artefact(kept, key=b"?" * 32))


def test_a_folder_under_another_name_does_not_load(source: str, kept: Path) -> None:
    moved = artefact(kept / "elsewhere")
    moved.path.parent.mkdir()
    artefact(kept).path.rename(moved.path.parent / "another")
    moved.path = moved.path.parent / "another"

    with pytest.raises(SlimdownError, match="does not open"):
        rung(source).load(moved)
