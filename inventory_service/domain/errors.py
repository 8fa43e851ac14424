"""What inventory refuses. A class's name is its name on the wire, its fields are its facts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


class Refusal(Exception):
    """A command that the rules do not allow; nothing was changed."""

    also: tuple["Refusal", ...] = ()
    """What else was refused, where one call asked for many things."""


@dataclass(eq=False)
class StockNotFound(Refusal):
    """No stock bears the sku; every unknown one of those asked for is named."""

    skus: tuple[str, ...]

    def __str__(self) -> str:
        return f"no stock with sku {', '.join(self.skus)}"


@dataclass(eq=False)
class StockExists(Refusal):
    """Another stock bears the sku."""

    sku: str

    def __str__(self) -> str:
        return f"there is a stock with sku {self.sku} already"


@dataclass(frozen=True)
class UnsellableLine:
    """A line whose stock cannot be reserved in its status."""

    sku: str
    status: str

    def __str__(self) -> str:
        return f"{self.sku}: status {self.status}"


@dataclass(eq=False)
class StockNotSellable(Refusal):
    """Stocks can be reserved in IN_STOCK, PRESALE and PREORDER only; every other line is named."""

    lines: tuple[UnsellableLine, ...]

    def __str__(self) -> str:
        return f"not for sale: {'; '.join(map(str, self.lines))}"

    def violations(self) -> Iterable[tuple[str, str]]:
        """(sku, its status) of each such line."""
        return [(line.sku, f"status {line.status}") for line in self.lines]


@dataclass(frozen=True)
class Shortage:
    """A line that asks for more than there is."""

    sku: str
    requested: int
    available: int

    def __str__(self) -> str:
        return f"{self.sku}: requested {self.requested}, available {self.available}"


@dataclass(eq=False)
class InsufficientStock(Refusal):
    """Not all lines can be had; every short one is named and nothing was held."""

    shortages: tuple[Shortage, ...]

    def __str__(self) -> str:
        return f"not enough stock: {'; '.join(map(str, self.shortages))}"

    def violations(self) -> Iterable[tuple[str, str]]:
        """(sku, what was asked and what there is) of each short line."""
        return [(s.sku, f"requested {s.requested}, available {s.available}") for s in self.shortages]


@dataclass(frozen=True)
class Holder:
    """An open reservation, and for whom it is."""

    reservation_id: str
    holder: str

    def __str__(self) -> str:
        return f"{self.reservation_id} ({self.holder})"


@dataclass(eq=False)
class StockHasHolds(Refusal):
    """Open reservations hold units that the change would take away."""

    sku: str
    quantity: int
    reserved_quantity: int
    holders: tuple[Holder, ...] = ()

    def __str__(self) -> str:
        holders = ", ".join(map(str, self.holders))
        return f"{self.reserved_quantity} of the {self.quantity} units of {self.sku} are held by {holders}"


@dataclass(eq=False)
class StockLimitExceeded(Refusal):
    """The stock would have more units than one stock can have."""

    sku: str
    quantity: int
    limit: int

    def __str__(self) -> str:
        return f"{self.sku} has {self.quantity} units and can have at most {self.limit}"


@dataclass(eq=False)
class StockInconsistent(Refusal):
    """The stock says that fewer units are held than the reservation holds of it; somebody must correct one of them."""

    sku: str
    reserved_quantity: int
    reservation_id: str
    held_quantity: int

    def __str__(self) -> str:
        return (
            f"{self.sku} has {self.reserved_quantity} units reserved, of which reservation {self.reservation_id}"
            f" cannot give {self.held_quantity} back"
        )


@dataclass(eq=False)
class ReservationNotFound(Refusal):
    """No reservation bears the id."""

    reservation_id: str

    def __str__(self) -> str:
        return f"no reservation {self.reservation_id}"


@dataclass(eq=False)
class ReservationExists(Refusal):
    """The id was used for a reservation with other content."""

    reservation_id: str

    def __str__(self) -> str:
        return f"reservation {self.reservation_id} exists with another holder, other lines or another ttl"


@dataclass(eq=False)
class ReservationTombstoned(Refusal):
    """The id was released before it was reserved, and is closed for ever."""

    reservation_id: str

    def __str__(self) -> str:
        return f"reservation {self.reservation_id} was released before it was made; use a new id"


@dataclass(eq=False)
class ReservationExpired(Refusal):
    """The hold ended at its expire_time."""

    reservation_id: str
    expire_time: datetime

    def __str__(self) -> str:
        return f"reservation {self.reservation_id} expired at {self.expire_time.isoformat()}"


@dataclass(eq=False)
class ReservationAlreadyResolved(Refusal):
    """The reservation was resolved in another way, or with other quantities."""

    reservation_id: str
    state: str

    def __str__(self) -> str:
        return f"reservation {self.reservation_id} is {self.state} already, and stays so"


@dataclass(eq=False)
class QuantityMismatch(Refusal):
    """The books have another number: less held than lines ask for, or more or fewer units than expected.

    Of a reservation each such line is named; of a stock, its `quantity` and the `expected_quantity`.
    """

    reservation_id: str | None = None
    lines: tuple[Shortage, ...] | None = None
    sku: str | None = None
    quantity: int | None = None
    expected_quantity: int | None = None

    def __str__(self) -> str:
        if self.lines is None:
            return f"{self.sku} has {self.quantity} units, not {self.expected_quantity}"
        return f"reservation {self.reservation_id} holds less: {'; '.join(map(str, self.lines))}"

    def violations(self) -> Iterable[tuple[str, str]]:
        """(sku, what was asked or expected and what there is) of each such line, or of the stock."""
        if self.lines is None:
            return [(str(self.sku), f"expected {self.expected_quantity}, has {self.quantity}")]
        return [(line.sku, f"requested {line.requested}, held {line.available}") for line in self.lines]


@dataclass(eq=False)
class CallerNotAllowed(Refusal):
    """Only the caller that made a reservation, or whose id it has, or an operator, may resolve or make it; only
    operators have books repaired.
    """

    caller: str
    reservation_id: str | None = None
    allowed: tuple[str, ...] | None = None

    def __str__(self) -> str:
        if self.allowed is not None:
            return f"this is for the roles {' and '.join(self.allowed)}, not for {self.caller}"
        return f"reservation {self.reservation_id} is not {self.caller}'s"


@dataclass(eq=False)
class EtagMismatch(Refusal):
    """The stock or the reservation has changed since the caller read it."""

    sku: str | None = None
    reservation_id: str | None = None

    def __str__(self) -> str:
        changed = f"stock {self.sku}" if self.sku else f"reservation {self.reservation_id}"
        return f"{changed} has changed since; read it again"


@dataclass(eq=False)
class IllegalStatusChange(Refusal):
    """The status cannot follow upon the present one."""

    sku: str
    from_status: str
    to_status: str
    allowed: tuple[str, ...]

    def __str__(self) -> str:
        allowed = ", ".join(self.allowed) or "nothing"
        return f"{self.sku} is {self.from_status}: from there it may become {allowed}, not {self.to_status}"


@dataclass(eq=False)
class ListingExists(Refusal):
    """The stock bears a listing of that platform and id already."""

    listing_id: str
    platform: str
    sku: str

    def __str__(self) -> str:
        return f"{self.sku} has the listing {self.listing_id} on {self.platform} already"


@dataclass(eq=False)
class ListingLimitExceeded(Refusal):
    """The stock has as many active listings as one stock can have."""

    sku: str
    limit: int

    def __str__(self) -> str:
        return f"{self.sku} has {self.limit} active listings, the most that a stock can have: end one first"


@dataclass(eq=False)
class ListingPriceIncomplete(Refusal):
    """The listing would have a price without a currency, or a currency without a price."""

    listing_id: str
    platform: str
    sku: str

    def __str__(self) -> str:
        return (
            f"the listing {self.listing_id} of {self.sku} on {self.platform} would have only one of ask_price and"
            " currency: name both in update_mask"
        )


@dataclass(eq=False)
class ListingNotFound(Refusal):
    """The stock bears no such listing, or none that is still open."""

    listing_id: str
    platform: str
    sku: str

    def __str__(self) -> str:
        return f"{self.sku} has no open listing {self.listing_id} on {self.platform}"
