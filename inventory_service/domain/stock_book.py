"""Decides commands over the rows that one transaction holds locked, and remembers what must be saved.

Pure: it knows no clock (`now` is given), no storage and no order but that in which commands arrive. A refusal is
a value, so that one command of a batch never fails another.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from inventory_service.domain import commands
from inventory_service.domain.errors import (
    CallerNotAllowed,
    EtagMismatch,
    IllegalStatusChange,
    InsufficientStock,
    QuantityMismatch,
    Refusal,
    ReservationAlreadyResolved,
    ReservationExists,
    ReservationExpired,
    ReservationNotFound,
    ReservationTombstoned,
    Shortage,
    StockHasHolds,
    StockLimitExceeded,
    StockNotFound,
    StockNotSellable,
    UnsellableLine,
)
from inventory_service.domain.movement import Movement, MovementReason
from inventory_service.domain.reservation import Reservation, ReservationLine, ReservationState, tombstone
from inventory_service.domain.stock import MOST_UNITS
from inventory_service.domain.stock_level import StockLevel
from inventory_service.domain.stock_statuses import FOLLOWING, TERMINAL


class StockBook:
    """The stock levels and reservations of one batch.

    A reservation whose stocks are not all loaded can be read but not resolved. `now` is the database's time once
    every stock was locked, so that the times of a stock's changes follow their order.
    """

    def __init__(
        self, now: datetime, levels: Iterable[StockLevel], reservations: Iterable[Reservation]
    ) -> None:
        self.now = now
        self._levels = {level.sku: level for level in levels}
        self._reservations = {reservation.reservation_id: reservation for reservation in reservations}
        self._loaded = frozenset(self._reservations)
        self._changed_skus: set[str] = set()
        self._changed_ids: set[str] = set()
        self.movements: list[Movement] = []

    @property
    def changed_levels(self) -> list[StockLevel]:
        """The levels to write back."""
        return [self._levels[sku] for sku in sorted(self._changed_skus)]

    @property
    def new_reservations(self) -> list[Reservation]:
        """The reservations to insert."""
        return [self._reservations[key] for key in sorted(self._changed_ids - self._loaded)]

    @property
    def changed_reservations(self) -> list[Reservation]:
        """The reservations to write back."""
        return [self._reservations[key] for key in sorted(self._changed_ids & self._loaded)]

    def decide(self, command: commands.ReservationCommand) -> Reservation | Refusal:
        """What becomes of a reservation by this command, or why nothing does."""
        try:
            match command:
                case commands.ReserveStock():
                    return self._reserve(command)
                case commands.CommitReservation():
                    return self._commit(command)
                case commands.ReleaseReservation():
                    return self._release(command)
                case commands.ExtendReservation():
                    return self._extend(command)
                case commands.ExpireReservation():
                    return self._expire_if_due(self._known(command.reservation_id))
        except Refusal as refusal:
            return refusal

    def adjust(self, command: commands.AdjustStock) -> StockLevel | Refusal:
        """The level after units came or went, or why they cannot."""
        try:
            self.level(command.sku, command.expected_version)
            return self._move(command, command.delta, command.reason)
        except Refusal as refusal:
            return refusal

    def count(self, command: commands.SetStockQuantity) -> StockLevel | Refusal:
        """The level after a count, or why it cannot be so; a count that agrees changes nothing."""
        try:
            level = self.level(command.sku)
            if level.quantity != command.expected_quantity:
                raise QuantityMismatch(
                    sku=level.sku, quantity=level.quantity, expected_quantity=command.expected_quantity
                )
            delta = command.quantity - level.quantity
            return self._move(command, delta, MovementReason.COUNT_CORRECTION) if delta else level
        except Refusal as refusal:
            return refusal

    def delete(self, command: commands.DeleteStock) -> StockLevel | Refusal:
        """The level of a stock that may go, or why it must stay."""
        try:
            self.level(command.sku, command.expected_version)
            level = self._unheld(command.sku)
            if level.quantity:
                raise QuantityMismatch(sku=level.sku, quantity=level.quantity, expected_quantity=0)
            return level
        except Refusal as refusal:
            return refusal

    def change_status(self, command: commands.ChangeStockStatus) -> StockLevel | Refusal:
        """The level in its present status, which may be left for the one asked; or why it may not."""
        try:
            level = self.level(command.sku, command.expected_version)
            allowed = FOLLOWING[level.status]
            if command.status not in allowed:
                raise IllegalStatusChange(
                    level.sku,
                    level.status.name,
                    command.status.name,
                    tuple(status.name for status in allowed),
                )
            return self._unheld(command.sku) if command.status in TERMINAL else level
        except Refusal as refusal:
            return refusal

    def level(self, sku: str, expected_version: int | None = None) -> StockLevel:
        """The level as it is now. Raises StockNotFound, EtagMismatch."""
        level = self._levels.get(sku)
        if level is None:
            raise StockNotFound((sku,))
        if expected_version not in (None, level.version):
            raise EtagMismatch(sku=sku)
        return level

    def _unheld(self, sku: str) -> StockLevel:
        if self._levels[sku].reserved_quantity:
            self._expire_due_holds({sku})
        level = self._levels[sku]
        if level.reserved_quantity:
            raise StockHasHolds(sku, level.quantity, level.reserved_quantity)
        return level

    def _move(
        self, command: commands.AdjustStock | commands.SetStockQuantity, delta: int, reason: MovementReason
    ) -> StockLevel:
        level = self._levels[command.sku]
        if level.quantity + delta < level.reserved_quantity:
            self._expire_due_holds({command.sku})
            level = self._levels[command.sku]
        remaining = level.quantity + delta
        if remaining > MOST_UNITS:
            raise StockLimitExceeded(command.sku, level.quantity, MOST_UNITS)
        if remaining < level.reserved_quantity and level.reserved_quantity:
            raise StockHasHolds(command.sku, level.quantity, level.reserved_quantity)
        if remaining < 0:
            raise InsufficientStock((Shortage(command.sku, -delta, level.quantity),))
        self._put_level(level.adjust(delta))
        self.movements.append(
            Movement(
                level.stock_id,
                level.sku,
                delta,
                reason,
                command.actor.name,
                command.reference,
                command.note,
            )
        )
        return self._levels[command.sku]

    def _reserve(self, command: commands.ReserveStock) -> Reservation:
        known = self._reservations.get(command.reservation_id)
        if known is not None:
            return self._repeated(known, command)
        levels = self._sellable_levels(command.quantities)
        if short := self._shortages(command.quantities):
            self._expire_due_holds({shortage.sku for shortage in short})
            if short := self._shortages(command.quantities):
                raise InsufficientStock(short)
        for sku, quantity in command.quantities.items():
            self._put_level(self._levels[sku].hold(quantity))
        return self._put_reservation(
            Reservation(
                reservation_id=command.reservation_id,
                holder=command.holder,
                state=ReservationState.HELD,
                lines=tuple(
                    ReservationLine(level.stock_id, level.sku, command.quantities[level.sku])
                    for level in sorted(levels, key=lambda level: level.sku)
                ),
                created_by=command.actor.name,
                create_time=self.now,
                ttl=command.ttl,
                expire_time=None if command.ttl is None else self.now + command.ttl,
            )
        )

    def _repeated(self, known: Reservation, command: commands.ReserveStock) -> Reservation:
        if known.tombstone:
            raise ReservationTombstoned(known.reservation_id)
        same = (known.holder, known.quantities, known.ttl) == (
            command.holder,
            command.quantities,
            command.ttl,
        )
        if not same:
            raise ReservationExists(known.reservation_id)
        return known.at(self.now)

    def _sellable_levels(self, quantities: Mapping[str, int]) -> list[StockLevel]:
        if unknown := sorted(sku for sku in quantities if sku not in self._levels):
            raise StockNotFound(tuple(unknown))
        levels = [self._levels[sku] for sku in quantities]
        if unsellable := [level for level in levels if not level.sellable]:
            raise StockNotSellable(
                tuple(UnsellableLine(level.sku, level.status.name) for level in unsellable)
            )
        return levels

    def _shortages(self, quantities: Mapping[str, int]) -> tuple[Shortage, ...]:
        return tuple(
            Shortage(sku, quantity, self._levels[sku].available_quantity)
            for sku, quantity in quantities.items()
            if quantity > self._levels[sku].available_quantity
        )

    def _commit(self, command: commands.CommitReservation) -> Reservation:
        reservation = self._resolvable_by(command.actor, command.reservation_id)
        quantities = reservation.quantities if command.quantities is None else command.quantities
        if reservation.state is ReservationState.COMMITTED and quantities == reservation.committed_quantities:
            return reservation
        self._require_open(reservation)
        _require_version(reservation, command.expected_version)
        _require_held(reservation, quantities)
        for line in reservation.lines:
            self._commit_line(reservation, line, quantities.get(line.sku, 0), command.actor)
        return self._put_reservation(reservation.committed(quantities, self.now))

    def _commit_line(
        self, reservation: Reservation, line: ReservationLine, units: int, actor: commands.Actor
    ) -> None:
        self._put_level(self._levels[line.sku].sell(units).give_back(line.quantity - units))
        if units:
            self.movements.append(
                Movement(
                    line.stock_id,
                    line.sku,
                    -units,
                    MovementReason.SOLD,
                    actor.name,
                    reference=reservation.holder,
                    reservation_id=reservation.reservation_id,
                )
            )

    def _release(self, command: commands.ReleaseReservation) -> Reservation:
        reservation = self._reservations.get(command.reservation_id)
        if reservation is None:
            mark = tombstone(command.reservation_id, command.actor.name, self.now)
            return self._put_reservation(mark)
        if reservation.tombstone:
            return reservation
        reservation = self._expire_if_due(self._resolvable_by(command.actor, command.reservation_id))
        if reservation.state is ReservationState.COMMITTED:
            raise ReservationAlreadyResolved(reservation.reservation_id, reservation.state.name)
        if reservation.state is not ReservationState.HELD:
            return reservation
        _require_version(reservation, command.expected_version)
        return self._give_back(reservation.released(self.now))

    def _extend(self, command: commands.ExtendReservation) -> Reservation:
        reservation = self._resolvable_by(command.actor, command.reservation_id)
        self._require_open(reservation)
        _require_version(reservation, command.expected_version)
        return self._put_reservation(reservation.extended(command.ttl, self.now))

    def _known(self, reservation_id: str) -> Reservation:
        reservation = self._reservations.get(reservation_id)
        if reservation is None:
            raise ReservationNotFound(reservation_id)
        return reservation

    def _resolvable_by(self, actor: commands.Actor, reservation_id: str) -> Reservation:
        reservation = self._known(reservation_id)
        if reservation.tombstone:
            raise ReservationTombstoned(reservation_id)
        if not (actor.operator or actor.name == reservation.created_by):
            raise CallerNotAllowed(reservation_id, actor.name)
        return reservation

    def _require_open(self, reservation: Reservation) -> None:
        reservation = self._expire_if_due(reservation)
        if reservation.state is ReservationState.EXPIRED:
            assert reservation.expire_time is not None
            raise ReservationExpired(reservation.reservation_id, reservation.expire_time)
        if reservation.state is not ReservationState.HELD:
            raise ReservationAlreadyResolved(reservation.reservation_id, reservation.state.name)

    def _expire_due_holds(self, skus: set[str]) -> None:
        for reservation in list(self._reservations.values()):
            lines = {line.sku for line in reservation.lines}
            if lines & skus and lines <= self._levels.keys():
                self._expire_if_due(reservation)

    def _expire_if_due(self, reservation: Reservation) -> Reservation:
        return self._give_back(reservation.expired()) if reservation.is_due(self.now) else reservation

    def _give_back(self, resolved: Reservation) -> Reservation:
        for line in resolved.lines:
            self._put_level(self._levels[line.sku].give_back(line.quantity))
        return self._put_reservation(resolved)

    def _put_level(self, level: StockLevel) -> None:
        self._levels[level.sku] = level
        self._changed_skus.add(level.sku)

    def _put_reservation(self, reservation: Reservation) -> Reservation:
        self._reservations[reservation.reservation_id] = reservation
        self._changed_ids.add(reservation.reservation_id)
        return reservation


def _require_version(reservation: Reservation, version: int | None) -> None:
    if version not in (None, reservation.version):
        raise EtagMismatch(reservation_id=reservation.reservation_id)


def _require_held(reservation: Reservation, quantities: Mapping[str, int]) -> None:
    held = reservation.quantities
    wrong = [
        Shortage(sku, quantity, held.get(sku, 0))
        for sku, quantity in quantities.items()
        if quantity > held.get(sku, 0)
    ]
    if wrong:
        raise QuantityMismatch(reservation.reservation_id, tuple(wrong))
