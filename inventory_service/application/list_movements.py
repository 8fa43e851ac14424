"""Lists changes of quantities, and says how far the list goes back."""

from datetime import datetime

from inventory_service.application.ports import MovementFilter, UnitOfWork
from inventory_service.domain.movement import RecordedMovement


async def list_movements(
    wanted: MovementFilter, size: int, after: tuple[datetime, int] | None, uow: UnitOfWork
) -> tuple[list[RecordedMovement], datetime | None]:
    """At most `size` movements, the newest first, and the time before which months may be archived."""
    found = await uow.movements.list_movements(wanted, size, after)
    # Asked last, so that a month that leaves meanwhile is not missing without a word.
    return found, await uow.ledger_archive.archived_before()
