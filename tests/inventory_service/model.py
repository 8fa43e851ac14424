"""The books as plain dictionaries: what the service must answer, and have, after each call.

Written from the contract and not from the service. A hold is `due` once its time has come: callers see it as
EXPIRED, while its units stay set aside until somebody needs them or the sweeper comes by.
"""

import copy
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

SELLABLE = ("IN_STOCK", "PRESALE", "PREORDER")
TERMINAL = ("SOLD", "CANCELED")
FOLLOWING = {
    "IN_STOCK": "PRESALE SOLD CANCELED ERROR",
    "PRESALE": "IN_STOCK PREORDER SOLD CANCELED ERROR",
    "PREORDER": "PRESALE SOLD CANCELED ERROR",
    "ERROR": "IN_STOCK SOLD CANCELED",
    "SOLD": "",
    "CANCELED": "",
}
Facts = dict[str, str]


@dataclass(frozen=True)
class Call:
    """One request, and by whom: `merchant:7`, or an operator."""

    method: str
    request: Any
    caller: str = "merchant:7"

    @property
    def operator(self) -> bool:
        """Whether the caller may resolve what others reserved."""
        return self.caller.startswith("dispatcher")


@dataclass(frozen=True)
class Outcome:
    """ "OK" with what is to be seen of the answer, or a reason with some facts of the refusal."""

    reason: str
    seen: Any

    def fits(self, expected: "Outcome") -> bool:
        """Whether this is what was expected; a refusal may tell more than that."""
        if self.reason == "OK" or expected.reason != self.reason:
            return self == expected
        return bool(expected.seen.items() <= self.seen.items())


class Refused(Exception):
    """The call must be refused, for this reason and with these facts."""

    def __init__(self, reason: str, **facts: object) -> None:
        self.outcome = Outcome(reason, {name: str(value) for name, value in facts.items()})


@dataclass
class Shelf:
    """One stock; `life` is the how manieth of its sku."""

    status: str
    quantity: int
    life: int
    version: int = 1
    listings: dict[tuple[str, str], bool] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """Never the same again, also once another stock bears the sku."""
        return f"{self.life}v{self.version}"


@dataclass
class Hold:
    """One reservation; a tombstone has no lines."""

    holder: str
    lines: dict[str, int]
    created_by: str
    ttl: float | None = None
    timed: bool = False
    state: str = "HELD"
    due: bool = False
    committed: dict[str, int] = field(default_factory=dict)
    version: int = 1

    @property
    def tombstone(self) -> bool:
        """Whether it never held anything and never will."""
        return not self.lines

    @property
    def can_become_due(self) -> bool:
        """Whether it is open and has a time."""
        return self.state == "HELD" and self.timed

    def resolve(self, state: str) -> None:
        """It is over."""
        self.state, self.due, self.version = state, False, self.version + 1


class Books:
    """Everything that there is."""

    def __init__(self) -> None:
        self.shelves: dict[str, Shelf] = {}
        self.lives: Counter[str] = Counter()
        self.holds: dict[str, Hold] = {}
        self.movements: Counter[tuple[str, int, str]] = Counter()
        self._touched: set[str] = set()

    def apply(self, call: Call) -> Outcome:
        """What the call must answer; refused calls change nothing."""
        before = copy.deepcopy(self.__dict__)
        decide = getattr(self, f"_{call.method}")
        try:
            decide(call.request, call)
        except Refused as refused:
            self.__dict__ = before
            return refused.outcome
        self._save()
        if call.method == "DeleteStock":
            return Outcome("OK", None)
        if hasattr(call.request, "reservation_id"):
            return Outcome("OK", self.reservation(call.request.reservation_id))
        return Outcome("OK", self.stock(call.request.sku))

    def sweep(self) -> None:
        """Every hold that is due gives its units back."""
        self._expire(set(self.shelves))
        self._save()

    def reserved(self, sku: str) -> int:
        """Units set aside."""
        return sum(hold.lines.get(sku, 0) for hold in self.holds.values() if hold.state == "HELD")

    def stock(self, sku: str) -> tuple[Any, ...]:
        """A stock as its readers see it."""
        shelf, reserved = self.shelves[sku], self.reserved(sku)
        return (sku, shelf.status, shelf.quantity, reserved, shelf.quantity - reserved, shelf.etag)

    def reservation(self, reservation_id: str) -> tuple[Any, ...]:
        """A reservation as its readers see it."""
        hold = self.holds[reservation_id]
        lines = tuple((sku, units, hold.committed.get(sku, 0)) for sku, units in sorted(hold.lines.items()))
        state = "EXPIRED" if hold.due else hold.state
        etag = f"v{hold.version + hold.due}"
        return (reservation_id, hold.holder, state, lines, hold.tombstone, hold.created_by, etag)

    def _save(self) -> None:
        for sku in self._touched & self.shelves.keys():
            self.shelves[sku].version += 1
        self._touched = set()

    def _CreateStock(self, request: Any, call: Call) -> None:
        if request.sku in self.shelves:
            raise Refused("STOCK_EXISTS", sku=request.sku)
        self.lives[request.sku] += 1
        self.shelves[request.sku] = Shelf("IN_STOCK", 0, self.lives[request.sku])
        if request.quantity:
            self._move(request.sku, request.quantity, "OPENING")
            self._touched.clear()

    def _DeleteStock(self, request: Any, call: Call) -> None:
        shelf = self._shelf(request)
        self._require_unheld(request.sku)
        if shelf.quantity:
            raise Refused("QUANTITY_MISMATCH", sku=request.sku, quantity=shelf.quantity, expected_quantity=0)
        del self.shelves[request.sku]

    def _ChangeStockStatus(self, request: Any, call: Call) -> None:
        shelf, wanted = self._shelf(request), word(request, "status")
        if wanted not in FOLLOWING[shelf.status].split():
            allowed = ", ".join(FOLLOWING[shelf.status].split())
            raise Refused(
                "ILLEGAL_STATUS_CHANGE", from_status=shelf.status, to_status=wanted, allowed=allowed
            )
        if wanted in TERMINAL:
            self._require_unheld(request.sku)
        self._save()
        shelf.status = wanted
        self._touched.add(request.sku)

    def _AddListing(self, request: Any, call: Call) -> None:
        shelf, key = self._shelf(request), listing_key(request.listing)
        if key in shelf.listings:
            raise Refused("LISTING_EXISTS", platform=key[0], listing_id=key[1], sku=request.sku)
        shelf.listings[key] = True
        self._touched.add(request.sku)

    def _EndListing(self, request: Any, call: Call) -> None:
        shelf, key = self._shelf(request), listing_key(request)
        if key not in shelf.listings:
            raise Refused("LISTING_NOT_FOUND", platform=key[0], listing_id=key[1], sku=request.sku)
        if shelf.listings[key]:
            shelf.listings[key] = False
            self._touched.add(request.sku)

    def _AdjustStock(self, request: Any, call: Call) -> None:
        self._shelf(request)
        self._change(request.sku, request.delta, word(request, "reason"))

    def _SetStockQuantity(self, request: Any, call: Call) -> None:
        shelf = self._shelf(request)
        if shelf.quantity != request.expected_quantity:
            expected = request.expected_quantity
            raise Refused("QUANTITY_MISMATCH", quantity=shelf.quantity, expected_quantity=expected)
        if request.quantity != shelf.quantity:
            self._change(request.sku, request.quantity - shelf.quantity, "COUNT_CORRECTION")

    def _ReserveStock(self, request: Any, call: Call) -> None:
        wanted: Counter[str] = Counter()
        for line in request.lines:
            wanted[line.sku] += line.quantity
        ttl = request.ttl.ToMicroseconds() / 1e6 if request.HasField("ttl") else None
        known = self.holds.get(request.reservation_id)
        if known is not None:
            if known.tombstone:
                raise Refused("RESERVATION_TOMBSTONED", reservation_id=request.reservation_id)
            if (known.holder, known.lines, known.ttl) != (request.holder, wanted, ttl):
                raise Refused("RESERVATION_EXISTS", reservation_id=request.reservation_id)
            return
        if unknown := sorted(wanted.keys() - self.shelves.keys()):
            raise Refused("STOCK_NOT_FOUND", skus=", ".join(unknown))
        closed = [sku for sku in wanted if self.shelves[sku].status not in SELLABLE]
        if closed:
            lines = ", ".join(f"{sku}: status {self.shelves[sku].status}" for sku in closed)
            raise Refused("STOCK_NOT_SELLABLE", lines=lines)
        self._expire({sku for sku, units in wanted.items() if units > self._available(sku)})
        short = {sku: units for sku, units in wanted.items() if units > self._available(sku)}
        if short:
            told = (f"{sku}: requested {n}, available {self._available(sku)}" for sku, n in short.items())
            raise Refused("INSUFFICIENT_STOCK", shortages=", ".join(told))
        hold = Hold(request.holder, dict(wanted), call.caller, ttl, timed=ttl is not None)
        self.holds[request.reservation_id] = hold
        self._touched |= wanted.keys()

    def _CommitReservation(self, request: Any, call: Call) -> None:
        hold = self._resolvable(request, call)
        wanted: Counter[str] = Counter()
        for line in request.lines:
            wanted[line.sku] += line.quantity
        taken = dict(wanted) if request.lines else dict(hold.lines)
        if hold.state == "COMMITTED" and hold.committed == taken:
            return
        self._require_open(request, hold)
        if more := {sku: units for sku, units in taken.items() if units > hold.lines.get(sku, 0)}:
            told = (f"{sku}: requested {n}, available {hold.lines.get(sku, 0)}" for sku, n in more.items())
            raise Refused("QUANTITY_MISMATCH", lines=", ".join(told))
        hold.resolve("COMMITTED")
        hold.committed = taken
        for sku, units in taken.items():
            self._move(sku, -units, "SOLD")
        self._touched |= hold.lines.keys()

    def _ReleaseReservation(self, request: Any, call: Call) -> None:
        if request.reservation_id not in self.holds:
            self.holds[request.reservation_id] = Hold("", {}, call.caller, state="RELEASED")
        if self.holds[request.reservation_id].tombstone:
            return
        hold = self._resolvable(request, call)
        if hold.state == "COMMITTED":
            raise Refused("RESERVATION_ALREADY_RESOLVED", state=hold.state)
        if hold.state == "HELD":
            if not hold.due:
                self._require_etag(request, f"v{hold.version}", reservation_id=request.reservation_id)
            hold.resolve("EXPIRED" if hold.due else "RELEASED")
            self._touched |= hold.lines.keys()

    def _ExtendReservation(self, request: Any, call: Call) -> None:
        hold = self._resolvable(request, call)
        self._require_open(request, hold)
        hold.timed, hold.version = True, hold.version + 1

    def _shelf(self, request: Any) -> Shelf:
        if request.sku not in self.shelves:
            raise Refused("STOCK_NOT_FOUND", skus=request.sku)
        shelf = self.shelves[request.sku]
        self._require_etag(request, shelf.etag, sku=request.sku)
        return shelf

    def _require_etag(self, request: Any, etag: str, **subject: str) -> None:
        if getattr(request, "etag", "") not in ("", etag):
            raise Refused("ETAG_MISMATCH", **subject)

    def _require_unheld(self, sku: str) -> None:
        self._expire({sku})
        if reserved := self.reserved(sku):
            raise self._held(sku, reserved)

    def _held(self, sku: str, reserved: int) -> Refused:
        return Refused(
            "STOCK_HAS_HOLDS", sku=sku, quantity=self.shelves[sku].quantity, reserved_quantity=reserved
        )

    def _resolvable(self, request: Any, call: Call) -> Hold:
        hold = self.holds.get(request.reservation_id)
        if hold is None:
            raise Refused("RESERVATION_NOT_FOUND", reservation_id=request.reservation_id)
        if hold.tombstone:
            raise Refused("RESERVATION_TOMBSTONED", reservation_id=request.reservation_id)
        if not call.operator and call.caller != hold.created_by:
            raise Refused("CALLER_NOT_ALLOWED", caller=call.caller)
        return hold

    def _require_open(self, request: Any, hold: Hold) -> None:
        if hold.due or hold.state == "EXPIRED":
            raise Refused("RESERVATION_EXPIRED", reservation_id=request.reservation_id)
        if hold.state != "HELD":
            raise Refused("RESERVATION_ALREADY_RESOLVED", state=hold.state)
        self._require_etag(request, f"v{hold.version}", reservation_id=request.reservation_id)

    def _available(self, sku: str) -> int:
        return self.shelves[sku].quantity - self.reserved(sku)

    def _change(self, sku: str, delta: int, reason: str) -> None:
        if delta + self._available(sku) < 0:
            self._expire({sku})
        if delta + self._available(sku) < 0:
            if reserved := self.reserved(sku):
                raise self._held(sku, reserved)
            told = f"{sku}: requested {-delta}, available {self.shelves[sku].quantity}"
            raise Refused("INSUFFICIENT_STOCK", shortages=told)
        self._move(sku, delta, reason)

    def _move(self, sku: str, delta: int, reason: str) -> None:
        self.shelves[sku].quantity += delta
        self.movements[sku, delta, reason] += 1
        self._touched.add(sku)

    def _expire(self, skus: set[str]) -> None:
        for hold in self.holds.values():
            if hold.due and hold.lines.keys() & skus:
                hold.resolve("EXPIRED")
                self._touched |= hold.lines.keys()


def word(message: Message, name: str) -> str:
    """The value of an enum field, without its prefix."""
    enum = message.DESCRIPTOR.fields_by_name[name].enum_type
    assert enum is not None
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return enum.values_by_number[getattr(message, name)].name.removeprefix(prefix)


def listing_key(message: Any) -> tuple[str, str]:
    """(platform, listing_id)."""
    return word(message, "platform"), message.listing_id
