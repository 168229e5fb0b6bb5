"""The certificates of a secure local stack: its own authority, and one certificate for
every server on loopback.

They are made once, when the stack is made.

Hazards:
- The authority's key exists in memory only, until the one certificate is signed, so no
  other one can be signed with it.
- Kafka reads key and certificate from one PEM file, and accepts PKCS #8 keys only.
"""

import ipaddress
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from connectors.ports import Clock

FOLDER: Final = "tls"
NAME: Final = "127.0.0.1"
"""Common name of the certificate; Kafka's controller knows the broker by it."""

_LIFE: Final = timedelta(days=3650)


def authority(directory: Path) -> Path:
    """Return the file of the certificate that clients must trust; PEM."""
    return directory / FOLDER / "ca.pem"


def server(directory: Path) -> Path:
    """Return the file with key (PKCS #8, not encrypted) and certificate of the servers;
    PEM, mode 0600.
    """
    return directory / FOLDER / "server.pem"


def make(directory: Path, clock: Clock) -> None:
    """Make both files in DIR/tls; does nothing if they exist."""
    if server(directory).exists() and authority(directory).exists():
        return
    shutil.rmtree(directory / FOLDER, ignore_errors=True)
    # Before anything is written into it, so that no key is ever readable by others.
    (directory / FOLDER).mkdir(mode=0o700)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    key = ec.generate_private_key(ec.SECP256R1())
    ca = _authority(ca_key, clock)
    certificate = _server(key.public_key(), ca, ca_key, clock)
    authority(directory).write_bytes(ca.public_bytes(Encoding.PEM))
    whole = server(directory).with_suffix(".new")
    whole.touch(mode=0o600)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    whole.write_bytes(pem + certificate.public_bytes(Encoding.PEM))
    whole.replace(server(directory))


def _authority(key: ec.EllipticCurvePrivateKey, clock: Clock) -> x509.Certificate:
    name = _name("vectrue local authority")
    public = key.public_key()
    return (
        _begun(name, name, public, clock)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def _server(
    public: ec.EllipticCurvePublicKey,
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    clock: Clock,
) -> x509.Certificate:
    names = x509.SubjectAlternativeName(
        [x509.IPAddress(ipaddress.ip_address(NAME)), x509.DNSName("localhost")]
    )
    both_ends = x509.ExtendedKeyUsage(
        [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    )
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return (
        _begun(_name(NAME), ca.subject, public, clock)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(both_ends, critical=False)
        .add_extension(names, critical=False)
        .add_extension(issuer, critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _begun(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, clock: Clock
) -> x509.CertificateBuilder:
    now = clock.now()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + _LIFE)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
