"""Arrays that lie sealed: what could be turned back into words of a prompt.

Embeddings and hashed n-grams of known texts can be inverted in good part, so they are kept like
text; weights that only sum over many examples lie open, as tensors.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from slimdown.artefact import Artefact

Arrays = dict[str, npt.NDArray[Any]]
"""Array name -> array, of a plain numeric dtype."""


def write_sealed(artefact: Artefact, name: str, arrays: Arrays) -> None:
    """Keep named arrays in one sealed JSON file."""
    artefact.write_json(
        name,
        {
            key: {"dtype": value.dtype.str, "shape": value.shape, "data": value.tobytes()}
            for key, value in arrays.items()
        },
    )


def read_sealed(artefact: Artefact, name: str) -> Arrays:
    """Return what `write_sealed` kept; raises `ArtefactIncomplete` or `SealBroken`."""
    return {key: _array(kept) for key, kept in artefact.read_json(name).items()}


def kept(
    artefact: Artefact, name: str, make: Callable[[], npt.NDArray[np.float32]]
) -> npt.NDArray[np.float32]:
    """Return the checkpoint of this name, made and kept first if it is not there yet."""
    if not artefact.has(name):
        write_sealed(artefact, name, {name: make()})
    return read_sealed(artefact, name)[name]


def _array(kept_array: dict[str, Any]) -> npt.NDArray[Any]:
    data = base64.b64decode(kept_array["data"])
    return np.frombuffer(data, np.dtype(kept_array["dtype"])).reshape(kept_array["shape"])
