"""What a batch locks for a wish, the answer that somebody else has it locked, and how to wait for that."""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from inventory_service.application.reservation_ports import RequestKey


class Kind(Enum):
    """What can be locked."""

    STOCK = "stock"
    RESERVATION = "reservation"
    REQUEST = "request"


@dataclass(frozen=True)
class Lockable:
    """A stock by its sku, a reservation by its id (whether or not there is one yet), a request by its key's name."""

    kind: Kind
    name: str


def request(key: RequestKey) -> Lockable:
    """A request by who asked, what, under which id."""
    return Lockable(Kind.REQUEST, f"{key.caller} {key.method} {key.request_id}")


class Locked(Exception):
    """Somebody else has locked what a wish needs; nothing was done for it."""

    def __init__(self, what: Lockable) -> None:
        super().__init__(f"{what.kind.value} {what.name} is locked")
        self.what = what


class Locks(Protocol):
    """The locks of one transaction."""

    async def wait_for(self, what: Lockable) -> None:
        """Locks it as soon as others let go of it; a transaction that has nothing else locked hinders nobody so.

        Raises Locked if they do not within the limit of the session.
        """
        ...
