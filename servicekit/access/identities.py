"""Whom a certificate names: its one URI, a SPIFFE ID (github.com/spiffe/spiffe, SPIFFE-ID and X509-SVID)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

# As long as the columns in which callers are kept allow.
MOST_NAME_CHARACTERS = 100

_SPIFFE_ID = re.compile(r"spiffe://([a-z0-9._-]{1,255})/([A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*)")


@dataclass(frozen=True)
class Identity:
    """A caller or a service; `name` is what follows the trust domain, such as "delivery" or "shop/checkout"."""

    trust_domain: str
    name: str

    def __str__(self) -> str:
        return f"spiffe://{self.trust_domain}/{self.name}"


def identity(uris: Sequence[str]) -> Identity | None:
    """The identity in a certificate's URIs; None where there is none, or more than one could be meant."""
    found = _SPIFFE_ID.fullmatch(uris[0]) if len(uris) == 1 else None
    if found is None or len(found[2]) > MOST_NAME_CHARACTERS or {".", ".."} & set(found[2].split("/")):
        return None
    return Identity(found[1], found[2])


def can_be_named(name: str) -> bool:
    """Whether a certificate can name somebody so."""
    return identity([f"spiffe://any/{name}"]) is not None
