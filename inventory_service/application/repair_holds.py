"""What a stock's row says of its holds, and its alert, written anew from what they follow from."""

from inventory_service.application.ports import UnitOfWork
from inventory_service.application.repair_ports import Inconsistency
from inventory_service.application.repairing import NothingToRepair, RepairByHand


async def repair_holds(found: Inconsistency, uow: UnitOfWork) -> str:
    """The reservations are the truth: lines are open while their hold is, and the counter is their sum.

    Whoever holds, commits or releases locks the stock's row first, so the sum cannot move meanwhile.
    """
    level = await uow.repairs.lock_level(found.subject)
    if level is None:
        raise NothingToRepair
    marked = await uow.repairs.mark_lines(level.stock_id)
    units = await uow.repairs.open_units(level.stock_id)
    if units > level.quantity:
        raise RepairByHand(
            f"open holds have {units} units of {level.quantity}: ExplainAvailability names them; release some, or"
            " AdjustStock where the goods are there"
        )
    told = []
    if marked:
        told.append(f"lines of {', '.join(marked)} are marked as their reservations are")
    if units != level.reserved_quantity:
        await uow.repairs.save_reserved(level.stock_id, units)
        told.append(f"reserved_quantity was {level.reserved_quantity} and is {units}")
    if not told:
        raise NothingToRepair
    return "; ".join(told)


async def repair_alert(found: Inconsistency, uow: UnitOfWork) -> str:
    """The schema's own judge decides again."""
    level = await uow.repairs.lock_level(found.subject)
    if level is None or not await uow.repairs.judge_low_stock(level.stock_id):
        raise NothingToRepair
    return "the stock is judged anew by its threshold"
