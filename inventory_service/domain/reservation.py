"""A reservation: units of several stocks held for one holder, resolved exactly once."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID


class ReservationState(StrEnum):
    """Where a reservation stands; it leaves HELD once and for ever."""

    HELD = "HELD"
    COMMITTED = "COMMITTED"
    RELEASED = "RELEASED"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True)
class ReservationLine:
    """So many units of one stock; the units not committed were given back, once it is resolved."""

    stock_id: UUID
    sku: str
    quantity: int
    committed_quantity: int = 0


@dataclass(frozen=True)
class Reservation:
    """What was held, for whom and until when. A tombstone never held anything and never will."""

    reservation_id: str
    holder: str
    state: ReservationState
    lines: tuple[ReservationLine, ...]
    created_by: str
    create_time: datetime
    ttl: timedelta | None = None
    expire_time: datetime | None = None
    resolve_time: datetime | None = None
    tombstone: bool = False
    version: int = 1

    @property
    def quantities(self) -> Mapping[str, int]:
        """Units held, by sku."""
        return {line.sku: line.quantity for line in self.lines}

    @property
    def committed_quantities(self) -> Mapping[str, int]:
        """Units committed, by sku, for every line that gave any."""
        return {line.sku: line.committed_quantity for line in self.lines if line.committed_quantity}

    def is_due(self, now: datetime) -> bool:
        """Whether it is stored as held although its time has come."""
        held = self.state is ReservationState.HELD
        return held and self.expire_time is not None and self.expire_time <= now

    def at(self, now: datetime) -> "Reservation":
        """As a reader sees it: from its expire_time on it is EXPIRED, whether or not a sweep came by."""
        return self.expired() if self.is_due(now) else self

    def committed(self, quantities: Mapping[str, int], now: datetime) -> "Reservation":
        """With these units, by sku, taken off the shelf."""
        lines = tuple(replace(line, committed_quantity=quantities.get(line.sku, 0)) for line in self.lines)
        return replace(self._resolved(ReservationState.COMMITTED, now), lines=lines)

    def released(self, now: datetime) -> "Reservation":
        """Given back by a caller."""
        return self._resolved(ReservationState.RELEASED, now)

    def expired(self) -> "Reservation":
        """Given back by its time: that is when it happened, however late the sweep."""
        assert self.expire_time is not None
        return self._resolved(ReservationState.EXPIRED, self.expire_time)

    def extended(self, ttl: timedelta, now: datetime) -> "Reservation":
        """Held until `ttl` from now; what was first asked stays on record as `ttl`."""
        return replace(self, expire_time=now + ttl, version=self.version + 1)

    def _resolved(self, state: ReservationState, time: datetime) -> "Reservation":
        return replace(self, state=state, resolve_time=time, version=self.version + 1)


def tombstone(reservation_id: str, created_by: str, now: datetime) -> Reservation:
    """The mark of an id that was released before it was ever reserved."""
    return Reservation(
        reservation_id=reservation_id,
        holder="",
        state=ReservationState.RELEASED,
        lines=(),
        created_by=created_by,
        create_time=now,
        resolve_time=now,
        tombstone=True,
    )
