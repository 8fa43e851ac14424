"""Reservations with their lines, for readers."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Text,
    and_,
    any_,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.application.reservation_ports import ReservationFilter
from inventory_service.domain.availability import Hold
from inventory_service.domain.errors import Holder
from inventory_service.domain.reservation import Reservation, ReservationLine, ReservationState
from inventory_service.persistence.fixed import Fixed, Rows
from inventory_service.persistence.names import NAME, ids_named, with_names
from inventory_service.persistence.tables import reservation, reservation_line, stock

_LINES = reservation_line.join(
    reservation, reservation.c.reservation_id == reservation_line.c.reservation_id
).join(stock, stock.c.id == reservation_line.c.stock_id)


# One array: a parameter for each would be another statement for each number of them, and at most 32,767.
_LINES_OF = Fixed(
    select(reservation_line, NAME.label("sku"))
    .select_from(with_names(reservation_line, reservation_line.c.stock_id))
    .where(reservation_line.c.reservation_id == any_(bindparam("ids", type_=ARRAY(Text))))
    .order_by(NAME)
)


class SqlReservations:
    """The reservations over one connection; `now` decides what is past its time."""

    def __init__(self, connection: AsyncConnection, now: datetime) -> None:
        self._connection = connection
        self._now = now

    async def get(self, reservation_id: str) -> Reservation | None:
        query = select(reservation).where(reservation.c.reservation_id == reservation_id)
        found = await with_lines(self._connection, (await self._connection.execute(query)).mappings().all())
        return found[0] if found else None

    async def list_reservations(
        self, wanted: ReservationFilter, size: int, after: tuple[datetime, str] | None
    ) -> list[Reservation]:
        columns = reservation.c
        query = select(reservation)
        if wanted.holder is not None:
            query = query.where(columns.holder == wanted.holder)
        if wanted.sku is not None:
            query = query.where(
                columns.reservation_id.in_(
                    select(reservation_line.c.reservation_id).where(
                        reservation_line.c.stock_id.in_(ids_named(wanted.sku))
                    )
                )
            )
        if wanted.state is not None:
            query = query.where(self._is_seen_as(wanted.state))
        if wanted.expire_before is not None:
            query = query.where(columns.expire_time < wanted.expire_before)
        if after is not None:
            query = query.where(tuple_(columns.create_time, columns.reservation_id) < after)
        query = query.order_by(columns.create_time.desc(), columns.reservation_id.desc()).limit(size)
        return await with_lines(self._connection, (await self._connection.execute(query)).mappings().all())

    async def list_holders(
        self, skus: Collection[str], now: datetime, most: int
    ) -> Mapping[str, Sequence[Holder]]:
        age = func.row_number().over(
            partition_by=stock.c.sku, order_by=(reservation.c.create_time, reservation.c.reservation_id)
        )
        held = (
            select(stock.c.sku, reservation.c.reservation_id, reservation.c.holder, age.label("age"))
            .select_from(_LINES)
            .where(stock.c.sku.in_(skus), reservation_line.c.open, ~_due(now))
            .subquery()
        )
        query = select(held).where(held.c.age <= most).order_by(held.c.sku, held.c.age)
        holders = defaultdict(list)
        for row in await self._connection.execute(query):
            holders[row.sku].append(Holder(row.reservation_id, row.holder))
        return holders

    async def list_holds(self, sku: str, most: int) -> list[Hold]:
        query = (
            select(reservation_line.c.quantity, *reservation.c)
            .select_from(_LINES)
            .where(stock.c.sku == sku, reservation_line.c.open, ~_due(self._now))
            .order_by(reservation.c.create_time, reservation.c.reservation_id)
            .limit(most)
        )
        return [
            Hold(
                row.reservation_id,
                row.holder,
                row.quantity,
                row.create_time,
                row.expire_time,
                age=self._now - row.create_time,
            )
            for row in await self._connection.execute(query)
        ]

    async def due_quantities(self, skus: Sequence[str]) -> Mapping[str, int]:
        query = (
            select(stock.c.sku, func.sum(reservation_line.c.quantity).label("units"))
            .select_from(_LINES)
            .where(stock.c.sku.in_(skus), reservation_line.c.open, _due(self._now))
            .group_by(stock.c.sku)
        )
        return {row.sku: int(row.units) for row in await self._connection.execute(query)}

    async def list_due(self, most: int, passed: Collection[str] = ()) -> list[str]:
        query = (
            select(reservation.c.reservation_id)
            .where(_due(self._now), reservation.c.reservation_id.not_in(list(passed)))
            .order_by(reservation.c.expire_time)
            .limit(most)
        )
        return list((await self._connection.execute(query)).scalars())

    def _is_seen_as(self, state: ReservationState) -> ColumnElement[bool]:
        stored = reservation.c.state == state.value
        if state is ReservationState.HELD:
            return and_(
                stored, or_(reservation.c.expire_time.is_(None), reservation.c.expire_time > self._now)
            )
        return or_(stored, _due(self._now)) if state is ReservationState.EXPIRED else stored


def _due(now: datetime) -> ColumnElement[bool]:
    columns = reservation.c
    # The plain spelling of the partial index: a bound state would hide it from the planner.
    held = columns.state == literal_column("'HELD'")
    return and_(held, columns.expire_time.is_not(None), columns.expire_time <= now)


async def with_lines(connection: AsyncConnection, rows: Rows) -> list[Reservation]:
    """Rows of `reservation` with their lines, by sku, in the order given."""
    if not rows:
        return []
    lines: dict[str, list[ReservationLine]] = defaultdict(list)
    for line in await _LINES_OF(connection, {"ids": [row["reservation_id"] for row in rows]}):
        lines[line["reservation_id"]].append(
            ReservationLine(line["stock_id"], line["sku"], line["quantity"], line["committed_quantity"])
        )
    return [_reservation(row, tuple(lines[row["reservation_id"]])) for row in rows]


def _reservation(row: Mapping[str, Any], lines: tuple[ReservationLine, ...]) -> Reservation:
    return Reservation(
        reservation_id=row["reservation_id"],
        holder=row["holder"],
        state=ReservationState(row["state"]),
        lines=lines,
        created_by=row["created_by"],
        create_time=row["create_time"],
        ttl=row["ttl"],
        expire_time=row["expire_time"],
        resolve_time=row["resolve_time"],
        tombstone=row["tombstone"],
        version=row["version"],
    )
