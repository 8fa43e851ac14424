"""The books of a batch: a few locking statements open them, one or two save them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.domain import commands as verbs
from inventory_service.domain.movement import RecordedMovement
from inventory_service.domain.reservation import Reservation, ReservationState
from inventory_service.domain.stock import StockStatus
from inventory_service.domain.stock_book import StockBook
from inventory_service.domain.stock_level import StockLevel
from inventory_service.persistence import stock_book_statements as statements
from inventory_service.persistence.locks import Lock, try_lock
from inventory_service.persistence.movements import SqlMovements
from inventory_service.persistence.reservations import with_lines
from servicekit.crash_points import crash_point

ANY_UNITS = 2**62


class SqlStockBooks:
    """The books over one connection; its transaction keeps every lock until it ends."""

    def __init__(self, connection: AsyncConnection, movements: SqlMovements) -> None:
        self._connection = connection
        self._movements = movements

    async def open(
        self, commands: Sequence[verbs.ReservationCommand | verbs.StockCommand], *, skip_locked: bool = False
    ) -> StockBook:
        units, named, resolved = _units(commands), _reservation_ids(commands), _resolved_ids(commands)
        line_names = _line_names(commands) if skip_locked else {}
        lock_stocks = statements.LOCK_FREE if skip_locked else statements.LOCK
        lock_reservations = statements.LOCK_FREE_RESERVATIONS if skip_locked else statements.LOCK_RESERVATIONS
        due: set[str] = set()
        without_row: set[UUID] = set()
        while True:
            wanted = {
                "skus": list(units),
                "units": list(units.values()),
                "ids": sorted(named | due),
                "names": sorted(named),
                **line_names,
            }
            rows = await lock_stocks(self._connection, wanted)
            now: datetime = rows[0]["now"]
            locked_skus, locked_ids = set(rows[0]["locked_skus"] or ()), set(rows[0]["locked_names"] or ())
            levels = [_level(row) for row in rows if row["id"] is not None]
            short = [level.sku for level in levels if units.get(level.sku, 0) > level.available_quantity]
            due |= await self._due_holds(short, now)
            found = await lock_reservations(self._connection, {"ids": sorted(named - locked_ids | due)})
            locked_ids |= {row["reservation_id"] for row in found if row["locked"]}
            reservations = await with_lines(self._connection, found)
            lines = {
                line.stock_id
                for reservation in reservations
                # One that is only reserved again is read and not resolved: its rows need no lock.
                if reservation.reservation_id in resolved | due
                for line in reservation.lines
                if line.sku not in locked_skus
            }
            missing = lines - {level.stock_id for level in levels}
            if missing <= without_row:
                return StockBook(
                    now, levels, reservations, locked_skus=locked_skus, locked_reservations=locked_ids
                )
            # While this one waited, a reservation was made or its time came: its rows are locked in a second
            # pass. That is out of order, so it may end in a deadlock, which the engine breaks and the kit runs
            # again. What a second pass does not find either is a stock that was removed since.
            without_row = missing

    async def save(self, book: StockBook) -> list[RecordedMovement]:
        """The ledger comes first."""
        recorded: list[RecordedMovement] = []
        if book.movements:
            recorded = await self._movements.add(book.movements, book.now)
            crash_point("commit.after_movement")
        await self._save_new(book.changed_levels, book.new_reservations, book.now)
        await self._save_changed(book.changed_reservations)
        return recorded

    async def begin_sweep(self) -> bool:
        return await try_lock(self._connection, Lock.SWEEP)

    async def _due_holds(self, skus: Sequence[str], now: datetime) -> set[str]:
        if not skus:
            return set()
        rows = await statements.DUE_HOLDS(self._connection, {"skus": skus, "now": now})
        return {row["reservation_id"] for row in rows}

    async def _save_new(
        self, levels: Sequence[StockLevel], reservations: Sequence[Reservation], now: datetime
    ) -> None:
        if not levels and not reservations:
            return
        values = _changing(reservations) | {
            "stock_ids": [level.stock_id for level in levels],
            "quantities": [level.quantity for level in levels],
            "reserved": [level.reserved_quantity for level in levels],
            "now": now,
            "holders": [r.holder for r in reservations],
            "tombstones": [r.tombstone for r in reservations],
            "created_by": [r.created_by for r in reservations],
            "ttls": [r.ttl for r in reservations],
            "create_times": [r.create_time for r in reservations],
            "line_quantities": [line.quantity for r in reservations for line in r.lines],
        }
        await statements.SAVE(self._connection, values)

    async def _save_changed(self, reservations: Sequence[Reservation]) -> None:
        if reservations:
            await statements.SAVE_RESERVATIONS(self._connection, _changing(reservations))


def _level(row: Mapping[str, Any]) -> StockLevel:
    return StockLevel(
        row["id"],
        row["sku"],
        StockStatus(row["status"]),
        row["quantity"],
        row["reserved_quantity"],
        row["version"],
    )


def _changing(reservations: Sequence[Reservation]) -> dict[str, object]:
    pairs = [(r, line) for r in reservations for line in r.lines]
    return {
        "ids": [r.reservation_id for r in reservations],
        "states": [r.state.value for r in reservations],
        "expire_times": [r.expire_time for r in reservations],
        "resolve_times": [r.resolve_time for r in reservations],
        "versions": [r.version for r in reservations],
        "line_ids": [r.reservation_id for r, _ in pairs],
        "line_stock_ids": [line.stock_id for _, line in pairs],
        "line_committed": [line.committed_quantity for _, line in pairs],
        "line_open": [r.state is ReservationState.HELD for r, _ in pairs],
    }


def _units(commands: Sequence[verbs.ReservationCommand | verbs.StockCommand]) -> Mapping[str, int]:
    """The units wanted of each stock named; of one that a command changes, more than there can be."""
    units: Counter[str] = Counter()
    for command in commands:
        if isinstance(command, verbs.ReserveStock):
            units.update(command.quantities)
        elif isinstance(command, verbs.StockCommand):
            units[command.sku] = ANY_UNITS
    return units


def _reservation_ids(commands: Sequence[verbs.ReservationCommand | verbs.StockCommand]) -> set[str]:
    return {command.reservation_id for command in commands if isinstance(command, verbs.ReservationCommand)}


def _resolved_ids(commands: Sequence[verbs.ReservationCommand | verbs.StockCommand]) -> set[str]:
    """The reservations that may be resolved, not only reserved."""
    return _reservation_ids([command for command in commands if not isinstance(command, verbs.ReserveStock)])


def _line_names(commands: Sequence[verbs.ReservationCommand | verbs.StockCommand]) -> Mapping[str, object]:
    """The name of each reservation to be made, beside each of its skus."""
    lines = [
        (c.reservation_id, sku) for c in commands if isinstance(c, verbs.ReserveStock) for sku in c.quantities
    ]
    return {"line_names": [name for name, _ in lines], "line_skus": [sku for _, sku in lines]}
