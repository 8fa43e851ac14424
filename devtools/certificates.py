"""Certificates for development: an authority, each service, and a few callers; `make certs` writes them."""

import os
import tomllib
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from devtools.console import say

ROOT = Path(__file__).resolve().parents[1]
TLS = ROOT / ".local" / "tls"
CA = "ca.crt"
TRUST_DOMAIN = "holdfast.test"
SERVICES = ("inventory", "delivery")
# Names of services in docker-compose.yml too.
HOSTS = ("localhost", *SERVICES)
LOOPBACK = ("127.0.0.1", "::1")
DAYS = 365

_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


class Authority:
    """Signs certificates; its own key is never written down."""

    def __init__(self, name: str = "holdfast development") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._own = (
            self._unsigned(self._name, self._key.public_key(), DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_SIGNS_CERTIFICATES, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def write(self, file: Path) -> None:
        """Writes its certificate, which others believe."""
        _replace(file, self._own.public_bytes(Encoding.PEM))

    def issue(self, folder: Path, name: str, *, trust_domain: str = TRUST_DOMAIN, days: float = DAYS) -> None:
        """Writes tls.crt and tls.key of spiffe://TRUST-DOMAIN/NAME into the folder, for this machine's addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        uri = x509.UniformResourceIdentifier(f"spiffe://{trust_domain}/{name}")
        names = [uri, *map(x509.DNSName, HOSTS), *(x509.IPAddress(ip_address(own)) for own in LOOPBACK)]
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = (
            self._unsigned(x509.Name([]), key.public_key(), days)
            # Critical, as RFC 5280 asks where the subject is empty.
            .add_extension(x509.SubjectAlternativeName(names), critical=True)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / "tls.key", private)
        _replace(folder / "tls.crt", certificate.public_bytes(Encoding.PEM))

    def _unsigned(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, days: float
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=max(0, -days) + 1))
            .not_valid_after(now + timedelta(days=days))
        )


def certs(folder: Path = TLS) -> int:
    """Writes a whole new set; services that run with the last one take it up by themselves."""
    callers = [
        name
        for service in SERVICES
        for name in tomllib.loads((ROOT / f"{service}_service" / "callers.toml").read_text())
    ]
    authority = Authority()
    authority.write(folder / CA)
    for name in dict.fromkeys((*SERVICES, *callers)):
        authority.issue(folder / name, name)
        say(f"spiffe://{TRUST_DOMAIN}/{name} is in {os.path.relpath(folder / name)}")
    say(f"signed by {os.path.relpath(folder / CA)}, for {DAYS} days")
    return 0


def _replace(file: Path, content: bytes) -> None:
    """Puts the content in place of what is there, in one step, for the owner alone."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as new:
        new.write(content)
    beside.replace(file)
