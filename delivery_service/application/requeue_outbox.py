"""Puts a parked command back, because an operator has mended why it was."""

from dataclasses import dataclass

from delivery_service.application.check_consistency import OVERDUE
from delivery_service.application.consistency_ports import Drift, Inconsistency, RepairRecord
from delivery_service.application.outbox_ports import OutboxEntry
from delivery_service.application.ports import UnitOfWork
from delivery_service.application.repairing import Operator, note_repair

REQUEUE = "requeue"
"""The name, where others have their check's, under which it is on record among the repairs."""


@dataclass(frozen=True)
class RequeueOutbox:
    """Which entry to put back, why, and for whom."""

    entry_id: int
    note: str
    by: Operator


async def requeue_outbox(command: RequeueOutbox, uow: UnitOfWork) -> OutboxEntry | None:
    """Makes the entry due now, on record with its note; None where there is none, or it is not parked.

    Locks the package, then the entry. Raises PackageUnreadable.
    """
    entry = await uow.outbox_entries.get(command.entry_id)
    if entry is None:
        return None
    package = await uow.packages.lock(entry.package_sn)
    stuck = await uow.outbox.lock_stuck(entry.entry_id, OVERDUE)
    if stuck is None or not stuck.parked:
        return None
    await uow.outbox.put_back(entry.entry_id)
    what = f"{entry.command} is sent again: {command.note}"
    facts = {
        "entry_id": str(entry.entry_id),
        "reservation_id": stuck.reservation_id,
        "command": entry.command,
        "last_error": entry.last_error or "",
        "note": command.note,
    }
    found = Inconsistency(Drift.COMMAND, entry.package_sn, f"{entry.command} was parked", facts)
    by = command.by
    await uow.repairs.add(RepairRecord(str(by.actor), by.request_id, REQUEUE, found, what, by.trace))
    if package is not None:
        await note_repair(package, what, by, uow)
    return await uow.outbox_entries.get(entry.entry_id)
