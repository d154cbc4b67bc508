"""Damaged weights, and texts that nobody would write: what the encoder promises of both."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from slimdown.encoder import load_encoder
from slimdown.encoder.model import Encoder
from slimdown.encoder.pieces import Pieces, encodable, units_of
from slimdown.encoder.weights import read_weights
from slimdown.errors import UsageError
from slimdown.testing import tiny_encoder

TYPES = "embeddings.token_type_embeddings.weight"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(tiny_encoder(tmp_path_factory.mktemp("hostile") / "tiny"), threads=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(tiny_encoder(tmp_path / "tiny"))


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99])
@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_file_cut_short_is_named_and_nothing_is_changed(
    folder: Path, file: str, share: float
) -> None:
    whole = (folder / file).read_bytes()
    cut = whole[: int(share * len(whole))]
    (folder / file).write_bytes(cut)

    with pytest.raises(UsageError, match=rf"{file}.*Nothing was changed"):
        read_weights(str(folder))

    assert (folder / file).read_bytes() == cut


def test_a_tokenizer_that_is_no_text_is_named(folder: Path) -> None:
    (folder / "tokenizer.json").write_bytes(b"\xff\xfe{}")

    with pytest.raises(UsageError, match=r"tokenizer\.json cannot be read.*Copy or download"):
        load_encoder(str(folder))


def test_tensors_of_something_else_are_no_bert(folder: Path) -> None:
    save_file({"weight": np.ones((2, 2), np.float32)}, folder / "model.safetensors")

    with pytest.raises(UsageError, match=r"holds no BERT.*Name another encoder"):
        load_encoder(str(folder))


def test_names_with_the_heads_prefix_are_read_all_the_same(folder: Path) -> None:
    plain = read_weights(str(folder))
    tensors = load_file(folder / "model.safetensors")
    save_file({f"bert.{name}": t for name, t in tensors.items()}, folder / "model.safetensors")

    prefixed = read_weights(str(folder))

    assert prefixed.tensors.keys() == plain.tensors.keys()
    assert prefixed.name != plain.name


def test_half_precision_is_read_as_fp32_and_numbers_that_are_no_weights_are_left_out(
    folder: Path,
) -> None:
    tensors = load_file(folder / "model.safetensors")
    halves = {name: tensor.astype(np.float16) for name, tensor in tensors.items()}
    places = {"embeddings.position_ids": np.arange(64)}
    save_file({**halves, **places}, folder / "model.safetensors")

    weights = read_weights(str(folder))

    assert {tensor.dtype for tensor in weights.tensors.values()} == {np.dtype(np.float32)}
    assert "embeddings.position_ids" not in weights.tensors


def test_classes_of_case_start_as_the_first_sentence_and_are_kept_once_tuned(folder: Path) -> None:
    stored = load_file(folder / "model.safetensors")
    started = read_weights(str(folder)).tensors[TYPES]
    tuned = np.arange(5 * 32, dtype=np.float32).reshape(5, 32)
    save_file({**stored, TYPES: tuned}, folder / "model.safetensors")

    kept = read_weights(str(folder)).tensors[TYPES]

    assert started.tolist() == [stored[TYPES][0].tolist()] * 5
    assert kept.tolist() == tuned.tolist()


def test_a_name_tells_one_changed_weight_from_none(folder: Path) -> None:
    first, again = read_weights(str(folder)).name, read_weights(str(folder)).name
    tensors = load_file(folder / "model.safetensors")
    tensors[TYPES][0, 0] += 1
    save_file(tensors, folder / "model.safetensors")

    assert first == again
    assert read_weights(str(folder)).name != first


def test_keys_of_the_configuration_that_are_not_needed_are_passed_over(folder: Path) -> None:
    config = msgspec.json.decode((folder / "config.json").read_bytes())
    more = {**config, "architectures": ["BertModel"], "torch_dtype": "float32"}
    (folder / "config.json").write_bytes(msgspec.json.encode(more))

    assert read_weights(str(folder)).config.hidden_size == 32


@pytest.mark.parametrize("name", ["no such", "./here/not", "/nowhere/at all", "all-MiniLM"])
def test_a_source_that_is_nothing_is_told_with_what_it_may_be(name: str) -> None:
    with pytest.raises(UsageError, match=r"no encoder named .*folder nor a hub id"):
        load_encoder(name)


ANY_TEXT = st.text(st.characters(codec=None), max_size=30)
"""Lone surrogates and control marks too."""


@given(ANY_TEXT)
def test_an_encodable_text_is_as_long_and_differs_in_surrogates_alone(text: str) -> None:
    made = encodable(text)

    made.encode("utf-8")
    assert len(made) == len(text)
    for was, now in zip(text, made, strict=True):
        assert was == now or (now == "?" and "\ud800" <= was <= "\udfff")


@settings(deadline=None)
@given(st.lists(ANY_TEXT, max_size=5))
def test_any_texts_embed_to_finite_unit_vectors(encoder: Encoder, texts: list[str]) -> None:
    short = [text[:20] for text in texts]

    vectors = encoder.embed(short)

    assert vectors.shape == (len(texts), 32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-4)


@settings(deadline=None)
@given(ANY_TEXT)
def test_every_piece_belongs_to_a_unit_in_the_order_of_the_text(
    encoder: Encoder, text: str
) -> None:
    (pieces,) = encoder.tokenizer.of_units([text])

    inner = pieces.unit_of[1:-1]
    assert (pieces.unit_of[0], pieces.unit_of[-1]) == (-1, -1)
    assert len(pieces.ids) == len(pieces.types) == len(pieces.unit_of)
    assert list(inner) == sorted(inner)
    assert set(inner) <= set(range(len(pieces.units)))
    assert pieces.units == units_of(text)


@given(st.lists(st.integers(4, 60), max_size=20), st.integers(2, 25))
def test_shortened_pieces_are_never_more_than_asked_and_end_alike(
    ids: list[int], most: int
) -> None:
    whole = Pieces((2, *ids, 3), (0,) * (len(ids) + 2))

    short = whole.shortened(most)

    assert len(short.ids) == len(short.types) == min(most, len(whole.ids))
    assert short.ids[-1] == 3
    assert short.ids[:-1] == whole.ids[: len(short.ids) - 1]


@settings(deadline=None)
@given(st.permutations(["", "a", "bb", "a longer text", "a", "???", "17 of 18"]))
def test_hidden_states_follow_their_text_wherever_it_stands(
    encoder: Encoder, texts: list[str]
) -> None:
    pieces = encoder.tokenizer.of_units(texts)

    together = encoder.hidden(pieces)

    for alone, state in zip(pieces, together, strict=True):
        np.testing.assert_allclose(encoder.hidden([alone])[0], state, atol=1e-5)


def test_more_texts_than_one_pass_holds_are_all_embedded(encoder: Encoder) -> None:
    texts = [f"{chr(97 + n % 26)} {'b' * (n % 40)}" for n in range(300)]

    vectors = encoder.embed(texts)

    np.testing.assert_allclose(
        vectors[[0, 150, 299]], encoder.embed([texts[0], texts[150], texts[299]]), atol=1e-5
    )


def test_threads_are_those_that_the_user_set_and_never_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from slimdown.encoder.model import allowed_threads

    found = []
    for told in ("3", "0", "", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", told)
        found.append(allowed_threads())

    assert found[0] == 3
    assert len(set(found[1:])) == 1
    assert found[1] >= 1
