"""The books of a batch: a few locking statements open them, one statement a table saves them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
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


class SqlStockBooks:
    """The books over one connection; its transaction keeps every lock until it ends."""

    def __init__(self, connection: AsyncConnection, now: datetime, movements: SqlMovements) -> None:
        self._connection = connection
        self._now = now
        self._movements = movements

    async def open(self, commands: Sequence[verbs.ReservationCommand | verbs.StockCommand]) -> StockBook:
        resolved = _reservation_ids(commands, resolving=True)
        reserved = _reservation_ids(commands, resolving=False)
        wanted = {"skus": _skus(commands), "ids": sorted(resolved | reserved), "now": self._now}
        without_row: set[UUID] = set()
        while True:
            levels = await self._lock_levels(wanted)
            wanted["now"] = now = await self._lock_ids(wanted)
            reservations = await self._lock_reservations(wanted)
            lines = {
                line.stock_id
                for reservation in reservations
                # One that is only reserved again is read and not resolved: its rows need no lock.
                if reservation.reservation_id not in reserved - resolved
                for line in reservation.lines
            }
            missing = lines - {level.stock_id for level in levels}
            if missing <= without_row:
                return StockBook(now, levels, reservations)
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

    async def _lock_levels(self, wanted: Mapping[str, object]) -> list[StockLevel]:
        rows = await self._connection.execute(statements.LOCK_STOCK, wanted)
        return [
            StockLevel(
                row.id, row.sku, StockStatus(row.status), row.quantity, row.reserved_quantity, row.version
            )
            for row in rows
        ]

    async def _lock_ids(self, wanted: Mapping[str, object]) -> datetime:
        now: datetime = (
            await self._connection.execute(statements.LOCK_IDS, {"ids": wanted["ids"]})
        ).scalar_one()
        return now

    async def _lock_reservations(self, wanted: Mapping[str, object]) -> list[Reservation]:
        rows = (await self._connection.execute(statements.LOCK_RESERVATIONS, wanted)).all()
        return await with_lines(self._connection, rows)

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
        await self._connection.execute(statements.SAVE, values)

    async def _save_changed(self, reservations: Sequence[Reservation]) -> None:
        if reservations:
            await self._connection.execute(statements.SAVE_RESERVATIONS, _changing(reservations))


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


def _skus(commands: Sequence[verbs.ReservationCommand | verbs.StockCommand]) -> list[str]:
    skus: set[str] = set()
    for command in commands:
        if isinstance(command, verbs.ReserveStock):
            skus.update(command.quantities)
        elif isinstance(command, verbs.StockCommand):
            skus.add(command.sku)
    return sorted(skus)


def _reservation_ids(
    commands: Sequence[verbs.ReservationCommand | verbs.StockCommand], *, resolving: bool
) -> set[str]:
    return {
        command.reservation_id
        for command in commands
        if isinstance(command, verbs.ReservationCommand)
        and isinstance(command, verbs.ReserveStock) is not resolving
    }
