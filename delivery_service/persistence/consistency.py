"""Looks for rows that must agree and do not, a page of packages at a time."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.application.consistency_ports import Drift, Inconsistency, Looked
from delivery_service.domain.package import Package
from delivery_service.domain.workflow import StockState, Verb
from delivery_service.persistence import package_rows
from delivery_service.persistence.codes import STATE_CODES, STATES, STEP_COLUMNS, STOCK_STATE_CODES
from delivery_service.persistence.order_lists import has_order_lists, order_ids
from delivery_service.persistence.outbox import INFLIGHT, PARKED, PENDING
from delivery_service.persistence.proof_differences import proof_differences
from delivery_service.persistence.readable import ORDER_CODES, PACKAGE_CODES, readable_package, unknown_code
from delivery_service.persistence.tables import orders, outbox, package_events, package_orders, packages
from delivery_service.persistence.timeline_differences import timeline_differences

_CODES = [packages.c[name] for name in PACKAGE_CODES]


class SqlConsistency:
    """Comparisons over one connection; each page answers the id to go on after, None at the end."""

    def __init__(self, connection: AsyncConnection, now: datetime) -> None:
        self._connection = connection
        self._now = now

    async def mapping_differences(self, after: int, size: int) -> Looked:
        """The mapping is the truth; `order_ids` must list the same orders, and only active packages take legs.

        In which order it lists them says nothing. Where the old application put an order into two active packages,
        one of them has the leg and the other goes on without it: so it was settled, and so it stays.
        """
        found = []
        whole_page = await self._page(after, size)
        page = [row for row in whole_page if _readable(row)]
        lists = await self._order_lists([row.id for row in page])
        rows = await self._connection.execute(
            select(package_orders)
            .where(package_orders.c.prepare_goods_id.in_([row.id for row in page]))
            .order_by(package_orders.c.order_id)
        )
        mapped: dict[int, list[tuple[int, int | None]]] = {}
        for row in rows:
            mapped.setdefault(row.prepare_goods_id, []).append((row.order_id, row.active_leg))
        waiting = {
            order_id
            for package in page
            if STATES[package.prepare_status].active
            for order_id, active_leg in mapped.get(package.id, [])
            if active_leg is None
        }
        held = await self._held_legs(waiting) if waiting else set()
        for package in page:
            taken = mapped.get(package.id, [])
            listed = ",".join(str(order_id) for order_id, _ in taken)
            stored = lists.get(package.id, listed)
            if sorted(listed.split(",")) != sorted(stored.split(",")):
                facts = {"mapping": listed[:500], "order_ids": stored[:500]}
                found.append(
                    Inconsistency(Drift.ORDERS, package.prepare_sn, "mapping and order_ids differ", facts)
                )
            leg = package.type if STATES[package.prepare_status].active else None
            wrong = [
                str(order_id)
                for order_id, active_leg in taken
                if active_leg != leg and not (active_leg is None and (order_id, leg) in held)
            ]
            if wrong:
                description = "orders whose leg is taken by a past package, or free beside an active one"
                found.append(
                    Inconsistency(Drift.LEGS, package.prepare_sn, description, {"orders": ", ".join(wrong)})
                )
        return (whole_page[-1].id if whole_page else None), found

    async def vanished_packages(self, after: int, size: int) -> Looked:
        """By the primary key of the mapping: it may go on with packages that somebody deleted."""
        columns = package_orders.c
        mapped = list(
            (
                await self._connection.execute(
                    select(columns.prepare_goods_id)
                    .where(columns.prepare_goods_id > after)
                    .distinct()
                    .order_by(columns.prepare_goods_id)
                    .limit(size)
                )
            ).scalars()
        )
        there = set(
            (await self._connection.execute(select(packages.c.id).where(packages.c.id.in_(mapped)))).scalars()
        )
        found = [
            Inconsistency(
                Drift.GONE, str(gone), "the mapping has orders of a package that is gone", {"id": str(gone)}
            )
            for gone in mapped
            if gone not in there
        ]
        return (mapped[-1] if mapped else None), found

    async def unreadable_orders(self, after: int, size: int) -> Looked:
        """By the primary key of orders."""
        page = await self._orders(after, size)
        found = [
            Inconsistency(
                Drift.CODES, str(row.id), "the order has a status that nobody knows", dict([unknown])
            )
            for row in page
            if (unknown := unknown_code(row, ORDER_CODES))
        ]
        return (page[-1].id if page else None), found

    async def followed_orders(self, after: int, size: int) -> tuple[int | None, list[int]]:
        """By the primary key of orders; those that cannot be read, or whose packages cannot, are left out."""
        page = await self._orders(after, size)
        mapped, event, later = package_orders.c, package_events.c, package_events.alias().c
        # Up to its adoption a package's events tell of what the old system did, to its orders too. Only a change of
        # a package's state is written to its orders.
        adopted = exists().where(
            later.package_id == event.package_id,
            later.verb == Verb.ADOPT.value,
            later.sequence >= event.sequence,
        )
        moved = or_(event.from_status.is_(None), event.from_status != event.to_status)
        ours = exists().where(event.package_id == mapped.prepare_goods_id, moved, ~adopted)
        rows = await self._connection.execute(
            select(mapped.order_id, *_CODES, ours.label("ours"))
            .join(packages, packages.c.id == mapped.prepare_goods_id)
            .where(mapped.order_id.in_([row.id for row in page]))
        )
        followed: set[int] = set()
        unreadable: set[int] = set()
        for row in rows:
            if row.ours:
                followed.add(row.order_id)
            if not _readable(row):
                unreadable.add(row.order_id)
        known = [row.id for row in page if unknown_code(row, ORDER_CODES) is None]
        chosen = [order_id for order_id in known if order_id in followed - unreadable]
        return (page[-1].id if page else None), chosen

    async def event_differences(self, after: int, size: int) -> Looked:
        """Also packages whose codes nobody knows: no other comparison can read those."""
        columns = packages.c
        steps = [columns[name] for name in STEP_COLUMNS.values()]
        page = await self._page(after, size, columns.content_digest, columns.driver_id, *steps)
        found = [_unreadable(row) for row in page if not _readable(row)]
        found += await timeline_differences(self._connection, [row for row in page if _readable(row)])
        return (page[-1].id if page else None), found

    async def proof_differences(self, after: int, size: int) -> Looked:
        """What the events say that photos prove, against what the photos' records say of it, both ways."""
        page = await self._page(after, size)
        found = await proof_differences(self._connection, {row.id: row.prepare_sn for row in page})
        return (page[-1].id if page else None), found

    async def stuck_commands(self, after: int, size: int, overdue: timedelta) -> Looked:
        """By entry_id; what waits behind a stuck command is found as well, once it is overdue itself."""
        columns = outbox.c
        late = and_(columns.state.in_([PENDING, INFLIGHT]), columns.create_time < self._now - overdue)
        rows = (
            await self._connection.execute(
                select(outbox)
                .where(columns.entry_id > after, or_(columns.state == PARKED, late))
                .order_by(columns.entry_id)
                .limit(size)
            )
        ).all()
        found = [
            Inconsistency(
                Drift.COMMAND,
                row.package_sn,
                f"{row.command} is parked"
                if row.state == PARKED
                else f"{row.command} has not been settled for more than {overdue}",
                {
                    "entry_id": str(row.entry_id),
                    "reservation_id": json.loads(row.payload)["reservation_id"],
                    "command": row.command,
                    "attempts": str(row.attempts),
                    "create_time": row.create_time.isoformat(),
                    "last_error": row.last_error or "",
                },
            )
            for row in rows
        ]
        return (rows[-1].entry_id if rows else None), found

    async def tracked_packages(self, after: int, size: int) -> list[Package]:
        """Packages that have, or had, a hold."""
        return await package_rows.load(
            self._connection,
            select(packages)
            .where(
                packages.c.id > after,
                or_(
                    packages.c.stock_state != STOCK_STATE_CODES[StockState.NOT_TRACKED],
                    packages.c.reservation_id.is_not(None),
                ),
                readable_package,
            )
            .order_by(packages.c.id)
            .limit(size),
        )

    async def _held_legs(self, order_ids: Collection[int]) -> set[tuple[int, int]]:
        """The legs of these orders that an active package has."""
        columns = package_orders.c
        active = [code for state, code in STATE_CODES.items() if state.active]
        status = func.coalesce(packages.c.prepare_status, min(active))
        rows = await self._connection.execute(
            select(columns.order_id, columns.active_leg)
            .join(packages, packages.c.id == columns.prepare_goods_id)
            .where(columns.order_id.in_(order_ids), columns.active_leg.is_not(None), status.in_(active))
        )
        return {(row.order_id, row.active_leg) for row in rows}

    async def _order_lists(self, package_ids: Sequence[int]) -> Mapping[int, str]:
        """By package; none once the column is gone. The transaction has looked at packages before."""
        if not await has_order_lists(self._connection):
            return {}
        rows = await self._connection.execute(
            select(packages.c.id, order_ids).where(packages.c.id.in_(package_ids))
        )
        return {row.id: row.order_ids for row in rows}

    async def _orders(self, after: int, size: int) -> Sequence[Any]:
        columns = orders.c
        rows = await self._connection.execute(
            select(columns.id, columns.order_status)
            .where(columns.id > after)
            .order_by(columns.id)
            .limit(size)
        )
        return rows.all()

    async def _page(self, after: int, size: int, *more: ColumnElement[Any]) -> Sequence[Any]:
        columns = packages.c
        rows = await self._connection.execute(
            select(columns.id, columns.prepare_sn, *_CODES, *more)
            .where(columns.id > after)
            .order_by(columns.id)
            .limit(size)
        )
        return rows.all()


def _readable(row: Any) -> bool:
    return unknown_code(row, PACKAGE_CODES) is None


def _unreadable(row: Any) -> Inconsistency:
    facts = {name: str(getattr(row, name)) for name in PACKAGE_CODES}
    return Inconsistency(Drift.CODES, row.prepare_sn, "the package has codes that nobody knows", facts)
