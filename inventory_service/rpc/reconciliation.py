"""The repairs of one Reconcile call, told in the words of OpsService."""

from inventory_service.application.reconcile import Reconciler
from inventory_service.application.repair_ports import Inconsistency
from inventory_service.application.repairing import Operator
from inventory_service.rpc.caller import current_operator
from inventory_service.rpc.consistency import Checks
from inventory_service.rpc.request_unit_of_work import RequestUnitOfWork
from servicekit.operations.consistency import Finding, Repair
from servicekit.operations.reconciliation import Reconciliation
from servicekit.persistence.transactions import Transactions
from servicekit.tasks import Tasks


def reconciliation(
    transactions: Transactions[RequestUnitOfWork], tasks: Tasks, checks: Checks
) -> Reconciliation[RequestUnitOfWork, Finding]:
    """OpsService.Reconcile of this service."""

    def begin(request_id: str, validate_only: bool) -> Repairs:
        by = current_operator(request_id)
        return Repairs(by, Reconciler(transactions, by, validate_only))

    return Reconciliation(transactions, tasks, checks, begin)


class Repairs:
    """What the kit asks of the repairs of one call."""

    def __init__(self, by: Operator, reconciler: Reconciler) -> None:
        self._by = by
        self._reconciler = reconciler

    async def repair(self, check: str, found: Finding) -> Repair | None:
        inconsistency = Inconsistency(check, found.subject, found.description, found.facts)
        repaired = await self._reconciler.repair(inconsistency)
        return None if repaired is None else Repair(found, repaired.what, repaired.done)

    async def made(self, uow: RequestUnitOfWork, after: int, size: int) -> list[tuple[int, Repair]]:
        records = await uow.repairs.list_repairs(self._by.caller, self._by.request_id, after, size)
        return [(number, Repair(_finding(record.found), record.repair, True)) for number, record in records]


def _finding(found: Inconsistency) -> Finding:
    return Finding(found.check, found.subject, found.description, found.facts)
