"""The rows that one transaction holds locked, as they are after each command, and what must be saved of them.

Pure: it knows no clock (`now` is given), no storage and no order but that in which commands arrive. What commands
do with it is in `reservation_verbs` and `stock_changes`.
"""

from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import datetime

from inventory_service.domain.errors import EtagMismatch, StockInconsistent, StockNotFound
from inventory_service.domain.movement import Movement
from inventory_service.domain.reservation import Reservation
from inventory_service.domain.stock_level import StockLevel


class StockBook:
    """The stock levels and reservations of one batch.

    A reservation whose stocks are not all loaded can be read but not resolved. `now` is the database's time once
    every stock was locked, so that the times of a stock's changes follow their order.
    """

    def __init__(
        self,
        now: datetime,
        levels: Iterable[StockLevel],
        reservations: Iterable[Reservation],
        *,
        locked_skus: Iterable[str] = (),
        locked_reservations: Iterable[str] = (),
    ) -> None:
        """Somebody else has the stocks `locked_skus` in hand, which were left out, and `locked_reservations`, of which
        there may be one to read, and none to change."""
        self.now = now
        self.locked_skus = frozenset(locked_skus)
        self.locked_reservations = frozenset(locked_reservations)
        self._levels = {level.sku: level for level in levels}
        self._reservations = {reservation.reservation_id: reservation for reservation in reservations}
        self._loaded = frozenset(self._reservations)
        self._locked_due_holds = [
            hold for hold in self._reservations.values() if self._is_locked_due_hold(hold)
        ]
        self._changed_skus: set[str] = set()
        self._changed_ids: set[str] = set()
        self.movements: list[Movement] = []
        self.begin()

    def begin(self) -> None:
        """Begins a command: `take_back` takes back what is written down from here on."""
        # What was there, and whether it was changed already.
        self._levels_before: dict[str, tuple[StockLevel, bool]] = {}
        self._reservations_before: dict[str, tuple[Reservation | None, bool]] = {}
        self._movements_before = len(self.movements)

    def take_back(self) -> None:
        """Leaves everything as it was at `begin`: a command that is refused changes nothing."""
        for sku, (level, changed) in self._levels_before.items():
            self._levels[sku] = level
            if not changed:
                self._changed_skus.discard(sku)
        for key, (reservation, changed) in self._reservations_before.items():
            if reservation is None:
                del self._reservations[key]
            else:
                self._reservations[key] = reservation
            if not changed:
                self._changed_ids.discard(key)
        del self.movements[self._movements_before :]

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

    def level(self, sku: str, expected_version: int | None = None) -> StockLevel:
        """The level as it is now. Raises StockNotFound, EtagMismatch."""
        [level] = self.levels([sku])
        if expected_version not in (None, level.version):
            raise EtagMismatch(sku=sku)
        return level

    def levels(self, skus: Iterable[str]) -> list[StockLevel]:
        """The levels as they are now, in the order of the skus. Raises StockNotFound with every unknown one."""
        wanted = list(skus)
        if unknown := sorted(sku for sku in wanted if sku not in self._levels):
            raise StockNotFound(tuple(unknown))
        return [self._levels[sku] for sku in wanted]

    def reservation(self, reservation_id: str) -> Reservation | None:
        """The reservation as it is now; None if there is none."""
        return self._reservations.get(reservation_id)

    def put_level(self, level: StockLevel) -> StockLevel:
        """Writes a level down as changed."""
        self._levels_before.setdefault(level.sku, (self._levels[level.sku], level.sku in self._changed_skus))
        self._levels[level.sku] = level
        self._changed_skus.add(level.sku)
        return level

    def put_reservation(self, reservation: Reservation) -> Reservation:
        """Writes a reservation down as new or changed."""
        key = reservation.reservation_id
        self._reservations_before.setdefault(key, (self._reservations.get(key), key in self._changed_ids))
        self._reservations[reservation.reservation_id] = reservation
        self._changed_ids.add(reservation.reservation_id)
        return reservation

    def require_held_units(self, reservation: Reservation) -> None:
        """Raises StockInconsistent where a stock has fewer units reserved than the reservation holds of it."""
        for line in reservation.lines:
            reserved = self._levels[line.sku].reserved_quantity
            if reserved < line.quantity:
                raise StockInconsistent(line.sku, reserved, reservation.reservation_id, line.quantity)

    def give_back(self, resolved: Reservation) -> Reservation:
        """Frees all units of a reservation that was just resolved without a sale, and writes it down.

        Raises StockInconsistent, with nothing written down.
        """
        self.require_held_units(resolved)
        for line in resolved.lines:
            self.put_level(self._levels[line.sku].give_back(line.quantity))
        return self.put_reservation(resolved)

    def expire_if_due(self, reservation: Reservation) -> Reservation:
        """Expires a hold whose time has come; leaves any other reservation as it is. Raises StockInconsistent."""
        return self.give_back(reservation.expired()) if reservation.is_due(self.now) else reservation

    def locked_due_hold(self, skus: Collection[str]) -> Reservation | None:
        """A hold upon these stocks that is past its time and cannot be freed, as others have a part of it in hand."""
        upon = (hold for hold in self._locked_due_holds if not hold.quantities.keys().isdisjoint(skus))
        return next(upon, None)

    def expire_due_holds(self, skus: Iterable[str]) -> None:
        """Frees the units of these stocks that are only held because nobody has expired the hold yet.

        A hold that cannot be given back keeps its units.
        """
        wanted = set(skus)
        for reservation in list(self._reservations.values()):
            lines = {line.sku for line in reservation.lines}
            ours = lines <= self._levels.keys() and reservation.reservation_id not in self.locked_reservations
            if lines & wanted and ours:
                with suppress(StockInconsistent):
                    self.expire_if_due(reservation)

    def _is_locked_due_hold(self, hold: Reservation) -> bool:
        free = hold.quantities.keys().isdisjoint(self.locked_skus)
        return hold.is_due(self.now) and not (free and hold.reservation_id not in self.locked_reservations)
