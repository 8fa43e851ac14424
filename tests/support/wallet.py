"""Certificates of an authority of the test's own."""

import socket
import ssl
from pathlib import Path

from cryptography import x509

from devtools.certificates import CA, Authority
from servicekit.access.certificates import Certificates, Pems


class Wallet:
    """A folder with an authority's certificate and those that it signed, each in a folder of its name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = folder / CA
        self.authority = Authority()
        self.authority.write(self.ca)

    def issue(self, name: str, *, trust_domain: str = "holdfast.test", days: float = 1) -> Path:
        """A new certificate, in place of the last one of that name; answers its folder."""
        self.authority.issue(self.folder / name, name, trust_domain=trust_domain, days=days)
        return self.folder / name

    def certificates(self, name: str) -> Certificates:
        """A new certificate, as a process reads it."""
        return Certificates(self.issue(name), self.ca)

    def pems(self, name: str) -> Pems:
        """A new certificate, to open a channel with."""
        return self.certificates(name).current()

    def serial(self, name: str) -> int:
        """The number of the newest certificate of that name."""
        return x509.load_pem_x509_certificate((self.folder / name / "tls.crt").read_bytes()).serial_number

    def settings(self, service: str, prefix: str) -> dict[str, str]:
        """The variables that turn mTLS on, with a new certificate."""
        return {f"{prefix}_TLS_FOLDER": str(self.issue(service)), f"{prefix}_TLS_CA": str(self.ca)}

    def served_serial(self, address: str, caller: str) -> int:
        """The number of the certificate that a server shows to one who connects now."""
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(self.folder / caller / "tls.crt", self.folder / caller / "tls.key")
        context.set_alpn_protocols(["h2"])
        host, _, port = address.rpartition(":")
        with (
            socket.create_connection((host, int(port)), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=host) as connection,
        ):
            shown = connection.getpeercert(binary_form=True)
        assert shown
        return x509.load_der_x509_certificate(shown).serial_number
