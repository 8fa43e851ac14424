"""Asks inventory again for a package that it refused, or for one that never had a hold."""

from dataclasses import dataclass

from delivery_service.application.ports import UnitOfWork
from delivery_service.application.stock_ports import NewCommand
from delivery_service.domain.errors import PackageNotFound
from delivery_service.domain.package import Package
from delivery_service.domain.package_event import Actor
from delivery_service.domain.reservation import StockCommand
from delivery_service.domain.settlement import retry


@dataclass(frozen=True)
class RetryReservation:
    """For which package, by whom."""

    package_sn: str
    actor: Actor
    expected_version: int | None
    trace: str


async def retry_reservation(command: RetryReservation, uow: UnitOfWork) -> Package:
    """Puts a new attempt into the outbox; the same retry again changes nothing.

    Raises PackageNotFound and what `retry` raises.
    """
    package = await uow.packages.lock(command.package_sn)
    if package is None:
        raise PackageNotFound(command.package_sn)
    last = await uow.events.last(package.package_id)
    asking, event = retry(package, command.actor, last, command.expected_version, uow.now)
    if event is None:
        return package
    await uow.packages.save(asking)
    await uow.events.add(package.package_id, event)
    await uow.outbox.add([NewCommand(asking, StockCommand.RESERVE, command.trace)])
    return asking
