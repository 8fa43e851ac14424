"""mTLS: a certificate with its key, and who signs those of others, read anew whenever their files change."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import grpc
import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from servicekit.access.identities import Identity, identity

CERTIFICATE, KEY = "tls.crt", "tls.key"
"""Names in the folder of a certificate: those of a Kubernetes secret of type kubernetes.io/tls."""

_NOT_UNDERSTOOD = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.UnsupportedGeneralNameType,
)
"""What the library says of files that it cannot use."""

log = structlog.get_logger("certificates")


class CertificatesInvalid(Exception):
    """The files are not there or do not belong together; the message names everything that is wrong with them."""


@dataclass(frozen=True)
class Pems:
    """What the files held at one time, all of it fit for use."""

    certificate: bytes
    key: bytes
    authorities: bytes
    owner: Identity
    until: datetime
    """When the certificate's time is over."""

    def are(self, contents: Sequence[bytes]) -> bool:
        """Whether files with these contents say nothing new, and are still fit: to parse a key takes a while."""
        same = tuple(contents) == (self.certificate, self.key, self.authorities)
        return same and datetime.now(UTC) <= self.until

    def for_servers(self) -> grpc.ServerCertificateConfiguration:
        """To be served with."""
        return grpc.ssl_server_certificate_configuration([(self.key, self.certificate)], self.authorities)

    def for_channels(self) -> grpc.ChannelCredentials:
        """To call with; a channel keeps them as long as it lasts."""
        return grpc.ssl_channel_credentials(self.authorities, self.key, self.certificate)


class Certificates:
    """The certificate of this process and the authorities that it believes."""

    def __init__(self, folder: Path, authorities: Path) -> None:
        """`folder` holds tls.crt and tls.key, `authorities` is one file. Raises CertificatesInvalid."""
        self._files = (folder / CERTIFICATE, folder / KEY, authorities)
        self._pems = _understood(self._files, _contents(*self._files))
        self._complaint = ""
        self._reading = threading.Lock()

    def current(self) -> Pems:
        """What the files hold now, the same object while they do not change.

        What cannot be used, such as files that are being replaced one after the other, is warned of once, and what
        there was before stays. To be called from any thread.
        """
        with self._reading:
            try:
                contents = _contents(*self._files)
                found = self._pems if self._pems.are(contents) else _understood(self._files, contents)
            except CertificatesInvalid as invalid:
                if str(invalid) != self._complaint:
                    log.warning("certificates cannot be renewed; the old ones stay", reason=str(invalid))
                self._complaint = str(invalid)
                return self._pems
            self._complaint = ""
            if found is not self._pems:
                self._pems = found
                log.info("certificates renewed", owner=str(found.owner))
            return self._pems

    @property
    def trust_domain(self) -> str:
        """That of the certificate in use: callers must be of the same."""
        return self._pems.owner.trust_domain

    def for_servers(self) -> grpc.ServerCredentials:
        """To listen with: who connects shows a certificate of one of the authorities, and sees our newest."""
        served = self.current()

        def renewed() -> Any:  # its types know of no None, which says that nothing is new
            nonlocal served
            before, served = served, self.current()
            return None if served is before else served.for_servers()

        return grpc.dynamic_ssl_server_credentials(
            served.for_servers(), renewed, require_client_authentication=True
        )


@lru_cache(maxsize=1024)
def expiry(certificate: bytes) -> float:
    """When the time of a certificate in PEM is over, in seconds since 1970."""
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc.timestamp()


def told_uris(certificate: bytes) -> str:
    """What a certificate in PEM has for URIs, for whoever is refused for them."""
    return ", ".join(uris(x509.load_pem_x509_certificate(certificate)))


def open_channel(
    address: str, pems: Pems | None, options: Sequence[tuple[str, Any]] = ()
) -> grpc.aio.Channel:
    """A channel that shows this certificate and wants to see one; a plaintext one where there is none."""
    if pems is None:
        return grpc.aio.insecure_channel(address, options=options)
    return grpc.aio.secure_channel(address, pems.for_channels(), options=options)


def _contents(*files: Path) -> list[bytes]:
    """What is in the files. Raises CertificatesInvalid."""
    contents: list[bytes] = []
    unread: list[str] = []
    for file in files:
        try:
            contents.append(file.read_bytes())
        except OSError as error:
            unread.append(f"{file} cannot be read: {error.strerror}")
    if unread:
        raise CertificatesInvalid("; ".join(unread))
    return contents


def _understood(files: Sequence[Path], contents: Sequence[bytes]) -> Pems:
    """Certificate, key and authorities. Raises CertificatesInvalid."""
    if problems := list(_problems(*zip(files, contents, strict=True))):
        raise CertificatesInvalid("; ".join(problems))
    certificate, key, authorities = contents
    own = x509.load_pem_x509_certificate(certificate)
    owner = identity(uris(own))
    if owner is None:
        raise CertificatesInvalid(f"{files[0]} needs one URI, spiffe://TRUST-DOMAIN/NAME")
    return Pems(certificate, key, authorities, owner, own.not_valid_after_utc)


def _problems(
    certificate: tuple[Path, bytes], key: tuple[Path, bytes], authorities: tuple[Path, bytes]
) -> Iterator[str]:
    # What the library says is left out: it may quote the file.
    own = private = None
    try:
        own = x509.load_pem_x509_certificate(certificate[1])
    except _NOT_UNDERSTOOD:
        yield f"{certificate[0]} holds no certificate in PEM"
    try:
        private = load_pem_private_key(key[1], password=None)
    except _NOT_UNDERSTOOD:
        yield f"{key[0]} holds no private key in PEM without a password"
    try:
        x509.load_pem_x509_certificates(authorities[1])
    except _NOT_UNDERSTOOD:
        yield f"{authorities[0]} holds no certificates in PEM"
    if own and private and own.public_key() != private.public_key():
        yield f"{key[0]} is not the key of {certificate[0]}"
    if own and not own.not_valid_before_utc <= datetime.now(UTC) <= own.not_valid_after_utc:
        since, until = own.not_valid_before_utc, own.not_valid_after_utc
        yield f"{certificate[0]} is valid from {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC only"


def uris(certificate: x509.Certificate) -> list[str]:
    """The URIs among a certificate's names; none where these cannot be understood."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except _NOT_UNDERSTOOD:
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)
