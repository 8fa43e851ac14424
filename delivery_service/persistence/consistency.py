"""Looks for rows that must agree and do not, a page of packages at a time."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.application.consistency_ports import Drift, Inconsistency, Looked
from delivery_service.domain.package import Package
from delivery_service.domain.workflow import StockState
from delivery_service.persistence import package_rows
from delivery_service.persistence.codes import STATES, STOCK_STATE_CODES
from delivery_service.persistence.outbox import INFLIGHT, PARKED, PENDING
from delivery_service.persistence.tables import evidence, outbox, package_events, package_orders, packages


class SqlConsistency:
    """Comparisons over one connection; each page answers the id to go on after, None at the end."""

    def __init__(self, connection: AsyncConnection, now: datetime) -> None:
        self._connection = connection
        self._now = now

    async def mapping_differences(self, after: int, size: int) -> Looked:
        """The mapping is the truth; `order_ids` must list the same orders, and only active packages take legs."""
        found = []
        page = await self._page(after, size)
        rows = await self._connection.execute(
            select(package_orders)
            .where(package_orders.c.prepare_goods_id.in_([row.id for row in page]))
            .order_by(package_orders.c.order_id)
        )
        mapped: dict[int, list[tuple[int, int | None]]] = {}
        for row in rows:
            mapped.setdefault(row.prepare_goods_id, []).append((row.order_id, row.active_leg))
        for package in page:
            orders = mapped.get(package.id, [])
            listed = ",".join(str(order_id) for order_id, _ in orders)
            if listed != package.order_ids:
                facts = {"mapping": listed[:500], "order_ids": package.order_ids[:500]}
                found.append(
                    Inconsistency(Drift.ORDERS, package.prepare_sn, "mapping and order_ids differ", facts)
                )
            leg = package.type if STATES[package.prepare_status].active else None
            wrong = [str(order_id) for order_id, active_leg in orders if active_leg != leg]
            if wrong:
                description = "orders whose leg is taken by a past package, or free beside an active one"
                found.append(
                    Inconsistency(Drift.LEGS, package.prepare_sn, description, {"orders": ", ".join(wrong)})
                )
        return (page[-1].id if page else None), found

    async def event_differences(self, after: int, size: int) -> Looked:
        """A package of the old system has no events; any other is where its last event led."""
        found = []
        page = await self._page(after, size)
        columns = package_events.c
        newest = (
            select(columns.package_id, func.max(columns.sequence).label("last"), func.count().label("events"))
            .where(columns.package_id.in_([row.id for row in page]))
            .group_by(columns.package_id)
            .subquery()
        )
        rows = await self._connection.execute(
            select(newest.c.package_id, newest.c.last, newest.c.events, columns.to_status).join(
                package_events,
                (columns.package_id == newest.c.package_id) & (columns.sequence == newest.c.last),
            )
        )
        timelines = {row.package_id: row for row in rows}
        for package in page:
            timeline = timelines.get(package.id)
            if timeline is None:
                continue
            state, led_to = STATES[package.prepare_status], STATES[timeline.to_status]
            if state is not led_to:
                facts = {"state": state.value, "last_event": led_to.value}
                found.append(
                    Inconsistency(Drift.STATE, package.prepare_sn, "state and last event differ", facts)
                )
            if timeline.events != timeline.last:
                facts = {"events": str(timeline.events), "last_sequence": str(timeline.last)}
                found.append(
                    Inconsistency(Drift.TIMELINE, package.prepare_sn, "the timeline has gaps", facts)
                )
        return (page[-1].id if page else None), found

    async def proof_differences(self, after: int, size: int) -> Looked:
        """The events that name photos, a page of packages at a time; a photo that is gone is one too."""
        page = await self._page(after, size)
        events = package_events.c
        named = (
            await self._connection.execute(
                select(events.package_id, events.sequence, events.evidence_ids)
                .where(events.package_id.in_([row.id for row in page]), events.evidence_ids != "[]")
                .order_by(events.package_id, events.sequence)
            )
        ).all()
        numbers = {row.id: row.prepare_sn for row in page}
        proofs = [(row, photo) for row in named for photo in json.loads(row.evidence_ids)]
        used = await self._used({photo for _, photo in proofs})
        found = [
            Inconsistency(
                Drift.PROOF,
                photo,
                "the photo proves a transition and is not marked as used by it",
                {"package_sn": numbers[row.package_id], "sequence": str(row.sequence)},
            )
            for row, photo in proofs
            if used.get(photo) != row.sequence
        ]
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
                f"{row.command} was refused by inventory and is parked"
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
                packages.c.stock_state != STOCK_STATE_CODES[StockState.NOT_TRACKED],
            )
            .order_by(packages.c.id)
            .limit(size),
        )

    async def _used(self, evidence_ids: Collection[str]) -> dict[str, int | None]:
        columns = evidence.c
        rows = await self._connection.execute(
            select(columns.evidence_id, columns.used_sequence).where(
                columns.evidence_id.in_(evidence_ids), columns.used_sha256.is_not(None)
            )
        )
        return {row.evidence_id: row.used_sequence for row in rows}

    async def _page(self, after: int, size: int) -> Sequence[Any]:
        columns = packages.c
        rows = await self._connection.execute(
            select(columns.id, columns.prepare_sn, columns.order_ids, columns.prepare_status, columns.type)
            .where(columns.id > after)
            .order_by(columns.id)
            .limit(size)
        )
        return rows.all()
