"""Packages: `tigu_prepare_goods`, its items and its orders."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import CursorResult, Select, func, insert, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.application.ports import PackageFilter
from delivery_service.domain.errors import OrderAlreadyPacked
from delivery_service.domain.order import OrderPackage
from delivery_service.domain.package import Package
from delivery_service.domain.workflow import PackageState, Workflow
from delivery_service.persistence import package_rows
from delivery_service.persistence.codes import (
    STATE_CODES,
    STATES,
    STOCK_STATE_CODES,
    WORKFLOW_CODES,
    WORKFLOWS,
)
from delivery_service.persistence.legacy_writes import SqlLegacyWrites
from delivery_service.persistence.order_lists import has_order_lists, listed_packages, order_list
from delivery_service.persistence.tables import package_items, package_orders, packages
from servicekit.conflicts import duplicate_key

_not_cancelled = or_(
    packages.c.prepare_status.is_(None),
    packages.c.prepare_status != STATE_CODES[PackageState.CANCELLED],
)


class SqlPackages:
    """Packages over one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, package_sn: str) -> Package | None:
        """One package, not locked."""
        return await self._one(select(packages).where(packages.c.prepare_sn == package_sn))

    async def lock(self, package_sn: str) -> Package | None:
        """One package, its row locked until the transaction ends."""
        return await self._one(select(packages).where(packages.c.prepare_sn == package_sn).with_for_update())

    async def lock_free(self, package_sns: Collection[str]) -> Mapping[str, Package]:
        """In the order of their ids."""
        chosen = select(packages).where(packages.c.prepare_sn.in_(package_sns)).order_by(packages.c.id)
        return {
            package.package_sn: package
            for package in await self._many(chosen.with_for_update(skip_locked=True))
        }

    async def add(self, package: Package) -> Package | None:
        """Inserts the package, then its items, then its orders."""
        try:
            result = await self._insert(package)
        except IntegrityError as error:
            if duplicate_key(error) is None:
                raise
            return None
        stored = package_rows.with_id(package, result.lastrowid)
        await self._connection.execute(insert(package_items), package_rows.item_values(stored))
        if not await self._take_legs(stored):
            # The old application ends packages without freeing their legs.
            await self._free_past_legs(stored)
            if not await self._take_legs(stored):
                raise OrderAlreadyPacked(package.order_ids, package.leg)
        return stored

    async def save(self, package: Package) -> None:
        """Writes a package whose row is locked; a version that is not the next one is a fault of ours."""
        result = await self._connection.execute(
            update(packages)
            .where(packages.c.id == package.package_id, packages.c.version == package.version - 1)
            .values(**package_rows.changed_values(package), legacy_write_time=packages.c.legacy_write_time)
        )
        if result.rowcount != 1:
            raise RuntimeError(f"package {package.package_sn} changed under its lock")
        await self._free_ended([package])

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
        if not order_ids:
            return []
        columns = packages.c
        statement = (
            select(
                package_orders.c.order_id,
                columns.id,
                columns.prepare_sn,
                columns.delivery_type,
                columns.shipping_type,
                columns.type,
                columns.prepare_status,
                columns.warehouse_id,
            )
            .join(packages, columns.id == package_orders.c.prepare_goods_id)
            .where(package_orders.c.order_id.in_(sorted(order_ids)))
            .order_by(package_orders.c.order_id, columns.type, columns.id)
        )
        return [
            OrderPackage(
                row.order_id,
                row.id,
                row.prepare_sn,
                WORKFLOWS[row.delivery_type, row.shipping_type],
                row.type,
                STATES[row.prepare_status],
                row.warehouse_id,
            )
            for row in await self._connection.execute(statement)
        ]

    async def packed_units(self, order_item_ids: Collection[int], leg: int) -> Mapping[int, int]:
        """Summed over all packages of the leg that are not cancelled."""
        statement = (
            select(package_items.c.order_item_id, func.sum(package_items.c.quantity))
            .join(packages, packages.c.id == package_items.c.prepare_id)
            .where(
                package_items.c.order_item_id.in_(sorted(order_item_ids)),
                packages.c.type == leg,
                _not_cancelled,
            )
            .group_by(package_items.c.order_item_id)
        )
        return await self._units(statement)

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
        statement = _filtered(select(packages), which).order_by(packages.c.id.desc()).limit(size)
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
        return [(WORKFLOWS[by, to], STATES[status], count) for by, to, status, count in rows]

    async def order_counts(self) -> Mapping[Workflow, int]:
        """Each order counts once a workflow."""
        pair = (packages.c.delivery_type, packages.c.shipping_type)
        rows = await self._connection.execute(
            select(*pair, func.count(package_orders.c.order_id.distinct()))
            .join(package_orders, package_orders.c.prepare_goods_id == packages.c.id)
            .group_by(*pair)
        )
        return {WORKFLOWS[by, to]: count for by, to, count in rows}

    async def _insert(self, package: Package) -> CursorResult[Any]:
        values = package_rows.values_of_new(package)
        if await has_order_lists(self._connection):
            values["order_ids"] = order_list(package.order_ids)
            return await self._connection.execute(insert(listed_packages).values(values))
        return await self._connection.execute(insert(packages).values(values))

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
            of_ended = update(package_orders).where(package_orders.c.prepare_goods_id.in_(ended))
            await self._connection.execute(of_ended.values(active_leg=None))

    async def _take_legs(self, package: Package) -> bool:
        # One statement for all orders: it takes every leg or none.
        try:
            await self._connection.execute(insert(package_orders).values(package_rows.order_values(package)))
        except IntegrityError as error:
            if duplicate_key(error) is None:
                raise
            return False
        return True

    async def _free_past_legs(self, package: Package) -> None:
        past = {
            other.package_id for other in await self.of_orders(package.order_ids) if not other.state.active
        }
        await self._connection.execute(
            update(package_orders).where(package_orders.c.prepare_goods_id.in_(past)).values(active_leg=None)
        )

    async def _units(self, statement: Select[Any]) -> dict[int, int]:
        return {item: int(units) for item, units in await self._connection.execute(statement)}

    async def _one(self, statement: Select[Any]) -> Package | None:
        found = await self._many(statement)
        return found[0] if found else None

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
