"""The hold that inventory keeps for a package: its id, and what inventory's answers make of the package."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

MOST_ID_LENGTH = 64
TAKEN = "RESERVATION_EXISTS"
"""Inventory's reason where our id names a reservation of other content: somebody else's."""


class StockCommand(StrEnum):
    """What inventory is told."""

    RESERVE = "RESERVE"
    COMMIT = "COMMIT"
    RELEASE = "RELEASE"


@dataclass(frozen=True)
class Shortage:
    """One line that inventory refused; `available_quantity` where inventory said so."""

    sku: str
    quantity: int
    available_quantity: int | None
    description: str


def reservation_id(package_sn: str, attempt: int) -> str:
    """The id of a package's hold: the same for ever, another for each attempt, at most 64 characters."""
    plain = f"{package_sn}:{attempt}"
    if len(plain) <= MOST_ID_LENGTH:
        return plain
    digest = hashlib.sha256(package_sn.encode()).hexdigest()[:32]
    return f"{package_sn[:20]}:{digest}:{attempt}"
