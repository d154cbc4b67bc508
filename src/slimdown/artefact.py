"""A specialist's folder: safetensors and JSON only, sealed where it holds words, manifest last.

Tensors are numbers and lie open; JSON (labels, vocabularies, predictions) is sealed, since it
holds text of prompts and answers. Each file is written beside its place and moved there whole.
A folder without its manifest is unfinished work: readable by its own rung to resume, by no other.
"""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from slimdown.errors import ArtefactIncomplete
from slimdown.seal import Sealer
from slimdown.types import Manifest

Tensors = dict[str, npt.NDArray[Any]]
"""Tensor name -> array."""

_MANIFEST = "manifest.json"


class Artefact:
    """A folder that one specialist is trained into and loaded from."""

    def __init__(self, path: Path, sealer: Sealer) -> None:
        """Use ``path``, which need not exist yet; it is made with mode 0700 on first write."""
        self.path = path
        self._sealer = sealer

    def write_json(self, name: str, value: Any) -> None:
        """Keep a JSON value, sealed and bound to the folder's and the file's name."""
        sealed = self._sealer.seal(msgspec.json.encode(value), self._about(name))
        envelope = {"sealed": base64.b64encode(sealed).decode("ascii")}
        self._write(f"{name}.json", msgspec.json.encode(envelope))

    def read_json(self, name: str) -> Any:
        """Return what `write_json` kept; raises `ArtefactIncomplete` or `SealBroken`."""
        filename = f"{name}.json"
        try:
            envelope = msgspec.json.decode(self._read(filename), type=dict[str, str])
            sealed = base64.b64decode(envelope["sealed"], validate=True)
        except (msgspec.DecodeError, KeyError, ValueError) as error:
            raise ArtefactIncomplete(self._damaged(filename)) from error
        return msgspec.json.decode(self._sealer.open(sealed, self._about(name)))

    def write_tensors(self, name: str, tensors: Tensors) -> None:
        """Keep named arrays as safetensors."""
        whole = {key: np.ascontiguousarray(value) for key, value in tensors.items()}
        self._write(f"{name}.safetensors", save(whole))

    def read_tensors(self, name: str) -> Tensors:
        """Return what `write_tensors` kept; raises `ArtefactIncomplete` if it is not there."""
        path = self.path / f"{name}.safetensors"
        if not path.exists():
            raise ArtefactIncomplete(self._missing(path.name))
        try:
            tensors: Tensors = load_file(path)
        except SafetensorError as error:
            raise ArtefactIncomplete(self._damaged(path.name)) from error
        return tensors

    def has(self, name: str) -> bool:
        """Tell whether a JSON or tensor file of this name is there, whole."""
        return any((self.path / f"{name}{end}").exists() for end in (".json", ".safetensors"))

    def remove(self, name: str) -> None:
        """Delete a JSON or tensor file (a checkpoint that is no longer needed)."""
        for end in (".json", ".safetensors"):
            (self.path / f"{name}{end}").unlink(missing_ok=True)

    def finish(self, manifest: Manifest) -> Manifest:
        """Write the manifest, with the hash of each file; from now on the folder is whole."""
        whole = msgspec.structs.replace(manifest, files=self._hashes())
        self._write(_MANIFEST, msgspec.json.encode(whole))
        return whole

    def manifest(self) -> Manifest | None:
        """Return the manifest, or None while the folder is unfinished.

        Raises `ArtefactIncomplete` if it is there and cannot be read.
        """
        path = self.path / _MANIFEST
        if not path.exists():
            return None
        try:
            return msgspec.json.decode(path.read_bytes(), type=Manifest)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ArtefactIncomplete(self._damaged(_MANIFEST)) from error

    def verify(self) -> Manifest:
        """Return the manifest if each file matches it, else raise `ArtefactIncomplete`."""
        manifest = self.manifest()
        if manifest is None:
            raise ArtefactIncomplete(self._missing(_MANIFEST))
        found = self._hashes()
        wrong = sorted(name for name, digest in manifest.files.items() if found.get(name) != digest)
        if wrong:
            raise ArtefactIncomplete(
                f"{self.path}: {', '.join(wrong)} differ from the manifest. The calls are kept; "
                "delete this folder and run `slimdown run` to train it anew."
            )
        return manifest

    @property
    def n_bytes(self) -> int:
        """Size of all files, in bytes."""
        return sum(f.stat().st_size for f in self.path.iterdir() if f.is_file())

    def _hashes(self) -> dict[str, str]:
        files = [f for f in self.path.iterdir() if f.suffix in (".json", ".safetensors")]
        return {
            f.name: hashlib.sha256(f.read_bytes()).hexdigest()
            for f in sorted(files)
            if f.name != _MANIFEST
        }

    def _about(self, name: str) -> str:
        return f"artefact/1/{self.path.name}/{name}"

    def _read(self, filename: str) -> bytes:
        try:
            return (self.path / filename).read_bytes()
        except FileNotFoundError as error:
            raise ArtefactIncomplete(self._missing(filename)) from error

    def _missing(self, filename: str) -> str:
        return (
            f"{self.path} has no {filename}: its training did not finish. The calls are kept; "
            "`slimdown run` goes on from the last checkpoint."
        )

    def _damaged(self, filename: str) -> str:
        return (
            f"{self.path}: {filename} is damaged and cannot be read. The calls are kept; "
            "delete this folder and run `slimdown run` to train it anew."
        )

    def _write(self, filename: str, data: bytes) -> None:
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self.path / f"{filename}.part"
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path / filename)
