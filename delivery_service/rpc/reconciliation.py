"""The repairs of one Reconcile call, told in the words of OpsService."""

from collections.abc import Callable

from delivery_service.application.consistency_ports import Inconsistency
from delivery_service.application.reconcile import Reconciler
from delivery_service.application.repairing import Operator
from delivery_service.rpc.caller import current_operator
from delivery_service.rpc.consistency import Checks, finding
from delivery_service.rpc.request_unit_of_work import RequestUnitOfWork
from servicekit.operations.consistency import Repair
from servicekit.operations.reconciliation import Reconciliation
from servicekit.persistence.transactions import Transactions
from servicekit.tasks import Tasks


def reconciliation(
    transactions: Transactions[RequestUnitOfWork],
    tasks: Tasks,
    checks: Checks,
    reconciler: Callable[[Operator, bool], Reconciler],
) -> Reconciliation[RequestUnitOfWork, Inconsistency]:
    """OpsService.Reconcile of this service; `reconciler` repairs, or only says what it would, for an operator."""

    def begin(request_id: str, validate_only: bool) -> Repairs:
        by = current_operator(request_id)
        return Repairs(by, reconciler(by, validate_only))

    return Reconciliation(transactions, tasks, checks, begin)


class Repairs:
    """What the kit asks of the repairs of one call."""

    def __init__(self, by: Operator, reconciler: Reconciler) -> None:
        self._by = by
        self._reconciler = reconciler

    async def repair(self, check: str, found: Inconsistency) -> Repair | None:
        repaired = await self._reconciler.repair(check, found)
        return None if repaired is None else Repair(finding(check, found), repaired.what, repaired.done)

    async def made(self, uow: RequestUnitOfWork, after: int, size: int) -> list[tuple[int, Repair]]:
        records = await uow.repairs.list_repairs(str(self._by.actor), self._by.request_id, after, size)
        return [
            (number, Repair(finding(record.check, record.found), record.repair, True))
            for number, record in records
        ]
