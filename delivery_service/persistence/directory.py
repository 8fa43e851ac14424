"""Drivers and warehouses."""

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.domain.directory import Driver, Warehouse
from delivery_service.persistence.tables import drivers, warehouses
from servicekit.persistence.conflicts import duplicate_key


class SqlDrivers:
    """Drivers over one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, driver_id: int) -> Driver | None:
        """One driver by id."""
        return await self._one(drivers.c.id == driver_id)

    async def by_phone(self, phone: str) -> Driver | None:
        """One driver by the number, which is unique."""
        return await self._one(drivers.c.phone == phone)

    async def add(self, driver: Driver) -> Driver | None:
        """Inserts first; the keys decide."""
        values = {"name": driver.name, "phone": driver.phone, "status": int(driver.active)}
        if driver.driver_id:
            values["id"] = driver.driver_id
        try:
            result = await self._connection.execute(insert(drivers).values(values))
        except IntegrityError as error:
            if duplicate_key(error) is None:
                raise
            return None
        return await self.get(driver.driver_id or result.lastrowid)

    async def save_active(self, driver_id: int, active: bool) -> None:
        """Stores whether the driver may take packages."""
        await self._connection.execute(
            update(drivers).where(drivers.c.id == driver_id).values(status=int(active))
        )

    async def _one(self, condition: ColumnElement[bool]) -> Driver | None:
        row = (await self._connection.execute(select(drivers).where(condition))).one_or_none()
        return None if row is None else Driver(row.id, row.name, row.phone, row.status == 1)


class SqlWarehouses:
    """Warehouses over one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, warehouse_id: int) -> Warehouse | None:
        """One warehouse by id."""
        return await self._one(warehouses.c.id == warehouse_id)

    async def by_code(self, code: str) -> Warehouse | None:
        """One warehouse by its code, which is unique."""
        return await self._one(warehouses.c.code == code)

    async def add(self, warehouse: Warehouse) -> Warehouse | None:
        """Inserts first; the keys decide."""
        values: dict[str, str | int] = {
            "code": warehouse.code,
            "name": warehouse.name,
            "address": warehouse.address,
        }
        if warehouse.warehouse_id:
            values["id"] = warehouse.warehouse_id
        try:
            result = await self._connection.execute(insert(warehouses).values(values))
        except IntegrityError as error:
            if duplicate_key(error) is None:
                raise
            return None
        return await self.get(warehouse.warehouse_id or result.lastrowid)

    async def _one(self, condition: ColumnElement[bool]) -> Warehouse | None:
        row = (await self._connection.execute(select(warehouses).where(condition))).one_or_none()
        return None if row is None else Warehouse(row.id, row.code, row.name, row.address or "")
