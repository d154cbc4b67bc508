"""The linear rung on odd tasks, on odd inputs and in altered folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_tasks import OUTPUTS, TEXTS, Pairs, artefact, dataset, examples, quiet

from slimdown.encoder import load_encoder
from slimdown.errors import ArtefactIncomplete, SealBroken
from slimdown.testing import tiny_encoder
from slimdown.train import linear_kernel as kernel_ridge
from slimdown.train import linear_logistic as logistic
from slimdown.train.linear import LinearRung, LinearSpecialist
from slimdown.train.linear_sealed import kept, read_sealed, write_sealed
from slimdown.train.linear_words import Words
from slimdown.types import OutputKind, Prediction

SLOWLY = settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))


def words_only() -> LinearRung:
    return LinearRung(lambda: None)


def learnt(folder: Path, pairs: Pairs, kind: OutputKind = "label") -> LinearSpecialist:
    words_only().train(dataset(pairs, kind), artefact(folder), quiet)
    return words_only().load(artefact(folder))


def assert_sound(answers: list[Prediction], known: list[Any]) -> None:
    for got in answers:
        assert got.output in known
        assert 0 <= got.confidence <= 1
        assert np.isfinite(list(got.signals.values())).all()
        assert msgspec.json.decode(msgspec.json.encode(got), type=Prediction) == got


@SLOWLY
@given(st.sampled_from(sorted(OUTPUTS)), st.data(), st.text(max_size=30))
def test_any_small_task_is_learnt_and_only_its_answers_are_given(
    tmp_path_factory: pytest.TempPathFactory, kind: OutputKind, data: st.DataObject, text: str
) -> None:
    pairs = data.draw(st.lists(st.tuples(TEXTS, OUTPUTS[kind]), min_size=1, max_size=8))

    specialist = learnt(tmp_path_factory.mktemp("small"), pairs, kind)

    assert_sound(specialist.answer([text, "", pairs[0][0]]), [output for _, output in pairs])


@pytest.mark.parametrize(
    "texts",
    [
        ["", ""],
        ["   ", "\n"],
        ["a", "b"],
        ["\x00", "\u200b"],
        ["\ud800", "a\udfffb"],
        ["x" * 99_999, "y"],
    ],
    ids=["empty", "blank", "nothing shared", "controls", "surrogates", "overlong"],
)
def test_inputs_with_little_to_read_are_learnt_and_answered(
    tmp_path: Path, texts: list[str]
) -> None:
    pairs = [(text, label) for text in texts for label in ("card", "cash")]

    specialist = learnt(tmp_path, pairs)

    assert_sound(specialist.answer([*texts, "something else"]), ["card", "cash"])


def test_contradictory_labels_share_the_confidence_by_how_often_they_occur(
    tmp_path: Path,
) -> None:
    pairs = [("where is it", "card")] * 6 + [("where is it", "cash")] * 2

    (got,) = learnt(tmp_path, pairs).answer(["where is it"])

    assert got.output == "card"
    assert 0.5 < got.confidence < 0.99
    assert got.signals["vote"] == pytest.approx(6 / 8)


def test_a_label_seen_once_is_held_out_without_being_known(tmp_path: Path) -> None:
    pairs = [("lost card", "card"), ("need cash", "cash")] * 6
    pairs = [*pairs, ("zebra crossing", "odd")]

    trained = words_only().train(dataset(pairs, "label"), artefact(tmp_path), quiet)

    held_out = {d.example_id: d.prediction.output for d in trained.dev}
    assert held_out["12"] in ("card", "cash")
    assert trained.facts["n_classes"] == 3


def test_outputs_that_differ_in_type_alone_stay_apart(tmp_path: Path) -> None:
    outputs: list[Any] = [{"n": 1}, {"n": "1"}, {"n": True}, {"n": None}, {"n": [1]}, {"n": 1.5}]
    pairs = [(word, o) for word, o in zip("abcdef", outputs, strict=True)] * 6

    answers = learnt(tmp_path, [(f"{w}{w} {w}{w}", o) for w, o in pairs], "json").answer(
        [f"{w}{w} {w}{w}" for w in "abcdef"]
    )

    assert [repr(a.output) for a in answers] == [repr(o) for o in outputs]


def test_objects_alike_but_for_the_order_of_their_keys_are_one_answer(tmp_path: Path) -> None:
    pairs: Pairs = [("ask", {"a": 1, "b": 2}), ("ask", {"b": 2, "a": 1})] * 4

    trained = words_only().train(dataset(pairs, "json"), artefact(tmp_path), quiet)

    assert trained.facts["n_classes"] == 1


def test_parallel_calls_are_one_answer_and_their_order_matters(tmp_path: Path) -> None:
    find, book = ({"name": n, "arguments": {"city": "Oslo"}} for n in ("find", "book"))
    pairs: Pairs = [
        ("find then book", [find, book]),
        ("book and only later find", [book, find]),
    ] * 6

    answers = learnt(tmp_path, pairs, "tool").answer([pairs[0][0], pairs[1][0]])

    assert [a.output for a in answers] == [[find, book], [book, find]]


def test_a_training_leaves_the_same_predictions_each_time(tmp_path: Path) -> None:
    pairs = [("lost card", "card"), ("need cash", "cash"), ("card or cash", "card")] * 5
    rung, data = words_only(), dataset(pairs, "label")

    first, second = (rung.train(data, artefact(tmp_path / name), quiet) for name in "ab")

    assert msgspec.json.encode(first) == msgspec.json.encode(second)


def test_meaning_beyond_what_the_encoder_reads_is_still_read_as_words(tmp_path: Path) -> None:
    encoder = load_encoder(tiny_encoder(tmp_path / "tiny", window=512), threads=1)
    rung, filler = LinearRung(lambda: encoder), "so it was " * 60
    pairs = [(f"{filler} {word}", word) for word in ("card", "cash")] * 10

    rung.train(dataset(pairs, "label"), artefact(tmp_path), quiet)
    answers = rung.load(artefact(tmp_path)).answer([f"{filler} card", f"{filler} cash"])

    assert [a.output for a in answers] == ["card", "cash"]


@pytest.mark.parametrize("file", ["landmarks.json", "linear.json", "weights.safetensors"])
def test_a_folder_that_lacks_a_file_names_it(tmp_path: Path, file: str) -> None:
    learnt(tmp_path, [("a", "x"), ("b", "y")] * 4)
    (artefact(tmp_path).path / file).unlink()

    with pytest.raises(ArtefactIncomplete, match=rf"has no {file}"):
        words_only().load(artefact(tmp_path))


def _cut(data: bytes) -> bytes:
    # Sixteen digits before the envelope's end: whole base64 of a record that lacks its tail.
    return data[:-18] + data[-2:]


def _swapped(data: bytes) -> bytes:
    return data[:40] + (b"A" if data[40:41] != b"A" else b"B") + data[41:]


@pytest.mark.parametrize("change", [_cut, _swapped])
@pytest.mark.parametrize("file", ["landmarks.json", "linear.json"])
def test_a_sealed_file_that_was_altered_does_not_open(
    tmp_path: Path, file: str, change: Callable[[bytes], bytes]
) -> None:
    learnt(tmp_path, [("a", "x"), ("b", "y")] * 4)
    path = artefact(tmp_path).path / file
    path.write_bytes(change(path.read_bytes()))

    with pytest.raises(SealBroken, match="data was altered"):
        words_only().load(artefact(tmp_path))


ARRAYS = st.sampled_from(["<f4", "<f8", "<i4", "<i8"]).flatmap(
    lambda dtype: st.lists(st.integers(-9, 9), max_size=6).map(lambda v: np.array(v, dtype))
)


@SLOWLY
@given(st.dictionaries(st.text(min_size=1, max_size=5), ARRAYS, max_size=4))
def test_sealed_arrays_come_back_with_their_type_and_shape(
    tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, Any]
) -> None:
    folder = artefact(tmp_path_factory.mktemp("arrays"))
    write_sealed(folder, "some", arrays)

    back = read_sealed(folder, "some")

    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)


def test_a_checkpoint_is_made_once_and_then_read(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> Any:
        made.append(1)
        return np.arange(6, dtype=np.float32).reshape(2, 3)

    first, second = (kept(artefact(tmp_path), "checkpoint", make) for _ in range(2))

    assert made == [1]
    assert first.tolist() == second.tolist() == [[0, 1, 2], [3, 4, 5]]


SCORES = st.lists(st.lists(st.floats(-1e4, 1e4), min_size=3, max_size=3), min_size=1, max_size=5)


@given(SCORES)
def test_a_softmax_is_a_probability_highest_where_the_score_is(scores: list[list[float]]) -> None:
    rows = np.array(scores, np.float32)

    chances = logistic.softmax(rows)

    assert np.allclose(chances.sum(axis=1), 1, atol=1e-5)
    assert (chances >= 0).all()
    best = chances[np.arange(len(rows)), rows.argmax(axis=1)]
    assert (best == chances.max(axis=1)).all()


@given(st.integers(1, 20_000))
def test_landmarks_are_spread_over_all_examples_and_never_too_many(n: int) -> None:
    marks = kernel_ridge.landmarks(n)

    assert len(marks) == min(n, kernel_ridge.MOST_LANDMARKS)
    assert (marks[0], marks[-1]) == (0, n - 1)
    assert (np.diff(marks) >= 1).all()


@SLOWLY
@given(st.lists(st.text(max_size=15), min_size=1, max_size=6), st.text(max_size=15))
def test_likeness_of_words_lies_between_nothing_and_itself(texts: list[str], text: str) -> None:
    words = Words.fit([encoded.encode("utf-8", "replace").decode() for encoded in texts])

    vectors = words.vectors([text, *texts])

    likeness = (vectors @ vectors.T).toarray()
    assert (likeness >= -1e-6).all()
    assert (likeness <= 1 + 1e-5).all()


@pytest.mark.parametrize(("n_once", "objected"), [(10, None), (11, "45% of the answers")])
def test_labels_are_objected_to_where_fewer_than_half_recur(
    n_once: int, objected: str | None
) -> None:
    once = [(f"ask {n}", f"only {n}") for n in range(n_once)]
    pairs = [*once, *[("lost card", "card")] * (20 - n_once)]

    objection = words_only().objection(dataset(pairs, "label"))

    assert (objection is None) == (objected is None)
    assert objection is None or objection.startswith(objected or "")


def test_the_examples_of_both_splits_count_towards_the_fewest() -> None:
    pairs = [("lost card", "card"), ("need cash", "cash")] * 5

    enough = dataset(pairs, "label", dev=pairs)
    few = msgspec.structs.replace(enough, dev=examples(pairs[:9]))

    assert words_only().objection(enough) is None
    assert words_only().objection(few) == "19 examples to learn from; it takes 20."
