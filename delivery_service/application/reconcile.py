"""Repairs what the checks find, one finding a transaction; a dry run does the same and commits nothing.

What lies outside the database (a hold, bytes) is changed first and recorded after: a repeat finds nothing left.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from delivery_service.application.consistency_ports import Drift, Inconsistency, RepairRecord
from delivery_service.application.photo_ports import PhotoStore
from delivery_service.application.ports import Transactions, UnitOfWork
from delivery_service.application.repair_evidence import (
    find_copy,
    remove_stray,
    repair_photo,
    repair_proof,
)
from delivery_service.application.repair_package import (
    repair_legs,
    repair_orders,
    repair_state,
    repair_timeline,
)
from delivery_service.application.repair_stock import release_orphan, repair_command, repair_hold
from delivery_service.application.repairing import NothingToRepair, Operator, RepairByHand, RepairLater
from delivery_service.application.stock_ports import Inventory, InventoryUnreachable
from delivery_service.domain.errors import StorageFull, StorageUnavailable

T = TypeVar("T")


@dataclass(frozen=True)
class Repaired:
    """What was, or would be, done about a finding; not `done` where nothing could or should be."""

    what: str
    done: bool


@dataclass(frozen=True)
class Reconciler:
    """Repairs for one operator. `quiet`: how long nothing may have happened to a hold before it is judged."""

    transactions: Transactions
    inventory: Inventory
    photos: PhotoStore
    quiet: timedelta
    by: Operator
    validate_only: bool

    async def repair(self, check: str, found: Inconsistency) -> Repaired | None:
        """None where the records agree by now."""
        try:
            what = await self._repair(check, found)
        except NothingToRepair:
            return None
        except RepairByHand as why:
            return Repaired(f"left to people: {why}", done=False)
        except RepairLater as why:
            return Repaired(f"not yet: {why}", done=False)
        except (InventoryUnreachable, StorageFull, StorageUnavailable) as why:
            return Repaired(f"not now: {why}", done=False)
        return Repaired(what, done=not self.validate_only)

    async def _repair(self, check: str, found: Inconsistency) -> str:
        if found.drift is Drift.UNKNOWN:
            raise RepairByHand("nothing is repaired while nothing is known")
        if found.drift in _OWN:
            own = _OWN[found.drift]
            return await self._recorded(check, found, lambda uow: own(found, self.by, uow), lambda what: what)
        if found.drift is Drift.PHOTO:
            return await self._photo(check, found)
        if found.drift is Drift.STRAY_BYTES:
            what = await remove_stray(found, self.photos, self.transactions, validate_only=self.validate_only)
            return await self._told(check, found, what)
        hold = await self.inventory.hold(found.facts["reservation_id"])
        if found.drift is Drift.COMMAND:
            return await self._recorded(
                check, found, lambda uow: repair_command(found, self.by, hold, uow), lambda what: what
            )
        if found.drift is Drift.HOLD:
            return await self._recorded(
                check,
                found,
                lambda uow: repair_hold(found, self.by, hold, self.quiet, uow),
                lambda what: what,
            )
        what = await release_orphan(
            found,
            hold,
            self.quiet,
            self.by,
            self.inventory,
            self.transactions,
            validate_only=self.validate_only,
        )
        return await self._told(check, found, what)

    async def _photo(self, check: str, found: Inconsistency) -> str:
        copy = await find_copy(found, self.photos, self.transactions)
        photo, what = await self._recorded(
            check,
            found,
            lambda uow: repair_photo(found, copy, self.photos, self.by, uow),
            lambda repaired: repaired[1],
        )
        if copy is not None and not self.validate_only:
            await self.photos.put(photo.name, copy)
        return what

    async def _told(self, check: str, found: Inconsistency, what: str) -> str:
        async def nothing_else(uow: UnitOfWork) -> str:
            return what

        return await self._recorded(check, found, nothing_else, lambda told: told)

    async def _recorded(
        self,
        check: str,
        found: Inconsistency,
        work: Callable[[UnitOfWork], Awaitable[T]],
        told: Callable[[T], str],
    ) -> T:
        async def unit(uow: UnitOfWork) -> T:
            result = await work(uow)
            by = self.by
            record = RepairRecord(str(by.actor), by.request_id, check, found, told(result), by.trace)
            await uow.repairs.add(record)
            return result

        if self.validate_only:
            return await self.transactions.read(unit)
        return await self.transactions.run(unit, name="reconcile")


_OWN: dict[Drift, Callable[[Inconsistency, Operator, UnitOfWork], Awaitable[str]]] = {
    Drift.ORDERS: repair_orders,
    Drift.LEGS: repair_legs,
    Drift.STATE: repair_state,
    Drift.TIMELINE: repair_timeline,
    Drift.PROOF: repair_proof,
}
