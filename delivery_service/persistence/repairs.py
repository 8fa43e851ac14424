"""The record of repairs, and the writes that only a repair needs; the package's row is locked by whoever writes."""

import json
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.application.consistency_ports import Drift, Inconsistency, RepairRecord
from delivery_service.domain.package import Package
from delivery_service.persistence.order_lists import (
    has_order_lists,
    listed_packages,
    order_ids,
    order_list,
    orders_in,
)
from delivery_service.persistence.tables import evidence, package_orders, packages
from delivery_service.persistence.tables import repairs as table
from delivery_service.persistence.timeline_differences import step_times
from servicekit.persistence.conflicts import duplicate_key


class SqlRepairs:
    """Repairs over one connection."""

    def __init__(self, connection: AsyncConnection, now: datetime) -> None:
        self._connection = connection
        self._now = now

    async def add(self, record: RepairRecord) -> None:
        """One row a repair."""
        found = record.found
        await self._connection.execute(
            insert(table).values(
                caller=record.caller,
                request_id=record.request_id,
                check_name=record.check,
                subject=found.subject,
                description=found.description[:500],
                facts=json.dumps({"drift": found.drift, **found.facts}),
                repair=record.repair[:500],
                trace=record.trace,
                create_time=self._now,
            )
        )

    async def list_repairs(
        self, caller: str, request_id: str, after: int, size: int
    ) -> list[tuple[int, RepairRecord]]:
        """By keyset on the index of requests."""
        columns = table.c
        rows = await self._connection.execute(
            select(table)
            .where(columns.caller == caller, columns.request_id == request_id, columns.repair_id > after)
            .order_by(columns.repair_id)
            .limit(size)
        )
        made = []
        for row in rows:
            facts = json.loads(row.facts)
            found = Inconsistency(Drift(facts.pop("drift")), row.subject, row.description, facts)
            record = RepairRecord(row.caller, row.request_id, row.check_name, found, row.repair, row.trace)
            made.append((row.repair_id, record))
        return made

    async def listed_orders(self, package_sn: str) -> tuple[str, tuple[int, ...]]:
        """The old application wrote blanks, doubles and words too."""
        statement = select(order_ids).where(packages.c.prepare_sn == package_sn)
        listed = ""
        if await has_order_lists(self._connection):
            listed = (await self._connection.execute(statement)).scalar_one_or_none() or ""
        return listed, orders_in(listed)

    async def list_orders_as(self, package: Package) -> None:
        """As a new package has it."""
        table = listed_packages
        if await has_order_lists(self._connection):
            await self._connection.execute(
                update(table)
                .where(table.c.id == package.package_id)
                .values(order_ids=order_list(package.order_ids), legacy_write_time=table.c.legacy_write_time)
            )

    async def map_order(self, package_id: int, order_id: int) -> None:
        """The leg is taken afterwards, where it is free."""
        await self._connection.execute(
            insert(package_orders).values(prepare_goods_id=package_id, order_id=order_id, active_leg=None)
        )

    async def legs(self, package_id: int) -> Mapping[int, int | None]:
        """By the primary key."""
        columns = package_orders.c
        rows = await self._connection.execute(
            select(columns.order_id, columns.active_leg)
            .where(columns.prepare_goods_id == package_id)
            .order_by(columns.order_id)
        )
        return {row.order_id: row.active_leg for row in rows}

    async def free_legs(self, package_id: int) -> None:
        """All of them."""
        await self._connection.execute(
            update(package_orders)
            .where(package_orders.c.prepare_goods_id == package_id)
            .values(active_leg=None)
        )

    async def take_leg(self, package_id: int, order_id: int, leg: int) -> bool:
        """The unique key on order and leg decides."""
        columns = package_orders.c
        statement = update(package_orders).where(
            columns.prepare_goods_id == package_id, columns.order_id == order_id
        )
        try:
            await self._connection.execute(statement.values(active_leg=leg))
        except IntegrityError as error:
            if duplicate_key(error) is None:
                raise
            return False
        return True

    async def forget_mapping(self, package_id: int) -> list[int]:
        """The condition is in the statement: the rows of a package that is there are never removed."""
        columns = package_orders.c
        of_package = columns.prepare_goods_id == package_id
        orders = await self._connection.execute(
            select(columns.order_id).where(of_package).order_by(columns.order_id).with_for_update()
        )
        there = exists().where(packages.c.id == package_id)
        removed = await self._connection.execute(delete(package_orders).where(of_package, ~there))
        return list(orders.scalars()) if removed.rowcount else []

    async def write_steps(self, package_id: int) -> list[str]:
        """Answers the columns that said something else."""
        times = (await step_times(self._connection, [package_id])).get(package_id, {})
        of_package = packages.c.id == package_id
        row = (await self._connection.execute(select(packages).where(of_package))).one()
        wrong = {name: time for name, time in times.items() if getattr(row, name) != time}
        if wrong:
            statement = update(packages).where(of_package)
            await self._connection.execute(
                statement.values(
                    **wrong,
                    version=row.version + 1,
                    update_time=self._now,
                    legacy_write_time=packages.c.legacy_write_time,
                )
            )
        return sorted(wrong)

    async def marked(self, package_id: int) -> Mapping[int, list[str]]:
        """By the index on packages."""
        columns = evidence.c
        rows = await self._connection.execute(
            select(columns.evidence_id, columns.used_sequence)
            .where(columns.package_id == package_id, columns.used_sha256.is_not(None))
            .order_by(columns.evidence_id)
        )
        marked: dict[int, list[str]] = {}
        for row in rows:
            marked.setdefault(row.used_sequence or 0, []).append(row.evidence_id)
        return marked

    async def mark_used(self, evidence_id: str, sequence: int) -> bool:
        """The unique key on the used digest decides."""
        statement = update(evidence).where(evidence.c.evidence_id == evidence_id)
        try:
            result = await self._connection.execute(
                statement.values(used_sha256=evidence.c.sha256, used_sequence=sequence)
            )
        except IntegrityError as error:
            if duplicate_key(error) is None:
                raise
            return False
        return result.rowcount == 1
