"""Drivers: registering them, and letting them claim packages or not."""

from dataclasses import dataclass, replace

from delivery_service.application.ports import UnitOfWork
from delivery_service.domain.directory import Driver
from delivery_service.domain.errors import DriverExists, DriverNotFound


@dataclass(frozen=True)
class RegisterDriver:
    """A driver; without an id the service chooses one."""

    driver_id: int | None
    name: str
    phone: str


async def register_driver(command: RegisterDriver, uow: UnitOfWork) -> Driver:
    """Registers an active driver once; the same driver again is answered as it is. Raises DriverExists."""
    wanted = Driver(command.driver_id or 0, command.name, command.phone, active=True)
    added = await uow.drivers.add(wanted)
    if added is not None:
        return added
    known = await uow.drivers.by_phone(command.phone)
    same_id = known is not None and command.driver_id in (None, known.driver_id)
    if known is None or not same_id or known.name != command.name:
        raise DriverExists(command.driver_id, command.phone)
    return known


@dataclass(frozen=True)
class SetDriverActive:
    """Whether a driver may take packages from now on."""

    driver_id: int
    active: bool


async def set_driver_active(command: SetDriverActive, uow: UnitOfWork) -> Driver:
    """Lets a driver claim packages, or not; claims already made stay. Raises DriverNotFound."""
    driver = await uow.drivers.get(command.driver_id)
    if driver is None:
        raise DriverNotFound(command.driver_id)
    await uow.drivers.save_active(command.driver_id, command.active)
    return replace(driver, active=command.active)
