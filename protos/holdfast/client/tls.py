"""Who the caller is, and whom it trusts."""

from dataclasses import dataclass, fields
from pathlib import Path

import grpc


class TlsUnreadable(Exception):
    """Files of a TLS identity cannot be read; the message names every one of them."""


@dataclass(frozen=True)
class Tls:
    """A caller's identity for mutual TLS: three files in PEM. They are read once, when the channel is made."""

    authorities: Path
    """Who must have signed the server's certificate."""
    certificate: Path
    """The caller's own, with those between it and its authority behind it."""
    key: Path
    """The private key of `certificate`."""

    def credentials(self) -> grpc.ChannelCredentials:
        """What a channel needs. Raises TlsUnreadable."""
        read: dict[str, bytes] = {}
        wrong = []
        for field in fields(self):
            path: Path = getattr(self, field.name)
            try:
                read[field.name] = path.read_bytes()
            except OSError as error:
                wrong.append(f"{field.name} {path}: {error.strerror}")
        if wrong:
            raise TlsUnreadable("; ".join(wrong))
        return grpc.ssl_channel_credentials(read["authorities"], read["key"], read["certificate"])
