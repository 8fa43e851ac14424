"""Packages: `tigu_prepare_goods`, its items and its orders."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.application.ports import PackageFilter
from delivery_service.domain.order import OrderPackage
from delivery_service.domain.package import Package
from delivery_service.domain.workflow import PackageState, Workflow
from delivery_service.persistence import package_rows
from delivery_service.persistence import package_statements as statements
from delivery_service.persistence.codes import (
    STATE_CODES,
    STATES,
    STOCK_STATE_CODES,
    WORKFLOW_CODES,
    WORKFLOWS,
)
from delivery_service.persistence.fixed import Fixed
from delivery_service.persistence.legacy_writes import SqlLegacyWrites
from delivery_service.persistence.readable import (
    PACKAGE_CODES,
    counted_package,
    readable_package,
    unknown_code,
)
from delivery_service.persistence.round_trips import RoundTrips
from delivery_service.persistence.tables import package_items, package_orders, packages


class SqlPackages:
    """Packages over one connection."""

    def __init__(self, connection: AsyncConnection, trips: RoundTrips) -> None:
        self._connection = connection
        self._trips = trips

    async def get(self, package_sn: str) -> Package | None:
        """One package, not locked."""
        return await self._one(statements.PACKAGE, package_sn)

    async def lock(self, package_sn: str) -> Package | None:
        """One package, its row locked until the transaction ends; what belongs to it is read after that."""
        return await self._one(statements.LOCKED, package_sn)

    async def lock_free(self, package_sns: Collection[str]) -> Mapping[str, Package]:
        """In the order of their ids."""
        these = packages.c.prepare_sn.in_(package_sns)
        chosen = select(packages).where(these, readable_package).order_by(packages.c.id)
        return {
            package.package_sn: package
            for package in await self._many(chosen.with_for_update(skip_locked=True))
        }

    async def save(self, package: Package) -> None:
        """Writes a package whose row is locked; a version that is not the next one is a fault of ours."""
        values = package_rows.changed_values(package)
        save = statements.SAVE_ARRIVED if "actual_arrival_time" in values else statements.SAVE
        key = {"package_id": package.package_id, "before": package.version - 1}
        await self._trips.write(save(**values, **key), rows=1)
        await self._free_ended([package])
        if not package.state.active and package.order_ids:
            legs = statements.HAND_ON_LEGS(order_ids=package.order_ids, leg=package.leg)
            await self._trips.write(legs)

    async def save_stock(self, changed: Collection[Package]) -> None:
        """A statement for all of which inventory said the same."""
        alike: defaultdict[tuple[tuple[str, Any], ...], list[Package]] = defaultdict(list)
        for package in changed:
            alike[tuple(package_rows.stock_values(package).items())].append(package)
        for values, same in alike.items():
            await self._save_stock(same, dict(values))
        await self._free_ended(changed)

    async def order_ids(self, package_sn: str) -> tuple[int, ...] | None:
        """By id."""
        statement = (
            select(packages.c.id, packages.c.legacy_write_time, package_orders.c.order_id)
            .outerjoin(package_orders, package_orders.c.prepare_goods_id == packages.c.id)
            .where(packages.c.prepare_sn == package_sn)
            .order_by(package_orders.c.order_id)
        )
        rows = (await self._connection.execute(statement)).all()
        if not rows:
            return None
        if rows[0].legacy_write_time is not None:
            await SqlLegacyWrites(self._connection).follow_package(rows[0].id)
            rows = (await self._connection.execute(statement)).all()
        return tuple(row.order_id for row in rows if row.order_id is not None)

    async def of_orders(self, order_ids: Collection[int]) -> list[OrderPackage]:
        """By exact order id, through the mapping and its index."""
        return package_rows.order_packages(await self._of_orders(order_ids))

    async def list_of_orders(self, order_ids: Collection[int]) -> list[OrderPackage]:
        """The same way."""
        rows = await self._of_orders(order_ids)
        return package_rows.order_packages(row for row in rows if not unknown_code(row, PACKAGE_CODES))

    async def packed_units(self, order_item_ids: Collection[int], leg: int) -> Mapping[int, int]:
        """Summed over all packages of the leg that are not cancelled."""
        if not order_item_ids:
            return {}
        bound = statements.PACKED_UNITS(order_item_ids=sorted(order_item_ids), leg=leg)
        [found] = await self._trips.send(bound)
        return {row.order_item_id: int(row.units) for row in found.rows}

    async def units_in(self, package_ids: Collection[int]) -> Mapping[int, int]:
        """Summed over these packages."""
        statement = (
            select(package_items.c.order_item_id, func.sum(package_items.c.quantity))
            .where(
                package_items.c.prepare_id.in_(sorted(package_ids)),
                package_items.c.order_item_id.is_not(None),
            )
            .group_by(package_items.c.order_item_id)
        )
        return await self._units(statement)

    async def list_packages(self, which: PackageFilter, size: int, before: int | None) -> list[Package]:
        """By keyset on the id, newest first."""
        statement = _filtered(select(packages).where(readable_package), which)
        statement = statement.order_by(packages.c.id.desc()).limit(size)
        if before is not None:
            statement = statement.where(packages.c.id < before)
        return await self._many(statement)

    async def versions_by_hold(self, reservation_ids: Collection[str]) -> Mapping[str, int]:
        """By the unique key on the present hold; whether the rest of the row can be read does not matter."""
        columns = packages.c
        rows = await self._connection.execute(
            select(columns.reservation_id, columns.version).where(columns.reservation_id.in_(reservation_ids))
        )
        return {row.reservation_id: row.version for row in rows}

    async def distribution(self) -> list[tuple[Workflow, PackageState, int]]:
        """Counted by the stored pair and status."""
        columns = (packages.c.delivery_type, packages.c.shipping_type, packages.c.prepare_status)
        rows = await self._connection.execute(select(*columns, func.count()).group_by(*columns))
        known = [row for row in rows if not unknown_code(row, PACKAGE_CODES)]
        return [(WORKFLOWS[by, to], STATES[status], count) for by, to, status, count in known]

    async def order_counts(self) -> Mapping[Workflow, int]:
        """Each order counts once a workflow.

        A statement each: every package is looked at, and of many all at once take longer than a statement may.
        """
        counts = {}
        for workflow, (by, to) in WORKFLOW_CODES.items():
            counted = (
                select(func.count(package_orders.c.order_id.distinct()))
                .join(packages, packages.c.id == package_orders.c.prepare_goods_id)
                .where(packages.c.delivery_type == by, packages.c.shipping_type == to, counted_package)
            )
            counts[workflow] = (await self._connection.execute(counted)).scalar_one()
        return counts

    async def _of_orders(self, order_ids: Collection[int]) -> Sequence[Any]:
        if not order_ids:
            return []
        [found] = await self._trips.send(statements.OF_ORDERS(order_ids=sorted(order_ids)))
        return found.rows

    async def _save_stock(self, alike: Collection[Package], values: Mapping[str, Any]) -> None:
        columns = packages.c
        versions = tuple_(columns.id, columns.version).in_([(p.package_id, p.version - 1) for p in alike])
        result = await self._connection.execute(
            update(packages)
            .where(columns.id.in_([package.package_id for package in alike]), versions)
            .values(**values, version=columns.version + 1, legacy_write_time=columns.legacy_write_time)
        )
        if result.rowcount != len(alike):
            raise RuntimeError(f"one of {len(alike)} packages changed under its lock")

    async def _free_ended(self, saved: Collection[Package]) -> None:
        if ended := [package.package_id for package in saved if not package.state.active]:
            await self._trips.write(statements.FREE_LEGS(package_ids=ended))

    async def _units(self, statement: Select[Any]) -> dict[int, int]:
        return {item: int(units) for item, units in await self._connection.execute(statement)}

    async def _one(self, statement: Fixed, package_sn: str) -> Package | None:
        found, items, orders = await self._trips.send(
            statement(package_sn=package_sn),
            statements.ITEMS(package_sn=package_sn),
            statements.ORDERS(package_sn=package_sn),
        )
        if not found.rows:
            return None
        order_ids = [row.order_id for row in orders.rows]
        return package_rows.package_of(found.rows[0], list(map(package_rows.item_of, items.rows)), order_ids)

    async def _many(self, statement: Select[Any]) -> list[Package]:
        return await package_rows.load(self._connection, statement)


def _filtered(statement: Select[Any], which: PackageFilter) -> Select[Any]:
    columns = packages.c
    if which.workflow is not None:
        pair = tuple_(columns.delivery_type, columns.shipping_type)
        statement = statement.where(pair == WORKFLOW_CODES[which.workflow])
    if which.state is PackageState.PENDING:
        pending = columns.prepare_status == STATE_CODES[PackageState.PENDING]
        statement = statement.where(or_(pending, columns.prepare_status.is_(None)))
    elif which.state is not None:
        statement = statement.where(columns.prepare_status == STATE_CODES[which.state])
    if which.stock_state is not None:
        statement = statement.where(columns.stock_state == STOCK_STATE_CODES[which.stock_state])
    for name in ("shop_id", "driver_id", "warehouse_id"):
        if (wanted := getattr(which, name)) is not None:
            statement = statement.where(columns[name] == wanted)
    if which.order_id is not None:
        holding = select(package_orders.c.prepare_goods_id).where(package_orders.c.order_id == which.order_id)
        statement = statement.where(columns.id.in_(holding))
    if which.claimable:
        statement = statement.where(
            columns.prepare_status == STATE_CODES[PackageState.PREPARED],
            columns.delivery_type == 1,
            columns.driver_id.is_(None),
        )
    return statement
