"""A certificate of our own making, for an upstream that speaks HTTPS, in good order or not."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from cryptography import x509


class TLSIdentity(msgspec.Struct, frozen=True):
    """What a server proves itself with, and the file by which a client may trust it (PEM)."""

    server: ssl.SSLContext
    authority: Path


def tls_identity(folder: Path, *, host: str = "127.0.0.1", expired: bool = False) -> TLSIdentity:
    """Write a self-signed certificate for ``host``, an address or a name, into a folder.

    ``expired``: it was valid until yesterday.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    number = x509.random_serial_number()
    # Whoever trusts several finds the one that is meant by its name.
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"upstream {number:x}"[:64])])
    end = datetime.now(UTC) + timedelta(days=-1 if expired else 1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), number)
        .not_valid_before(end - timedelta(days=2))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    authority, secret = folder / "authority.pem", folder / "key.pem"
    pem = serialization.Encoding.PEM
    authority.write_bytes(certificate.public_bytes(pem))
    plain = serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(authority, secret)
    return TLSIdentity(server, authority)


def _general_name(host: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
