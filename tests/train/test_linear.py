from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slimdown.artefact import Artefact
from slimdown.errors import ArtefactIncomplete
from slimdown.seal import KEY_BYTES, Sealer
from slimdown.train.linear import LinearRung, LinearSpecialist
from slimdown.types import Dataset, Example, OutputKind, Trained

TOPICS = {
    "card": "lost stolen card pin",
    "cash": "atm cash notes fee",
    "app": "login phone app code",
}


class HashingEmbedder:
    """Adds up a random direction per word: like texts get like vectors."""

    dims = 16

    def __init__(self, name: str = "hashing") -> None:
        self.name = name
        self.n_embedded = 0

    def embed(self, texts: Sequence[str]) -> Any:
        self.n_embedded += len(texts)
        rows = [sum((_direction(w) for w in t.split()), np.zeros(self.dims)) for t in texts]
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        return (np.array(rows) / np.maximum(norms, 1e-9)).astype(np.float32)


def _direction(word: str) -> Any:
    return np.random.default_rng(zlib.crc32(word.encode())).normal(size=HashingEmbedder.dims)


def _examples(n: int, seed: int, outputs: Any = None) -> tuple[Example, ...]:
    chance = np.random.default_rng(seed)
    made = []
    for i in range(n):
        topic = sorted(TOPICS)[i % 3]
        words = [*chance.choice(TOPICS[topic].split(), 2), *chance.choice(["my", "the", "is"], 2)]
        output = outputs[topic] if outputs else topic
        name = f"{seed}-{i}"
        made.append(Example(id=name, input=" ".join(words), output=output, session="", group=name))
    return tuple(made)


def _dataset(kind: OutputKind = "label", outputs: Any = None, n: int = 90) -> Dataset:
    train, dev = _examples(n, 1, outputs), _examples(n // 3, 2, outputs)
    return Dataset(task_id="t", kind=kind, train=train, dev=dev, calibration=())


def _artefact(tmp_path: Path) -> Artefact:
    return Artefact(tmp_path / "specialist", Sealer(bytes(KEY_BYTES)))


def _words_only() -> LinearRung:
    return LinearRung(lambda: None)


def _quiet(share: float, note: str) -> None:
    """Report progress to nobody."""


def _trained(
    tmp_path: Path, rung: LinearRung, dataset: Dataset
) -> tuple[Trained, LinearSpecialist, Artefact]:
    artefact = _artefact(tmp_path)
    return rung.train(dataset, artefact, _quiet), rung.load(artefact), artefact


@pytest.mark.parametrize("embedder", [None, HashingEmbedder()])
def test_it_learns_a_closed_set_with_and_without_an_encoder(
    tmp_path: Path, embedder: HashingEmbedder | None
) -> None:
    _, specialist, _ = _trained(tmp_path, LinearRung(lambda: embedder), _dataset())
    fresh = _examples(60, 3)
    found = specialist.answer([e.input for e in fresh])
    assert np.mean([p.output == e.output for p, e in zip(found, fresh, strict=True)]) > 0.9


def test_every_example_of_train_and_dev_has_a_held_out_prediction(tmp_path: Path) -> None:
    dataset = _dataset()
    trained, _, _ = _trained(tmp_path, LinearRung(HashingEmbedder), dataset)
    assert [d.example_id for d in trained.dev] == [e.id for e in (*dataset.train, *dataset.dev)]


def test_held_out_predictions_do_not_know_the_answers_of_their_group(tmp_path: Path) -> None:
    """Two copies of a text with an answer of their own: alone in their group, nobody knows it."""
    odd = [
        Example(id=f"odd{i}", input="zebra zebra", output="odd", session="", group="odd")
        for i in range(2)
    ]
    base = _dataset()
    dataset = Dataset(
        task_id="t", kind="label", train=(*base.train, *odd), dev=base.dev, calibration=()
    )
    trained, specialist, _ = _trained(tmp_path, LinearRung(HashingEmbedder), dataset)
    held_out = {d.example_id: d.prediction.output for d in trained.dev}
    assert held_out["odd0"] != "odd"
    assert specialist.answer(["zebra zebra"])[0].output == "odd"


def test_held_out_and_served_predictions_carry_the_same_signals(tmp_path: Path) -> None:
    trained, specialist, _ = _trained(tmp_path, LinearRung(HashingEmbedder), _dataset())
    served = specialist.answer(["lost card"])[0]
    assert set(served.signals) == set(trained.dev[0].prediction.signals)
    assert all(np.isfinite(list(served.signals.values())))


def test_an_input_is_answered_alike_alone_and_in_company(tmp_path: Path) -> None:
    _, specialist, _ = _trained(tmp_path, LinearRung(HashingEmbedder), _dataset())
    alone, company = specialist.answer(["lost pin"])[0], specialist.answer(["x", "lost pin"])[1]
    assert alone.output == company.output
    assert alone.confidence == pytest.approx(company.confidence, abs=1e-5)


def test_objects_and_tool_calls_that_recur_are_classes_too(tmp_path: Path) -> None:
    outputs = {topic: {"team": topic, "tags": [topic]} for topic in TOPICS}
    _, specialist, _ = _trained(tmp_path, _words_only(), _dataset("json", outputs))
    assert specialist.answer(["stolen card pin"])[0].output == {"team": "card", "tags": ["card"]}


@pytest.mark.parametrize("text", ["", " ", "\x00", "\ud800", "x" * 100_000, "🦓" * 50])
def test_strange_inputs_are_answered_without_harm(tmp_path: Path, text: str) -> None:
    _, specialist, _ = _trained(tmp_path, _words_only(), _dataset(n=30))
    prediction = specialist.answer([text])[0]
    assert 0 <= prediction.confidence <= 1


def test_no_inputs_give_no_answers(tmp_path: Path) -> None:
    _, specialist, _ = _trained(tmp_path, _words_only(), _dataset(n=30))
    assert specialist.answer([]) == []


def test_a_single_class_is_learned_without_harm(tmp_path: Path) -> None:
    only = dict.fromkeys(TOPICS, "same")
    rung = LinearRung(HashingEmbedder)
    _, specialist, _ = _trained(tmp_path, rung, _dataset(outputs=only, n=30))
    assert specialist.answer(["anything"])[0].output == "same"


def test_two_classes_are_learned_without_harm(tmp_path: Path) -> None:
    two = {"card": "yes", "cash": "no", "app": "no"}
    rung = LinearRung(HashingEmbedder)
    _, specialist, _ = _trained(tmp_path, rung, _dataset(outputs=two))
    assert [p.output for p in specialist.answer(["lost card pin", "atm fee"])] == ["yes", "no"]


def test_training_goes_on_from_the_meanings_it_has_read(tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(share: float, note: str) -> None:
        if note == "folds":
            raise Stopped

    embedder, artefact, dataset = HashingEmbedder(), _artefact(tmp_path), _dataset()
    rung = LinearRung(lambda: embedder)
    with pytest.raises(Stopped):
        rung.train(dataset, artefact, stop)
    read_once = embedder.n_embedded
    resumed = rung.train(dataset, artefact, _quiet)
    assert embedder.n_embedded == read_once
    assert resumed == rung.train(dataset, Artefact(tmp_path / "whole", Sealer(bytes(32))), _quiet)


def test_a_finished_folder_holds_no_checkpoint_and_no_open_word(tmp_path: Path) -> None:
    _, _, artefact = _trained(tmp_path, LinearRung(HashingEmbedder), _dataset())
    files = sorted(f.name for f in artefact.path.iterdir())
    assert files == ["landmarks.json", "linear.json", "weights.safetensors"]
    assert not any(b"stolen" in f.read_bytes() for f in artefact.path.iterdir())


def test_another_encoder_than_the_trained_one_is_refused(tmp_path: Path) -> None:
    _, _, artefact = _trained(tmp_path, LinearRung(HashingEmbedder), _dataset(n=30))
    with pytest.raises(ArtefactIncomplete, match="hashing, but other is installed"):
        LinearRung(lambda: HashingEmbedder("other")).load(artefact)
    with pytest.raises(ArtefactIncomplete, match="hashing, but none is installed"):
        _words_only().load(artefact)


def test_free_text_few_examples_and_unique_answers_are_objected_to() -> None:
    unique = tuple(
        Example(id=str(i), input="x", output=f"answer {i}", session="", group=str(i))
        for i in range(50)
    )
    once = Dataset(task_id="t", kind="json", train=unique, dev=(), calibration=())
    assert "free text" in (_words_only().objection(_dataset("text")) or "")
    assert "8 examples" in (_words_only().objection(_dataset(n=6)) or "")
    assert "0% of the answers" in (_words_only().objection(once) or "")
    assert _words_only().objection(_dataset()) is None
