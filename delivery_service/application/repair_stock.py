"""Repairs between packages and inventory. What inventory has is asked before the transaction; commands go out by the
outbox, in their order, like those of any other change.
"""

from dataclasses import replace
from datetime import timedelta

from delivery_service.application.check_consistency import OVERDUE
from delivery_service.application.check_reservations import have_same_lines, overpacked
from delivery_service.application.consistency_ports import Inconsistency
from delivery_service.application.ports import UnitOfWork
from delivery_service.application.repairing import (
    NothingToRepair,
    Operator,
    RepairByHand,
    RepairLater,
    note_repair,
)
from delivery_service.application.stock_ports import Done, Hold, Inventory, NewCommand
from delivery_service.domain.drift import WORDS, StockRepair, stock_repair, stock_repaired
from delivery_service.domain.package import Package
from delivery_service.domain.reservation import StockCommand, reservation_id
from delivery_service.domain.workflow import StockState

_BY_HAND = (
    "inventory has booked the goods out; where they are back, AdjustStock with the reason RETURNED says so"
)


async def repair_hold(
    found: Inconsistency, by: Operator, hold: Hold | None, quiet: timedelta, uow: UnitOfWork
) -> str:
    """Decides anew by the package as it is under its lock."""
    package = await uow.packages.lock(found.subject)
    if package is None or str(package.version) != found.facts["version"]:
        raise NothingToRepair
    if await uow.outbox.unfinished([package.package_id]):
        raise NothingToRepair
    if package.update_time > uow.now - quiet:
        # A command that was sent in that time may still be on its way.
        raise RepairLater(f"the package changed within the last {quiet.total_seconds():.0f} s")
    return await _repair(package, hold, by, uow)


async def repair_command(found: Inconsistency, by: Operator, hold: Hold | None, uow: UnitOfWork) -> str:
    """A command that is stuck is sent again; a refused commit by holding the goods again under the next attempt."""
    entry_id = int(found.facts["entry_id"])
    package = await uow.packages.lock(found.subject)
    stuck = await uow.outbox.lock_stuck(entry_id, OVERDUE)
    if stuck is None:
        raise NothingToRepair
    if package is None:
        raise RepairByHand("the package is gone")
    ours = stuck.reservation_id == package.reservation_id
    if stuck.parked and stuck.command is StockCommand.RELEASE and hold and hold.state == "COMMITTED":
        raise RepairByHand(_BY_HAND)
    if not (stuck.parked and stuck.command is StockCommand.COMMIT):
        await uow.outbox.put_back(entry_id)
        what = f"{stuck.command} is sent again"
        await note_repair(package, what, by, uow)
        return what
    await uow.outbox.close(entry_id)
    if not ours or package.stock_state is not StockState.COMMIT_PENDING:
        what = "the commit of an earlier attempt is closed"
        await note_repair(package, what, by, uow)
        return what
    return await _repair(package, hold, by, uow)


async def repair_hold_id(found: Inconsistency, by: Operator, uow: UnitOfWork) -> str:
    """The id follows from the package's number and attempt; a package that never asked for a hold tracks none."""
    package = await uow.packages.lock(found.subject)
    if package is None or package.has_right_hold_id:
        raise NothingToRepair
    if package.attempt:
        right = reservation_id(package.package_sn, package.attempt)
        changed = replace(package, reservation_id=right)
        what = f"the id of the hold was {package.reservation_id or 'none'} and is {right}"
    elif package.reservation_id is not None:
        raise RepairByHand(
            "the package has an id of a hold and counts no attempt: set its attempt by its commands"
        )
    else:
        changed = replace(package, stock_state=StockState.NOT_TRACKED)
        what = f"the package never asked for a hold; its stock was {package.stock_state} and is NOT_TRACKED"
    await uow.packages.save(replace(changed, version=package.version + 1, update_time=uow.now))
    await note_repair(package, what, by, uow)
    return what


async def leave_overpacked(found: Inconsistency, by: Operator, uow: UnitOfWork) -> str:
    """Which package has too much, and whether its goods are in it, only people can see."""
    raise RepairByHand(
        f"more is packed than was ordered of order items {found.facts['order_items']}; correct the quantities in"
        " tigu_prepare_goods_item, or cancel a package of them"
    )


async def release_orphan(found: Inconsistency, hold: Hold | None, quiet: timedelta, uow: UnitOfWork) -> str:
    """Looks once more whether no package bears the id; the hold is released afterwards."""
    if hold is None or hold.state != "HELD" or await uow.packages.versions_by_hold([found.subject]):
        raise NothingToRepair
    if hold.create_time is not None and hold.create_time > uow.now - quiet:
        raise RepairLater(f"the hold was made within the last {quiet.total_seconds():.0f} s")
    return "inventory is told to release the hold"


async def release_hold(found: Inconsistency, inventory: Inventory, by: Operator) -> None:
    """Raises RepairLater where inventory did not do so."""
    answer = await inventory.release(found.subject, by.trace)
    if not isinstance(answer, Done):
        raise RepairLater(f"inventory did not release it: {answer}")


async def _repair(package: Package, hold: Hold | None, by: Operator, uow: UnitOfWork) -> str:
    repair = stock_repair(package, hold.state if hold else None, same_lines=have_same_lines(package, hold))
    if repair is StockRepair.FINE:
        raise NothingToRepair
    if repair is StockRepair.BY_HAND:
        raise RepairByHand(_BY_HAND)
    changed, commands = stock_repaired(package, repair, uow.now)
    if any(command is StockCommand.RESERVE for _, command in commands):
        for too_much in await overpacked([package], uow):
            await leave_overpacked(too_much, by, uow)
    await uow.packages.save(changed)
    for at, command in commands:
        await uow.outbox.add([NewCommand(at, command, by.trace)])
    await note_repair(changed, WORDS[repair], by, uow)
    return WORDS[repair]
