"""The rung from dataset to specialist, on an encoder so small that it trains in a second."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slimdown.artefact import Artefact
from slimdown.errors import ArtefactIncomplete, TrainingFailed
from slimdown.seal import Sealer
from slimdown.testing import tiny_encoder
from slimdown.train.fields import FieldsRung
from slimdown.types import Dataset, Example, OutputKind

pytest.importorskip("torch", reason="torch is not installed: nothing can be trained")

KEY = b"k" * 32
CITIES = ["Oslo", "Bern", "Rome", "Lima", "Cairo", "Paris", "Tunis", "Quito"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_encoder(tmp_path_factory.mktemp("encoder") / "tiny")


def dataset(pairs: list[tuple[str, Any]], kind: OutputKind = "json") -> Dataset:
    examples = tuple(
        Example(id=str(i), input=text, output=output, session=str(i), group=str(i))
        for i, (text, output) in enumerate(pairs)
    )
    cut = len(examples) * 3 // 4
    return Dataset(task_id="t", kind=kind, train=examples[:cut], dev=examples[cut:], calibration=())


def trips(n: int = 80) -> list[tuple[str, Any]]:
    draw = random.Random(1)
    return [
        (f"to {city} for {n}", {"city": city, "n": n, "kind": "trip"})
        for city, n in ((draw.choice(CITIES), draw.randint(2, 9)) for _ in range(n))
    ]


def quiet(share: float, note: str) -> None:
    assert 0 <= share <= 1
    assert note


def artefact(path: Path) -> Artefact:
    return Artefact(path / "specialist", Sealer(KEY))


def fast(source: str, epochs: float = 20.0, **changes: Any) -> FieldsRung:
    length = {"least": epochs, "most": epochs}
    return FieldsRung(source, **{**length, "rate": 2e-3, "head_rate": 2e-2, **changes})


def test_it_learns_to_copy_and_to_repeat(source: str, tmp_path: Path) -> None:
    data, rung = dataset(trips()), fast(source)
    assert rung.objection(data) is None
    trained = rung.train(data, artefact(tmp_path), quiet)
    right = [p.prediction.output == e.output for p, e in zip(trained.dev, data.dev, strict=True)]
    assert np.mean(right) > 0.8
    assert trained.facts["n_lessons"] == len(data.train)


@pytest.fixture(scope="module")
def trained(source: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Artefact]:
    kept = artefact(tmp_path_factory.mktemp("trained"))
    fast(source, epochs=10).train(dataset(trips()), kept, quiet)
    yield kept


def test_a_specialist_answers_the_same_when_loaded_again(source: str, trained: Artefact) -> None:
    inputs = [text for text, _ in trips()[:20]]
    first, second = (fast(source).load(trained).answer(inputs) for _ in range(2))
    assert first == second


def test_whatever_is_asked_the_answer_is_valid_or_none(source: str, trained: Artefact) -> None:
    odd = ["", " ", "???", "\x00", "ÅÄÖ 数字 🙂", "to to to 9 9", "Oslo Oslo Bern 3 4"]
    for asked, got in zip(odd, fast(source).load(trained).answer(odd), strict=True):
        assert 0 <= got.confidence <= 1
        if got.output is not None:
            assert set(got.output) <= {"city", "n", "kind"}
            assert got.output["city"] in asked
            assert str(got.output["n"]) in asked


def test_an_input_beyond_the_window_is_not_answered(source: str, trained: Artefact) -> None:
    long, short = fast(source).load(trained).answer(["to Oslo for 2 " * 30, "to Oslo for 2"])
    assert (long.output, long.confidence) == (None, 0.0)
    assert short.signals["product"] <= short.signals["min"] + 1e-6


def test_the_files_hold_no_words_and_no_pickle(trained: Artefact) -> None:
    files = list(trained.path.iterdir())
    assert {f.suffix for f in files} == {".json", ".safetensors"}
    for file in files:
        assert b"city" not in file.read_bytes()


def test_a_specialist_is_loaded_and_asked_without_torch(trained: Artefact) -> None:
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from slimdown.artefact import Artefact\n"
        "from slimdown.seal import Sealer\n"
        "from slimdown.train.fields import FieldsRung\n"
        f"kept = Artefact(Path({str(trained.path)!r}), Sealer({KEY!r}))\n"
        "print(len(FieldsRung().load(kept).answer(['to Oslo for 2'])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "1"


def test_an_unfinished_folder_does_not_load(source: str, tmp_path: Path) -> None:
    with pytest.raises(ArtefactIncomplete, match="slimdown run"):
        fast(source).load(artefact(tmp_path))


class Stopped(Exception):
    pass


def test_a_stopped_training_goes_on_where_it_was(source: str, tmp_path: Path) -> None:
    def stop(share: float, note: str) -> None:
        if share > 0.4:
            raise Stopped

    data, rung = dataset(trips()), fast(source, epochs=6, checkpoint_s=0.0)
    whole = rung.train(data, artefact(tmp_path / "whole"), quiet)
    parts, notes = artefact(tmp_path / "parts"), list[str]()
    with pytest.raises(Stopped):
        rung.train(data, parts, stop)
    assert parts.has("checkpoint")
    resumed = rung.train(data, parts, lambda share, note: notes.append(note))
    assert not notes[0].startswith("epoch 0")
    assert not parts.has("checkpoint")
    for a, b in zip(whole.dev, resumed.dev, strict=True):
        assert a.prediction.output == b.prediction.output
        assert a.prediction.confidence == pytest.approx(b.prediction.confidence, abs=1e-3)


def test_training_that_diverges_says_so(source: str, tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="the loss became"):
        fast(source, rate=1e30, head_rate=1e30).train(dataset(trips()), artefact(tmp_path), quiet)


def test_labels_and_their_chances(source: str, tmp_path: Path) -> None:
    pairs: list[tuple[str, Any]] = [(t, "far" if "Lima" in t else "near") for t, _ in trips(100)]
    data = dataset(pairs, "label")
    trained = fast(source).train(data, artefact(tmp_path), quiet)
    right = [p.prediction.output == e.output for p, e in zip(trained.dev, data.dev, strict=True)]
    assert np.mean(right) > 0.9
    assert set(trained.dev[0].prediction.fields) == {"answer"}


def test_tools_are_called_with_their_own_arguments(source: str, tmp_path: Path) -> None:
    pairs: list[tuple[str, Any]] = []
    for (text, said), tool in zip(trips(120), ["book", "drop", "say"] * 40, strict=True):
        call = [{"name": tool, "arguments": {"city": said["city"]}}]
        pairs.append((f"{tool} {text}", "Hello!" if tool == "say" else call))
    data = dataset(pairs, "tool")
    trained = fast(source).train(data, artefact(tmp_path), quiet)
    for dev in trained.dev:
        output = dev.prediction.output
        assert output is None or (len(output) == 1 and set(output[0]) == {"name", "arguments"})
    silent = [
        p.prediction.output
        for p, e in zip(trained.dev, data.dev, strict=True)
        if isinstance(e.output, str)
    ]
    assert silent.count(None) > 0.8 * len(silent)


def test_objections_name_the_cause_with_figures(source: str) -> None:
    rung = fast(source)
    text = rung.objection(dataset([("hi", "Hello there")] * 80, "text"))
    few = rung.objection(dataset(trips(20)))
    odd = rung.objection(dataset([(f"ask {i}", {"note": f"n{i * 7919}!"}) for i in range(80)]))
    assert text is not None
    assert "free text" in text
    assert few is not None
    assert few.startswith("15 training examples are too few")
    assert odd is not None
    assert odd.startswith("0% of 60 answers")


def test_missing_torch_is_an_objection(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    objection = fast(source).objection(dataset(trips()))
    assert objection is not None
    assert "pip install 'slimdown[train]'" in objection
