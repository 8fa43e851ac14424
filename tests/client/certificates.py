"""Certificates of a test's own authority, for the name localhost."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from holdfast.client import Tls

NO_PASSWORD = serialization.NoEncryption()


class Authority:
    """Signs certificates and keeps their files in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(folder.name)
        self.certificate = folder / "authority.crt"
        self._sign("authority", self._key, x509.BasicConstraints(ca=True, path_length=0))

    def identity(self, name: str) -> Tls:
        """The files of one that this authority vouches for."""
        key = ec.generate_private_key(ec.SECP256R1())
        self._sign(name, key, x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.DNSName(name)]))
        path = self._folder / f"{name}.key"
        form = serialization.PrivateFormat.PKCS8
        path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, NO_PASSWORD))
        return Tls(self.certificate, self._folder / f"{name}.crt", path)

    def server_credentials(self) -> grpc.ServerCredentials:
        """Of a server that answers callers of this authority only."""
        own = self.identity("server")
        pair = own.key.read_bytes(), own.certificate.read_bytes()
        return grpc.ssl_server_credentials([pair], own.authorities.read_bytes(), require_client_auth=True)

    def _sign(self, name: str, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType) -> None:
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_name(name) if key is not self._key else self._name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(extension, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        (self._folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
