"""The queries that matter, by name. Each is a call of the code that sends it, never a copy of its SQL."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.application.ports import MovementFilter
from inventory_service.application.reservation_ports import ReservationFilter
from inventory_service.application.stock_ports import StockFilter
from inventory_service.domain.commands import Actor, CommitReservation, ReserveStock
from inventory_service.domain.reservation import ReservationState
from inventory_service.domain.stock import Platform
from inventory_service.persistence.tables import reservation, reservation_line, stock
from inventory_service.persistence.unit_of_work import SqlUnitOfWork

PAGE = 51
BATCH = 200
NOBODY = Actor("named query")
UNKNOWN = "a named query holds nothing"


@dataclass(frozen=True)
class Sample:
    """Arguments to ask with, of what is in the database; empty words where nothing is."""

    sku: str
    stock_id: UUID
    reservation_id: str
    holder: str


async def sample(connection: AsyncConnection) -> Sample:
    """The last reservation and a stock of it, else the last stock, each found by an index."""
    newest = select(reservation).order_by(reservation.c.create_time.desc()).limit(1)
    held = (await connection.execute(newest)).one_or_none()
    held_id = held.reservation_id if held else ""
    lines = select(reservation_line.c.stock_id).where(reservation_line.c.reservation_id == held_id)
    found = (await connection.execute(select(stock.c.sku, stock.c.id).where(stock.c.id.in_(lines)))).first()
    if found is None:
        found = (await connection.execute(select(stock.c.sku, stock.c.id).order_by(stock.c.sku))).first()
    sku, stock_id = found or ("", UUID(int=0))
    return Sample(sku, stock_id, held_id, held.holder if held else "")


Query = Callable[[SqlUnitOfWork, Sample], Awaitable[object]]


def _stocks(**wanted: Any) -> Query:
    return lambda uow, _: uow.stocks.list_stocks(StockFilter(**wanted), PAGE, None)


def _reservations(**wanted: Any) -> Query:
    return lambda uow, _: uow.reservations.list_reservations(ReservationFilter(**wanted), PAGE, None)


def _reservations_by(name: str) -> Query:
    return lambda uow, s: uow.reservations.list_reservations(
        ReservationFilter(**{name: getattr(s, name)}), PAGE, None
    )


def _movements(**wanted: Any) -> Query:
    return lambda uow, _: uow.movements.list_movements(MovementFilter(**wanted), PAGE, None)


def _movements_by(name: str) -> Query:
    return lambda uow, s: uow.movements.list_movements(MovementFilter(**{name: getattr(s, name)}), PAGE, None)


NAMED_QUERIES: Mapping[str, Query] = {
    "stock": lambda uow, s: uow.stocks.get(s.sku),
    "stocks-of-batch": lambda uow, s: uow.stocks.get_many([s.sku, UNKNOWN]),
    "stocks": _stocks(),
    "stocks-by-sku": _stocks(by_sku=True),
    "stocks-with-prefix": lambda uow, s: uow.stocks.list_stocks(
        StockFilter(sku_prefix=s.sku, by_sku=True), PAGE, None
    ),
    "stocks-listed": _stocks(platform=Platform.GOAT),
    "reservation": lambda uow, s: uow.reservations.get(s.reservation_id),
    "reservations": _reservations(),
    "reservations-of-holder": _reservations_by("holder"),
    "reservations-of-stock": _reservations_by("sku"),
    "reservations-held": _reservations(state=ReservationState.HELD),
    "books-to-reserve": lambda uow, s: uow.books.open([ReserveStock(UNKNOWN, "", {s.sku: 1}, None, NOBODY)]),
    "books-to-commit": lambda uow, s: uow.books.open([CommitReservation(s.reservation_id, None, NOBODY)]),
    "holds-due": lambda uow, _: uow.reservations.list_due(BATCH),
    "holds-due-of-stock": lambda uow, s: uow.reservations.due_quantities([s.sku]),
    "holds-of-stock": lambda uow, s: uow.reservations.list_holds(s.sku, PAGE),
    "holders-of-stock": lambda uow, s: uow.reservations.list_holders([s.sku], uow.now, PAGE),
    "movements": _movements(),
    "movements-of-stock": _movements_by("sku"),
    "movements-of-reservation": _movements_by("reservation_id"),
    "movements-of-reference": _movements(reference=UNKNOWN),
    "ledger-of-stock": lambda uow, s: uow.movements.total(s.stock_id),
    "ledger-checked": lambda uow, s: uow.tallies.ledger(s.stock_id, BATCH),
    "holds-checked": lambda uow, s: uow.tallies.holds(s.stock_id, BATCH),
    "lines-checked": lambda uow, s: uow.tallies.lines(s.stock_id, BATCH),
    "low-stocks": lambda uow, _: uow.low_stocks.list_low(PAGE, None),
    "metrics-of-stock": lambda uow, s: uow.metrics.get(s.sku, live=False),
    "metrics": lambda uow, _: uow.metrics.list_metrics(PAGE, None, live=False),
}
