"""A specialist's files: the fine-tuned encoder in half precision, heads and taggers, the plan."""

from __future__ import annotations

import msgspec
import numpy as np

from slimdown.artefact import Artefact, Tensors
from slimdown.encoder.model import Encoder
from slimdown.encoder.weights import EncoderConfig, EncoderWeights
from slimdown.train.fields.plan import Plan
from slimdown.train.fields.served import FieldsSpecialist


class _About(msgspec.Struct, frozen=True):
    """What is kept beside the tensors. It holds words, so it is sealed."""

    encoder: str
    config: EncoderConfig
    plan: Plan
    tokenizer_json: str


def keep_specialist(
    artefact: Artefact, weights: EncoderWeights, plan: Plan, own: Tensors
) -> FieldsSpecialist:
    """Write a specialist into ``artefact`` and return it as `read_specialist` would."""
    halves = {name: tensor.astype(np.float16) for name, tensor in weights.tensors.items()}
    artefact.write_tensors("encoder", halves)
    artefact.write_tensors("heads", own)
    about = _About(weights.name, weights.config, plan, weights.tokenizer_json)
    artefact.write_json("fields", msgspec.to_builtins(about))
    return read_specialist(artefact)


def read_specialist(artefact: Artefact) -> FieldsSpecialist:
    """Return the specialist in ``artefact``; raises `ArtefactIncomplete` if a file is missing."""
    about = msgspec.convert(artefact.read_json("fields"), _About)
    tensors = {k: v.astype(np.float32) for k, v in artefact.read_tensors("encoder").items()}
    weights = EncoderWeights(about.encoder, about.config, tensors, about.tokenizer_json)
    # One thread: a short text gains nothing from a second, and calls arrive side by side.
    encoder = Encoder(weights, threads=1)
    return FieldsSpecialist(about.plan, encoder, artefact.read_tensors("heads"))
