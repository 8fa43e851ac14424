"""The repairs of one Reconcile call, told in the words of OpsService."""

from collections.abc import AsyncIterator, Callable

from delivery_service.application.consistency_ports import Inconsistency, RepairRecord
from delivery_service.application.reconcile import Reconciler
from delivery_service.application.repairing import Operator
from delivery_service.rpc.caller import current_operator
from delivery_service.rpc.consistency import Checks, finding
from delivery_service.rpc.request_unit_of_work import RequestUnitOfWork
from servicekit.operations.consistency import Repair
from servicekit.operations.reconciliation import Reconciliation
from servicekit.persistence.transactions import Transactions
from servicekit.tasks import Tasks

BATCH = 200


def reconciliation(
    transactions: Transactions[RequestUnitOfWork],
    tasks: Tasks,
    checks: Checks,
    reconciler: Callable[[Operator, bool], Reconciler],
) -> Reconciliation[RequestUnitOfWork, Inconsistency]:
    """OpsService.Reconcile of this service; `reconciler` repairs, or only says what it would, for an operator."""

    def begin(request_id: str, validate_only: bool) -> Repairs:
        by = current_operator(request_id)
        return Repairs(transactions, checks, by, reconciler(by, validate_only))

    return Reconciliation(transactions, tasks, checks, begin)


class Repairs:
    """What the kit asks of the repairs of one call."""

    def __init__(
        self,
        transactions: Transactions[RequestUnitOfWork],
        checks: Checks,
        by: Operator,
        reconciler: Reconciler,
    ) -> None:
        self._transactions = transactions
        self._checks = checks
        self._by = by
        self._reconciler = reconciler

    async def repair(self, check: str, found: Inconsistency) -> Repair | None:
        """One transaction; None where the records agree by now."""
        repaired = await self._reconciler.repair(check, found)
        return None if repaired is None else Repair(finding(check, found), repaired.what, repaired.done)

    async def made(self) -> AsyncIterator[Repair]:
        """What this request repaired before, oldest first."""
        after = 0
        while True:

            async def page(uow: RequestUnitOfWork, after: int = after) -> list[tuple[int, RepairRecord]]:
                return await uow.repairs.list_repairs(str(self._by.actor), self._by.request_id, after, BATCH)

            records = await self._transactions.read(page)
            if not records:
                return
            after = records[-1][0]
            for _, record in records:
                # RequeueOutbox records what it did beside them, perhaps under the same id.
                if record.check in self._checks:
                    yield Repair(finding(record.check, record.found), record.repair, True)
