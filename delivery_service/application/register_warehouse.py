"""Warehouses."""

from dataclasses import dataclass, replace

from delivery_service.application.ports import UnitOfWork
from delivery_service.domain.directory import Warehouse
from delivery_service.domain.errors import WarehouseExists


@dataclass(frozen=True)
class RegisterWarehouse:
    """A warehouse; without an id the service chooses one."""

    warehouse_id: int | None
    code: str
    name: str
    address: str


async def register_warehouse(command: RegisterWarehouse, uow: UnitOfWork) -> Warehouse:
    """Registers a warehouse once; the same warehouse again is answered as it is. Raises WarehouseExists."""
    wanted = Warehouse(command.warehouse_id or 0, command.code, command.name, command.address)
    added = await uow.warehouses.add(wanted)
    if added is not None:
        return added
    known = await uow.warehouses.by_code(command.code)
    same_id = known is not None and command.warehouse_id in (None, known.warehouse_id)
    if known is None or not same_id or known != replace(wanted, warehouse_id=known.warehouse_id):
        raise WarehouseExists(command.warehouse_id, command.code)
    return known
