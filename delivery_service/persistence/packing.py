"""New packages: what is looked at before one is made, and its rows, each in one round trip."""

from collections.abc import Collection

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.application.packing_ports import BeforePacking
from delivery_service.domain.errors import OrderAlreadyPacked
from delivery_service.domain.package import Package
from delivery_service.domain.workflow import PackageState
from delivery_service.persistence import package_rows, package_statements
from delivery_service.persistence.codes import STATE_CODES
from delivery_service.persistence.fixed import Fixed
from delivery_service.persistence.order_lists import listed_packages, order_list
from delivery_service.persistence.round_trips import RoundTrips
from delivery_service.persistence.tables import package_items, package_orders, packages, warehouses
from servicekit.persistence.conflicts import code, duplicate_key

_KNOWN = Fixed(select(packages.c.id).where(packages.c.prepare_sn == bindparam("package_sn")))
_WAREHOUSE = Fixed(select(warehouses.c.id).where(warehouses.c.id == bindparam("warehouse_id")))
_UNFOLLOWED = Fixed(select(packages.c.id).where(packages.c.legacy_write_time.is_not(None)).limit(1))

_COLUMNS = package_rows.COLUMNS_OF_NEW
_INSERT = Fixed(insert(packages), _COLUMNS)
_INSERT_LISTED = Fixed(insert(listed_packages), [*_COLUMNS, "order_ids"])
# Right after the package: neither row makes an id of its own before both were given the package's.
_TAKE_LEGS = Fixed(
    insert(package_orders).values(prepare_goods_id=func.last_insert_id()), ["order_id", "active_leg"]
)
_INSERT_ITEMS = Fixed(
    insert(package_items).values(prepare_id=func.last_insert_id()),
    ["order_item_id", "sku", "quantity", "create_time"],
)

_ENDED = STATE_CODES[PackageState.COMPLETED]
_LISTED = "tigu_prepare_goods.order_ids is there"
_NO_SUCH_COLUMN, _COLUMN_WITHOUT_VALUE = 1054, 1364


class SqlPacking:
    """New packages over one connection."""

    def __init__(self, connection: AsyncConnection, trips: RoundTrips) -> None:
        self._connection = connection
        self._trips = trips

    async def look(
        self,
        package_sn: str | None,
        order_ids: Collection[int],
        order_item_ids: Collection[int],
        warehouse_id: int | None,
    ) -> BeforePacking:
        """Five reads, each by an index."""
        known, warehouse, of_orders, packed, unfollowed = await self._trips.send(
            _KNOWN(package_sn=package_sn or ""),
            _WAREHOUSE(warehouse_id=warehouse_id or 0),
            package_statements.OF_ORDERS(order_ids=sorted(order_ids)),
            package_statements.PACKED_UNITS(order_item_ids=sorted(order_item_ids) or [0], leg=0),
            _UNFOLLOWED(),
        )
        return BeforePacking(
            package_sn is not None and bool(known.rows),
            bool(warehouse.rows),
            package_rows.order_packages(of_orders.rows),
            {row.order_item_id: int(row.units) for row in packed.rows},
            bool(unfollowed.rows),
        )

    async def add(self, package: Package) -> Package | None:
        """The package, then its orders, then its items: the text of what failed says how far it came."""
        try:
            return package_rows.with_id(package, await self._insert(package))
        except IntegrityError as error:
            if duplicate_key(error) is None:
                raise
            if error.statement in (_INSERT.text, _INSERT_LISTED.text):
                return None
        # The old application ends packages without freeing their legs.
        return await self._insert_with_past_legs(package)

    async def _insert(self, package: Package) -> int:
        # Asking the catalogue each time would cost more than all the rest; a wrong guess is corrected, and kept.
        listed = self._connection.info.setdefault(_LISTED, True)
        try:
            return await self._insert_listed(package, listed)
        except DBAPIError as error:
            if code(error) not in (_NO_SUCH_COLUMN, _COLUMN_WITHOUT_VALUE):
                raise
            self._connection.info[_LISTED] = not listed
            return await self._insert_listed(package, not listed)

    async def _insert_listed(self, package: Package, listed: bool) -> int:
        values = package_rows.values_of_new(package)
        inserted, *_ = await self._trips.send(
            _INSERT_LISTED(**values, order_ids=order_list(package.order_ids))
            if listed
            else _INSERT(**values),
            _TAKE_LEGS.many(package_rows.order_values(package)),
            _INSERT_ITEMS.many(package_rows.item_values(package)),
        )
        return inserted.first_id

    async def _insert_with_past_legs(self, package: Package) -> Package:
        """The package's own row is there; an order that is on the leg still is refused."""
        mine = select(packages.c.id).where(packages.c.prepare_sn == package.package_sn)
        stored = package_rows.with_id(package, (await self._connection.execute(mine)).scalar_one())
        of_orders = await self._connection.execute(
            select(package_orders.c.prepare_goods_id)
            .join(packages, packages.c.id == package_orders.c.prepare_goods_id)
            .where(package_orders.c.order_id.in_(package.order_ids), packages.c.prepare_status >= _ENDED)
        )
        await self._connection.execute(
            update(package_orders)
            .where(package_orders.c.prepare_goods_id.in_(list(of_orders.scalars())))
            .values(active_leg=None)
        )
        try:
            await self._connection.execute(insert(package_orders).values(package_rows.order_values(stored)))
        except IntegrityError as error:
            if duplicate_key(error) is None:
                raise
            raise OrderAlreadyPacked(await self._taken(package), package.leg) from error
        await self._connection.execute(insert(package_items), package_rows.item_values(stored))
        return stored

    async def _taken(self, package: Package) -> tuple[int, ...]:
        columns = package_orders.c
        taken = select(columns.order_id).where(
            columns.order_id.in_(package.order_ids), columns.active_leg == package.leg
        )
        return tuple((await self._connection.execute(taken.order_by(columns.order_id))).scalars())
