"""Encryption of everything that holds text of prompts or answers, and the key that opens it.

AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce per record, over zstd-compressed bytes.
The associated data binds a record to its place: moved to another id or read under another schema
it does not open. It hides contents, not sizes, counts or times.
"""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Mapping
from pathlib import Path

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from slimdown.errors import KeyProblem, SealBroken

KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
_MAX_OPENED_BYTES = 1 << 30
_LEVEL = 3


class _Codecs(threading.local):
    """A thread's own compressor and decompressor: zstd contexts bear one thread at a time."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self.decompressor = zstandard.ZstdDecompressor()


class Sealer:
    """Seals and opens records with one key; safe to share by threads."""

    def __init__(self, key: bytes) -> None:
        """Take a 32-byte key."""
        if len(key) != KEY_BYTES:
            raise KeyProblem(f"a key has {KEY_BYTES} bytes, this one has {len(key)}.")
        self.key = key
        self._cipher = AESGCM(key)
        self._codecs = _Codecs()

    def seal(self, data: bytes, about: str) -> bytes:
        """Return nonce + ciphertext of ``data``, bound to ``about``: its id and schema."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(
            nonce, self._codecs.compressor.compress(data), about.encode()
        )

    def open(self, sealed: bytes, about: str) -> bytes:
        """Return what was sealed; raises `SealBroken` on a wrong key, place or altered bytes."""
        if len(sealed) < _NONCE_BYTES + _TAG_BYTES:
            raise SealBroken(f"the sealed record {about} is cut short; the other records are kept.")
        nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            packed = self._cipher.decrypt(nonce, ciphertext, about.encode())
        except InvalidTag as error:
            raise SealBroken(
                f"the sealed record {about} does not open: this is not the key it was sealed with, "
                "or the data was altered. Nothing was changed. Set SLIMDOWN_KEY, or put back the "
                "key file, that this workspace was made with."
            ) from error
        return self._codecs.decompressor.decompress(packed, max_output_size=_MAX_OPENED_BYTES)


def load_sealer(environ: Mapping[str, str], *, create: bool = True) -> Sealer:
    """Return the user's sealer: key from ``SLIMDOWN_KEY``, else from the key file.

    The key file is made on first use with mode 0600; with ``create=False`` a missing one is a
    `KeyProblem`, as is a malformed key.
    """
    text = environ.get("SLIMDOWN_KEY")
    if text:
        return Sealer(_decode(text, "SLIMDOWN_KEY"))
    path = key_file(environ)
    if not path.exists():
        if not create:
            raise KeyProblem(
                f"no key: SLIMDOWN_KEY is not set and {path} does not exist, but the workspace "
                "holds sealed data. Nothing was changed. Put back the key it was made with."
            )
        _create(path)
    return Sealer(_decode(_read(path), str(path)))


def key_file(environ: Mapping[str, str]) -> Path:
    """Return where the key file is: ``SLIMDOWN_KEY_FILE``, else the user's configuration folder."""
    named = environ.get("SLIMDOWN_KEY_FILE")
    if named:
        return Path(named)
    base = environ.get("XDG_CONFIG_HOME") or str(
        Path(environ.get("HOME", "~")).expanduser() / ".config"
    )
    return Path(base) / "slimdown" / "key"


def encode_key(key: bytes) -> str:
    """Return the text form of a key, as ``SLIMDOWN_KEY`` and the key file hold it."""
    return base64.urlsafe_b64encode(key).decode("ascii")


def _decode(text: str, source: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), altchars=b"-_", validate=True)
    except ValueError as error:
        raise KeyProblem(f"the key in {source} is not base64; nothing was changed.") from error
    if len(key) != KEY_BYTES:
        raise KeyProblem(
            f"the key in {source} has {len(key)} bytes, not {KEY_BYTES}; nothing was changed. "
            "It is the base64 text of 32 random bytes."
        )
    return key


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError as error:
        raise KeyProblem(
            f"the key file {path} cannot be read ({error.strerror}). Nothing was changed. "
            "Check that it is a file of yours, or set SLIMDOWN_KEY or SLIMDOWN_KEY_FILE."
        ) from error


def _create(path: Path) -> None:
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, mode=0o700)
        _write_new(path, encode_key(os.urandom(KEY_BYTES)) + "\n")
    except OSError as error:
        if path.exists():
            return  # another process made it between our look and now: use that one
        raise KeyProblem(
            f"the key file {path} cannot be made ({error.strerror}). Nothing was stored. "
            "Set SLIMDOWN_KEY, or SLIMDOWN_KEY_FILE to a place that can be written."
        ) from error


def _write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet, whole or not at all; it outlives a power cut."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
