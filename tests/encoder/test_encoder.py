"""The encoder as its users see it: loading, embedding, hidden states, on ONNX Runtime."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from slimdown.encoder import load_encoder
from slimdown.encoder.model import EMBEDDED_PIECES, Encoder
from slimdown.testing import tiny_encoder


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_encoder(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture(scope="module")
def encoder(source: str) -> Encoder:
    return load_encoder(source, threads=1)


def test_embeddings_are_unit_vectors_one_per_text(encoder: Encoder) -> None:
    vectors = encoder.embed(["where is my parcel?", "", "lost card"])
    assert vectors.shape == (3, encoder.dims)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_no_texts_give_no_rows(encoder: Encoder) -> None:
    assert encoder.embed([]).shape == (0, encoder.dims)


def test_a_text_embeds_alike_alone_and_among_others(encoder: Encoder) -> None:
    texts = ["abc", "def", "a longer text than those", "xyz", "another text of length"]
    together = encoder.embed(texts)
    alone = np.concatenate([encoder.embed([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_the_same_texts_embed_to_the_same_bits(encoder: Encoder) -> None:
    texts = ["abc", "a b c", "order 17"]
    assert encoder.embed(texts).tobytes() == encoder.embed(texts).tobytes()


def test_a_text_beyond_the_limit_embeds_as_its_beginning(tmp_path: Path) -> None:
    wide = load_encoder(tiny_encoder(tmp_path / "wide", window=512), threads=1)
    cut = "a " * (EMBEDDED_PIECES - 2)
    np.testing.assert_allclose(wide.embed([cut + "z z z"]), wide.embed([cut]), atol=1e-6)


def test_hidden_states_come_per_piece_in_the_order_asked(encoder: Encoder) -> None:
    pieces = encoder.tokenizer.of_units(["ab", "abcdef", "x"])
    states = encoder.hidden(pieces)
    assert [s.shape for s in states] == [(len(p.ids), encoder.dims) for p in pieces]


def test_an_untuned_encoder_does_not_tell_cases_apart(encoder: Encoder) -> None:
    low, high = encoder.hidden(encoder.tokenizer.of_units(["oslo 17", "OSLO 17"]))
    np.testing.assert_allclose(low, high, atol=1e-6)


def test_names_tell_weights_and_precision_apart(source: str, tmp_path: Path) -> None:
    other = tiny_encoder(tmp_path / "tiny", seed=1)
    names = {
        load_encoder(source).name,
        load_encoder(other).name,
        load_encoder(source, precision="int8").name,
    }
    assert len(names) == 3


def test_int8_stays_close_to_fp32(source: str, encoder: Encoder) -> None:
    texts = ["where is my parcel?", "lost card", "cancel order 17"]
    whole, rounded = encoder.embed(texts), load_encoder(source, precision="int8").embed(texts)
    assert (whole * rounded).sum(axis=1).min() > 0.97


def test_importing_the_door_loads_nothing_heavy() -> None:
    script = (
        "import sys, slimdown.encoder; "
        "print([m for m in ('torch', 'onnxruntime', 'onnx', 'tokenizers') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_serving_needs_no_torch(source: str) -> None:
    script = (
        "import sys; sys.modules['torch'] = None; from slimdown.encoder import load_encoder; "
        f"print(load_encoder({source!r}).embed(['hello']).shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "(1, 32)"


def test_a_text_read_twice_in_a_row_has_one_vector(encoder: Encoder) -> None:
    first, again = encoder.embed(["lost card"]), encoder.embed(["lost card"])
    again += 1

    other, once_more = encoder.embed(["hello"]), encoder.embed(["lost card"])

    assert np.array_equal(first, once_more)
    assert not np.array_equal(first, other)
    assert np.array_equal(encoder.embed(["lost card"]), first)
