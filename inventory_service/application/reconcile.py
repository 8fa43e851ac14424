"""Repairs what the checks find, one finding a transaction; a dry run does the same and commits nothing."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from inventory_service.application.ports import Transactions, UnitOfWork
from inventory_service.application.repair_holds import repair_alert, repair_holds
from inventory_service.application.repair_partitions import repair_partition
from inventory_service.application.repair_ports import Inconsistency, RepairRecord
from inventory_service.application.repairing import NothingToRepair, Operator, RepairByHand

_REPAIRS: Mapping[str, Callable[[Inconsistency, UnitOfWork], Awaitable[str]]] = {
    "holds": repair_holds,
    "lines": repair_holds,
    "alerts": repair_alert,
    "partitions": repair_partition,
}
_BY_HAND = {
    "ledger": "the quantity or a movement was changed past the service, and neither is known to be right: count the"
    " shelf, and correct by hand what is wrong; movements are only added to",
    "daily_facts": "facts are counted once, when a movement is entered: the ledger or the facts were changed by hand,"
    " and what was changed has to be changed back",
}


@dataclass(frozen=True)
class Repaired:
    """What was, or would be, done about a finding; not `done` where nothing could be."""

    what: str
    done: bool


@dataclass(frozen=True)
class Reconciler:
    """Repairs for one operator."""

    transactions: Transactions
    by: Operator
    validate_only: bool

    async def repair(self, found: Inconsistency) -> Repaired | None:
        """None where the records agree by now."""

        async def unit(uow: UnitOfWork) -> str:
            what = await _REPAIRS[found.check](found, uow)
            by = self.by
            await uow.repairs.add(RepairRecord(by.caller, by.request_id, found, what, by.trace))
            return what

        if found.check in _BY_HAND:
            return Repaired(f"left to people: {_BY_HAND[found.check]}", done=False)
        try:
            if self.validate_only:
                return Repaired(await self.transactions.read(unit), done=False)
            return Repaired(await self.transactions.run(unit, name="reconcile"), done=True)
        except NothingToRepair:
            return None
        except RepairByHand as why:
            return Repaired(f"left to people: {why}", done=False)
