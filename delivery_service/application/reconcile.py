"""Repairs what the checks find, one finding a transaction; a dry run does the same and commits nothing.

What lies outside the database (a hold, bytes) is changed once its repair is on record: a death between the two leaves
a record too many and the finding, never a change that nobody knows of.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from delivery_service.application.consistency_ports import Drift, Inconsistency, RepairRecord
from delivery_service.application.photo_ports import PhotoReader, PhotoStore
from delivery_service.application.ports import Transactions, UnitOfWork
from delivery_service.application.read_photo import sound_bytes
from delivery_service.application.rebuild_record import find_kept, rebuild_record
from delivery_service.application.repair_evidence import (
    check_store,
    find_copy,
    put_copy,
    remove_stray,
    repair_mark,
    repair_photo,
    repair_proof,
    repair_record,
)
from delivery_service.application.repair_package import (
    forget_gone,
    repair_legs,
    repair_orders,
    repair_projection,
)
from delivery_service.application.repair_stock import (
    leave_overpacked,
    release_hold,
    release_orphan,
    repair_command,
    repair_hold,
    repair_hold_id,
)
from delivery_service.application.repair_timeline import (
    leave_chain,
    leave_unreadable,
    repair_driver,
    repair_state,
    repair_steps,
    repair_timeline,
)
from delivery_service.application.repairing import NothingToRepair, Operator, RepairByHand, RepairLater
from delivery_service.application.stock_ports import Inventory, InventoryUnreachable
from delivery_service.domain.errors import PhotoUnreadable, StorageFull, StorageUnavailable, Unreadable

_OWN: dict[Drift, Callable[[Inconsistency, Operator, UnitOfWork], Awaitable[str]]] = {
    Drift.CODES: leave_unreadable,
    Drift.TIMELINE: repair_timeline,
    Drift.CHAIN: leave_chain,
    Drift.STATE: repair_state,
    Drift.DRIVER: repair_driver,
    Drift.STEPS: repair_steps,
    Drift.ORDERS: repair_orders,
    Drift.LEGS: repair_legs,
    Drift.GONE: forget_gone,
    Drift.PROJECTION: repair_projection,
    Drift.PROOF: repair_proof,
    Drift.MARK: repair_mark,
    Drift.OVERPACKED: leave_overpacked,
    Drift.HOLD_ID: repair_hold_id,
}


@dataclass(frozen=True)
class Repaired:
    """What was, or would be, done about a finding; not `done` where nothing could or should be."""

    what: str
    done: bool


@dataclass(frozen=True)
class Plan:
    """What a transaction decides and changes, and what is done outside of the database after it."""

    decide: Callable[[UnitOfWork], Awaitable[str]]
    outside: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True)
class Reconciler:
    """Repairs for one operator. `quiet`: how long nothing may have happened to a hold before it is judged."""

    transactions: Transactions
    inventory: Inventory
    photos: PhotoStore
    reader: PhotoReader
    quiet: timedelta
    by: Operator
    validate_only: bool

    async def repair(self, check: str, found: Inconsistency) -> Repaired | None:
        """None where the records agree by now."""
        try:
            what = await self._carry_out(await self._plan(found), check, found)
        except NothingToRepair:
            return None
        except (RepairByHand, Unreadable, PhotoUnreadable) as why:
            return Repaired(f"left to people: {why}", done=False)
        except RepairLater as why:
            return Repaired(f"not yet: {why}", done=False)
        except (InventoryUnreachable, StorageFull, StorageUnavailable) as why:
            return Repaired(f"not now: {why}", done=False)
        return Repaired(what, done=not self.validate_only)

    async def _carry_out(self, plan: Plan, check: str, found: Inconsistency) -> str:
        async def unit(uow: UnitOfWork) -> str:
            what = await plan.decide(uow)
            by = self.by
            await uow.repairs.add(RepairRecord(str(by.actor), by.request_id, check, found, what, by.trace))
            return what

        if self.validate_only:
            return await self.transactions.read(unit)
        what = await self.transactions.run(unit, name="reconcile")
        if plan.outside is not None:
            await plan.outside()
        return what

    async def _has_record(self, evidence_id: str) -> bool:
        return await self.transactions.read(lambda uow: uow.evidence.get(evidence_id)) is not None

    async def _plan(self, found: Inconsistency) -> Plan:
        if found.drift is Drift.PROOF and not await self._has_record(found.subject):
            kept = await find_kept(found.subject, self.photos, self.reader)
            return Plan(partial(rebuild_record, found, self.by, kept))
        if found.drift in _OWN:
            return Plan(partial(_OWN[found.drift], found, self.by))
        if found.drift is Drift.PHOTO:
            copy = await find_copy(found, self.photos, self.transactions)
            if copy is None:
                await check_store(found, self.photos, self.transactions)
            outside = None if copy is None else partial(put_copy, found, copy, self.photos)
            return Plan(partial(repair_photo, found, self.by, copy is not None), outside)
        if found.drift is Drift.RECORD:
            content = await sound_bytes(found.subject, found.facts["sha256"], self.photos)
            if content is None:
                raise NothingToRepair
            return Plan(partial(repair_record, found, self.by, await self.reader.look(content)))
        if found.drift is Drift.STRAY_BYTES:
            return Plan(partial(remove_stray, found), partial(self.photos.remove, found.subject))
        if found.drift is Drift.UNKNOWN:
            raise RepairByHand("nothing is repaired while nothing is known")
        hold = await self.inventory.hold(found.facts["reservation_id"])
        if found.drift is Drift.COMMAND:
            return Plan(partial(repair_command, found, self.by, hold))
        if found.drift is Drift.HOLD:
            return Plan(partial(repair_hold, found, self.by, hold, self.quiet))
        return Plan(
            partial(release_orphan, found, hold, self.quiet),
            partial(release_hold, found, self.inventory, self.by),
        )
